/*
 * The tokenizer: one pass without recursion. Between two tokens it knows only the containers that
 * are open and whether a value is due; every function takes the position and returns the next one,
 * or NULL once the error is set.
 */
#include "base/base.h"

#include "sys/json.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <stdarg.h>

struct reader {
	struct json *doc;
	const char *name;
	const char *end;
	unsigned flags;
	struct err *err;
	const struct json_stream *stream; /* may be NULL */
	uint32_t streamed;		  /* token of its array, once that was met */
	size_t depth;
	uint32_t open[JSON_MAX_DEPTH];	/* token of each open container */
	uint32_t items[JSON_MAX_DEPTH]; /* commas met in it */
	char closer[JSON_MAX_DEPTH];	/* what ends it */
};

/* Line and column (in characters) of 's', both from 1. */
static void locate(const struct reader *r, const char *s, size_t *line, size_t *column)
{
	const char *line_start = r->doc->text;
	const char *newline;

	*line = 1;
	while (line_start < s && (newline = memchr(line_start, '\n', (size_t)(s - line_start)))) {
		line_start = newline + 1;
		(*line)++;
	}
	*column = 1;
	for (const char *c = line_start; c < s; c++)
		*column += (*c & 0xc0) != 0x80;
}

static const char *fail(struct reader *r, const char *s, const char *fmt, ...) PRINTF_LIKE(3, 4);

static const char *fail(struct reader *r, const char *s, const char *fmt, ...)
{
	size_t line;
	size_t column;
	char what[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	locate(r, s, &line, &column);
	err_set(r->err, ERR_INVALID, "%s:%zu:%zu: %s", r->name, line, column, what);
	return NULL;
}

/* 'wanted' was due at 's'; a torn file is told apart from a wrong one. */
static const char *fail_expected(struct reader *r, const char *s, const char *wanted)
{
	if (s >= r->end)
		return fail(r, s, "expected %s, but the text ends here", wanted);
	if (*s == '\0')
		return fail(r, s, "expected %s, found a NUL byte", wanted);
	return fail(r, s, "expected %s", wanted);
}

static void grow_tokens(struct json *doc)
{
	doc->cap = doc->cap ? doc->cap * 2 : 64;
	doc->tokens = xreallocarray(doc->tokens, doc->cap, sizeof(*doc->tokens));
}

static inline struct json_token *add_token(struct reader *r, enum json_type type, const char *start,
					   const char *end)
{
	struct json *doc = r->doc;
	struct json_token *token;

	if (doc->n == doc->cap)
		grow_tokens(doc);
	token = &doc->tokens[doc->n++];
	token->start = (uint32_t)(start - doc->text);
	token->end = (uint32_t)(end - doc->text);
	token->next = (uint32_t)doc->n;
	token->size = 0;
	token->type = type & 0xf;
	return token;
}

static inline uint64_t load_eight(const char *s)
{
	uint64_t word;

	memcpy(&word, s, sizeof(word));
	return word;
}

#define EVERY_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* To the first byte that is no space: eight at a time where the lowest address is the lowest byte. */
static inline const char *skip_spaces(const char *s, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	while (end - s >= 8) {
		uint64_t other = load_eight(s) ^ EVERY_BYTE(' ');

		if (other)
			return s + (__builtin_ctzll(other) >> 3);
		s += 8;
	}
#endif
	while (s < end && *s == ' ')
		s++;
	return s;
}

/* Records are indented, so most blanks come as runs of spaces after a newline. */
static inline const char *skip_blanks(const char *s, const char *end)
{
	while (s < end && is_blank(*s))
		s = skip_spaces(s + 1, end);
	return s;
}

static inline bool is_plain(char c)
{
	return c >= ' ' && c != '"' &&
	       c != '\\'; /* the bytes of multi-byte characters are negative */
}

/*
 * To the first byte that is not plain ASCII text: eight at a time where the lowest address is the
 * lowest byte of a word. A byte sets its high bit in 'special' if it is above 0x7f, below 0x20, a
 * quote or a backslash; a borrow can only falsify bytes above the first true one.
 */
static inline const char *skip_plain(const char *s, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	while (end - s >= 8) {
		uint64_t word = load_eight(s);
		uint64_t special = word | (word - EVERY_BYTE(0x20)) |
				   ((word ^ EVERY_BYTE('"')) - EVERY_BYTE(1)) |
				   ((word ^ EVERY_BYTE('\\')) - EVERY_BYTE(1));

		special &= EVERY_BYTE(0x80);
		if (special)
			return s + (__builtin_ctzll(special) >> 3);
		s += 8;
	}
#endif
	while (s < end && is_plain(*s))
		s++;
	return s;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* The escape whose backslash is at 's'. */
static const char *read_escape(struct reader *r, const char *s)
{
	if (r->end - s < 2)
		return fail_expected(r, r->end, "a closing quote");
	if (s[1] != 'u')
		return s[1] && strchr("\"\\/bfnrt", s[1]) ? s + 2 : fail(r, s, "unknown escape");
	for (int i = 2; i < 6; i++)
		if (s + i >= r->end || !is_hex(s[i]))
			return fail_expected(r, s + i, "four hex digits after '\\u'");
	return s + 6;
}

/* What is neither plain nor the closing quote, at 's' inside a string. */
static const char *read_special(struct reader *r, const char *s)
{
	uint32_t c;
	size_t width;

	if (s == r->end)
		return fail_expected(r, s, "a closing quote");
	if (*s == '\\')
		return read_escape(r, s);
	if ((unsigned char)*s < ' ')
		return fail(r, s, "control character 0x%02x in a string", (unsigned char)*s);
	width = utf8_decode(s, (size_t)(r->end - s), &c);
	return width ? s + width : fail(r, s, "invalid UTF-8 in a string");
}

/* The string whose opening quote is at 's'. */
static inline const char *read_string(struct reader *r, const char *s)
{
	const char *start = s++;
	unsigned escaped = 0;

	while ((s = skip_plain(s, r->end)) == r->end || *s != '"') {
		escaped |= s < r->end && *s == '\\';
		s = read_special(r, s);
		if (!s)
			return NULL;
	}
	add_token(r, JSON_STRING, start, s + 1)->size = escaped & 1;
	return s + 1;
}

static inline const char *skip_digits(const char *s, const char *end)
{
	while (s < end && *s >= '0' && *s <= '9')
		s++;
	return s;
}

/* Past the digits at 's', of which there must be one, else 'wrong' says so. */
static inline const char *need_digits(const char *s, const char *end, const char *wanted,
				      const char **wrong)
{
	const char *after = skip_digits(s, end);

	if (after == s)
		*wrong = wanted;
	return after;
}

/* The number at 's' up to its end, or up to its fault, which 'wrong' then names. */
static inline const char *scan_number(const char *s, const char *end, enum json_type *type,
				      const char **wrong)
{
	*type = JSON_INTEGER;
	*wrong = NULL;
	if (s < end && *s == '-')
		s++;
	if (s + 1 < end && *s == '0' && s[1] >= '0' && s[1] <= '9') {
		*wrong = "no digit after a leading 0";
		return s + 1;
	}
	s = need_digits(s, end, "a digit", wrong);
	if (!*wrong && s < end && *s == '.') {
		*type = JSON_REAL;
		s = need_digits(s + 1, end, "a digit after '.'", wrong);
	}
	if (!*wrong && s < end && (*s | 0x20) == 'e') {
		*type = JSON_REAL;
		s++;
		if (s < end && (*s == '+' || *s == '-'))
			s++;
		s = need_digits(s, end, "a digit in the exponent", wrong);
	}
	return s;
}

static inline const char *read_number(struct reader *r, const char *s)
{
	enum json_type type;
	const char *wrong;
	const char *after = scan_number(s, r->end, &type, &wrong);

	if (wrong)
		return fail_expected(r, after, wrong);
	add_token(r, type, s, after);
	return after;
}

static bool starts_with(const struct reader *r, const char *s, const char *word)
{
	size_t len = strlen(word);

	return (size_t)(r->end - s) >= len && memcmp(s, word, len) == 0;
}

/* A word, or what people and other programs write where a value is due. */
static const char *read_word(struct reader *r, const char *s)
{
	static const struct {
		const char *text;
		enum json_type type;
	} words[] = {
		{ "null", JSON_NULL },		{ "false", JSON_FALSE },
		{ "true", JSON_TRUE },		{ "NaN", JSON_NONFINITE },
		{ "Infinity", JSON_NONFINITE }, { "-Infinity", JSON_NONFINITE },
	};

	for (size_t i = 0; s < r->end && i < ARRAY_SIZE(words); i++) {
		if (!starts_with(r, s, words[i].text))
			continue;
		if (words[i].type == JSON_NONFINITE && !(r->flags & JSON_NONFINITE_OK))
			return fail(r, s, "expected a value; '%s' is not JSON", words[i].text);
		add_token(r, words[i].type, s, s + strlen(words[i].text));
		return s + strlen(words[i].text);
	}
	if (s < r->end && *s == '\'')
		return fail(r, s, "expected a value; strings take double quotes");
	if (s < r->end && (*s == '/' || *s == '#'))
		return fail(r, s, "expected a value; JSON has no comments");
	return fail_expected(r, s, "a value");
}

/* A key and its colon; 's' is where the value is due. */
static inline const char *read_key(struct reader *r, const char *s, const char *wanted)
{
	if (s == r->end || *s != '"')
		return fail_expected(r, s, wanted);
	s = read_string(r, s);
	if (!s)
		return NULL;
	s = skip_blanks(s, r->end);
	if (s == r->end || *s != ':')
		return fail_expected(r, s, "':' after a key");
	return s + 1;
}

static const char *check_keys(struct reader *r, size_t object, const char *after)
{
	size_t key = json_duplicate_key(r->doc, object);
	struct str text = STR_INIT;

	if (key == JSON_NONE)
		return after;
	json_string(r->doc, key, &text);
	fail(r, r->doc->text + r->doc->tokens[key].start, "duplicate key '%.200s'", text.buf);
	str_release(&text);
	return NULL;
}

/* The innermost container ends before 'after'. */
static inline const char *close_container(struct reader *r, const char *after, uint32_t size)
{
	uint32_t index = r->open[--r->depth];
	struct json_token *token = &r->doc->tokens[index];

	token->end = (uint32_t)(after - r->doc->text);
	token->next = (uint32_t)r->doc->n;
	token->size = size & 0xfffffff;
	if (token->type == JSON_OBJECT && size > 1 && !(r->flags & JSON_DUPLICATES_OK))
		return check_keys(r, index, after);
	return after;
}

/* The array just opened is the one whose elements somebody waits for, if its key says so. */
static void note_stream(struct reader *r)
{
	uint32_t array = r->open[1];

	if (r->closer[0] == '}' && r->closer[1] == ']' &&
	    json_string_is(r->doc, array - 1, r->stream->key))
		r->streamed = array;
}

/* An element of the streamed array is complete; its tokens are the last ones. */
static void hand_out(struct reader *r, bool drop)
{
	r->stream->item(r->stream->arg, r->doc, r->streamed + 1);
	if (drop)
		r->doc->n = r->streamed + 1;
}

/* An opening bracket, and the key after '{'. Only an empty container is a complete value. */
static inline const char *open_container(struct reader *r, const char *s, bool *complete)
{
	bool is_object = *s == '{';

	if (r->depth == JSON_MAX_DEPTH)
		return fail(r, s, "nested deeper than %d levels", JSON_MAX_DEPTH);
	r->open[r->depth] = (uint32_t)r->doc->n;
	r->items[r->depth] = 0;
	r->closer[r->depth++] = is_object ? '}' : ']';
	add_token(r, is_object ? JSON_OBJECT : JSON_ARRAY, s, s + 1);
	if (r->stream && r->depth == 2)
		note_stream(r);
	s = skip_blanks(s + 1, r->end);
	if (s < r->end && *s == r->closer[r->depth - 1])
		return close_container(r, s + 1, 0);
	*complete = false;
	return is_object ? read_key(r, s, "a key or '}' after '{'") : s;
}

/* At a value: a scalar is complete at once, a container is open then. */
static inline const char *start_value(struct reader *r, const char *s, bool *complete)
{
	*complete = true;
	s = skip_blanks(s, r->end);
	if (s == r->end)
		return read_word(r, s);
	if (*s == '"')
		return read_string(r, s);
	if ((*s >= '0' && *s <= '9') || (*s == '-' && !starts_with(r, s, "-I")))
		return read_number(r, s);
	if (*s == '{' || *s == '[')
		return open_container(r, s, complete);
	return read_word(r, s);
}

/* After a complete value inside a container: a comma makes another one due. */
static inline const char *continue_container(struct reader *r, const char *s, bool *complete)
{
	char closer = r->closer[r->depth - 1];

	s = skip_blanks(s, r->end);
	if (s < r->end && *s == ',') {
		*complete = false;
		if (r->open[r->depth - 1] == r->streamed)
			hand_out(r, true);
		r->items[r->depth - 1]++;
		s = skip_blanks(s + 1, r->end);
		return closer == '}' ? read_key(r, s, "a key after ','") : s;
	}
	if (s < r->end && *s == closer) {
		if (r->open[r->depth - 1] == r->streamed)
			hand_out(r, false);
		return close_container(r, s + 1, r->items[r->depth - 1] + 1);
	}
	return fail_expected(r, s,
			     closer == '}' ? "',' or '}' after a value"
					   : "',' or ']' after a value");
}

static const char *read_document(struct reader *r, const char *s)
{
	bool complete;

	do {
		s = start_value(r, s, &complete);
		while (s && complete && r->depth)
			s = continue_container(r, s, &complete);
	} while (s && !complete);
	if (!s)
		return NULL;
	s = skip_blanks(s, r->end);
	return s == r->end ? s : fail_expected(r, s, "nothing after the value");
}

/* ASCII in UTF-16, or a mark of either byte order. */
static bool is_utf16(const char *s, size_t len)
{
	if (len >= 2 && (memcmp(s, "\xff\xfe", 2) == 0 || memcmp(s, "\xfe\xff", 2) == 0))
		return true;
	return len >= 4 && !s[0] != !s[1] && !s[0] == !s[2] && !s[1] == !s[3];
}

/* What no tokenizer should describe by its first byte. 0, or -1 with the error set. */
static int check_text(const char *name, const char *text, size_t len, struct err *err)
{
	const char *wrong = NULL;

	if (len > JSON_MAX_LEN)
		/* not reached by tests: who reads a file has a smaller limit */
		return err_set(err, ERR_INVALID, "%s: the text is larger than %u MiB", name,
			       (JSON_MAX_LEN + 1) >> 20);
	if (!len || skip_blanks(text, text + len) == text + len)
		wrong = "the text is empty";
	else if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		wrong = "the text starts with a byte order mark";
	else if (is_utf16(text, len))
		wrong = "the text is UTF-16, not UTF-8";
	else if (!text[0])
		wrong = "the text starts with NUL bytes";
	return wrong ? err_set(err, ERR_INVALID, "%s:1:1: %s", name, wrong) : 0;
}

int json_parse_stream(struct json *doc, const char *name, const char *text, size_t len,
		      unsigned flags, const struct json_stream *stream, struct err *err)
{
	struct reader r = {
		.doc = doc,
		.name = name,
		.flags = flags,
		.err = err,
		.stream = stream,
		.streamed = UINT32_MAX, /* no token: there are fewer than bytes of text */
	};

	doc->text = text;
	doc->len = len;
	doc->n = 0;
	if (check_text(name, text, len, err) < 0)
		return -1;
	r.end = text + len;
	return read_document(&r, text) ? 0 : -1;
}

int json_parse(struct json *doc, const char *name, const char *text, size_t len, unsigned flags,
	       struct err *err)
{
	return json_parse_stream(doc, name, text, len, flags, NULL, err);
}

void json_release(struct json *doc)
{
	free(doc->tokens);
	*doc = (struct json)JSON_INIT;
}

bool json_is_number_text(const char *text, size_t len, bool *is_integer)
{
	enum json_type type;
	const char *wrong;
	const char *after = scan_number(text, text + len, &type, &wrong);

	if (is_integer)
		*is_integer = type == JSON_INTEGER;
	return !wrong && after == text + len;
}
