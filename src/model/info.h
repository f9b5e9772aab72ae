/*
 * info - the record of a model: training_info.json, as text.
 *
 *	struct entry entry = ENTRY_INIT;
 *	struct info_change change = INFO_CHANGE_INIT;
 *	struct info_summary after;
 *	entry.dataset = xstrdup("hrds");
 *	entry.steps = 10000;
 *	if (entry_set_metrics(&entry, "{\"f1\": 0.85}", &err) < 0) ...
 *	struct info_append what = {
 *		.head = { .model_name = "parent_finder", .stage = "stage3", ... },
 *		.entries = &entry, .n = 1,
 *	};
 *	if (info_change_make(path, old, &what, &change, &after, &err) < 0) ...
 *	info_change_release(&change);
 *	entry_release(&entry);
 *
 * A record has no second representation: sys/json tokenises its text in place,
 * this module checks it, shapes new entries and splices them in, and everything
 * an append does not touch keeps its bytes. No I/O; model/store reads and writes.
 *
 * 'name' in every call is the file as messages shall show it ("NAME:LINE: ...").
 * Broken data is ERR_INVALID. Structs own what they hold unless it is const.
 */
#ifndef MODEL_INFO_H
#define MODEL_INFO_H
#include "base/err.h"
#include "base/str.h"
#include "sys/json.h"

#define INFO_SCHEMA_VERSION 1
#define INFO_METRICS_DEPTH 8 /* levels of objects and arrays, the outermost counted */
#define INFO_VALUE_DEPTH 32  /* the same for any other value in an entry */

/* ---- one entry of training_history ---- */

struct entry_extra {
	char *key;
	char *json;
};

struct entry {
	char *dataset;
	int64_t steps;	   /* what ran; -1: not set */
	char *epochs;	   /* a number's text, or NULL: null */
	char *metrics;	   /* an object's text; see entry_set_metrics() */
	char *hyperparams; /* an object's text, or NULL: {} */
	char *start_time;  /* ISO 8601, kept to the letter */
	char *end_time;
	struct entry_extra *extras; /* additive members; see entry_add_extra() */
	size_t n_extras;
	size_t cap_extras;
	struct str nonfinite; /* members of "nonfinite", without its braces */
};

#define ENTRY_INIT                                 \
	{                                          \
		.steps = -1, .nonfinite = STR_INIT \
	}

void entry_init(struct entry *entry);
void entry_release(struct entry *entry);

/*
 * Take a copy of 'json', an object whose non-finite numbers (NaN, Infinity, -Infinity) become null
 * and are listed in the entry's "nonfinite" by their path: "val_loss", "per_class_f1.title",
 * "hyperparams.lr", with "nan", "inf" or "-inf".
 */
int entry_set_metrics(struct entry *entry, const char *json, struct err *err);
int entry_set_hyperparams(struct entry *entry, const char *json, struct err *err);

/*
 * Add or replace an additive member; 'json' is copied, and cleaned as above. The known ones are
 * printed in a fixed order after the design's keys (run_id, status, base_model, base_model_digest,
 * final_checkpoint, best, parents, inherited_from, raw_hyperparams, nonfinite, git, environment,
 * usage, attempts, command, plugin, taken_from, sources, evidence, planned, dataset_digest, tags,
 * notes), others after them as they were added. Text that is no JSON is refused, and so are the
 * design's own keys.
 */
int entry_add_extra(struct entry *entry, const char *key, const char *json, struct err *err);

/* The same with a string for its value, which cannot fail. */
void entry_add_extra_string(struct entry *entry, const char *key, const char *text);

/* The raw value of an additive member, or NULL. Borrowed. Not for "nonfinite". */
const char *entry_extra(const struct entry *entry, const char *key);

/*
 * Read an entry from JSON text (a spool file, --json-input) into 'out' (an initialised entry, which
 * the caller releases in any case). Types are strict, unknown keys become additive members, absent
 * ones stay unset for the caller to fill in; non-finite numbers are cleaned.
 */
int entry_parse(const char *name, const char *text, size_t len, struct entry *out, struct err *err);

/* Is everything there that a record requires, and do the times parse? */
int entry_check(const struct entry *entry, struct err *err);

/* Print the entry as one object; the layout is the printer's. */
void entry_print(const struct entry *entry, struct jsonw *w);

/* ---- reading a record ---- */

struct info {
	struct json doc;
	const char *name; /* borrowed */
	size_t history;	  /* token of training_history */
};

#define INFO_INIT                                                    \
	{                                                            \
		.doc = JSON_INIT, .name = NULL, .history = JSON_NONE \
	}

/*
 * Read access to 'text', which must outlive 'info'. Asks for no more than JSON with an array
 * training_history: listings show what they can. The getters below give NULL, -1 or JSON_NONE for
 * what is absent or of the wrong type. info_release() in any case.
 */
int info_open(struct info *info, const char *name, const char *text, size_t len, struct err *err);
void info_release(struct info *info);

/* A string at the top level in fresh memory, or NULL. */
char *info_string(const struct info *info, const char *key);

/* The same from the first 'len' bytes of a record, which may end anywhere: what stands before the
 * first array or object there. For a glance; what comes after is not looked at. */
char *info_head_string(const char *text, size_t len, const char *key);
int64_t info_total_steps(const struct info *info);
size_t info_entry_count(const struct info *info);

/* Entries as tokens of info->doc, in order; JSON_NONE after the last. */
size_t info_first_entry(const struct info *info);
size_t info_next_entry(const struct info *info, size_t entry);

/* A member's value token; its text in fresh memory if it is a string; the steps. */
size_t info_entry_member(const struct info *info, size_t entry, const char *key);
char *info_entry_string(const struct info *info, size_t entry, const char *key);
int64_t info_entry_steps(const struct info *info, size_t entry);
bool info_entry_is_inherited(const struct info *info, size_t entry);

/* A whole entry, as entry_parse() does. */
int info_entry_read(const struct info *info, size_t entry, struct entry *out, struct err *err);

/* The entry with this run_id, or JSON_NONE. */
size_t info_entry_find(const struct info *info, const char *run_id);

/* The entry that has the same value as 'entry' (order and layout do not count), or JSON_NONE. For
 * entries without a run_id, when a spool is applied a second time. */
size_t info_entry_same(const struct info *info, const struct entry *entry);

/* ---- checking a record ---- */

struct info_issue {
	/* "json", "type", "required", "duplicate", "derived", "time", "nonfinite", "depth", "order",
	 * "version" or "overflow"; static. */
	const char *code;
	bool is_error; /* else a warning */
	size_t line;
	char *path; /* "training_history[1].steps"; "" for the document */
	char *message;
};

/* At most INFO_MAX_ISSUES are kept; the summary counts all. */
#define INFO_MAX_ISSUES 1000

struct info_issues {
	struct info_issue *v;
	size_t n;
	size_t cap;
};

#define INFO_ISSUES_INIT                    \
	{                                   \
		.v = NULL, .n = 0, .cap = 0 \
	}

void info_issues_release(struct info_issues *issues);

struct info_summary {
	size_t n_entries;
	int64_t total_steps; /* the sum, not what the file says */
	size_t n_errors;
	size_t n_warnings;
	size_t n_added; /* info_change_make() only */
	bool already;	/* the same: an entry was left out because its run_id was there */
};

/*
 * What an append insists on, and no more: required keys, types, steps that add up in 64 bits, no
 * repeated key at the top, inherited entries first, a schema_version that we know. The error is the
 * first fault. Totals that disagree do not count: the next append sets them right.
 */
int info_validate(const struct info *info, struct info_summary *summary, struct err *err);

/* Run ids to look for in passing; 'found' is set where one is met. An id may be NULL. */
struct info_skim_runs {
	char *const *ids;
	bool *found;
	size_t n;
};

/*
 * info_open() and info_validate() in one pass that keeps the tokens of one entry only, for an
 * append to a long record: the same answer, in the memory of the text alone. Afterwards the first
 * entry and the last are one and the same, the last; info_entry_count() counts all of them.
 */
int info_skim(struct info *info, const char *name, const char *text, size_t len,
	      const struct info_skim_runs *runs, struct info_summary *summary, struct err *err);

/*
 * Every rule, for "verify": the above; as errors also totals that disagree with the entries,
 * metrics too deep, a run_id that repeats; as warnings created_at or last_updated that disagree,
 * times that do not parse or end before they start, NaN in the file, repeated keys elsewhere,
 * additive members of unusual types. Unknown keys are no issue. True if there is no error.
 * 'issues' must be initialised; they come in the order of the checks, nearly that of the lines.
 */
bool info_check(const char *name, const char *text, size_t len, struct info_issues *issues,
		struct info_summary *summary);

/* ---- changing a record ---- */

struct info_head {
	const char *model_name; /* this and the stage: NULL only for an old record, no opinion */
	const char *stage;
	const char *final_checkpoint; /* NULL: "" in a new record, unchanged in an old one */
	const char *base_model;	      /* NULL: "" in a new record, no opinion about an old one */
	const char *parents;	      /* JSON array text, or NULL; new records only */
};

struct info_append {
	struct info_head head;
	const struct entry *entries;
	size_t n;
	/* New records only: the record that this one goes on from. Its entries come first, each with
	 * "inherited_from": inherited_ref unless it has one already. */
	const struct str *inherited;
	const char *inherited_ref;
	/* Keys beyond the design's may be written by us: schema_version and parents in a new record,
	 * base_model in an entry whose base differs from the record's. Implied by 'inherited'. The
	 * entries' own additive members are printed in any case. */
	bool additive;
};

/*
 * What an append changes: 'n' edits of the old text, or, for a new record, one of an empty text.
 * Applied with json_splice(), or written piece by piece.
 */
#define INFO_MAX_EDITS 5

struct info_change {
	struct json_edit edits[INFO_MAX_EDITS];
	struct str texts[INFO_MAX_EDITS]; /* owners of what the edits put in */
	size_t n;
	size_t len; /* of the new text */
};

#define INFO_CHANGE_INIT         \
	{                        \
		.n = 0, .len = 0 \
	}

void info_change_release(struct info_change *change);

/*
 * Append the entries to the record 'old'; NULL makes a new one. It must pass info_validate() and
 * agree in model_name and stage; the entries are added in the file's own style, final_checkpoint,
 * last_updated, total_steps and last_dataset get new values, and every other byte stays. An entry
 * whose run_id is there already is left out; if all are, there are no edits. Every entry must pass
 * entry_check(). The new text passes info_validate() (ERR_INTERNAL if it would not). 'out' is an
 * initialised one, which the caller releases in any case.
 */
int info_change_make(const char *name, const struct str *old, const struct info_append *what,
		     struct info_change *out, struct info_summary *after, struct err *err);

/*
 * The same as one text, into 'out' (cleared first; not 'old' itself), which is read again in full
 * and compared with the old one byte by byte (ERR_INTERNAL).
 */
int info_append(const char *name, const struct str *old, const struct info_append *what,
		struct str *out, struct info_summary *after, struct err *err);

/*
 * total_steps and last_dataset as the entries have them, every other byte as it is, into 'out'. 1: they
 * disagreed, 0: they do not ('out' is empty), -1: the record does not pass info_validate().
 */
int info_set_derived(const char *name, const struct str *old, struct str *out, struct err *err);

#endif
