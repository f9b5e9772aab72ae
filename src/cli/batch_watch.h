/*
 * batch_watch - a batch while it is worked on: on a terminal one line for each job that runs and one
 * for all of them, which leave no trace; elsewhere one line for each change. On stderr.
 */
#ifndef CLI_BATCH_WATCH_H
#define CLI_BATCH_WATCH_H
#include "app/batch_plan.h"
#include "model/batch_state.h"

struct batch_watch;

struct batch_watch *batch_watch_new(const struct batch_state *state, const struct batch_plan *plan,
				    bool is_quiet);
void batch_watch_changed(void *watch, size_t job);
void batch_watch_tick(void *watch);
void batch_watch_said(void *watch, const char *text);

/* Take the lines away. */
void batch_watch_free(struct batch_watch *watch);

#endif
