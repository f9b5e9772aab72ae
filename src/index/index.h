/*
 * index - what the files of some roots hold, kept so that it need not be read from them each time.
 *
 *	struct index_options options = { .roots = &roots, .stages = &stages };
 *	struct index *index;
 *	if (index_open(&index, &options, &err) == 0 && index_sync(index, &err) == 0)
 *		result = index_each(index, &layout, NULL, &filter, look, &mine, &err);
 *	index_close(index);
 *
 * A cache in $XDG_CACHE_HOME/thhost/index, one file for each set of roots (and user, groups and stage
 * names: all that decides what a walk finds). index_each() gives the histories that histories_each()
 * would read, but for the runs of the journal that are in the record. It is never trusted over the
 * files: index_sync() looks at everything that was looked at before (index/seen.h) and reads again
 * what looks otherwise, what was changed so shortly before it was read that another change would not
 * show, and nothing else; what is not at rest (a run that goes on, a directory that could not be read,
 * entries that wait) is read by index_each() from the files. Several processes may do so at once. What
 * is damaged or of another version is made anew. Any error means no more than that the files have to
 * be read instead.
 */
#ifndef INDEX_INDEX_H
#define INDEX_INDEX_H
#include "index/db.h"
#include "model/history.h"

#include <limits.h>

/* Fewer stage directories are read as quickly as an index is opened. */
#define INDEX_MIN_STAGES 64

struct index;

/* What to do where there is none yet. */
enum index_absent {
	INDEX_MAKE,
	INDEX_MAKE_IF_LARGE, /* and else be without */
	INDEX_LEAVE,	     /* be without; one that is damaged or of another version is an error */
};

struct index_options {
	const struct strv *roots;	/* paths; what is the same directory counts once */
	const struct stage_map *stages; /* or NULL */
	enum index_absent absent;
	/* Told while files are read how many places were, and 0 at the end. May be NULL. */
	void (*progress)(size_t n_read);
};

/* 0; 1: there is none, and none was made, 'out' is NULL; -1 with 'err', and 'out' is NULL. */
int index_open(struct index **out, const struct index_options *options, struct err *err);
void index_close(struct index *index); /* NULL is nothing */

/*
 * Bring it up to date; what is asked of it afterwards is answered as of this moment. ERR_BUSY where
 * another process is at it for too long.
 */
int index_sync(struct index *index, struct err *err);

/* Throw away all it holds; index_sync() reads everything then. */
int index_erase(struct index *index, struct err *err);

/*
 * After index_sync(): as histories_each(). 'layout' is of one of the roots; its path, as it is written
 * there, is that of the histories. INDEX_BROKEN: the index cannot be read any further, for the reason
 * in 'err'; where there is none it was damaged, and has been thrown away. What 'fn' got is right.
 */
#define INDEX_BROKEN INT_MIN
int index_each(struct index *index, struct layout *layout, const char *exp,
	       const struct history_filter *filter, history_fn fn, void *arg, struct err *err);

struct index_state {
	char *path;
	int64_t bytes; /* with what SQLite keeps beside it */
	int version;
	int64_t n_places;
	int64_t n_live; /* read each time */
	int64_t n_racy; /* to be read once more */
	int64_t n_records;
	int64_t n_stale; /* places to read again, racy ones included */
};

/* 'has_synced': just now, so that nothing is looked at. Asking changes nothing. */
int index_state(struct index *index, bool has_synced, struct index_state *out, struct err *err);
void index_state_release(struct index_state *state);

/* For SQL over what index_sync() found; the index stays its owner. */
struct db *index_db(struct index *index);

#endif
