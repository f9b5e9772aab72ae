/*
 * batch_run - work through a batch: what may begin begins, what is over is judged, all of it noted
 * first.
 *
 *	struct batch_work work = { .session = session, .state = &state, .plan = &plan, ... };
 *	batch_work_on(&work, &result, &err);
 *
 * The state is created or taken by the caller. Killed at any moment, the same call goes on: what had
 * been handed over is judged by the journal of its stage directory, and what still goes on is waited
 * for. One interrupt: nothing new begins; each further one is passed on to what runs. What a
 * scheduler has goes on without us: there any signal ends only the watching.
 */
#ifndef APP_BATCH_RUN_H
#define APP_BATCH_RUN_H
#include "app/batch_plan.h"
#include "app/executor.h"
#include "model/batch_state.h"

struct batch_work {
	struct session *session;
	struct batch_state *state;
	const struct batch_plan *plan;
	struct executor *executor;
	const char *config_file; /* --config, absolute; or NULL */
	bool keep_going;
	const char *gone_host; /* the user says so: what goes on there is given up; or NULL */
	bool detach; /* with an executor that waits itself: return once all that can be is there */
	bool only_needed; /* skip what would do nothing new: see batch_needed.h */

	/* Told of each change of a job, and every 'tick' while something runs; either may be NULL. */
	void (*changed)(void *arg, size_t job);
	void (*tick)(void *arg);
	/* One line for the user: what an interrupt has done. */
	void (*said)(void *arg, const char *text);
	void *arg;
};

struct batch_result {
	size_t count[BATCH_JOB_CANCELLED + 1]; /* by state */
	bool was_interrupted;
	bool was_cancelled;
	bool was_detached;
};

/* 0 when nothing is left that could begin, or when it was stopped; -1 where the state cannot be
 * kept: what runs then goes on, and a later call will find it. */
int batch_work_on(struct batch_work *work, struct batch_result *result, struct err *err);

/* Set jobs that failed, were blocked or cancelled back to waiting; the number of them. */
size_t batch_retry(struct batch_state *state, bool only_failed);

/* Note that the jobs which are not chosen are skipped. */
void batch_skip_others(struct batch_state *state, const bool *chosen);

#endif
