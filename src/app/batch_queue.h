/*
 * batch_queue - what a cluster's queue says now of the jobs that it was given.
 */
#ifndef APP_BATCH_QUEUE_H
#define APP_BATCH_QUEUE_H
#include "model/batch_state.h"

/* Into 'queue' of each of them, where the queue answers within two seconds; else nothing. */
void batch_queue_ask(struct batch_state *state);

/* Has a cluster a job of it that is not known to be over? */
bool batch_queue_has_any(const struct batch_state *state);

#endif
