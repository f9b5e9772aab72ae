#include "base/base.h"

#include "sys/yaml_scalar.h"

static bool is_one_of(const char *text, size_t len, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
			return true;
	return false;
}

#define IS_ONE_OF(text, len, ...)                                  \
	is_one_of(text, len, (const char *const[]){ __VA_ARGS__ }, \
		  ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })))

static bool add_word(struct str *out, const char *text, size_t len)
{
	if (len == 0 || IS_ONE_OF(text, len, "~", "null", "Null", "NULL"))
		str_adds(out, "null");
	else if (IS_ONE_OF(text, len, "true", "True", "TRUE"))
		str_adds(out, "true");
	else if (IS_ONE_OF(text, len, "false", "False", "FALSE"))
		str_adds(out, "false");
	else if (IS_ONE_OF(text, len, ".nan", ".NaN", ".NAN"))
		str_adds(out, "NaN");
	else if (IS_ONE_OF(text, len, ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"))
		str_adds(out, "Infinity");
	else if (IS_ONE_OF(text, len, "-.inf", "-.Inf", "-.INF"))
		str_adds(out, "-Infinity");
	else
		return false;
	return true;
}

static size_t digits(const char *p, const char *end, const char *set)
{
	size_t n = 0;

	while (p + n < end && strchr(set, p[n]) && p[n])
		n++;
	return n;
}

/* 0x1F and 0o17; up to 64 bits, beyond that it stays a string. */
static bool add_based(struct str *out, const char *text, size_t len)
{
	const char *set = len > 2 && text[1] == 'x' ? "0123456789abcdefABCDEF" : "01234567";
	char copy[24];

	if (len < 3 || len > 18 || text[0] != '0' || (text[1] != 'x' && text[1] != 'o') ||
	    digits(text + 2, text + len, set) != len - 2)
		return false;
	memcpy(copy, text + 2, len - 2);
	copy[len - 2] = '\0';
	str_addf(out, "%llu", strtoull(copy, NULL, text[1] == 'x' ? 16 : 8));
	return true;
}

/* "e-05"; 0 if there is none, the length if it ends the text, else the text is no number. */
static size_t exponent(const char *p, const char *end)
{
	const char *start = p;
	size_t n;

	if (p == end || (*p != 'e' && *p != 'E'))
		return 0;
	p++;
	if (p < end && (*p == '+' || *p == '-'))
		p++;
	n = digits(p, end, "0123456789");
	return n ? (size_t)(p - start) + n : 0;
}

/*
 * A decimal number in JSON's spelling: no '+', digits on both sides of the point, no leading zeros.
 * An exponent needs a point, as in PyYAML: "1e-05" is a string there, and so it is here.
 */
static bool add_decimal(struct str *out, const char *text, size_t len)
{
	const char *end = text + len;
	const char *p = text + (len && (*text == '+' || *text == '-'));
	const char *whole = p;
	size_t n_whole = digits(p, end, "0123456789");
	size_t n_fraction = 0;
	size_t n_exponent = 0;
	bool has_point;

	p += n_whole;
	has_point = p < end && *p == '.';
	if (has_point) {
		n_fraction = digits(p + 1, end, "0123456789");
		n_exponent = exponent(p + 1 + n_fraction, end);
	}
	if (n_whole + n_fraction == 0 || p + has_point + n_fraction + n_exponent != end)
		return false;
	while (n_whole > 1 && *whole == '0') {
		whole++;
		n_whole--;
	}
	str_addf(out, "%s%.*s", *text == '-' ? "-" : "", n_whole ? (int)n_whole : 1,
		 n_whole ? whole : "0");
	if (has_point)
		str_addf(out, ".%.*s%.*s", n_fraction ? (int)n_fraction : 1,
			 n_fraction ? p + 1 : "0", (int)n_exponent, p + 1 + n_fraction);
	return true;
}

bool yaml_add_plain(struct str *out, const char *text, size_t len)
{
	return add_word(out, text, len) || add_based(out, text, len) || add_decimal(out, text, len);
}
