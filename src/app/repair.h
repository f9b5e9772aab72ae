/*
 * repair - put right what a crash, a full disk or another program has left.
 *
 *	struct repair repair = { .session = &session, .dry = dry };
 *	repair_history(&repair, &history);  // for each directory; from history_read()
 *	repair_places(&repair, &visited);   // once: the spools outside of the tree
 *	...
 *	repair_release(&repair);
 *
 * Nothing is deleted but what is known to be elsewhere: a spooled entry that is in its record, and
 * temporary files of writers that are gone, as an append does it. What does not parse is moved to a
 * quarantine. Each step can be cut off and repeated, and takes the record's lock where it touches
 * the record; two repairs at once, and appends at the same time, do no harm.
 */
#ifndef APP_REPAIR_H
#define APP_REPAIR_H
#include "model/history.h"
#include "app/session.h"

struct action {
	char *ref;
	char *code; /* thhost-repair(1) lists them */
	char *path; /* of the file concerned */
	char *text;
};

struct action_list {
	struct action *v;
	size_t n;
	size_t cap;
};

struct repair {
	struct session *session;
	bool dry;	      /* only say it; then no file is changed */
	bool restore;	      /* also put back entries that are gone from the record */
	const char *only_run; /* of these only the one whose id begins so; NULL: all */
	struct action_list done;
	struct action_list left; /* what could not be put right */
};

void repair_history(struct repair *repair, struct history *history);

/* What lies in the spools outside of the tree and belongs to no directory of 'visited' (paths). */
void repair_places(struct repair *repair, const struct strv *visited);
void repair_release(struct repair *repair);

/* ---- for its parts ---- */

/* "closed", or "would close": begins the text of what is done. */
const char *repair_word(const struct repair *repair, const char *did, const char *would);
void repair_did(struct repair *repair, const char *ref, const char *code, const char *path,
		const char *fmt, ...) PRINTF_LIKE(5, 6);
void repair_left(struct repair *repair, const char *ref, const char *code, const char *path,
		 const char *fmt, ...) PRINTF_LIKE(5, 6);

/* The run is in the record: let the journal know, and keep the text of its entry. */
void repair_mark_recorded(struct repair *repair, const struct history *history, struct run *run,
			  const char *entry);

/*
 * "ID.json" for ".ID.json.tmp.PID.HEX", in fresh memory, if that was left by a writer that is gone;
 * NULL for any other name and for one that may still be written.
 */
char *repair_temporary_of(int dirfd, const char *tmp);

/* The same for the links beside 'current' in the root; their names in 'out'. */
void repair_list_links(const struct session *session, struct strv *out);

/* Remove such a leftover 'tmp' in directory 'dir' (open as 'dirfd'). */
void repair_sweep(struct repair *repair, const char *ref, int dirfd, const char *dir,
		  const char *tmp);

/* Is it held as spooled, and no spool that can be seen from here has its entry? */
bool repair_is_lost(const struct history *history, const struct run *run);

/* Move file 'name' of directory 'path' (open as 'dirfd') into the quarantine 'to'; 'why' it is
 * damaged. */
void repair_quarantine(struct repair *repair, const char *ref, const char *path, int dirfd,
		       const char *name, int to, const char *why);

/* The record itself: damage, totals, leftovers (mend.c). */
void repair_record(struct repair *repair, struct history *history);

/* Spooled entries and what else lies in the spool (repair_spool.c). */
void repair_spool(struct repair *repair, struct history *history);

/* The runs of the journal (repair_runs.c). */
void repair_runs(struct repair *repair, struct history *history);

/* Entries that the record has no more (restore.c). */
void repair_gone(struct repair *repair, struct history *history);

/* Append entries as they were; they are in the file's lock and rules like any other. */
int restore_entries(const struct repair *repair, const struct history *history,
		    char *const *entries, size_t n, struct err *err);

#endif
