/*
 * history - what lies in a stage directory: the record, its runs, what waits.
 */
#ifndef MODEL_HISTORY_H
#define MODEL_HISTORY_H
#include "model/info.h"
#include "model/journal.h"
#include "model/layout.h"

struct history {
	struct stage_dir dir;
	char *path;	 /* of the record */
	bool has_record; /* the file is there */
	struct err err;	 /* ERR_NONE, or why it cannot be read; then 'info' is empty */
	bool has_text;	 /* 'text' is the file's: if there is an error, it lies in there */
	struct str text;
	struct info info;
	struct run_list runs; /* all of the journal */
	struct strv broken_runs;
	struct strv waiting; /* paths of spooled entries */
	struct err unread;   /* ERR_NONE, or why the journal or the spool could not be looked at */
};

/* Take over 'dir' (it is left empty) and read what is there, changing nothing. A fault is kept in
 * 'history->err'. */
void history_read(struct history *history, struct stage_dir *dir);

/* Read the record once more: it has been changed. */
void history_read_record_again(struct history *history);

/* The same in a walk over many directories, which looks at the fallback places of the spool once for
 * some of them. */
void history_read_with(struct history *history, struct stage_dir *dir,
		       struct spool_elsewhere *elsewhere);

/* history_read(), and close the runs that are dead. */
void history_load(struct history *history, struct stage_dir *dir);
void history_release(struct history *history);

/* history_load() in a walk (layout_walk()), which 'err' is of; closes the directory. 'elsewhere' as for
 * spool_list_with(). */
void history_visit(struct history *history, struct stage_dir *dir,
		   struct spool_elsewhere *elsewhere, const struct err *err);

/* Is there anything to tell of it? */
bool history_is_anything(const struct history *history);

/* 'to' gets all that 'from' has, and 'from' is left empty. */
void history_move(struct history *to, struct history *from);

struct histories {
	struct history *v; /* each allocated place is stable only while nothing is added */
	size_t n;
	size_t cap;
};

struct history_filter {
	const char *stage;   /* NULL: any */
	const char *dataset; /* any entry on it */
};

/* 'filter' may be NULL. A record that cannot be read fits any. */
bool history_fits(const struct history *history, const struct history_filter *filter);

/* One history of a walk; released afterwards unless history_move() took it. Not 0: no more. */
typedef int (*history_fn)(void *arg, struct history *history, struct err *err);

/* Each below the root, or of one experiment; in natural order. 'filter' may be NULL. The result is
 * what 'fn' returned last. */
int histories_each(struct layout *layout, const char *exp, const struct history_filter *filter,
		   history_fn fn, void *arg, struct err *err);

/* The same in one part of the tree, as layout_walk_part() has them. */
int histories_each_in(struct layout *layout, const char *part, const struct history_filter *filter,
		      history_fn fn, void *arg, struct err *err);

/* All of them. */
int histories_load(struct histories *all, struct layout *layout, const char *exp,
		   const struct history_filter *filter, struct err *err);
void histories_release(struct histories *all);

/* The log of the newest run in that directory, relative to it, if it is still there; or NULL. */
char *history_newest_log(int stage_dirfd);

/* Is this run no part of the history: running, failed, interrupted, waiting? */
bool run_is_outside(const struct run *run);

/* How many of its runs are, and how many entries wait. */
size_t history_outside(const struct history *history);

/*
 * How long the training of entry token 'entry' took, in seconds: measured by us, else from its times;
 * negative if that cannot be told. Where it was begun more than once, its attempts together: the time
 * in the queue between them is not training time.
 */
double entry_seconds(const struct json *doc, size_t entry);

/* How many attempts it took, 1 or more, and how many of them were interrupted. */
size_t entry_attempts(const struct json *doc, size_t entry, size_t *n_interrupted);

/* "microsoft/layoutxlm-base > hrds:10000 > hrdh:5000", fresh memory. */
char *history_strategy(const struct history *history);

/* The same of a record, as far as entry token 'last'; JSON_NONE: all of them. */
char *info_strategy_to(const struct info *info, size_t last);

/* The value at 'token' with NaN and Infinity as null, so that it is JSON for everybody. */
void strict_json(const struct json *doc, size_t token, struct str *out);

/* The same for the whole record. */
void history_strict_json(const struct history *history, struct str *out);

#endif
