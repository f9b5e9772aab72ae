/*
 * yaml_scalar - what a plain scalar of YAML means, in JSON's spelling.
 *
 * The core schema of YAML 1.2 and what PyYAML writes: an exponent needs a point ("1e-05" is a string).
 */
#ifndef SYS_YAML_SCALAR_H
#define SYS_YAML_SCALAR_H
#include "base/str.h"

/* Add null, a truth value or a number (also NaN and Infinity). False: it is a string. */
bool yaml_add_plain(struct str *out, const char *text, size_t len);

#endif
