/*
 * forgetting - a metric on each data set after each training of a strategy.
 *
 *	struct forgettings all = FORGETTINGS_INIT;
 *	forgettings_collect(&all, &session, &choice, "f1", &err);
 *	forgettings_release(&all);
 *
 * Models of the same stage and strategy are one matrix of means; a model with one training alone has
 * nothing to forget. Which value of a training is the metric NAME on data set D: where '_', '/' and
 * '.' (a nested object) are the same, that of the first of
 *
 *	D_NAME   NAME_D   eval_D_NAME   eval_NAME_D   then with validation, valid, val, dev and test
 *	NAME     eval_NAME ...          if D is what that training was on
 *
 * that is a finite number. Data sets are those that the model was trained on at any time.
 */
#ifndef APP_FORGETTING_H
#define APP_FORGETTING_H
#include "app/strategies.h"

struct forgetting {
	char *stage;
	char *text;
	char *key;
	char goal;		/* '+' max, '-' min; 0: none, and nothing is forgotten */
	size_t n_models;	/* that have a value */
	struct strv trainings;	/* columns: "hrds", with steps "hrds:10000" */
	struct strv datasets;	/* rows, in the order of the first training on each */
	struct moments *values; /* row by row */
	/*
	 * By model, then over the models; positive: worse now. Of a data set that was trained on
	 * before the last training: the best value from its first training on, but before the last
	 * one, minus the value after the last.
	 */
	struct moments *forgotten; /* of each row */
	struct moments average;	   /* of a model's data sets */
	/* Of these data sets: the value after the last training minus that after the first on it,
	 * averaged; positive: better now. */
	struct moments transfer;
};

struct forgettings {
	struct forgetting **v; /* by stage and strategy, in natural order */
	size_t n;
	size_t cap;
	struct map by_key;
	size_t n_broken;
};

#define FORGETTINGS_INIT                                                       \
	{                                                                      \
		.v = NULL, .n = 0, .cap = 0, .by_key = MAP_INIT, .n_broken = 0 \
	}

/* 'metric' as a record has it, or without the prefix ("eval_f1" is "f1"). */
int forgettings_collect(struct forgettings *all, struct session *session,
			const struct strategy_choice *choice, const char *metric, struct err *err);
void forgettings_release(struct forgettings *all);

#endif
