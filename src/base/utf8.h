/*
 * utf8 - strict decoding (RFC 3629): no overlong forms, no surrogates, nothing
 * above U+10FFFF.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H
#include "base/base.h"

/* The width in bytes of the character at 'text' and its value in 'out', or 0 if it is not one. */
size_t utf8_decode(const char *text, size_t len, uint32_t *out);

/* Write 'c' to 'out' (room for 4 bytes); the width. */
size_t utf8_encode(uint32_t c, char *out);

bool utf8_is_valid(const char *text, size_t len);

/* Characters that change how the rest of a line is read or shown: C0, C1, direction marks and what
 * takes no room. */
bool utf8_is_control(uint32_t c);

/* True as well where 'text' is not valid. */
bool utf8_has_control(const char *text, size_t len);

#endif
