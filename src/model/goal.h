/*
 * goal - what is better, more or less of a metric, where nobody declared it.
 */
#ifndef MODEL_GOAL_H
#define MODEL_GOAL_H

/* '+' or '-', by the metric's name, as th.metrics.goal() guesses it. */
char goal_guess(const char *metric);

#endif
