#include "base/base.h"

#include "model/conf_ini.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

#include <ctype.h>
#include <ini.h>

/* inih keeps section and key names in buffers of 50 bytes, and a line in one whose size it tells
 * the reader (Debian: 200). None of them can be changed in a packaged library. */
#define NAME_LIMIT 49

struct source {
	const char *name;
	const char *text;
	size_t len;
	size_t pos;
	size_t line; /* of the line that was handed out last */
	bool continued;
	bool has_key; /* a key came since the last section: an indented line continues its value */
	bool failed;
	const struct ini_reader *reader;
	struct err *err;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

static bool is_comment(const char *p)
{
	return *p == ';' || *p == '#';
}

static bool ends_line(char c)
{
	return c == '\0' || c == '\n' || c == '\r';
}

static int check_bytes(const char *line, size_t len, struct err *err)
{
	if (memchr(line, '\0', len))
		return err_set(err, ERR_INVALID, "a NUL byte; this is no text file");
	if (!utf8_is_valid(line, len))
		return err_set(err, ERR_INVALID, "not valid UTF-8");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f)
			return err_set(err, ERR_INVALID, "control character 0x%02x", c);
	}
	return 0;
}

/* 'p' is at the '['. */
static int check_section(const char *p, struct err *err)
{
	size_t len = strcspn(p + 1, "]\n");
	const char *after;

	if (p[1 + len] != ']')
		return err_set(err, ERR_INVALID, "expected ']' after the section's name");
	if (len > NAME_LIMIT)
		return err_set(err, ERR_INVALID, "the section's name is %zu bytes long; %d at most",
			       len, NAME_LIMIT);
	after = skip_blanks(p + len + 2);
	if (!ends_line(*after) && !is_comment(after))
		return err_set(err, ERR_INVALID, "unexpected text after '[%.*s]'", (int)len, p + 1);
	return 0;
}

/* A quote opens where a word may start, so that the apostrophe of "don't" is none. */
static bool opens_quote(const char *start, const char *p)
{
	return (*p == '"' || *p == '\'') && (p == start || is_blank(p[-1]) || p[-1] == '=');
}

/* inih would cut the value there and leave half a command. */
static int check_quotes(const char *value, struct err *err)
{
	for (const char *p = value; *p && *p != '\n'; p++) {
		size_t inside;

		if (*p == ';' && p > value && is_blank(p[-1]))
			return 0; /* a comment starts */
		if (!opens_quote(value, p))
			continue;
		inside = 1 + strcspn(p + 1, *p == '"' ? "\"\n" : "'\n");
		if (p[inside] != *p)
			continue;
		for (const char *q = p + 1; q < p + inside; q++)
			if (*q == ';' && is_blank(q[-1]))
				return err_set(err, ERR_INVALID,
					       "a ';' after a blank starts a comment, even inside "
					       "quotes; write it without the blank");
		p += inside;
	}
	return 0;
}

/* The length of the key that starts at 'p', or 0 if no '=' or ':' follows on the line. */
static size_t key_length(const char *p)
{
	size_t len = strcspn(p, "=:\n");

	if (p[len] != '=' && p[len] != ':')
		return 0;
	while (len && is_blank(p[len - 1]))
		len--;
	return len;
}

static int check_key(const char *p, struct err *err)
{
	size_t sign = strcspn(p, "=:\n");
	size_t len = key_length(p);

	if (p[sign] != '=' && p[sign] != ':')
		return err_set(err, ERR_INVALID, "expected 'key = value'");
	if (!len)
		return err_set(err, ERR_INVALID, "expected a key before '%c'", p[sign]);
	if (len > NAME_LIMIT)
		return err_set(err, ERR_INVALID, "the key is %zu bytes long; %d at most", len,
			       NAME_LIMIT);
	return check_quotes(skip_blanks(p + sign + 1), err);
}

/* "  key = value" or "  [section]" was surely not meant as more of the value above it. */
static int check_continuation(const char *p, struct err *err)
{
	size_t sign = strcspn(p, "=\n");
	size_t len = p[sign] == '=' ? key_length(p) : 0;
	bool is_word = len > 0;

	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)p[i]) && p[i] != '_')
			is_word = false;
	if (is_word && (is_blank(p[sign + 1]) || is_blank(p[sign - 1])))
		return err_set(err, ERR_INVALID,
			       "'%.*s' is indented and would continue the value above; start it in "
			       "the first column",
			       (int)len, p);
	if (*p == '[' && p[strcspn(p, "]\n")] == ']' && ends_line(p[strcspn(p, "]\n") + 1]))
		return err_set(
			err, ERR_INVALID,
			"an indented section would continue the value above; start it in the "
			"first column");
	return check_quotes(p, err);
}

/* 'p' is at the '[' of a line that check_section() has passed. */
static int tell_section(struct source *source, const char *p, struct err *err)
{
	char *name;
	int result;

	if (!source->reader->section)
		return 0;
	name = xstrndup(p + 1, strcspn(p + 1, "]"));
	result = source->reader->section(source->reader->arg, name, source->line, err);
	free(name);
	return result;
}

/* 'line' is what inih will see: ends in NUL. */
static int check_line(struct source *source, const char *line, struct err *err)
{
	const char *p = line;

	if (source->line == 1 && has_prefix(p, "\xef\xbb\xbf"))
		p += 3;
	source->continued = source->has_key && is_blank(*p);
	p = skip_blanks(p);
	if (ends_line(*p) || is_comment(p))
		return 0;
	if (source->continued)
		return check_continuation(p, err);
	source->has_key = *p != '[';
	if (*p != '[')
		return check_key(p, err);
	return check_section(p, err) < 0 ? -1 : tell_section(source, p, err);
}

/* Put the place in front of the error, and end the reading. */
static char *refuse(struct source *source)
{
	source->failed = true;
	err_prefix(source->err, "%s:%zu", source->name, source->line);
	err_path(source->err, source->name);
	return NULL;
}

/* The fgets() of inih: one line into 'out', at most 'size' bytes with its NUL. */
static char *read_line(char *out, int size, void *stream)
{
	struct source *source = stream;
	const char *start = source->text + source->pos;
	size_t left = source->len - source->pos;
	const char *newline = memchr(start, '\n', left);
	size_t len = newline ? (size_t)(newline - start) : left;
	size_t room = (size_t)size - 2; /* for the newline and the NUL */

	if (!left || source->failed)
		return NULL;
	source->line++;
	source->pos += len + (newline != NULL);
	if (check_bytes(start, len, source->err) < 0)
		return refuse(source);
	if (len > room) {
		err_set(source->err, ERR_INVALID, "the line is %zu bytes long; %zu at most", len,
			room);
		err_hint(source->err, "a value may go on in the next line, indented");
		return refuse(source);
	}
	memcpy(out, start, len);
	memcpy(out + len, "\n", 2);
	return check_line(source, out, source->err) < 0 ? refuse(source) : out;
}

/* inih strips " ; comment" from the first line of a value only. */
static void strip_comment(struct str *value)
{
	for (size_t i = 1; i < value->len; i++)
		if (value->buf[i] == ';' && is_blank(value->buf[i - 1])) {
			str_truncate(value, i);
			break;
		}
	str_trim(value);
}

static int on_entry(void *user, const char *section, const char *key, const char *value)
{
	struct source *source = user;
	struct str text = STR_INIT;
	struct ini_entry entry = { section, key, NULL, source->line, source->continued };

	if (source->failed)
		return 0; /* not reached by tests: after a failure read_line() gives no line */
	str_adds(&text, value);
	if (source->continued)
		strip_comment(&text);
	entry.value = text.buf;
	if (source->reader->entry(source->reader->arg, &entry, source->err) < 0)
		refuse(source);
	str_release(&text);
	return !source->failed;
}

int conf_ini_read_with(const char *name, const char *text, size_t len,
		       const struct ini_reader *reader, struct err *err)
{
	struct source source = {
		.name = name, .text = text, .len = len, .reader = reader, .err = err
	};
	int rc = ini_parse_stream(read_line, &source, on_entry, &source);

	if (source.failed)
		return -1;
	if (rc) /* not reached by tests: check_line() refuses what inih would */
		return err_set(err, ERR_INVALID, "%s:%d: not understood", name, rc);
	return 0;
}

int conf_ini_read(const char *name, const char *text, size_t len,
		  int (*entry)(void *arg, const struct ini_entry *entry, struct err *err),
		  void *arg, struct err *err)
{
	const struct ini_reader reader = { .entry = entry, .arg = arg };

	return conf_ini_read_with(name, text, len, &reader, err);
}
