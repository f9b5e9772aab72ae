/* Printing: strings, numbers, whole values, and edits of a text. */
#include "base/base.h"

#include "sys/json.h"

#include "base/utf8.h"

#include <float.h>
#include <math.h>

static int compare_edits(const void *left, const void *right)
{
	const struct json_edit *a = left;
	const struct json_edit *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

void json_sort_edits(struct json_edit *edits, size_t n)
{
	qsort(edits, n, sizeof(edits[0]), compare_edits);
}

void json_splice(const char *text, size_t text_len, const struct json_edit *edits, size_t n,
		 struct str *out)
{
	size_t at = 0;
	size_t added = 0;

	str_clear(out);
	for (size_t i = 0; i < n; i++)
		added += edits[i].len;
	str_reserve(out, text_len + added);
	for (size_t i = 0; i < n; i++) {
		str_add(out, text + at, edits[i].start - at);
		str_add(out, edits[i].data, edits[i].len);
		at = edits[i].start + edits[i].old_len;
	}
	str_add(out, text + at, text_len - at);
}

/* ---- strings ---- */

static void add_escaped(struct str *out, char c)
{
	static const char from[] = "\"\\\b\f\n\r\t";
	static const char to[] = "\"\\bfnrt";
	const char *known = c ? strchr(from, c) : NULL;

	if (known) {
		str_addch(out, '\\');
		str_addch(out, to[known - from]);
	} else {
		str_addf(out, "\\u%04x", (unsigned char)c);
	}
}

static bool must_escape(char c)
{
	return (unsigned char)c < ' ' || c == '"' || c == '\\' || c == '\x7f';
}

void json_add_string(struct str *out, const char *text, size_t len)
{
	size_t done = 0; /* before it, everything is in 'out' */
	size_t i = 0;

	str_addch(out, '"');
	while (i < len) {
		uint32_t c;
		size_t width = utf8_decode(text + i, len - i, &c);

		if (width && !must_escape(text[i])) {
			i += width;
			continue;
		}
		str_add(out, text + done, i - done);
		if (width)
			add_escaped(out, text[i]);
		else
			str_adds(out, "\xef\xbf\xbd");
		done = ++i;
	}
	str_add(out, text + done, len - done);
	str_addch(out, '"');
}

void json_add_strz(struct str *out, const char *text)
{
	json_add_string(out, text, strlen(text));
}

/* All of utf8_is_control() is in the basic plane: four digits do. */
void json_add_harmless(struct str *out, const char *text, size_t len)
{
	size_t done = 0;
	size_t i = 0;

	while (i < len) {
		uint32_t c;
		size_t width = utf8_decode(text + i, len - i, &c);

		if (width > 1 && utf8_is_control(c)) {
			str_add(out, text + done, i - done);
			str_addf(out, "\\u%04x", (unsigned)c);
			done = i + width;
		}
		i += width ? width : 1;
	}
	str_add(out, text + done, len - done);
}

/* ---- numbers ---- */

static bool reads_back(const char *text, double value)
{
	double read = strtod(text, NULL);

	return memcmp(&read, &value, sizeof(value)) == 0; /* tells -0.0 from 0.0 */
}

/*
 * Every decimal of up to 15 digits survives the way through a normal double, so if 15 digits read
 * back, %g has already dropped the zeros behind the fewest. Subnormals are less precise: for them
 * each length is tried.
 */
static void print_fewest_digits(double value, char *buf, size_t size)
{
	int digits = fabs(value) < DBL_MIN ? 1 : DBL_DIG;

	for (; digits < 17; digits++) {
		snprintf(buf, size, "%.*g", digits, value);
		if (reads_back(buf, value))
			return;
	}
	if (fabs(value) >= 1e16)
		snprintf(buf, size, "%.16e",
			 value); /* %.17g would make an integer of 1e16 to 1e17 */
	else
		snprintf(buf, size, "%.17g", value);
}

void json_add_real(struct str *out, double value)
{
	char buf[64];
	bool is_whole = fabs(value) < 1e16 && floor(value) >= value; /* exact with 16 digits */

	if (is_whole)
		snprintf(buf, sizeof(buf), "%.1f", value);
	else
		print_fewest_digits(value, buf, sizeof(buf));
	str_adds(out, buf);
}

/* ---- values ---- */

struct jsonw jsonw_begin(struct str *out, int indent)
{
	struct jsonw w = { .out = out, .indent = indent, .fill = ' ', .newline = "\n" };

	w.lines = indent > 0;
	return w;
}

static void add_line(struct jsonw *w)
{
	int columns = w->base + w->indent * w->depth;

	str_adds(w->out, w->newline);
	str_reserve(w->out, (size_t)columns);
	for (int i = 0; i < columns; i++)
		str_addch(w->out, w->fill);
}

/* What comes between the last thing printed and the next item. */
static void begin_item(struct jsonw *w)
{
	if (w->after_key || !w->depth) {
		w->after_key = false;
		return;
	}
	if (w->has_items[w->depth])
		str_addch(w->out, ',');
	if (w->lines)
		add_line(w);
	else if (w->blanks && w->has_items[w->depth])
		str_addch(w->out, ' ');
	w->has_items[w->depth] = true;
}

static void open_level(struct jsonw *w, bool is_object)
{
	begin_item(w);
	str_addch(w->out, is_object ? '{' : '[');
	w->depth++;
	w->is_object[w->depth] = is_object;
	w->has_items[w->depth] = false;
}

void jsonw_object(struct jsonw *w)
{
	open_level(w, true);
}

void jsonw_array(struct jsonw *w)
{
	open_level(w, false);
}

void jsonw_end(struct jsonw *w)
{
	bool was_object = w->is_object[w->depth];
	bool had_items = w->has_items[w->depth];

	w->depth--;
	if (had_items && w->lines)
		add_line(w);
	str_addch(w->out, was_object ? '}' : ']');
}

static void end_key(struct jsonw *w)
{
	str_adds(w->out, w->lines || w->blanks ? ": " : ":");
	w->after_key = true;
}

void jsonw_key(struct jsonw *w, const char *key)
{
	begin_item(w);
	json_add_strz(w->out, key);
	end_key(w);
}

void jsonw_stringn(struct jsonw *w, const char *text, size_t len)
{
	begin_item(w);
	json_add_string(w->out, text, len);
}

void jsonw_string(struct jsonw *w, const char *text)
{
	if (text)
		jsonw_stringn(w, text, strlen(text));
	else
		jsonw_null(w);
}

void jsonw_int(struct jsonw *w, int64_t value)
{
	begin_item(w);
	str_addf(w->out, "%lld", (long long)value);
}

void jsonw_real(struct jsonw *w, double value)
{
	if (!isfinite(value)) {
		jsonw_null(w);
		return;
	}
	begin_item(w);
	json_add_real(w->out, value);
}

void jsonw_bool(struct jsonw *w, bool value)
{
	begin_item(w);
	str_adds(w->out, value ? "true" : "false");
}

void jsonw_null(struct jsonw *w)
{
	begin_item(w);
	str_adds(w->out, "null");
}

/* The length of the string or bare word at 's'. */
static size_t lexeme_len(const char *s, size_t len)
{
	size_t i = 1;

	if (*s == '"') {
		while (i < len && s[i] != '"')
			i += s[i] == '\\' ? 2 : 1;
		return i + 1;
	}
	while (i < len && !strchr(",:]} \t\r\n", s[i]))
		i++;
	return i;
}

void jsonw_raw(struct jsonw *w, const char *json, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t width = 1;

		if (json[i] == '{' || json[i] == '[') {
			open_level(w, json[i] == '{');
		} else if (json[i] == '}' || json[i] == ']') {
			jsonw_end(w);
		} else if (!strchr(",: \t\r\n", json[i])) {
			bool is_key = w->depth && w->is_object[w->depth] && !w->after_key;

			width = lexeme_len(json + i, len - i);
			begin_item(w);
			str_add(w->out, json + i, width);
			if (is_key)
				end_key(w);
		}
		i += width;
	}
}

void jsonw_pair_string(struct jsonw *w, const char *key, const char *text)
{
	jsonw_key(w, key);
	jsonw_string(w, text);
}

void jsonw_pair_int(struct jsonw *w, const char *key, int64_t value)
{
	jsonw_key(w, key);
	jsonw_int(w, value);
}

void jsonw_pair_raw(struct jsonw *w, const char *key, const char *json)
{
	jsonw_key(w, key);
	jsonw_raw(w, json, strlen(json));
}
