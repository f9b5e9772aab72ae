#include "base/base.h"

#include "app/batch_worker.h"

#include "app/batch_task.h"
#include "base/clock.h"
#include "base/mem.h"

const char *worker_name(const struct worker *w, size_t job)
{
	return w->plan->steps[job].job->name;
}

/* ---- notes ---- */

void worker_note(struct worker *w, size_t job)
{
	batch_state_note(w->state, job);
	if (w->work->changed)
		w->work->changed(w->work->arg, job);
}

int worker_sync(struct worker *w)
{
	if (w->trouble.code || batch_state_sync(w->state, &w->trouble) == 0)
		return w->trouble.code ? -1 : 0;
	w->is_stopping = true;
	return -1;
}

void worker_set_text(char **place, const char *text)
{
	char *copy = xstrdup_or_null(text);

	free(*place);
	*place = copy;
}

void worker_set_now(char **place)
{
	char now[CLOCK_TEXT_SIZE];

	clock_format(clock_now(), now);
	worker_set_text(place, now);
}

void worker_finish(struct worker *w, size_t job, enum batch_job_state state, const char *why)
{
	struct batch_progress *p = &w->state->jobs[job];

	if (*w->live[job].ended)
		worker_set_text(&p->end_time, w->live[job].ended);
	else if (p->start_time || state == BATCH_JOB_DONE)
		worker_set_now(&p->end_time);
	w->n_running -= w->live[job].is_handed || w->live[job].is_adopted;
	w->live[job] = (struct live_job){ .reason = NULL };
	p->state = state;
	worker_set_text(&p->why, why);
	if (state == BATCH_JOB_FAILED) {
		w->has_failed = true;
		if (!w->work->keep_going)
			w->is_stopping = true;
	}
	worker_note(w, job);
}

static void set_time(char **place, time_t when)
{
	char text[CLOCK_TEXT_SIZE];

	clock_format(when, text);
	worker_set_text(place, text);
}

void worker_take_times(struct worker *w, size_t job, const struct batch_finding *finding,
		       const struct executor_end *end)
{
	struct batch_progress *p = &w->state->jobs[job];
	struct live_job *live = &w->live[job];

	if (finding->start_time)
		worker_set_text(&p->start_time, finding->start_time);
	else if (end && end->started && finding->verdict == BATCH_NOT_BEGUN)
		set_time(&p->start_time, end->started);
	if (finding->end_time)
		snprintf(live->ended, sizeof(live->ended), "%s", finding->end_time);
	else if (end && end->ended)
		clock_format(end->ended, live->ended);
}

/* Back among those that wait, to begin once more. */
void worker_put_back(struct worker *w, size_t job, const char *why)
{
	worker_finish(w, job, BATCH_JOB_WAITING, why);
}

/* ---- the end of one ---- */

static int retries_of(const struct worker *w, size_t job)
{
	const char *common = batch_option(w->plan->batch, "retries", "0");

	return (int)batch_int(w->plan->steps[job].job, "retries", strtoll(common, NULL, 10));
}

void worker_fail(struct worker *w, size_t job, const char *why)
{
	struct batch_progress *p = &w->state->jobs[job];

	p->failures++;
	if (p->failures <= retries_of(w, job) && !w->is_cancelled)
		worker_put_back(w, job, why);
	else
		worker_finish(w, job, BATCH_JOB_FAILED, why);
}

static void end_interrupted(struct worker *w, size_t job, const struct batch_finding *finding)
{
	const struct live_job *live = &w->live[job];
	bool was_asked = live->was_asked || w->interrupts;
	const char *reason = live->reason;

	if (w->is_cancelled)
		worker_finish(w, job, BATCH_JOB_CANCELLED, "cancelled");
	else if (reason)
		worker_fail(w, job, reason);
	else if (was_asked || live->is_adopted || !live->is_handed)
		worker_put_back(w, job, "interrupted");
	else
		worker_fail(w, job, finding->why);
}

/* To call it failed would have it done twice, if it was recorded: the next one looks again. */
static void cannot_tell(struct worker *w, size_t job, const struct err *err)
{
	if (w->trouble.code)
		return;
	w->trouble = *err;
	w->is_stopping = true;
	err_prefix(&w->trouble, "what became of the job '%s' is not known", worker_name(w, job));
	err_hint(&w->trouble, "'thhost batch run %.13s --resume' looks again", w->state->id);
}

/* It ended well and is not in its record: 'repair' does what can be done. */
static void settle(struct worker *w, size_t job)
{
	struct batch_progress *p = &w->state->jobs[job];
	const struct batch_step *step = &w->plan->steps[job];
	struct batch_finding finding;
	struct err err = ERR_INIT;
	char *why;

	batch_task_repair(w->work, step);
	if (batch_judge(step, p->run_id, &finding, &err) < 0) {
		cannot_tell(w, job, &err);
		return;
	}
	if (finding.verdict == BATCH_ENDED_WELL) {
		worker_finish(w, job, BATCH_JOB_DONE, NULL);
	} else {
		why = xstrf("trained, but not recorded: %s; 'thhost repair %s'",
			    finding.why ? finding.why : "its entry waits", step->ref);
		worker_finish(w, job, BATCH_JOB_FAILED, why); /* once more would train once more */
		free(why);
	}
	batch_finding_release(&finding);
}

/* 'status' as of ops->poll(), or -1. */
void worker_conclude(struct worker *w, size_t job, int status, const struct batch_finding *finding)
{
	struct batch_progress *p = &w->state->jobs[job];
	char *why;

	p->exit_code = status >= 0 ? status : finding->exit_code;
	switch (finding->verdict) {
	case BATCH_ENDED_WELL:
		worker_finish(w, job, BATCH_JOB_DONE, NULL);
		return;
	case BATCH_UNSETTLED:
		settle(w, job);
		return;
	case BATCH_INTERRUPTED:
		end_interrupted(w, job, finding);
		return;
	case BATCH_FAILED:
		if (w->live[job].reason)
			worker_fail(w, job, w->live[job].reason);
		else
			worker_fail(w, job, finding->why);
		return;
	case BATCH_NOT_BEGUN:
		why = batch_task_last_words(w->state, job);
		if (w->is_cancelled)
			worker_finish(w, job, BATCH_JOB_CANCELLED, "cancelled");
		else if (w->live[job].was_asked || w->interrupts)
			worker_put_back(w, job, "interrupted");
		else
			worker_fail(w, job, why ? why : "it did not begin");
		free(why);
		return;
	case BATCH_GOES_ON:
		break;
	}
	/* Its 'thhost run' is gone, and the training is not: it is waited for. */
	w->n_running -= w->live[job].is_handed;
	w->live[job].is_handed = false;
	w->n_running += !w->live[job].is_adopted;
	w->live[job].is_adopted = true;
}

/* ---- what the executor says ---- */

#define LAG_MS 60000 /* another host's file may be seen that much later through NFS */

static bool has_run(const struct batch_finding *finding)
{
	return finding->verdict != BATCH_NOT_BEGUN;
}

/* It ended with 0 there, and here nothing shows it yet. */
static void wait_for_journal(struct worker *w, size_t job)
{
	struct live_job *live = &w->live[job];

	live->is_handed = false; /* still counted: it is adopted instead */
	live->is_adopted = true;
	live->lag_ms = clock_monotonic_ms() + LAG_MS;
}

static void fail_with(struct worker *w, size_t job, const char *reason,
		      const struct batch_finding *finding)
{
	char *why = finding->verdict == BATCH_FAILED && finding->why
			    ? xstrf("%s (%s)", reason, finding->why)
			    : xstrdup(reason);

	worker_fail(w, job, why);
	free(why);
}

/* Does something that it waits for stand in its way? Then nobody had to cancel it. */
static bool is_in_vain(const struct worker *w, size_t job)
{
	const struct batch_needs *needs = &w->plan->order.of[job];

	for (size_t i = 0; i < needs->n; i++) {
		enum batch_job_state state = w->state->jobs[needs->v[i].on].state;

		if (!batch_job_is_good(state) && state != BATCH_JOB_RUNNING)
			return true;
	}
	return false;
}

/* It never came to the queue, or left it before it began. */
static void never_begun(struct worker *w, size_t job, const struct executor_end *end)
{
	struct batch_progress *p = &w->state->jobs[job];

	worker_set_text(&p->executor_id, NULL);
	worker_set_text(&p->start_time, NULL);
	*w->live[job].ended = '\0';
	if (w->is_cancelled) {
		worker_finish(w, job, BATCH_JOB_CANCELLED, "cancelled");
	} else if (end->cause == EXECUTOR_NEVER || end->cause == EXECUTOR_WITHDRAWN ||
		   is_in_vain(w, job)) {
		p->attempt -= p->attempt > 0;
		worker_put_back(w, job, NULL);
	} else {
		worker_finish(w, job, BATCH_JOB_CANCELLED, "cancelled in the queue");
	}
}

/* A run on another host that the scheduler says is over: there is nobody left who could close it. */
static bool is_lost(const struct batch_finding *finding, const struct executor_end *end)
{
	return finding->verdict == BATCH_GOES_ON && finding->is_elsewhere &&
	       (end->cause != EXECUTOR_ENDED || end->status < 0) &&
	       end->cause != EXECUTOR_VANISHED && end->cause != EXECUTOR_NEVER;
}

/* What cannot be closed now stays open in its journal; the batch goes on all the same. */
static void close_lost(struct worker *w, size_t job, const struct executor_end *end)
{
	char *why = xstrf("given up: %s",
			  end->reason ? end->reason : "it ended on another host without a word");
	struct err err = ERR_INIT;

	if (batch_give_up(&w->plan->steps[job], w->state->jobs[job].run_id, NULL, why, &err) < 0 &&
	    w->work->said)
		w->work->said(w->work->arg, err.msg);
	free(why);
}

/* What is known from the scheduler alone; false: the journal says all there is. */
static bool act_upon_end(struct worker *w, size_t job, const struct executor_end *end,
			 const struct batch_finding *finding)
{
	bool is_good = finding->verdict == BATCH_ENDED_WELL || finding->verdict == BATCH_UNSETTLED;
	bool is_cancel = end->cause == EXECUTOR_CANCELLED || end->cause == EXECUTOR_VANISHED ||
			 end->cause == EXECUTOR_NEVER || end->cause == EXECUTOR_WITHDRAWN;

	if (is_good || !w->work->executor->ops->waits_itself)
		return false;
	if (is_lost(finding, end))
		close_lost(w, job, end);
	if (is_cancel && !has_run(finding))
		never_begun(w, job, end);
	else if (w->is_cancelled && (has_run(finding) || is_lost(finding, end)))
		worker_finish(w, job, BATCH_JOB_CANCELLED, "cancelled");
	else if (end->cause == EXECUTOR_KILLED)
		fail_with(w, job, end->reason, finding);
	else if (end->cause == EXECUTOR_PUT_BACK || end->cause == EXECUTOR_WITHDRAWN)
		worker_put_back(w, job, end->reason);
	else if (end->cause == EXECUTOR_CANCELLED)
		worker_finish(w, job, BATCH_JOB_CANCELLED, end->reason);
	else if (end->status == 0 && (!has_run(finding) ||
				      (finding->verdict == BATCH_GOES_ON && finding->is_elsewhere)))
		wait_for_journal(w, job);
	else if (is_lost(finding, end))
		worker_fail(w, job, "it ended on another host without a word");
	else
		return false;
	return true;
}

void worker_on_ended(void *arg, size_t job, const struct executor_end *end)
{
	struct worker *w = arg;
	struct batch_progress *p = &w->state->jobs[job];
	struct batch_finding finding;
	struct err err = ERR_INIT;

	worker_set_text(&p->queue, NULL);
	if (batch_judge(&w->plan->steps[job], p->run_id, &finding, &err) < 0) {
		cannot_tell(w, job, &err);
		return;
	}
	worker_take_times(w, job, &finding, end);
	if (!act_upon_end(w, job, end, &finding))
		worker_conclude(w, job, end->status, &finding);
	batch_finding_release(&finding);
}

/* Its time begins with it, not with the wait in the queue. */
void worker_on_queued(void *arg, size_t job, const char *text, time_t started)
{
	struct worker *w = arg;
	struct batch_progress *p = &w->state->jobs[job];
	bool was_running = w->live[job].has_begun;
	bool runs = started != 0;

	worker_set_text(&p->queue, text);
	w->live[job].has_begun = runs;
	if (runs && !was_running)
		set_time(&p->start_time, started);
	if (runs != was_running) /* or else it only waits for something else now */
		worker_note(w, job);
}

void worker_on_named(void *arg, size_t job, const char *executor_id)
{
	struct worker *w = arg;

	worker_set_text(&w->state->jobs[job].executor_id, executor_id);
	batch_state_note(w->state, job);
}
