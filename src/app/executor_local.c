#include "base/base.h"

#include "app/executor.h"

#include "base/mem.h"
#include "sys/proc.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct local_job {
	size_t job;
	pid_t pid;
};

struct local {
	struct executor base;
	struct local_job *jobs;
	size_t n;
	size_t limit;
	struct strv gpus;
	size_t *gpu_of; /* of each GPU: the job that has it + 1 */
	char *self;
};

static struct local *local_of(struct executor *e)
{
	return (struct local *)e; /* its first member */
}

/* ---- GPUs ---- */

static size_t free_gpus(const struct local *local)
{
	size_t n = 0;

	for (size_t i = 0; i < local->gpus.n; i++)
		n += !local->gpu_of[i];
	return n;
}

static void take_gpus(struct local *local, size_t job, size_t count, struct str *names)
{
	for (size_t i = 0; i < local->gpus.n && count; i++) {
		if (local->gpu_of[i])
			continue;
		local->gpu_of[i] = job + 1;
		str_addf(names, "%s%s", names->len ? "," : "", local->gpus.v[i]);
		count--;
	}
}

static void give_back(struct local *local, size_t job)
{
	for (size_t i = 0; i < local->gpus.n; i++)
		if (local->gpu_of[i] == job + 1)
			local->gpu_of[i] = 0;
}

static size_t room(const struct executor *e, const struct batch_job *spec, size_t gpus,
		   const char **why)
{
	const struct local *local = (const struct local *)e;

	(void)spec;
	*why = NULL;
	return local->n < local->limit && (gpus == SIZE_MAX || gpus <= free_gpus(local));
}

/* ---- starting ---- */

/* Ours, but for the names that 'added' sets. */
static void make_environment(char *const *added, const char *gpus, struct strv *env)
{
	if (gpus)
		strv_pushf(env, "CUDA_VISIBLE_DEVICES=%s", gpus);
	for (char *const *entry = added; *entry; entry++)
		strv_push(env, *entry);
	for (char **entry = environ; *entry; entry++) {
		size_t len = strcspn(*entry, "=") + 1;
		bool is_set = false;

		for (size_t i = 0; i < env->n && !is_set; i++)
			is_set = strncmp(env->v[i], *entry, len) == 0;
		if (!is_set)
			strv_push(env, *entry);
	}
}

static int start(const struct local *local, const struct executor_task *task, char *const *env,
		 pid_t *pid, struct err *err)
{
	struct spawn_failure failure = { .number = 0 };
	sigset_t none;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const struct spawn spawn = {
		.argv = task->argv,
		.env = env,
		.exe = local->self,
		.cwd = task->cwd,
		.std = { null, task->log_fd, task->log_fd },
		.own_group = true,
		.close_others = true,
		.mask = &none,
	};
	int result;

	sigemptyset(&none);
	if (null < 0)
		return err_errno(err, ERR_FAILED, "cannot open '/dev/null'");
	result = spawn_start(&spawn, pid, &failure);
	close(null);
	if (result == 0)
		return 0;
	errno = failure.number;
	return err_errno(err, ERR_FAILED, "cannot start '%s'", local->self);
}

static void prepare(struct executor *e, const struct executor_task *tasks, size_t n)
{
	(void)e;
	for (size_t i = 0; i < n; i++) {
		free(tasks[i].progress->executor_id);
		tasks[i].progress->executor_id = NULL;
	}
}

static int submit(struct executor *e, const struct executor_task *task, size_t n, struct err *err)
{
	struct local *local = local_of(e);
	struct batch_progress *progress = task->progress;
	struct str gpus = STR_INIT;
	struct strv env = STRV_INIT;
	pid_t pid = 0;
	int result;

	(void)n; /* one at a time */
	if (task->gpus != SIZE_MAX)
		take_gpus(local, task->job, task->gpus, &gpus);
	make_environment(task->added, task->gpus == SIZE_MAX ? NULL : gpus.buf, &env);
	result = start(local, task, env.v, &pid, err);
	if (result == 0) {
		local->jobs = xreallocarray(local->jobs, local->n + 1, sizeof(*local->jobs));
		local->jobs[local->n++] = (struct local_job){ task->job, pid };
		progress->pid = pid;
		progress->pid_start = proc_start_time(pid);
		free(progress->gpus);
		progress->gpus = gpus.len ? xstrdup(gpus.buf) : NULL;
	} else {
		give_back(local, task->job);
	}
	strv_release(&env);
	str_release(&gpus);
	return result;
}

/* ---- the end ---- */

static int shell_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void poll_jobs(struct executor *e, const struct executor_news *news)
{
	struct local *local = local_of(e);
	size_t left = 0;
	size_t n = local->n;

	for (size_t i = 0; i < n; i++) {
		struct local_job job = local->jobs[i];
		int status = 0;
		pid_t got = waitpid(job.pid, &status, WNOHANG);

		if (got == 0 || (got < 0 && errno == EINTR)) {
			local->jobs[left++] = job;
			continue;
		}
		give_back(local, job.job);
		news->ended(news->arg, job.job,
			    &(struct executor_end){ .status =
							    got < 0 ? -1 : shell_status(status) });
	}
	local->n = left;
}

/* 'thhost run' passes on what it alone is sent; what cannot be caught is for all of the group. */
static void signal_job(struct executor *e, size_t job, int number)
{
	struct local *local = local_of(e);

	for (size_t i = 0; i < local->n; i++)
		if (local->jobs[i].job == job)
			kill(number == SIGKILL ? -local->jobs[i].pid : local->jobs[i].pid, number);
}

static void close_local(struct executor *e)
{
	struct local *local = local_of(e);

	free(local->jobs);
	strv_release(&local->gpus);
	free(local->gpu_of);
	free(local->self);
	free(local);
}

static const struct executor_ops ops = {
	.name = "local",
	.room = room,
	.prepare = prepare,
	.submit = submit,
	.poll = poll_jobs,
	.signal = signal_job,
	.close = close_local,
};

struct executor *executor_local(size_t jobs, const struct strv *gpus)
{
	struct local *local = xcalloc(1, sizeof(*local));

	local->base.ops = &ops;
	local->limit = jobs;
	strv_copy(&local->gpus, gpus->v);
	local->gpu_of = xcalloc(gpus->n ? gpus->n : 1, sizeof(*local->gpu_of));
	local->self = proc_self();
	return &local->base;
}
