/*
 * run_kept - what the journal keeps of a run so that 'repair' can record it later, for nobody else
 * knows it any more; and the two steps that 'run' and 'repair' take alike.
 */
#ifndef APP_RUN_KEPT_H
#define APP_RUN_KEPT_H
#include "app/events.h"
#include "app/run.h"

/* What the training took, as a JSON object: wall_s, cpu_user_s, cpu_system_s, max_rss_bytes. */
char *run_usage_text(const struct proc_outcome *child);

/* What the user and the events said, in the form of 'thhost record --json-input'; NULL: nothing. Both
 * in fresh memory. */
char *run_said_text(const struct values *values);

/* What the training said of itself wins over what the plugin reads, and flags over both. */
int run_take_events(struct values *values, const struct events *events, struct err *err);

/* draft_extract(), where the plugin has it; its failure is a warning if the steps are known without. */
int run_extract(struct draft *draft, struct session *session, const struct extract_source *source,
		struct err *err);

#endif
