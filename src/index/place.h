/*
 * place - the order of the parts of a tree, as bytes.
 *
 * place_key() makes of a path below a root a key: keys compare (memcmp, the shorter of equals first)
 * as the walk goes, each directory before what it holds and siblings in natural order
 * (natural_compare()). The key of what lies below begins with the key of the directory.
 */
#ifndef INDEX_PLACE_H
#define INDEX_PLACE_H
#include "base/str.h"

/* Into 'out', cleared first. "" gives an empty key. */
void place_key(const char *path, struct str *out);

/* Make of a key (not the empty one) one that comes after it and after all that lies below it, and
 * before any other. */
void place_key_end(struct str *key);

/* How the keys of two paths compare. */
int place_compare(const char *a, const char *b);

#endif
