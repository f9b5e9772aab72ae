/*
 * gone - entries that a record had once and has no more.
 *
 * A program without our lock may have overwritten them, or somebody has deleted them on purpose;
 * nobody can tell which. So they are named, and put back only when that is asked for.
 *
 * Who remembers: the journal (runs it holds as recorded), the .bak, and the .conflict-* files. An
 * entry is known again by its run_id or, where one of the two has none, by dataset and times, so
 * one that was edited by hand is not gone.
 */
#ifndef APP_GONE_H
#define APP_GONE_H
#include "model/history.h"

/* What tells one training from another; NULL: not known. */
struct training {
	char *run_id;
	char *dataset;
	char *start_time;
	char *end_time;
};

struct gone_entry {
	struct training training;
	char *what;   /* "run 019abc... on hrds, ended 2025-...": for messages */
	char *source; /* who remembers: "the journal", ".training_info.json.bak", ... */
	char *json;   /* the entry, or NULL where only its run is known */
};

struct gone {
	struct gone_entry *v;
	size_t n;
	size_t cap;
};

/* What the record lacks; nothing while that cannot be read. */
void gone_find(const struct history *history, struct gone *out);

/* Only what the journal knows and 'info', any record of that directory, lacks. */
void gone_find_runs(const struct history *history, const struct info *info, struct gone *out);
void gone_release(struct gone *gone);

/* Names of the .conflict-* files of that directory. */
void gone_list_conflicts(const struct history *history, struct strv *names);

#endif
