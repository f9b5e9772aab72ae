/*
 * compare - models, or single entries of theirs, side by side.
 *
 *	struct comparison cmp = COMPARISON_INIT;
 *	strv_push(&cmp.roots, "/data/artifact");
 *	compare_add(&cmp, &session, NULL, "stage1_hrds", &err);
 *	compare_add(&cmp, &session, NULL, "stage1_hrds#1", &err);
 *	cmp.baseline = 0;
 *	compare_make(&cmp, &session);
 *	compare_release(&cmp);
 *
 * A model stands for its last entry, beside its strategy and its cost. The values are tokens of the
 * records; only differences are computed, in double (of integers exactly, where they fit 64 bits).
 * A REF is looked for below every root; where two models of different roots have the same, each goes by
 * its path.
 */
#ifndef APP_COMPARE_H
#define APP_COMPARE_H
#include "app/cost.h"
#include "capture/git_diff.h"
#include "model/history.h"
#include "app/session.h"

struct compare_side {
	struct history history;
	size_t number; /* of the entry that was asked for, from 1; 0: the model */
	size_t entry;  /* token of the entry whose values are compared; JSON_NONE: there is none */
	char *ref;     /* "exp_1/stage1_hrds", "exp_1/stage1_hrds#2" */
	char *strategy;
	struct cost own;
	struct cost total; /* with all ancestors */
	size_t diff;	   /* index of comparison.diffs, or COMPARE_NO_DIFF */
};

#define COMPARE_NO_DIFF SIZE_MAX /* of the baseline, and where one of both has no other commit */

/* How the code of the baseline became that of others. */
struct compare_diff {
	char *from; /* commits, as the records have them */
	char *to;
	char *repository; /* a directory in it; NULL: none at hand has both */
	struct git_diff diff;
	struct err err; /* why there is none */
};

enum verdict { VERDICT_NONE, VERDICT_SAME, VERDICT_BETTER, VERDICT_WORSE };

struct compare_cell {
	const struct json *doc;
	size_t token; /* JSON_NONE: the side has no such value */
	/* Metrics only, and what follows of sides other than the baseline only: */
	bool is_number; /* also where it was not finite, and the record lists it so */
	double number;
	bool has_delta; /* both are finite */
	double delta;
	double percent; /* of the baseline's size; NAN: that is 0 */
	enum verdict verdict;
};

enum compare_group {
	COMPARE_MODEL,
	COMPARE_METRICS,
	COMPARE_HYPERPARAMS,
	COMPARE_GIT,
	COMPARE_ENVIRONMENT,
	COMPARE_ORIGIN, /* what read the values, and from which data */
};

struct compare_row {
	char *path; /* "metrics.f1", "git.dirty", "dataset" */
	enum compare_group group;
	bool differs;
	char goal;		    /* of a metric: '+' max, '-' min */
	bool is_goal_declared;	    /* by the stage's plugin; else it is guessed */
	struct compare_cell *cells; /* one for each side */
};

struct comparison {
	struct strv roots; /* none: the configured one */
	struct compare_side *sides;
	size_t n;
	size_t baseline; /* index of a side */
	struct compare_row *rows;
	size_t n_rows;
	struct compare_diff *diffs;
	size_t n_diffs;
	size_t n_worse; /* metrics of all sides that are worse than the baseline's */
};

#define COMPARISON_INIT                                                   \
	{                                                                 \
		.roots = STRV_INIT, .sides = NULL, .n = 0, .baseline = 0, \
	}

/*
 * Add what 'ref' names: a REF of a model, "REF#N" for its N-th entry, or a run id, for the entry of
 * that run. ERR_NOT_FOUND without such a record or entry, ERR_INVALID where two roots have one; a
 * damaged record is its own error.
 */
int compare_add(struct comparison *cmp, struct session *session, const char *exp, const char *ref,
		struct err *err);

/* Make what 'ref' names the baseline: it comes first, unless it is there already. */
int compare_add_baseline(struct comparison *cmp, struct session *session, const char *exp,
			 const char *ref, struct err *err);

/*
 * Compute rows, costs and verdicts, once all sides are there. A plugin that cannot be asked is warned
 * of: its metrics' goals are guessed then.
 */
void compare_make(struct comparison *cmp, struct session *session);

/*
 * A part of compare_make(): ask git what lies between the commits. A repository is at hand where the
 * run of one of the entries took place, as the journal has it, or around the current directory.
 */
void compare_read_diffs(struct comparison *cmp);
void compare_release_diffs(struct comparison *cmp);

void compare_release(struct comparison *cmp);

#endif
