#include "base/base.h"

#include "script/scan.h"

#define WIDTH 16

typedef unsigned char bytes __attribute__((vector_size(WIDTH)));
typedef signed char flags __attribute__((vector_size(WIDTH))); /* 0 or -1 for each byte */
typedef unsigned long long halves __attribute__((vector_size(WIDTH)));

static bytes load(const char *p)
{
	bytes v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static bytes fill(char c)
{
	bytes v = { 0 };

	return v + (unsigned char)c;
}

static bool any(flags f)
{
	halves h = (halves)f;

	return (h[0] | h[1]) != 0;
}

/* How common a byte is in logs: 0 rare, 3 in every line. */
static int commonness(char c)
{
	if (strchr(" etaoinsrl0123456789", c) && c)
		return 3;
	if ((c >= 'a' && c <= 'z') || strchr(".:,-=/", c))
		return 2;
	return c >= 'A' && c <= 'Z' ? 1 : 0;
}

void scan_prepare(struct scan_needle *needle, const char *text, size_t len)
{
	*needle = (struct scan_needle){ .text = text, .len = len, .second = len > 1 };
	for (size_t i = 1; i < len; i++)
		if (commonness(text[i]) < commonness(text[needle->first]))
			needle->first = i;
	if (needle->first == needle->second)
		needle->second = 0;
	for (size_t i = 0; i < len; i++)
		if (i != needle->first && commonness(text[i]) < commonness(text[needle->second]))
			needle->second = i;
}

/* The needle at one of the WIDTH places from 'text' on, or NULL. */
static const char *look_closer(const struct scan_needle *needle, const char *text, flags hits)
{
	for (int i = 0; i < WIDTH; i++)
		if (hits[i] && memcmp(text + i, needle->text, needle->len) == 0)
			return text + i;
	return NULL;
}

const char *scan_find(const struct scan_needle *needle, const char *text, size_t len)
{
	const bytes first = fill(needle->text[needle->first]);
	const bytes second = fill(needle->text[needle->second]);
	size_t at = 0;

	for (; at + needle->len + 2 * WIDTH <= len; at += 2 * WIDTH) {
		const char *p = text + at;
		flags a = (flags)((load(p + needle->first) == first) &
				  (load(p + needle->second) == second));
		flags b = (flags)((load(p + needle->first + WIDTH) == first) &
				  (load(p + needle->second + WIDTH) == second));
		const char *hit;

		if (!any(a | b))
			continue;
		hit = look_closer(needle, p, a);
		if (!hit)
			hit = look_closer(needle, p + WIDTH, b);
		if (hit)
			return hit;
	}
	return memmem(text + at, len - at, needle->text, needle->len);
}

size_t scan_line_ends(const char *text, size_t len)
{
	const bytes newline = fill('\n');
	const bytes carriage = fill('\r');
	size_t total = 0;
	size_t at = 0;

	while (at + WIDTH <= len) {
		bytes sums = { 0 };

		for (int n = 0; n < 255 && at + WIDTH <= len; n++, at += WIDTH) {
			bytes here = load(text + at);
			bytes next = load(text + at + 1);

			/* a comparison gives -1 for each byte that it holds for */
			sums -= (bytes)(here == newline) |
				((bytes)(here == carriage) & ~(bytes)(next == newline));
		}
		for (int i = 0; i < WIDTH; i++)
			total += sums[i];
	}
	for (; at < len; at++)
		total += text[at] == '\n' || (text[at] == '\r' && text[at + 1] != '\n');
	return total;
}
