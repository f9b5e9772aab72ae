#include "base/base.h"

#include "app/batch_worker.h"

#include "app/batch_task.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sys/proc.h"

#include <limits.h>
#include <unistd.h>

/* ---- what a job is told ---- */

static void describe_process(struct batch_progress *p)
{
	char host[HOST_NAME_MAX + 1] = "";
	char boot[64];

	gethostname(host, sizeof(host) - 1);
	clock_boot_id(boot);
	worker_set_text(&p->host, host);
	worker_set_text(&p->boot_id, boot);
	p->pid_ns = proc_pid_namespace();
	p->pid = 0;
	p->pid_start = 0;
}

size_t worker_gpus(const struct worker *w, size_t job)
{
	int64_t n = batch_int(w->plan->steps[job].job, "gpus", -1);

	return n < 0 ? SIZE_MAX : (size_t)n;
}

size_t worker_room(const struct worker *w, size_t job, const char **why)
{
	const struct executor *executor = w->work->executor;

	return executor->ops->room(executor, w->plan->steps[job].job, worker_gpus(w, job), why);
}

static int64_t timeout_of(const struct worker *w, size_t job)
{
	const char *common = batch_option(w->plan->batch, "timeout", NULL);
	int64_t preset = common ? batch_seconds(common) : 0;

	return batch_seconds_of(w->plan->steps[job].job, "timeout", preset);
}

/* Its time has run since it began, whoever watched. */
int64_t worker_deadline(const struct worker *w, size_t job)
{
	int64_t timeout = timeout_of(w, job);
	char now[CLOCK_TEXT_SIZE];
	double gone = 0;

	if (timeout <= 0 || w->work->executor->ops->waits_itself)
		return 0;
	clock_format(clock_now(), now);
	if (!w->state->jobs[job].start_time ||
	    clock_between(w->state->jobs[job].start_time, now, &gone) < 0 || gone < 0)
		gone = 0;
	return clock_monotonic_ms() + timeout * 1000 - (int64_t)(gone * 1000);
}

/* One task for an executor that starts it itself. */
struct start {
	struct strv argv;
	struct strv added;
};

static int open_start(struct worker *w, struct executor_task *task, struct start *start,
		      struct err *err)
{
	const struct batch_step *step = &w->plan->steps[task->job];

	*start = (struct start){ .argv = STRV_INIT, .added = STRV_INIT };
	if (w->work->executor->ops->waits_itself)
		return 0;
	task->log_fd =
		batch_state_open_log(w->state, task->job, task->progress->attempt, true, err);
	if (task->log_fd < 0)
		return -1;
	batch_task_command(&w->work->session->options, w->work->config_file, w->state, step,
			   task->progress->run_id, &start->argv);
	batch_task_environment(w->state, step, &start->added);
	task->argv = start->argv.v;
	task->added = start->added.v;
	return 0;
}

static void close_start(const struct executor_task *task, struct start *start)
{
	if (task->log_fd >= 0)
		close(task->log_fd);
	strv_release(&start->argv);
	strv_release(&start->added);
}

static int submit(struct worker *w, struct executor_task *tasks, size_t n, struct err *err)
{
	struct start start;
	int result = open_start(w, tasks, &start, err); /* more than one are handed over */

	if (result == 0)
		result = w->work->executor->ops->submit(w->work->executor, tasks, n, err);
	close_start(tasks, &start);
	return result;
}

/* ---- the beginning ---- */

static struct executor_task *make_tasks(struct worker *w, const size_t *jobs, size_t n,
					const struct strv *waits_for)
{
	struct executor_task *tasks = xcalloc(n, sizeof(*tasks));

	for (size_t i = 0; i < n; i++)
		tasks[i] = (struct executor_task){ .job = jobs[i],
						   .spec = w->plan->steps[jobs[i]].job,
						   .progress = &w->state->jobs[jobs[i]],
						   .cwd = w->state->cwd,
						   .gpus = worker_gpus(w, jobs[i]),
						   .timeout = timeout_of(w, jobs[i]),
						   .waits_for = waits_for->v,
						   .n_waits_for = waits_for->n,
						   .log_fd = -1 };
	return tasks;
}

static int mark(struct worker *w, size_t job, bool is_fresh)
{
	struct batch_progress *p = &w->state->jobs[job];

	if (is_fresh && id_make(p->run_id, &w->trouble) < 0)
		return -1;
	p->attempt += is_fresh;
	p->state = BATCH_JOB_RUNNING;
	p->exit_code = -1;
	worker_set_now(&p->start_time);
	worker_set_text(&p->end_time, NULL);
	worker_set_text(&p->queue, NULL);
	describe_process(p);
	return 0;
}

/* What a scheduler has refused once it refuses again. */
static void refused(struct worker *w, size_t job, const struct err *why)
{
	struct err err = *why;

	if (!w->work->executor->ops->waits_itself) {
		worker_fail(w, job, err.msg);
		return;
	}
	batch_place(&err, w->plan->steps[job].job, NULL);
	worker_set_text(&w->state->jobs[job].executor_id, NULL);
	worker_finish(w, job, BATCH_JOB_FAILED, err.msg);
}

/* As it was before: its id was never used. */
static void take_back(struct worker *w, size_t job, bool is_fresh)
{
	struct batch_progress *p = &w->state->jobs[job];

	p->attempt -= is_fresh;
	p->state = BATCH_JOB_WAITING;
	worker_set_text(&p->executor_id, NULL);
	worker_set_text(&p->start_time, NULL);
	batch_state_note(w->state, job);
}

static void has_begun(struct worker *w, size_t job)
{
	w->live[job] =
		(struct live_job){ .is_handed = true, .deadline_ms = worker_deadline(w, job) };
	w->n_running++;
	worker_set_text(&w->state->jobs[job].why, NULL);
	worker_note(w, job);
}

/*
 * The runs' ids are on the disk before anything is started: whatever happens from here on, the next one
 * that works on this batch finds out by them. An id that has never begun is used once more.
 */
bool worker_begin(struct worker *w, const size_t *jobs, size_t n, const struct strv *waits_for,
		  bool is_fresh)
{
	struct executor_task *tasks;
	struct err err = ERR_INIT;
	bool has_room = true;
	int result;

	for (size_t i = 0; i < n; i++)
		if (mark(w, jobs[i], is_fresh) < 0)
			return true;
	tasks = make_tasks(w, jobs, n, waits_for);
	w->work->executor->ops->prepare(w->work->executor, tasks, n);
	for (size_t i = 0; i < n; i++)
		batch_state_note(w->state, jobs[i]);
	if (worker_sync(w) == 0) {
		result = submit(w, tasks, n, &err);
		has_room = result == 0 || err.code != ERR_BUSY ||
			   !w->work->executor->ops->waits_itself;
		for (size_t i = 0; i < n; i++)
			if (!has_room)
				take_back(w, jobs[i], is_fresh);
			else if (result < 0)
				refused(w, jobs[i], &err);
			else
				has_begun(w, jobs[i]);
	}
	free(tasks);
	return has_room;
}
