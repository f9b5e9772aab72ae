/*
 * record - from what is known of a training to one entry in training_info.json.
 *
 *	struct draft draft;
 *	draft_open(&draft, session, &values, &err);        // plugin, directory, parents
 *	draft_extract(&draft, session, &source, &err);     // optional: ask the plugin
 *	draft_commit(&draft, session, &outcome, &err);     // compose, check, append or spool
 *	draft_release(&draft);
 *
 * 'thhost record', 'thhost run' and 'thhost repair' share this. The values that a user gives win
 * over what a training told through events, and that over what a plugin extracted. No lock is held
 * while a plugin runs.
 */
#ifndef APP_RECORD_H
#define APP_RECORD_H
#include "app/fields.h"
#include "app/session.h"
#include "base/id.h"
#include "model/info.h"
#include "model/store.h"

/* What a user or a script says of a training; NULL and -1 mean: not said. Strings are owned. */
struct values {
	char *stage;
	char *dataset;
	char *exp;
	char *model_name;
	int64_t steps;
	char *epochs; /* number text */
	struct fields *metrics;
	struct fields *hyperparams;
	char *base_model;
	char *final_checkpoint;
	char *start_time;
	char *end_time;
	char *into;	 /* REF: append to that record */
	char *init_from; /* DATASET or REF: a new record that begins with that history */
	char *from;	 /* directory or file to extract from */
	const char
		*dataset_how; /* NULL: the user said it; else "inferred", "declared", ...; static */
	struct strv tags;
	char *note;
	bool new_exp;
};

void values_init(struct values *values);
void values_release(struct values *values);

/* Fill in from one JSON object with the same names (--json-input). Unknown names are errors. */
int values_read_json(struct values *values, const char *name, const char *text, struct err *err);

/* What only a run knows; zeroed: none of it. Borrowed. */
struct run_context {
	const char *run_id;
	const char *status; /* "completed", NULL: as extracted */
	const char *git;    /* JSON texts */
	const char *environment;
	const char *command;	    /* JSON array text, masked */
	const char *dataset_digest; /* "sha256:..." */
	const char *base_digest;    /* the same of draft->base_model; see base_files.h */
	const char *usage;	    /* JSON object: wall and CPU time, peak memory */
	const char *attempts;	    /* JSON array: all of them, where there were several */
};

struct draft {
	struct values *values; /* borrowed */
	struct plugin_plan plan;
	struct stage_dir dir;
	struct stage_dir parent; /* --init-from */
	bool has_parent;
	struct str parent_record;
	char *base_model; /* what this training starts from, for the record; or NULL */
	char *base_path;  /* the same for the command: a path where it lies in the tree */
	char *origin;	  /* where the model began: base_model of the head, or NULL */
	char *parents;	  /* JSON array text, or NULL */
	struct plugin_result result;
	bool has_result;
	int64_t left_out; /* steps of a resumed counter that the record holds already */
	bool additive;	  /* more than the design's keys may be written */
	bool is_sketch;	  /* no digest of the checkpoint yet; record_add_checkpoint() makes it */
	struct run_context context;
	char run_id[ID_TEXT_SIZE];
};

/*
 * 'create': make the stage directory (and a first experiment, if there is none) at once. Without it
 * draft->dir may have fd -1: what would be made, by draft_commit() once the entry is in order.
 */
int draft_open(struct draft *draft, struct session *session, struct values *values, bool create,
	       struct err *err);

/* What draft_open() asks the plugin, asked before. */
struct draft_answer {
	bool is_known; /* else draft_open_answered() asks */
	struct plugin_plan plan;
	struct err err;
};

/* Ask it for many at once: one worker serves all that follow one another with the same stage and data
 * set. With values->from only what the plugin declares is asked for; draft_extract() comes to the
 * rest, in a worker that serves that directory alone. */
void draft_ask_each(struct session *session, struct values *const *values, size_t n,
		    struct draft_answer *answers);
void draft_answer_release(struct draft_answer *answer);

/* draft_open() with such an answer, whose plan it takes. */
int draft_open_answered(struct draft *draft, struct session *session, struct values *values,
			bool create, struct draft_answer *answer, struct err *err);

/* Make the stage directory if it is only planned. */
int draft_make_dir(struct draft *draft, struct session *session, struct err *err);
void draft_release(struct draft *draft);

struct extract_source {
	int dirfd; /* directory the inputs are taken from */
	const char *dir_name;
	const char *log;   /* the run's log, relative; NULL: any log there */
	const char *only;  /* NULL, or the one file of it that counts */
	char *const *argv; /* the training's command; NULL: not known */
};

/* Ask the plugin; ERR_PLUGIN. A training that visibly failed is no error here: see result.outcome. */
int draft_extract(struct draft *draft, struct session *session, const struct extract_source *source,
		  struct err *err);

struct record_outcome {
	enum store_result result;
	struct info_summary after;
	struct str entry;   /* the entry as printed */
	struct str spooled; /* where it waits, if it could not be recorded */
	struct strv warnings;
};

void record_outcome_release(struct record_outcome *outcome);

enum spool_policy {
	SPOOL_DAMAGE, /* 'record': only what the user cannot mend by typing again */
	SPOOL_ALWAYS, /* 'run': whatever went wrong, nothing is lost */
};

/*
 * Compose the entry, check it (also by the plugin's validate()), append it. -1 with ERR_USAGE or
 * ERR_INVALID: the entry itself is wrong; ERR_BUSY: locked; ERR_SPOOLED: not in the record but kept
 * (outcome->spooled). With STORE_NOT_DURABLE: 0, and 'err' says what that means.
 */
int draft_commit(struct draft *draft, struct session *session, enum spool_policy policy,
		 struct record_outcome *outcome, struct err *err);

/* Only compose: the entry that draft_commit() would append, into 'entry' (initialised, the caller
 * releases it). What the plugin's validate() minds is a warning, or the error. */
int draft_compose(struct draft *draft, struct session *session, struct entry *entry,
		  struct strv *warnings, struct err *err);

/*
 * Append 'n' composed entries to the record of the draft's directory, which is there
 * (draft_make_dir()), in one step: one lock, one write. 'last' is the draft of the last entry: its
 * checkpoint is the one to use from now on. Result as of draft_commit().
 */
int draft_append(struct draft *draft, const struct draft *last, struct session *session,
		 const struct entry *entries, size_t n, enum spool_policy policy,
		 struct record_outcome *outcome, struct err *err);

/* "final_checkpoint" of an entry: 'name' in stage directory 'dir', with its size and digest. */
void record_add_checkpoint(struct entry *entry, const struct session *session, const char *dir,
			   const char *name);

struct record_preview {
	struct str entry; /* JSON text */
	struct strv warnings;
	struct err refused; /* ERR_NONE: it would be appended */
};

#define RECORD_PREVIEW_INIT                               \
	{                                                 \
		.entry = STR_INIT, .warnings = STRV_INIT, \
	}
void record_preview_release(struct record_preview *preview);

/*
 * Only compose: the entry that draft_commit() would append, also where it would be refused. Here
 * values->dataset may be NULL. -1: not enough is known to make one.
 */
int draft_preview(struct draft *draft, struct session *session, struct record_preview *preview,
		  struct err *err);

#endif
