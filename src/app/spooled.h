/*
 * spooled - an entry that waits in a spool, looked at without touching it.
 */
#ifndef APP_SPOOLED_H
#define APP_SPOOLED_H
#include "base/err.h"
#include "model/info.h"

/* What is wrong with a file of ours. */
enum damage {
	DAMAGE_NONE,
	DAMAGE_TEXT,  /* it is none of ours: no JSON, or not what it should be */
	DAMAGE_OTHER, /* it cannot be read, or a later version of thhost has written it */
};

struct spooled {
	char *run_id; /* as the rest: NULL if it is not told */
	char *dir;    /* the stage directory at the time; "": not told */
	char *why;    /* it could not be recorded */
	char *entry;  /* text of the first one */
};

/* What can be done with one whose directory is gone; path and directory. */
#define SPOOLED_STRAY                                                                    \
	"'%s' waits for '%s', which is gone: if that was moved, move the file into its " \
	".thhost/spool"

/* Read what 'path' says of itself; 'err' is why it is damaged. */
enum damage spooled_read(const char *path, struct spooled *out, struct err *err);
void spooled_release(struct spooled *spooled);

/* Is its stage directory, by name, below 'root' (absolute)? */
bool spooled_is_below(const struct spooled *spooled, const char *root);

/*
 * Is this file of ours with a schema like "thhost.run/1", and if not, why? For one that its own reader
 * has refused: a damage in any case, DAMAGE_OTHER where the schema is of another version.
 */
enum damage damage_of(int dirfd, const char *name, const char *schema, struct err *err);

/* Does the record hold an entry of that run which says something else? Then one of the two is wrong,
 * and neither may go. */
bool spooled_disagrees(const struct spooled *spooled, const struct info *info);

#endif
