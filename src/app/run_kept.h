/*
 * run_kept - what the journal keeps of a run so that 'repair' can record it later: nobody else
 * knows it any more.
 */
#ifndef APP_RUN_KEPT_H
#define APP_RUN_KEPT_H
#include "app/run.h"

/* What the training took, as a JSON object: wall_s, cpu_user_s, cpu_system_s, max_rss_bytes. */
char *run_usage_text(const struct proc_outcome *child);

/* What the user and the events said, in the form of 'thhost record --json-input'; NULL: nothing. Both
 * in fresh memory. */
char *run_said_text(const struct values *values);

#endif
