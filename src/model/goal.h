/*
 * goal - what is better, more or less of a metric, where nobody declared it: a guess by its name.
 */
#ifndef MODEL_GOAL_H
#define MODEL_GOAL_H
#include "base/base.h"

/* '+' or '-', as th.metrics.goal() guesses it. */
char goal_guess(const char *metric);

/* Does the name only describe the data or the run ("per_class_support.title", "eval_runtime")? More of
 * it is neither better nor worse. */
bool goal_is_description(const char *metric);

#endif
