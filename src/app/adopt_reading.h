/*
 * adopt_reading - what is known of one directory while its model is put together.
 *
 * adopt_read.c asks the plugin and judges; adopt_entry.c makes the entries. Nobody else includes it.
 */
#ifndef APP_ADOPT_READING_H
#define APP_ADOPT_READING_H
#include "app/adopt_home.h"
#include "app/record.h"

struct adopt_reading {
	struct adopt *adopt;
	const struct adopt_dir *dir;
	bool is_home;
	char *exp;			 /* NULL directly below the root */
	const struct adopt_home *home;	 /* NULL outside of an experiment */
	const struct stage_state *state; /* of this directory, or NULL */
	struct adopt_run *runs;
	size_t n_runs;
	char *stage;
	char *dataset; /* NULL: not known yet */
	const char *stage_how;
	const char *dataset_how;
	struct values values;
	struct draft draft;
	struct json doc; /* of draft.result.reading; [0] is the object */
	bool has_doc;
	struct strv notes; /* as those of struct adopt_model */
	struct strv remarks;
};

/* The member "reading" of what the plugin told, or JSON_NONE. */
size_t adopt_reading_of(const struct adopt_reading *r);

/* Make the entries of 'model' from what was read. -1: it cannot be recorded; 'err' says why. */
int adopt_make_entries(struct adopt_reading *r, struct adopt_model *model, struct err *err);

/* "evidence" of an entry: 'how' for 'field' where nothing is said yet, or ('force') in any case; NULL:
 * nothing is known of how. */
void adopt_set_evidence(struct entry *entry, const char *field, const char *how, bool force);

#endif
