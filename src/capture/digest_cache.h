/*
 * digest_cache - digests of large files that have not changed.
 *
 * One small file per inode, replaced in one step. A cache: what is unreadable,
 * damaged or cannot be written is passed over in silence.
 */
#ifndef CAPTURE_DIGEST_CACHE_H
#define CAPTURE_DIGEST_CACHE_H
#include "base/base.h"

#include <sys/stat.h>

/* The digest of the file that has this state, in 'out' (65 bytes). */
bool digest_cache_get(const struct stat *st, char *out);

void digest_cache_put(const struct stat *st, const char *sha256);

#endif
