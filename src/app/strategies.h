/*
 * strategies - models grouped by the sequence of data sets that they were trained on.
 *
 *	struct strategies all = STRATEGIES_INIT;
 *	strategies_collect(&all, &session, &choice, &err);
 *	strategies_release(&all);
 *
 * A group is a stage and a strategy. Of each metric of its models (that of the last entry) it has mean,
 * sample standard deviation and best value. One record is in memory at a time.
 */
#ifndef APP_STRATEGIES_H
#define APP_STRATEGIES_H
#include "app/session.h"
#include "base/map.h"

struct strategy_metric {
	char *name;
	char goal; /* '+' max, '-' min, 0 none */
	size_t n;  /* models with a finite value */
	double mean;
	double spread;	 /* sum of the squared distances from the mean */
	double best;	 /* with a goal */
	char *best_text; /* as the record has it */
	char *best_ref;
};

struct strategy {
	char *stage;
	char *text; /* "microsoft/layoutxlm-base > hrds > hrdh" */
	size_t n_models;
	struct strategy_metric **metrics; /* in the order in which they were met */
	size_t n;
	struct map by_name;
	char *key;
};

struct strategies {
	struct strategy **v; /* by stage and text, in natural order */
	size_t n;
	struct map by_key;
	size_t n_broken; /* records that could not be read; each was warned of */
};

#define STRATEGIES_INIT                                              \
	{                                                            \
		.v = NULL, .n = 0, .by_key = MAP_INIT, .n_broken = 0 \
	}

struct strategy_choice {
	const struct strv *pattern; /* see strategy_pattern(); NULL: all */
	const char *exp;	    /* the name of an experiment, or NULL: all */
	bool with_steps;	    /* other numbers of steps are another strategy */
};

/*
 * The parts of "hrds > *": each names a data set ("hrds", "hrds:10000"), '?' is any one, '*' any number
 * of them, none included. What stands first may also be the base model. ERR_USAGE for an empty part.
 */
int strategy_pattern(const char *text, struct strv *parts, struct err *err);

int strategies_collect(struct strategies *all, struct session *session,
		       const struct strategy_choice *choice, struct err *err);
void strategies_release(struct strategies *all);

/* The sample standard deviation; NAN for fewer than two. */
double strategy_deviation(const struct strategy_metric *metric);

#endif
