/*
 * batch_page - a batch as it is shown: its plan, what was recorded, and how it stands.
 */
#ifndef CLI_BATCH_PAGE_H
#define CLI_BATCH_PAGE_H
#include "app/batch_record.h"
#include "model/batch_state.h"

/* What would be done, in which order, and what waits for what. 'chosen' (as plan->steps): the jobs
 * that --only leaves; NULL: all. */
void batch_plan_page(const struct batch_plan *plan, const bool *chosen, struct str *out);
void batch_plan_json(const struct batch_plan *plan, const bool *chosen, struct str *out);

/* What became of the recordings; true if all are in their records. */
bool batch_recordings_page(const struct batch_plan *plan, const struct batch_recordings *recordings,
			   struct str *out);
bool batch_recordings_json(const struct batch_plan *plan, const struct batch_recordings *recordings,
			   struct str *out);

/* How a batch stands, job by job. */
void batch_state_page(const struct batch_state *state, struct str *out);
void batch_state_json(const struct batch_state *state, struct str *out);

/* All batches, the newest first. */
void batch_list_page(struct batch_state *const *states, size_t n, struct str *out);
void batch_list_json(struct batch_state *const *states, size_t n, struct str *out);

#endif
