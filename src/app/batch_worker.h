/*
 * batch_worker - what the files share that work on a batch: batch_run.c says when a job may begin,
 * batch_begin.c begins it, batch_hand_over.c makes arrays for a scheduler, batch_adopt.c goes on with
 * what an earlier process left, batch_end.c judges what is over. Nobody else includes this.
 */
#ifndef APP_BATCH_WORKER_H
#define APP_BATCH_WORKER_H
#include "app/batch_judge.h"
#include "app/batch_run.h"
#include "base/clock.h"

/* What is known of a job only while this process works on it. */
struct live_job {
	bool is_handed;	    /* our executor has it */
	bool is_adopted;    /* it runs, and an earlier process had started it */
	bool was_asked;	    /* to end, because of the time or the user */
	const char *reason; /* why it was asked; static */
	int64_t deadline_ms;
	int64_t kill_ms;
	int64_t look_ms;
	int64_t lag_ms; /* it ended well, and until then its journal may not show it; 0 */
	bool is_needed; /* --needed was asked, and it is */
	bool has_begun; /* in the scheduler's queue */
	char ended[CLOCK_TEXT_SIZE]; /* when it did, by who knows better than we; "" */
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
	bool is_leaving;  /* what a scheduler has goes on unwatched */
	bool has_failed;
	bool has_withdrawn; /* with --fail-fast: what a scheduler had queued */
	bool has_no_room;   /* some could begin, but the executor takes no more of them now */
	bool has_said_room;
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

/* When it began and ended, by its journal, or else by the executor ('end' may be NULL). */
void worker_take_times(struct worker *w, size_t job, const struct batch_finding *finding,
		       const struct executor_end *end);

/* How many like this job may be handed over now; 0: none, and 'why' or NULL, as of ops->room(). */
size_t worker_room(const struct worker *w, size_t job, const char **why);

/* Act upon what was found of its run; 'status' as of ops->poll(), or -1. */
void worker_conclude(struct worker *w, size_t job, int status, const struct batch_finding *finding);

/* For ops->poll(); 'arg' is the worker. */
void worker_on_ended(void *arg, size_t job, const struct executor_end *end);
void worker_on_queued(void *arg, size_t job, const char *text, time_t started);
void worker_on_named(void *arg, size_t job, const char *executor_id);

/* Begin them; more than one only where the executor waits itself, for 'waits_for' (executor ids).
 * 'is_fresh': with new ids of their runs. False: they wait as before, there is no room for so many. */
bool worker_begin(struct worker *w, const size_t *jobs, size_t n, const struct strv *waits_for,
		  bool is_fresh);

/* Hand over all that can wait in a scheduler's queue. */
void worker_hand_over(struct worker *w);

/* With --needed: is it skipped? Either way what it does says why. */
bool worker_skips(struct worker *w, size_t job);

size_t worker_gpus(const struct worker *w, size_t job); /* SIZE_MAX: it does not say */

/* In monotonic milliseconds; 0: it has all the time, or its executor sees to that. */
int64_t worker_deadline(const struct worker *w, size_t job);

/* Go on with what an earlier process had begun. */
void worker_take_over(struct worker *w);

/* Is any of it over that is no child of ours? */
void worker_look_at_adopted(struct worker *w, int64_t now);
void worker_signal_adopted(struct worker *w, size_t job, int number);
bool worker_is_elsewhere(const struct worker *w, size_t job);

void worker_set_text(char **place, const char *text);
void worker_set_now(char **place);

#endif
