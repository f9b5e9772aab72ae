/*
 * settle - when a record is made by hand for a run that could not record itself.
 *
 * 'record --from' on a stage directory whose newest run ended well and is not
 * recorded makes that run's entry: it gets the run's id, so that nothing records
 * it a second time, and the journal learns of it.
 */
#ifndef APP_SETTLE_H
#define APP_SETTLE_H
#include "app/record.h"

/* Before draft_commit(): give the entry the id of such a run of the draft's own directory 'fromfd'. */
int settle_take_run(struct draft *draft, int fromfd, struct err *err);

/* After it: the run is recorded, as text 'entry'. A warning if the journal cannot be written. */
void settle_run(const struct draft *draft, const char *entry);

#endif
