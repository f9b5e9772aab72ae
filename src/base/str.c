#include "base/base.h"

#include "base/str.h"

#include "base/mem.h"

#include <ctype.h>

char str_empty[1];

void str_init(struct str *s)
{
	s->buf = str_empty;
	s->len = 0;
	s->cap = 0;
}

void str_release(struct str *s)
{
	if (s->cap)
		free(s->buf);
	str_init(s);
}

void str_clear(struct str *s)
{
	str_truncate(s, 0);
}

void str_reserve(struct str *s, size_t more)
{
	size_t need;
	size_t cap;

	if (__builtin_add_overflow(s->len, more, &need) || __builtin_add_overflow(need, 1, &need))
		need = SIZE_MAX; /* xrealloc() ends the process */
	if (need <= s->cap)
		return;
	cap = s->cap + s->cap / 2;
	if (cap < need)
		cap = need;
	if (cap < 32)
		cap = 32;
	if (!s->cap) {
		s->buf = xmalloc(cap);
		s->buf[0] = '\0';
	} else {
		s->buf = xrealloc(s->buf, cap);
	}
	s->cap = cap;
}

void str_add(struct str *s, const char *data, size_t len)
{
	if (!len)
		return;
	str_reserve(s, len);
	memcpy(s->buf + s->len, data, len);
	s->len += len;
	s->buf[s->len] = '\0';
}

void str_adds(struct str *s, const char *text)
{
	str_add(s, text, strlen(text));
}

void str_addch(struct str *s, char c)
{
	str_add(s, &c, 1);
}

void str_vaddf(struct str *s, const char *fmt, va_list args)
{
	va_list copy;
	int len;

	va_copy(copy, args);
	len = vsnprintf(NULL, 0, fmt, copy);
	va_end(copy);
	if (len <= 0)
		return;
	str_reserve(s, (size_t)len);
	vsnprintf(s->buf + s->len, (size_t)len + 1, fmt, args);
	s->len += (size_t)len;
}

void str_addf(struct str *s, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	str_vaddf(s, fmt, args);
	va_end(args);
}

void str_sets(struct str *s, const char *text)
{
	str_clear(s);
	str_adds(s, text);
}

void str_splice(struct str *s, size_t pos, size_t old_len, const char *data, size_t len)
{
	size_t tail = s->len - pos - old_len;

	if (len > old_len)
		str_reserve(s, len - old_len);
	if (!s->cap)
		return; /* empty stays empty: nothing to remove, nothing to add */
	memmove(s->buf + pos + len, s->buf + pos + old_len, tail);
	if (len)
		memcpy(s->buf + pos, data, len);
	s->len = pos + len + tail;
	s->buf[s->len] = '\0';
}

void str_truncate(struct str *s, size_t len)
{
	if (len >= s->len)
		return;
	s->len = len;
	s->buf[len] = '\0';
}

void str_trim(struct str *s)
{
	size_t start = 0;

	while (s->len && isspace((unsigned char)s->buf[s->len - 1]))
		s->len--;
	while (start < s->len && isspace((unsigned char)s->buf[start]))
		start++;
	if (!s->cap)
		return;
	memmove(s->buf, s->buf + start, s->len - start);
	s->len -= start;
	s->buf[s->len] = '\0';
}

char *str_detach(struct str *s)
{
	char *text = s->cap ? s->buf : xstrdup("");

	str_init(s);
	return text;
}

bool str_equals(const struct str *s, const char *text)
{
	return strlen(text) == s->len && memcmp(s->buf, text, s->len) == 0;
}

bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool has_suffix(const char *text, const char *suffix)
{
	size_t len = strlen(text);
	size_t want = strlen(suffix);

	return len >= want && memcmp(text + len - want, suffix, want) == 0;
}

void strv_push_take(struct strv *v, char *text)
{
	if (v->n + 2 > v->cap) {
		v->cap = v->cap ? v->cap * 2 : 8;
		v->v = xreallocarray(v->v, v->cap, sizeof(*v->v));
	}
	v->v[v->n++] = text;
	v->v[v->n] = NULL;
}

void strv_push(struct strv *v, const char *text)
{
	strv_push_take(v, xstrdup(text));
}

void strv_pushn(struct strv *v, const char *text, size_t len)
{
	strv_push_take(v, xstrndup(text, len));
}

void strv_pushf(struct strv *v, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list args;

	va_start(args, fmt);
	str_vaddf(&text, fmt, args);
	va_end(args);
	strv_push_take(v, str_detach(&text));
}

void strv_copy(struct strv *v, char *const *argv)
{
	for (; argv && *argv; argv++)
		strv_push(v, *argv);
}

static int compare_natural(const void *a, const void *b)
{
	return natural_compare(*(char *const *)a, *(char *const *)b);
}

void strv_sort(struct strv *v)
{
	if (v->n > 1)
		qsort(v->v, v->n, sizeof(*v->v), compare_natural);
}

bool strv_has(const struct strv *v, const char *text)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->v[i], text) == 0)
			return true;
	return false;
}

void strv_release(struct strv *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->v[i]);
	free(v->v);
	v->v = NULL;
	v->n = v->cap = 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Compare the digit runs at *a and *b by value and step over them. */
static int compare_digits(const char **a, const char **b)
{
	const char *start_a;
	const char *start_b;
	ptrdiff_t len_a;
	ptrdiff_t len_b;

	while (**a == '0')
		(*a)++;
	while (**b == '0')
		(*b)++;
	start_a = *a;
	start_b = *b;
	while (is_digit(**a))
		(*a)++;
	while (is_digit(**b))
		(*b)++;
	len_a = *a - start_a;
	len_b = *b - start_b;
	if (len_a != len_b)
		return len_a < len_b ? -1 : 1;
	return memcmp(start_a, start_b, (size_t)len_a);
}

int natural_compare(const char *a, const char *b)
{
	const char *whole_a = a;
	const char *whole_b = b;

	while (*a && *b) {
		if (is_digit(*a) && is_digit(*b)) {
			int order = compare_digits(&a, &b);

			if (order)
				return order;
			continue;
		}
		if (*a != *b)
			return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
		a++;
		b++;
	}
	if (*a || *b)
		return *a ? 1 : -1;
	return strcmp(whole_a, whole_b); /* "a01" and "a1" differ, but always the same way */
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

size_t edit_distance(const char *a, const char *b)
{
	size_t len_b = strlen(b);
	size_t *row = xcalloc(len_b + 1, sizeof(*row));
	size_t result;

	for (size_t j = 0; j <= len_b; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < len_b; j++) {
			size_t above = row[j + 1];

			row[j + 1] = min3(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	result = row[len_b];
	free(row);
	return result;
}

const char *nearest_word(const char *word, const char *const *candidates, size_t n)
{
	const char *best = NULL;
	size_t len = strlen(word);
	size_t best_distance = len / 3 + 2; /* farther than that is not a typing error */

	for (size_t i = 0; i < n; i++) {
		size_t len_b = strlen(candidates[i]);
		size_t distance = len > len_b ? len - len_b : len_b - len;

		if (distance >= best_distance) /* it is no less than that */
			continue;
		distance = edit_distance(word, candidates[i]);
		if (distance < best_distance) {
			best_distance = distance;
			best = candidates[i];
		}
	}
	return best;
}
