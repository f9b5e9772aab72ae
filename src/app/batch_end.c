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

	w->n_running -= w->live[job].is_handed || w->live[job].is_adopted;
	w->live[job] = (struct live_job){ .reason = NULL };
	p->state = state;
	worker_set_text(&p->why, why);
	if (p->start_time || state == BATCH_JOB_DONE)
		worker_set_now(&p->end_time);
	if (state == BATCH_JOB_FAILED) {
		w->has_failed = true;
		if (!w->work->keep_going)
			w->is_stopping = true;
	}
	worker_note(w, job);
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

	p->exit_code = status;
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

static void look_at(struct worker *w, size_t job, int status)
{
	struct batch_finding finding;
	struct err err = ERR_INIT;

	if (batch_judge(&w->plan->steps[job], w->state->jobs[job].run_id, &finding, &err) < 0) {
		cannot_tell(w, job, &err);
		return;
	}
	worker_conclude(w, job, status, &finding);
	batch_finding_release(&finding);
}

void worker_on_ended(void *arg, size_t job, int status)
{
	look_at(arg, job, status);
}
