/*
 * slurm_cancel - jobs of Slurm are ended. Ids are "4711" or "4711_3"; nothing is told: what is still
 * there afterwards the queue shows, and it may be asked for again.
 */
#ifndef APP_SLURM_CANCEL_H
#define APP_SLURM_CANCEL_H
#include "base/str.h"

/* What runs is asked to end before that when it 'is_first'. */
void slurm_cancel(const struct strv *ids, bool is_first);

/* Only what waits in the queue. */
void slurm_cancel_pending(const struct strv *ids);

#endif
