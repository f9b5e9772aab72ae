/*
 * str - growable strings and vectors of strings.
 *
 *	struct str name = STR_INIT;
 *	str_addf(&name, "%s_%s", dir, dataset);
 *	...
 *	str_release(&name);
 *
 * 'buf' is never NULL and always ends in NUL; the content may hold NULs of its
 * own, so 'len' decides. The struct owns its memory; str_detach() hands it out.
 */
#ifndef BASE_STR_H
#define BASE_STR_H
#include "base/base.h"

#include <stdarg.h>

struct str {
	char *buf;
	size_t len;
	size_t cap; /* 0: 'buf' is the shared empty string */
};

extern char str_empty[];
#define STR_INIT                                     \
	{                                            \
		.buf = str_empty, .len = 0, .cap = 0 \
	}

void str_init(struct str *s);
void str_release(struct str *s);
void str_clear(struct str *s);

/* Room for at least 'more' bytes beyond the content and its NUL. */
void str_reserve(struct str *s, size_t more);

void str_add(struct str *s, const char *data, size_t len);
void str_adds(struct str *s, const char *text);
void str_addch(struct str *s, char c);
void str_addf(struct str *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void str_vaddf(struct str *s, const char *fmt, va_list args) PRINTF_LIKE(2, 0);
void str_sets(struct str *s, const char *text);

/* Replace 'old_len' bytes at 'pos' by 'len' bytes of 'data'. */
void str_splice(struct str *s, size_t pos, size_t old_len, const char *data, size_t len);

void str_truncate(struct str *s, size_t len);
void str_trim(struct str *s);

/* The content as memory of the caller; 's' is empty afterwards. */
char *str_detach(struct str *s);

bool str_equals(const struct str *s, const char *text);
bool has_prefix(const char *text, const char *prefix);
bool has_suffix(const char *text, const char *suffix);

/* A vector of owned strings; 'v[n]' is always NULL, so it serves as an argv. */
struct strv {
	char **v;
	size_t n;
	size_t cap;
};

#define STRV_INIT                           \
	{                                   \
		.v = NULL, .n = 0, .cap = 0 \
	}

void strv_push(struct strv *v, const char *text);
void strv_pushn(struct strv *v, const char *text, size_t len);
void strv_pushf(struct strv *v, const char *fmt, ...) PRINTF_LIKE(2, 3);
void strv_push_take(struct strv *v, char *text);
void strv_copy(struct strv *v, char *const *argv);
void strv_sort(struct strv *v);
bool strv_has(const struct strv *v, const char *text);
void strv_release(struct strv *v);

/*
 * "checkpoint-500" before "checkpoint-10000": runs of digits compare by value.
 * Result as strcmp().
 */
int natural_compare(const char *a, const char *b);

/* How many single edits turn 'a' into 'b' (Levenshtein); for "did you mean". */
size_t edit_distance(const char *a, const char *b);

/* The nearest of 'n' candidates if it is near enough to suggest, or NULL. */
const char *nearest_word(const char *word, const char *const *candidates, size_t n);

#endif
