/*
 * temp_name - how the temporary files of a swap are called, and what that tells after a crash.
 *
 * While a temporary is made, ".NAME.tmp.PID.HEX". Once it is whole and about to be exchanged, with
 * ".INO.DIGEST" behind that: its own inode number, and the digest of the text that gives way. So it
 * is certain after a crash what lies under such a name: with this inode it is our own version, never
 * put in place or taken back; with another and this digest, the old version; with another digest, one
 * by a foreign program. Times tell nothing: a clock ticks in 4 ms, and a chmod moves the ctime.
 * For sys/replace.c, sys/conflict.c and sys/sweep.c alone; callers want sys/file.h.
 */
#ifndef SYS_TEMP_NAME_H
#define SYS_TEMP_NAME_H
#include "base/err.h"
#include "base/str.h"

#include <limits.h>

#define TEMP_NAME_SIZE (NAME_MAX + 1)

/* The caller gave no text: the version that gave way is the old one. */
#define TEMP_NO_DIGEST 0

/* ".NAME.tmp."; a name too long for that gives way to a hash (FNV-1a) of itself. */
void temp_name_prefix(const char *name, char out[TEMP_NAME_SIZE]);

/* A fresh one of 'name'. -1 without random numbers. */
int temp_name_make(const char *name, char out[TEMP_NAME_SIZE], struct err *err);

/* The same name once the file is ready; 'out' may not be 'tmp'. */
void temp_name_ready(const char *tmp, uint64_t ino, uint64_t digest, char out[TEMP_NAME_SIZE]);

/* What the name of a ready one tells; false if it was not ready. */
bool temp_name_read(const char *tmp, const char *prefix, uint64_t *ino, uint64_t *digest);

/* The digits that no other temporary has, for names made after it. */
unsigned int temp_name_number(const char *tmp, const char *prefix);

/* Never TEMP_NO_DIGEST. Not against forgers: whoever can write here needs no tricks. */
uint64_t temp_name_digest(const struct str *text);

/* Is it a name of this kind, of whatever file? */
bool temp_name_is(const char *name);

#endif
