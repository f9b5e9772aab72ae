#include "base/base.h"

#include "app/batch_run.h"

#include "app/batch_needed.h"
#include "app/batch_record.h"
#include "app/batch_task.h"
#include "app/batch_worker.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sys/proc.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

#define TICK_MS 100
#define BEAT_MS 5000
#define GRACE_MS 15000 /* between asking a job to end and making it */

/* ---- what may begin ---- */

enum readiness { NOT_YET, READY, BLOCKED };

/* With --needed: is it skipped? Either way what it does says why. */
bool worker_skips(struct worker *w, size_t job)
{
	const struct batch_step *step = &w->plan->steps[job];
	char *why;
	bool is_needed;

	if (!w->work->only_needed)
		return false;
	if (!w->has_code)
		batch_code(w->state->cwd, &w->git);
	w->has_code = true;
	is_needed = batch_is_needed(w->work->session, step, w->state->cwd, &w->git, &why);
	if (is_needed && w->work->said) {
		char *text = xstrf("%s is needed: %s", step->job->name, why);

		w->work->said(w->work->arg, text);
		free(text);
	} else if (!is_needed) {
		worker_finish(w, job, BATCH_JOB_SKIPPED, why);
	}
	free(why);
	return !is_needed;
}

static enum readiness readiness_of(const struct worker *w, size_t job, size_t *on)
{
	const struct batch_needs *needs = &w->plan->order.of[job];
	enum readiness found = READY;

	for (size_t i = 0; i < needs->n; i++) {
		enum batch_job_state state = w->state->jobs[needs->v[i].on].state;

		if (batch_job_is_good(state))
			continue;
		*on = needs->v[i].on;
		if (batch_job_is_over(state))
			return BLOCKED;
		found = NOT_YET;
	}
	return found;
}

static void block(struct worker *w, size_t job, size_t on)
{
	char *why = xstrf("'%s' is %s", worker_name(w, on),
			  batch_job_state_word(w->state->jobs[on].state));

	worker_finish(w, job, BATCH_JOB_BLOCKED, why);
	free(why);
}

static void record_ready(struct worker *w, const bool *ready, size_t n)
{
	struct batch_recordings made;
	struct err err = ERR_INIT;

	batch_recordings_init(&made, w->plan->n);
	if (batch_record(w->work->session, w->plan, ready, &made, &err) < 0)
		w->trouble = err;
	for (size_t i = 0; i < w->plan->n && n && !w->trouble.code; i++) {
		const struct batch_recorded *recorded = &made.v[i];

		if (recorded->what == BATCH_RECORDED || recorded->what == BATCH_ALREADY)
			worker_finish(w, i, BATCH_JOB_DONE,
				      recorded->what == BATCH_ALREADY ? "recorded before" : NULL);
		else if (recorded->what != BATCH_PENDING)
			worker_finish(w, i, BATCH_JOB_FAILED,
				      recorded->err ? recorded->err->msg : NULL);
	}
	batch_recordings_release(&made);
}

/* One pass over what waits: block, record, begin. */
static void go_through(struct worker *w)
{
	const struct executor_ops *ops = w->work->executor->ops;
	bool *ready = xcalloc(w->plan->n ? w->plan->n : 1, sizeof(*ready));
	size_t n_recordings = 0;
	bool is_leading = true;
	const char *why;

	for (size_t i = w->first; i < w->plan->n && !w->is_stopping; i++) {
		size_t job = w->plan->order.sorted[i];
		size_t on = 0;
		enum readiness readiness;

		if (batch_job_is_over(w->state->jobs[job].state)) {
			w->first += is_leading;
			continue;
		}
		is_leading = false;
		if (w->state->jobs[job].state != BATCH_JOB_WAITING)
			continue;
		readiness = readiness_of(w, job, &on);
		if (readiness == BLOCKED)
			block(w, job, on);
		else if (readiness == READY && w->plan->steps[job].is_recording)
			n_recordings += ready[job] = true;
		else if (readiness == READY && !ops->waits_itself && worker_room(w, job, &why) &&
			 (w->state->jobs[job].attempt || !worker_skips(w, job)))
			worker_begin(w, &job, 1, &(struct strv)STRV_INIT, true);
	}
	if (ops->waits_itself && !w->is_stopping)
		worker_hand_over(w);
	if (n_recordings && !w->is_stopping)
		record_ready(w, ready, n_recordings);
	free(ready);
}

static bool can_go_on(const struct worker *w)
{
	if (w->n_running)
		return true;
	if (w->is_stopping)
		return false;
	for (size_t i = w->first; i < w->plan->n; i++)
		if (w->state->jobs[w->plan->order.sorted[i]].state == BATCH_JOB_WAITING)
			return true;
	return false;
}

/* ---- signals, time, cancel ---- */

static void send(struct worker *w, size_t job, int number)
{
	if (w->live[job].is_handed)
		w->work->executor->ops->signal(w->work->executor, job, number);
	else if (w->live[job].is_adopted)
		worker_signal_adopted(w, job, number);
}

static void ask_to_end(struct worker *w, size_t job, const char *reason, int64_t now)
{
	struct live_job *live = &w->live[job];

	if (live->was_asked)
		return;
	live->was_asked = true;
	live->reason = reason;
	live->kill_ms = now + GRACE_MS;
	send(w, job, SIGTERM);
}

static void watch_time(struct worker *w, int64_t now)
{
	for (size_t i = 0; i < w->plan->n; i++) {
		struct live_job *live = &w->live[i];

		if (live->deadline_ms && now >= live->deadline_ms)
			ask_to_end(w, i, "it took longer than its timeout", now);
		if (live->kill_ms && now >= live->kill_ms) {
			live->kill_ms = 0;
			send(w, i, SIGKILL);
		}
	}
}

static void pass_on(struct worker *w, int number)
{
	for (size_t i = 0; i < w->plan->n; i++)
		send(w, i, number);
}

static void say(struct worker *w, const char *text)
{
	if (w->work->said)
		w->work->said(w->work->arg, text);
}

/* What goes on on another host cannot be told to end, and need not be waited for by one who leaves. */
static void let_go(struct worker *w)
{
	for (size_t i = 0; i < w->plan->n; i++) {
		if (!w->live[i].is_adopted || !worker_is_elsewhere(w, i))
			continue;
		w->live[i] = (struct live_job){ .reason = NULL };
		w->n_running--;
	}
}

static void on_said(void *arg, const char *text)
{
	say(arg, text);
}

static void on_signal(struct worker *w, int number)
{
	if (number == SIGCHLD)
		return;
	w->is_stopping = true;
	if (w->work->executor->ops->waits_itself) {
		w->interrupts++;
		w->is_leaving = true; /* the cluster goes on */
		return;
	}
	let_go(w);
	if (number != SIGINT) {
		w->interrupts += 2;
		pass_on(w, SIGTERM);
		return;
	}
	if (++w->interrupts == 1) {
		say(w, "nothing new begins; waiting for what runs (once more passes it on)");
		return;
	}
	say(w, "passed on to what runs");
	pass_on(w, SIGINT);
}

static void watch_cancel(struct worker *w, int64_t now)
{
	if (w->is_cancelled || !batch_state_is_cancelled(w->state))
		return;
	w->is_cancelled = true;
	w->is_stopping = true;
	for (size_t i = 0; i < w->plan->n; i++) {
		if (w->live[i].is_adopted && worker_is_elsewhere(w, i))
			worker_finish(w, i, BATCH_JOB_CANCELLED, "it goes on, on another host");
		else if (w->live[i].is_handed || w->live[i].is_adopted)
			ask_to_end(w, i, NULL, now);
		else if (w->state->jobs[i].state == BATCH_JOB_WAITING)
			worker_finish(w, i, BATCH_JOB_CANCELLED, "cancelled");
	}
}

#define FAIL_FAST "not begun: another job had failed"

static bool is_failing_fast(const struct worker *w)
{
	return w->has_failed && !w->work->keep_going && !w->is_cancelled;
}

/* What runs goes on; what a scheduler has not begun it shall not begin. */
static void withdraw_after_failure(struct worker *w)
{
	struct executor *executor = w->work->executor;

	if (w->has_withdrawn || !is_failing_fast(w) || !executor->ops->waits_itself)
		return;
	w->has_withdrawn = true;
	executor->ops->withdraw(executor);
}

static void explain_what_is_left(struct worker *w)
{
	for (size_t i = 0; i < w->plan->n && is_failing_fast(w); i++)
		if (w->state->jobs[i].state == BATCH_JOB_WAITING) {
			worker_set_text(&w->state->jobs[i].why, FAIL_FAST);
			batch_state_note(w->state, i);
		}
}

/* ---- the whole ---- */

static void block_signals(sigset_t *watched, sigset_t *old)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD };

	sigemptyset(watched);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(watched, numbers[i]);
	sigprocmask(SIG_BLOCK, watched, old);
}

static void wait_a_moment(struct worker *w, const sigset_t *watched)
{
	const struct timespec moment = { .tv_nsec = TICK_MS * 1000000L };
	int number = sigtimedwait(watched, NULL, &moment);

	if (number > 0)
		on_signal(w, number);
}

/* For those who look from another host; and what has been given to another is not ours to judge. */
static int beat(struct worker *w, int64_t now)
{
	if (w->beat_ms && now - w->beat_ms < BEAT_MS)
		return 0;
	w->beat_ms = now;
	return w->trouble.code ? -1 : batch_state_beat(w->state, &w->trouble);
}

static void turn(struct worker *w)
{
	struct executor *executor = w->work->executor;
	const struct executor_news news = { .arg = w,
					    .ended = worker_on_ended,
					    .queued = worker_on_queued,
					    .named = worker_on_named,
					    .said = on_said };
	int64_t now = clock_monotonic_ms();

	if (beat(w, now) < 0)
		return;
	executor->ops->poll(executor, &news);
	worker_look_at_adopted(w, now);
	watch_time(w, now);
	watch_cancel(w, now);
	withdraw_after_failure(w);
	if (!w->is_stopping)
		go_through(w);
	worker_sync(w);
	if (w->work->tick)
		w->work->tick(w->work->arg);
}

static void sum_up(const struct worker *w, struct batch_result *result)
{
	*result = (struct batch_result){ .was_interrupted = w->interrupts > 0,
					 .was_cancelled = w->is_cancelled,
					 .was_detached = w->work->detach };
	for (size_t i = 0; i < w->plan->n; i++)
		result->count[w->state->jobs[i].state]++;
}

/* One that nothing will ever be enough for would be waited for in vain. */
static int check_room(const struct worker *w, struct err *err)
{
	for (size_t i = 0; i < w->plan->n; i++) {
		const struct batch_job *job = w->plan->steps[i].job;
		const char *why;

		if (w->state->jobs[i].state != BATCH_JOB_WAITING ||
		    w->plan->steps[i].is_recording || worker_room(w, i, &why))
			continue;
		err_set(err, ERR_INVALID, "the job '%s' wants %zu GPUs, more than there are",
			job->name, worker_gpus(w, i));
		err_hint(err, "'gpus = 0, 1' in [batch] or CUDA_VISIBLE_DEVICES name those to use");
		return batch_place(err, job, "gpus");
	}
	return 0;
}

/* All that can be handed over now is, and known to be; what follows a recording, too. What there is no
 * room for is left: to wait for that is to watch. */
static bool may_detach(const struct worker *w)
{
	const struct executor *executor = w->work->executor;

	if (!w->work->detach || !executor->ops->waits_itself || executor->ops->is_unsure(executor))
		return false;
	for (size_t i = w->first; i < w->plan->n; i++) {
		size_t job = w->plan->order.sorted[i];
		const char *why;
		size_t on;

		if (w->state->jobs[job].state != BATCH_JOB_WAITING ||
		    (w->has_no_room && !w->plan->steps[job].is_recording &&
		     !worker_room(w, job, &why)))
			continue;
		if (readiness_of(w, job, &on) != NOT_YET)
			return w->is_stopping;
	}
	return true;
}

int batch_work_on(struct batch_work *work, struct batch_result *result, struct err *err)
{
	struct worker w = {
		.work = work, .state = work->state, .plan = work->plan, .trouble = ERR_INIT
	};
	sigset_t watched, old;

	if (check_room(&w, err) < 0)
		return -1;
	w.live = xcalloc(w.plan->n ? w.plan->n : 1, sizeof(*w.live));
	block_signals(&watched, &old);
	worker_take_over(&w);
	turn(&w);
	while (can_go_on(&w) && !w.trouble.code && !w.is_leaving && !may_detach(&w)) {
		if (w.n_running || w.has_no_room)
			wait_a_moment(&w, &watched);
		turn(&w);
	}
	explain_what_is_left(&w);
	worker_sync(&w);
	sigprocmask(SIG_SETMASK, &old, NULL);
	sum_up(&w, result);
	free(w.live);
	str_release(&w.git);
	if (!w.trouble.code)
		return 0;
	*err = w.trouble;
	return -1;
}

size_t batch_retry(struct batch_state *state, bool only_failed)
{
	size_t n = 0;

	for (size_t i = 0; i < state->batch.n_jobs; i++) {
		struct batch_progress *p = &state->jobs[i];
		bool is_meant = p->state == BATCH_JOB_FAILED || p->state == BATCH_JOB_BLOCKED ||
				(!only_failed && p->state == BATCH_JOB_CANCELLED);

		if (!is_meant)
			continue;
		p->state = BATCH_JOB_WAITING;
		p->failures = 0;
		batch_state_note(state, i);
		n++;
	}
	return n;
}

void batch_skip_others(struct batch_state *state, const bool *chosen)
{
	for (size_t i = 0; chosen && i < state->batch.n_jobs; i++) {
		if (chosen[i])
			continue;
		state->jobs[i].state = BATCH_JOB_SKIPPED;
		worker_set_text(&state->jobs[i].why, "not chosen");
		batch_state_note(state, i);
	}
}
