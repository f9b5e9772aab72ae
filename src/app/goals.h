/*
 * goals - which direction of a metric is better.
 *
 * What the stage's plugin declares; else a guess by the name, as th.metrics.goal() makes it, but none
 * for what by its name only describes the data or the run ("per_class_support.title", "eval_runtime").
 */
#ifndef APP_GOALS_H
#define APP_GOALS_H
#include "app/session.h"

struct goals {
	struct plugin_plan *plans;
	size_t n;
	struct strv asked; /* stages */
};

#define GOALS_INIT                                        \
	{                                                 \
		.plans = NULL, .n = 0, .asked = STRV_INIT \
	}

/* Ask the plugin of 'stage' (NULL: nobody), once. One that cannot be asked is warned of; a stage
 * without a plugin declares nothing. */
void goals_ask(struct goals *goals, struct session *session, const char *stage,
	       const char *dataset);
void goals_release(struct goals *goals);

/* '+' max, '-' min, 0 none, by what the plugin of 'stage' declares (NULL: of any that was asked,
 * the first one first). "per_class_f1.title" has the goal of "per_class_f1" unless it has one of its
 * own. */
char goals_of(const struct goals *goals, const char *stage, const char *name, bool *is_declared);

#endif
