/*
 * batch_worker - what batch_run.c, which begins jobs, and batch_end.c, which judges them, share. Nobody
 * else includes this.
 */
#ifndef APP_BATCH_WORKER_H
#define APP_BATCH_WORKER_H
#include "app/batch_judge.h"
#include "app/batch_run.h"

/* What is known of a job only while this process works on it. */
struct live_job {
	bool is_handed;	    /* our executor has it */
	bool is_adopted;    /* it runs, and an earlier process had started it */
	bool was_asked;	    /* to end, because of the time or the user */
	const char *reason; /* why it was asked; static */
	int64_t deadline_ms;
	int64_t kill_ms;
	int64_t look_ms;
};

struct worker {
	struct batch_work *work;
	struct batch_state *state;
	const struct batch_plan *plan;
	struct live_job *live;
	size_t first; /* in plan->order.sorted: all before it are over */
	size_t n_running;
	int64_t beat_ms;  /* when the last sign of life was given */
	bool is_stopping; /* nothing new begins */
	bool has_failed;
	bool is_cancelled;
	int interrupts;
	bool has_code;
	struct str git;	    /* what it says of the code, for --needed */
	struct err trouble; /* the state cannot be kept */
};

const char *worker_name(const struct worker *w, size_t job);

/* Note what a job has become, and tell; the note is on the disk after worker_sync(). -1: it cannot
 * be kept, and nothing new begins. */
void worker_note(struct worker *w, size_t job);
int worker_sync(struct worker *w);

/* A job is over, for now or for good; 'why' may be NULL. */
void worker_finish(struct worker *w, size_t job, enum batch_job_state state, const char *why);

/* It waits again, to begin once more; that it was interrupted is no failure. */
void worker_put_back(struct worker *w, size_t job, const char *why);

/* It has failed: once more, if there are retries left. */
void worker_fail(struct worker *w, size_t job, const char *why);

/* Act upon what was found of its run; 'status' as of ops->poll(), or -1. */
void worker_conclude(struct worker *w, size_t job, int status, const struct batch_finding *finding);

/* For ops->poll(); 'arg' is the worker. */
void worker_on_ended(void *arg, size_t job, int status);

void worker_set_text(char **place, const char *text);
void worker_set_now(char **place);

#endif
