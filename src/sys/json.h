/*
 * json - RFC 8259 over the text in place.
 *
 *	struct json doc = JSON_INIT;
 *	if (json_parse(&doc, name, text, len, JSON_NONFINITE_OK, &err) < 0) ...
 *	size_t history = json_member(&doc, 0, "training_history");
 *	for (size_t i = json_first(&doc, history); i != JSON_NONE; i = json_next(&doc, history, i))
 *		...
 *	json_release(&doc);
 *
 * The tokenizer is strict, validating and iterative: UTF-8, escapes, number
 * syntax, duplicate keys, depth. It keeps offsets only, so the text must outlive
 * the document, and a number keeps its text whatever its size. Nothing is ever
 * re-printed: to change a document, splice into its text (json_splice()).
 * Knows nothing of records; no I/O.
 */
#ifndef SYS_JSON_H
#define SYS_JSON_H
#include "base/err.h"
#include "base/str.h"

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_INTEGER, /* no fraction, no exponent: exact at any size, see json_int64() */
	JSON_REAL,
	JSON_NONFINITE, /* NaN, Infinity, -Infinity: not JSON, but what Python writes */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/* 16 bytes, so that a big record's tokens stay small beside its text. */
struct json_token {
	uint32_t start;	    /* of the text, quotes and brackets included */
	uint32_t end;	    /* one past it */
	uint32_t next;	    /* index of the token after this one and all it contains */
	unsigned size : 28; /* of an array, an object (members); in a string 1: has escapes */
	unsigned type : 4;  /* enum json_type */
};

struct json {
	const char *text; /* borrowed */
	size_t len;
	struct json_token *tokens; /* [0] is the document's value */
	size_t n;
	size_t cap;
};

#define JSON_INIT                                                        \
	{                                                                \
		.text = NULL, .len = 0, .tokens = NULL, .n = 0, .cap = 0 \
	}
#define JSON_NONE SIZE_MAX
#define JSON_MAX_DEPTH 64
#define JSON_MAX_LEN ((1u << 28) - 1) /* bytes of text; what the tokens' offsets can hold */

enum json_flags {
	JSON_STRICT = 0,
	JSON_NONFINITE_OK = 1 << 0,  /* accept NaN, Infinity, -Infinity */
	JSON_DUPLICATES_OK = 1 << 1, /* accept repeated keys; json_member() gives the last */
};

/*
 * Tokenise 'len' bytes at 'text'. An error reads "NAME:LINE:COLUMN: what was expected", with
 * ERR_INVALID; a byte order mark and an empty text are named as such.
 */
int json_parse(struct json *doc, const char *name, const char *text, size_t len, unsigned flags,
	       struct err *err);
void json_release(struct json *doc);

/*
 * The same for a text whose bulk is one long array, a member of the outermost object: 'item' is
 * called for each element as soon as it is complete, and its tokens are dropped when the next one
 * begins. Afterwards the array counts all of its elements ('size') but holds only the last: it is
 * what json_first() gives, and nothing comes after it.
 */
struct json_stream {
	const char *key; /* of the array */
	void (*item)(void *arg, const struct json *doc, size_t item);
	void *arg;
};

int json_parse_stream(struct json *doc, const char *name, const char *text, size_t len,
		      unsigned flags, const struct json_stream *stream, struct err *err);

/* The value of member 'key' of object 'object', or JSON_NONE; also JSON_NONE if it is no object. */
size_t json_member(const struct json *doc, size_t object, const char *key);

/* The key token of that member, or JSON_NONE. The value is the token after it. */
size_t json_member_key(const struct json *doc, size_t object, const char *key);

/* The first key token of 'object' that repeats an earlier key (escapes decoded), or JSON_NONE. */
size_t json_duplicate_key(const struct json *doc, size_t object);

/* Levels of containers in a value: 0 for a scalar, 1 for {} and [1]. */
size_t json_depth(const struct json *doc, size_t token);

/* The same value? Layout, escapes and the order of members do not count; 1.0 equals 1.00 and 1,
 * integers compare by their digits. */
bool json_equal(const struct json *a, size_t token_a, const struct json *b, size_t token_b);

/* The first element (array) or key (object; its value is the token after it), or JSON_NONE. */
size_t json_first(const struct json *doc, size_t container);

/* The element or key after 'item', or JSON_NONE. */
size_t json_next(const struct json *doc, size_t container, size_t item);

enum json_type json_type(const struct json *doc, size_t token);
bool json_is(const struct json *doc, size_t token, enum json_type type); /* false for JSON_NONE */
bool json_is_number(const struct json *doc, size_t token); /* integer or finite real */

/* The line (from 1) at which a token starts. */
size_t json_line(const struct json *doc, size_t token);

/* The token's text as it stands. */
const char *json_raw(const struct json *doc, size_t token, size_t *len);
char *json_raw_copy(const struct json *doc, size_t token);

/* Decode a string token into 'out' (cleared first); a lone surrogate becomes U+FFFD. */
void json_string(const struct json *doc, size_t token, struct str *out);

/* The decoded string in fresh memory, or NULL if the token is no string (or JSON_NONE). */
char *json_string_copy(const struct json *doc, size_t token);
bool json_string_is(const struct json *doc, size_t token, const char *text);

/* 0, or -1 if it is no integer of 64 bits (1e3 and 1.0 are not). */
int json_int64(const struct json *doc, size_t token, int64_t *out);

/* 0, or -1 if it is no number. Non-finite tokens give NAN and +-INFINITY. */
int json_real(const struct json *doc, size_t token, double *out);

/* One change of a text: 'old_len' bytes at 'start' give way to 'len' bytes of 'data'. */
struct json_edit {
	size_t start;
	size_t old_len;
	const char *data;
	size_t len;
};

/* Into the order of their start, as json_splice() needs them. */
void json_sort_edits(struct json_edit *edits, size_t n);

/* 'text' with 'n' edits, given in order of their start and not overlapping, into 'out'. */
void json_splice(const char *text, size_t text_len, const struct json_edit *edits, size_t n,
		 struct str *out);

/* A JSON string with its quotes; what is no UTF-8 becomes U+FFFD. '/' and non-ASCII stay. */
void json_add_string(struct str *out, const char *text, size_t len);
void json_add_strz(struct str *out, const char *text);

/* A JSON document for people's eyes: what a terminal would act upon (utf8_is_control()), which can
 * stand in strings alone, becomes \u escapes. The values stay the same. */
void json_add_harmless(struct str *out, const char *text, size_t len);

/*
 * The fewest digits (%.1g to %.17g) that read back as 'value', laid out as Python does: an exponent
 * only below 1e-4 and from 1e16 on, else whole numbers keep a ".0", so that a real stays a real:
 * 0.85, 100.0, 2e-05. 'value' must be finite.
 */
void json_add_real(struct str *out, double value);

/* True if 'text' alone is a valid JSON number; 'is_integer' may be NULL. */
bool json_is_number_text(const char *text, size_t len, bool *is_integer);

/*
 * Printer: keeps commas, newlines and indentation right.
 *
 *	struct jsonw w = jsonw_begin(&out, 2);
 *	jsonw_object(&w);
 *	jsonw_key(&w, "dataset"); jsonw_string(&w, "hrds");
 *	jsonw_end(&w);
 *
 * indent 0 prints everything on one line, without blanks. The first group of
 * fields may be changed after jsonw_begin() to follow the style of a file.
 */
struct jsonw {
	struct str *out;
	int indent;	     /* fill characters per level */
	int base;	     /* fill characters that every line but the first starts with */
	char fill;	     /* ' ' or '\t' */
	bool lines;	     /* each member on a line of its own; jsonw_begin(): indent > 0 */
	bool blanks;	     /* without 'lines': a blank after ',' and ':' */
	const char *newline; /* "\n" or "\r\n" */

	int depth;
	bool after_key;
	bool is_object[2 * JSON_MAX_DEPTH + 1]; /* room for our levels and those of a raw value */
	bool has_items[2 * JSON_MAX_DEPTH + 1];
};

struct jsonw jsonw_begin(struct str *out, int indent);
void jsonw_object(struct jsonw *w);
void jsonw_array(struct jsonw *w);
void jsonw_end(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *key);
void jsonw_string(struct jsonw *w, const char *text); /* NULL prints null */
void jsonw_stringn(struct jsonw *w, const char *text, size_t len);
void jsonw_int(struct jsonw *w, int64_t value);
void jsonw_real(struct jsonw *w, double value); /* non-finite prints null */
void jsonw_bool(struct jsonw *w, bool value);
void jsonw_null(struct jsonw *w);

/* A value that is JSON text already: its numbers and strings are kept to the byte, its layout is
 * made to fit ours. It must have passed json_parse(). */
void jsonw_raw(struct jsonw *w, const char *json, size_t len);

/* key + value in one call, for the common cases. */
void jsonw_pair_string(struct jsonw *w, const char *key, const char *text);
void jsonw_pair_int(struct jsonw *w, const char *key, int64_t value);
void jsonw_pair_raw(struct jsonw *w, const char *key, const char *json);

#endif
