#include "base/base.h"

#include "base/utf8.h"

static bool is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

static size_t decode_two(const unsigned char *s, size_t len, uint32_t *out)
{
	if (s[0] < 0xc2 || len < 2 || !is_tail(s[1]))
		return 0;
	*out = ((uint32_t)(s[0] & 0x1f) << 6) | (s[1] & 0x3f);
	return 2;
}

static size_t decode_three(const unsigned char *s, size_t len, uint32_t *out)
{
	uint32_t c;

	if (len < 3 || !is_tail(s[1]) || !is_tail(s[2]))
		return 0;
	c = ((uint32_t)(s[0] & 0x0f) << 12) | ((uint32_t)(s[1] & 0x3f) << 6) | (s[2] & 0x3f);
	if (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return 3;
}

static size_t decode_four(const unsigned char *s, size_t len, uint32_t *out)
{
	uint32_t c;

	if (len < 4 || !is_tail(s[1]) || !is_tail(s[2]) || !is_tail(s[3]))
		return 0;
	c = ((uint32_t)(s[0] & 0x07) << 18) | ((uint32_t)(s[1] & 0x3f) << 12) |
	    ((uint32_t)(s[2] & 0x3f) << 6) | (s[3] & 0x3f);
	if (c < 0x10000 || c > 0x10ffff)
		return 0;
	*out = c;
	return 4;
}

size_t utf8_decode(const char *text, size_t len, uint32_t *out)
{
	const unsigned char *s = (const unsigned char *)text;

	if (!len)
		return 0;
	if (s[0] < 0x80) {
		*out = s[0];
		return 1;
	}
	if (s[0] < 0xe0)
		return decode_two(s, len, out);
	if (s[0] < 0xf0)
		return decode_three(s, len, out);
	if (s[0] < 0xf5)
		return decode_four(s, len, out);
	return 0;
}

size_t utf8_encode(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | (c >> 6));
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | (c >> 12));
		out[1] = (char)(0x80 | ((c >> 6) & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | (c >> 18));
	out[1] = (char)(0x80 | ((c >> 12) & 0x3f));
	out[2] = (char)(0x80 | ((c >> 6) & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

bool utf8_is_valid(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len) {
		uint32_t c;
		size_t width = utf8_decode(text + i, len - i, &c);

		if (!width)
			return false;
		i += width;
	}
	return true;
}

bool utf8_is_control(uint32_t c)
{
	return c < 0x20 || c == 0x7f || (c >= 0x80 && c <= 0x9f) || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x206f) || c == 0x61c ||
	       c == 0xfeff;
}

bool utf8_has_control(const char *text, size_t len)
{
	uint32_t c;

	for (size_t i = 0; i < len;) {
		size_t width = utf8_decode(text + i, len - i, &c);

		if (!width || utf8_is_control(c))
			return true;
		i += width;
	}
	return false;
}
