/*
 * conflict - versions that another program, without our lock, wrote in the moment of a swap.
 *
 * None is thrown away: each gets a name of its own beside the file,
 * ".NAME.conflict-TIME-HEX", for a person to look at and remove. 'tmp' is the
 * temporary name of the swap that met it: its digits make the name unique.
 */
#ifndef SYS_CONFLICT_H
#define SYS_CONFLICT_H
#include "sys/temp_name.h"

/* So many versions of one swap can be kept. */
#define CONFLICT_MAX 100

/* Another name for 'from', a foreign version that is about to lose its own; "" if that cannot be. */
void conflict_link(int dirfd, const char *name, const char *tmp, const char *from,
		   char out[TEMP_NAME_SIZE]);

/* The name of 'from' gives way to that of a conflict. If that cannot be, -1, and 'out' is 'from'. */
int conflict_move(int dirfd, const char *name, const char *tmp, const char *from,
		  char out[TEMP_NAME_SIZE]);

/* Either; -1 if 'from' is the only name of it still, and must stay. */
int conflict_keep(int dirfd, const char *name, const char *tmp, const char *from,
		  char out[TEMP_NAME_SIZE]);

/* Is 'other' a conflict of 'name'? */
bool conflict_is_name(const char *other, const char *name);

/*
 * The backup is about to be replaced by 'from', the version that came after it. A program that had
 * opened the record before that and wrote into it later has written into the backup: then it is
 * younger than its successor. (So it may be in the copy of a directory, and is kept once for nothing.)
 * -1 if what was written cannot be kept.
 */
int conflict_spare_backup(int dirfd, const char *name, const char *tmp, const char *backup,
			  const char *from);

#endif
