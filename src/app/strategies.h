/*
 * strategies - models grouped by the sequence of data sets that they were trained on, or by fields.
 *
 *	struct strategies all = STRATEGIES_INIT;
 *	strategies_collect(&all, &session, &choice, &err);
 *	strategies_release(&all);
 *
 * A group is a stage and a strategy; with choice->fields it is what these fields have in common. Of
 * each metric of its models (that of the last entry) it has mean, sample standard deviation and best
 * value.
 * One record is in memory at a time.
 */
#ifndef APP_STRATEGIES_H
#define APP_STRATEGIES_H
#include "app/moments.h"
#include "app/sequence.h"
#include "app/session.h"
#include "base/map.h"
#include "model/field.h"
#include "model/filter.h"
#include "model/history.h"

struct strategy_metric {
	char *name;
	char goal; /* '+' max, '-' min, 0 none, or the stages of the group do not agree */
	struct moments moments; /* of the models with a finite value */
	double best;		/* with a goal */
	char *best_text;	/* as the record has it; NULL: none */
	char *best_ref;
	char *best_path; /* of the record */
};

struct strategy {
	char *stage;
	char *text;	      /* "microsoft/layoutxlm-base > hrds > hrdh"; with fields NULL */
	struct strv parts;    /* of the text, the base model first; with fields none */
	struct value *values; /* of choice->fields, as met first; no VALUE_JSON: that is a text */
	size_t n_models;
	struct strategy_metric **metrics; /* in the order in which they were met */
	size_t n;
	struct map by_name;
	char *key;
};

struct strategies {
	struct strategy **v; /* by stage and text, or by the fields, in natural order */
	size_t n;
	size_t cap;
	size_t n_fields;
	struct map by_key;
	size_t n_broken; /* records that could not be read; each was warned of */
};

#define STRATEGIES_INIT                                                                       \
	{                                                                                     \
		.v = NULL, .n = 0, .cap = 0, .n_fields = 0, .by_key = MAP_INIT, .n_broken = 0 \
	}

/* Which models; all borrowed. */
struct strategy_choice {
	const struct strv *roots;   /* as survey() has them */
	const struct strv *pattern; /* see sequence_pattern(); NULL: all */
	const char *exp;	    /* the name of an experiment, or NULL: all */
	struct filter **filters;    /* all hold for the model's last training */
	size_t n_filters;
	bool with_steps;	   /* other numbers of steps are another strategy */
	const struct strv *fields; /* of model/field.h; NULL: by stage and strategy. Here the field
				    * 'strategy' has steps only with the flag above. */
};

/* One model that was chosen; all borrowed. */
struct strategy_model {
	const struct history *history;
	const struct sequence *sequence;
	const struct subject *subject; /* its last training */
};

typedef void (*strategy_fn)(void *arg, const struct strategy_model *model);

/* Every readable model of the choice with at least one training; the others are warned of, and
 * counted. */
int strategies_each(struct session *session, const struct strategy_choice *choice, strategy_fn fn,
		    void *arg, size_t *n_broken, struct err *err);

int strategies_collect(struct strategies *all, struct session *session,
		       const struct strategy_choice *choice, struct err *err);
void strategies_release(struct strategies *all);

#endif
