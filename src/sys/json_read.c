/* Moving about in a tokenised document, and what its tokens mean. */
#include "base/base.h"

#include "sys/json.h"

#include "base/mem.h"
#include "base/sort.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>

/* Up to this many members, comparing each key with each costs less than sorting them. */
#define FEW_KEYS 16

static const char *text_of(const struct json *doc, size_t token, size_t *len)
{
	const struct json_token *t = &doc->tokens[token];

	*len = t->end - t->start;
	return doc->text + t->start;
}

/* A string token's text between its quotes, still escaped. */
static const char *inner_text(const struct json *doc, size_t token, size_t *len)
{
	const char *text = text_of(doc, token, len);

	*len -= 2;
	return text + 1;
}

static bool has_escapes(const struct json *doc, size_t token)
{
	return doc->tokens[token].size != 0;
}

static uint32_t hex_value(const char *digits)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++) {
		char c = digits[i];

		value = value * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return value;
}

static bool is_high_surrogate(uint32_t c)
{
	return c >= 0xd800 && c < 0xdc00;
}

static bool is_low_surrogate(uint32_t c)
{
	return c >= 0xdc00 && c < 0xe000;
}

/* The character of the \u escape at 's', its partner included; the bytes taken. */
static size_t decode_unicode_escape(const char *s, const char *end, uint32_t *out)
{
	uint32_t low;

	*out = hex_value(s + 2);
	if (!is_high_surrogate(*out) || end - s < 12 || s[6] != '\\' || s[7] != 'u')
		return 6;
	low = hex_value(s + 8);
	if (!is_low_surrogate(low))
		return 6;
	*out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
	return 12;
}

/* Append the character of the escape at 's'; the bytes taken. */
static size_t add_escape(struct str *out, const char *s, const char *end, uint32_t lone_surrogate)
{
	static const char from[] = "bfnrt";
	static const char to[] = "\b\f\n\r\t";
	const char *known = strchr(from, s[1]);
	char buf[4];
	uint32_t c;
	size_t taken;

	if (s[1] != 'u') {
		str_addch(out, known ? to[known - from] : s[1]);
		return 2;
	}
	taken = decode_unicode_escape(s, end, &c);
	if (lone_surrogate && (is_high_surrogate(c) || is_low_surrogate(c)))
		c = lone_surrogate;
	str_add(out, buf, utf8_encode(c, buf));
	return taken;
}

/* Append a decoded string. A lone surrogate becomes 'lone_surrogate', or stays what it is for 0:
 * no text then, but distinct, which is what comparing needs. */
static void decode(const struct json *doc, size_t token, uint32_t lone_surrogate, struct str *out)
{
	size_t len;
	const char *s = inner_text(doc, token, &len);
	const char *end = s + len;

	while (s < end) {
		const char *escape = memchr(s, '\\', (size_t)(end - s));

		str_add(out, s, (size_t)((escape ? escape : end) - s));
		if (!escape)
			return;
		s = escape + add_escape(out, escape, end, lone_surrogate);
	}
}

void json_string(const struct json *doc, size_t token, struct str *out)
{
	str_clear(out);
	decode(doc, token, 0xfffd, out);
}

char *json_string_copy(const struct json *doc, size_t token)
{
	struct str text = STR_INIT;

	if (!json_is(doc, token, JSON_STRING))
		return NULL;
	json_string(doc, token, &text);
	return str_detach(&text);
}

static bool string_equals(const struct json *doc, size_t token, const char *want, size_t want_len)
{
	struct str decoded = STR_INIT;
	size_t len;
	const char *text = inner_text(doc, token, &len);
	bool same;

	if (!has_escapes(doc, token))
		return len == want_len && memcmp(text, want, len) == 0;
	decode(doc, token, 0, &decoded);
	same = decoded.len == want_len && memcmp(decoded.buf, want, want_len) == 0;
	str_release(&decoded);
	return same;
}

bool json_string_is(const struct json *doc, size_t token, const char *text)
{
	return json_is(doc, token, JSON_STRING) && string_equals(doc, token, text, strlen(text));
}

enum json_type json_type(const struct json *doc, size_t token)
{
	return (enum json_type)doc->tokens[token].type;
}

bool json_is(const struct json *doc, size_t token, enum json_type type)
{
	return token != JSON_NONE && json_type(doc, token) == type;
}

bool json_is_number(const struct json *doc, size_t token)
{
	return json_is(doc, token, JSON_INTEGER) || json_is(doc, token, JSON_REAL);
}

size_t json_first(const struct json *doc, size_t container)
{
	if (!json_is(doc, container, JSON_OBJECT) && !json_is(doc, container, JSON_ARRAY))
		return JSON_NONE;
	return doc->tokens[container].size ? container + 1 : JSON_NONE;
}

size_t json_next(const struct json *doc, size_t container, size_t item)
{
	size_t last = json_is(doc, container, JSON_OBJECT) ? item + 1 : item; /* a key's value */
	size_t next = doc->tokens[last].next;

	return next < doc->tokens[container].next ? next : JSON_NONE;
}

static size_t member_key(const struct json *doc, size_t object, const char *key, size_t len)
{
	size_t found = JSON_NONE;

	if (!json_is(doc, object, JSON_OBJECT))
		return JSON_NONE;
	for (size_t i = json_first(doc, object); i != JSON_NONE; i = json_next(doc, object, i))
		if (string_equals(doc, i, key, len))
			found = i; /* go on: the last one counts, as in Python and jq */
	return found;
}

size_t json_member_key(const struct json *doc, size_t object, const char *key)
{
	return member_key(doc, object, key, strlen(key));
}

size_t json_member(const struct json *doc, size_t object, const char *key)
{
	size_t found = json_member_key(doc, object, key);

	return found == JSON_NONE ? JSON_NONE : found + 1;
}

size_t json_depth(const struct json *doc, size_t token)
{
	size_t ends[JSON_MAX_DEPTH]; /* of the containers around token 'i' */
	size_t open = 0;
	size_t deepest = 0;

	for (size_t i = token; i < doc->tokens[token].next; i++) {
		while (open && ends[open - 1] <= i)
			open--;
		if (json_is(doc, i, JSON_OBJECT) || json_is(doc, i, JSON_ARRAY))
			ends[open++] = doc->tokens[i].next;
		if (open > deepest)
			deepest = open;
	}
	return deepest;
}

size_t json_line(const struct json *doc, size_t token)
{
	const char *at = doc->text;
	const char *end = doc->text + doc->tokens[token].start;
	size_t line = 1;

	while ((at = memchr(at, '\n', (size_t)(end - at)))) {
		at++;
		line++;
	}
	return line;
}

const char *json_raw(const struct json *doc, size_t token, size_t *len)
{
	return text_of(doc, token, len);
}

char *json_raw_copy(const struct json *doc, size_t token)
{
	size_t len;
	const char *text = text_of(doc, token, &len);

	return xstrndup(text, len);
}

int json_int64(const struct json *doc, size_t token, int64_t *out)
{
	size_t len;
	const char *s;
	bool negative;
	int64_t value = 0;

	if (!json_is(doc, token, JSON_INTEGER))
		return -1;
	s = text_of(doc, token, &len);
	negative = *s == '-';
	for (size_t i = negative; i < len; i++) { /* downwards: INT64_MIN has no positive twin */
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_sub_overflow(value, s[i] - '0', &value))
			return -1;
	}
	if (!negative && value == INT64_MIN)
		return -1;
	*out = negative ? value : -value;
	return 0;
}

static double nonfinite_value(const char *text)
{
	if (text[0] == 'N')
		return (double)NAN;
	return text[0] == '-' ? -(double)INFINITY : (double)INFINITY;
}

int json_real(const struct json *doc, size_t token, double *out)
{
	char buf[64];
	size_t len;
	const char *text;
	char *copy;

	if (!json_is_number(doc, token) && !json_is(doc, token, JSON_NONFINITE))
		return -1;
	text = text_of(doc, token, &len);
	if (json_type(doc, token) == JSON_NONFINITE) {
		*out = nonfinite_value(text);
	} else if (len < sizeof(buf)) { /* a copy, because the text need not end with the number */
		memcpy(buf, text, len);
		buf[len] = '\0';
		*out = strtod(buf, NULL);
	} else {
		copy = xstrndup(text, len);
		*out = strtod(copy, NULL);
		free(copy);
	}
	return 0;
}

/* ---- duplicate keys ---- */

static bool has_escaped_keys(const struct json *doc, size_t object)
{
	for (size_t i = json_first(doc, object); i != JSON_NONE; i = json_next(doc, object, i))
		if (has_escapes(doc, i))
			return true;
	return false;
}

static size_t duplicate_among_few(const struct json *doc, size_t object)
{
	const char *texts[FEW_KEYS];
	size_t lens[FEW_KEYS];
	size_t n = 0;

	for (size_t key = json_first(doc, object); key != JSON_NONE;
	     key = json_next(doc, object, key)) {
		texts[n] = inner_text(doc, key, &lens[n]);
		for (size_t i = 0; i < n; i++)
			if (lens[i] == lens[n] && memcmp(texts[i], texts[n], lens[n]) == 0)
				return key;
		n++;
	}
	return JSON_NONE;
}

struct key {
	const char *text; /* decoded */
	size_t offset;	  /* of a decoded copy, while the buffer of copies may still move */
	size_t len;
	size_t token;
};

/* Any total order will do; this one ends with the position, so that equal keys keep theirs. */
static int compare_keys(const void *left, const void *right)
{
	const struct key *a = left;
	const struct key *b = right;
	int order;

	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	order = memcmp(a->text, b->text, a->len);
	if (order)
		return order;
	return a->token < b->token ? -1 : 1;
}

static size_t collect_keys(const struct json *doc, size_t object, struct key *keys,
			   struct str *copies)
{
	size_t n = 0;

	for (size_t i = json_first(doc, object); i != JSON_NONE; i = json_next(doc, object, i)) {
		struct key *key = &keys[n++];

		key->token = i;
		key->offset = copies->len;
		key->text = inner_text(doc, i, &key->len);
		if (!has_escapes(doc, i))
			continue;
		decode(doc, i, 0, copies);
		key->text = NULL;
		key->len = copies->len - key->offset;
	}
	for (size_t i = 0; i < n; i++)
		if (!keys[i].text)
			keys[i].text = copies->buf + keys[i].offset;
	return n;
}

/* n log n whatever the keys are: a hash would need a secret to promise that. */
static size_t duplicate_by_sorting(const struct json *doc, size_t object)
{
	struct key *keys = xreallocarray(NULL, doc->tokens[object].size, sizeof(*keys));
	struct str copies = STR_INIT;
	size_t n = collect_keys(doc, object, keys, &copies);
	size_t found = JSON_NONE;

	sort_array(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < n; i++) {
		bool same = keys[i].len == keys[i - 1].len &&
			    memcmp(keys[i].text, keys[i - 1].text, keys[i].len) == 0;

		if (same && keys[i].token < found) /* JSON_NONE is the largest number */
			found = keys[i].token;
	}
	str_release(&copies);
	free(keys);
	return found;
}

size_t json_duplicate_key(const struct json *doc, size_t object)
{
	if (!json_is(doc, object, JSON_OBJECT) || doc->tokens[object].size < 2)
		return JSON_NONE;
	if (doc->tokens[object].size <= FEW_KEYS && !has_escaped_keys(doc, object))
		return duplicate_among_few(doc, object);
	return duplicate_by_sorting(doc, object);
}

/* ---- equality ---- */

static bool equal_numbers(const struct json *a, size_t token_a, const struct json *b,
			  size_t token_b)
{
	size_t len_a;
	size_t len_b;
	const char *text_a = text_of(a, token_a, &len_a);
	const char *text_b = text_of(b, token_b, &len_b);
	double real_a = 0;
	double real_b = 0;

	if (len_a == len_b && memcmp(text_a, text_b, len_a) == 0)
		return true;
	if (json_type(a, token_a) == JSON_INTEGER && json_type(b, token_b) == JSON_INTEGER)
		return false;
	json_real(a, token_a, &real_a);
	json_real(b, token_b, &real_b);
	return real_a <= real_b && real_a >= real_b;
}

static bool equal_strings(const struct json *a, size_t token_a, const struct json *b,
			  size_t token_b)
{
	struct str text = STR_INIT;
	bool same;

	decode(a, token_a, 0, &text);
	same = string_equals(b, token_b, text.buf, text.len);
	str_release(&text);
	return same;
}

static bool equal_arrays(const struct json *a, size_t token_a, const struct json *b, size_t token_b)
{
	size_t i = json_first(a, token_a);
	size_t j = json_first(b, token_b);

	while (i != JSON_NONE && j != JSON_NONE) {
		if (!json_equal(a, i, b, j))
			return false;
		i = json_next(a, token_a, i);
		j = json_next(b, token_b, j);
	}
	return i == j;
}

/* The member of 'b' with the key that 'key' is in 'a'; 'likely' is tried first. */
static size_t matching_key(const struct json *a, size_t key, const struct json *b, size_t object,
			   size_t likely)
{
	struct str text = STR_INIT;
	size_t found;

	if (likely != JSON_NONE && equal_strings(a, key, b, likely))
		return likely;
	decode(a, key, 0, &text);
	found = member_key(b, object, text.buf, text.len);
	str_release(&text);
	return found;
}

static bool equal_objects(const struct json *a, size_t token_a, const struct json *b,
			  size_t token_b)
{
	size_t likely = json_first(b, token_b);

	if (a->tokens[token_a].size != b->tokens[token_b].size)
		return false;
	for (size_t i = json_first(a, token_a); i != JSON_NONE; i = json_next(a, token_a, i)) {
		size_t match = matching_key(a, i, b, token_b, likely);

		if (match == JSON_NONE || !json_equal(a, i + 1, b, match + 1))
			return false;
		likely = json_next(b, token_b, match);
	}
	return true;
}

bool json_equal(const struct json *a, size_t token_a, const struct json *b, size_t token_b)
{
	if (json_is_number(a, token_a) && json_is_number(b, token_b))
		return equal_numbers(a, token_a, b, token_b);
	if (json_type(a, token_a) != json_type(b, token_b))
		return false;
	if (json_is(a, token_a, JSON_STRING))
		return equal_strings(a, token_a, b, token_b);
	if (json_is(a, token_a, JSON_ARRAY))
		return equal_arrays(a, token_a, b, token_b);
	if (json_is(a, token_a, JSON_OBJECT))
		return equal_objects(a, token_a, b, token_b);
	if (json_is(a, token_a, JSON_NONFINITE)) /* N, I and - tell them apart */
		return a->text[a->tokens[token_a].start] == b->text[b->tokens[token_b].start];
	return true; /* null, true, false */
}
