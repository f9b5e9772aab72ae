#include "base/base.h"

#include "cli/batch_job.h"

#include "app/batch_task.h"
#include "base/mem.h"
#include "sys/path.h"
#include "sys/proc.h"

#include <fcntl.h>
#include <unistd.h>

/* 0 where this run is what the job waits for. */
static int check_run(const struct batch_state *state, size_t job, const char *run_id,
		     struct err *err)
{
	const struct batch_progress *p = &state->jobs[job];
	const char *name = state->batch.jobs[job].name;

	if (batch_state_is_cancelled(state))
		return err_set(err, ERR_FAILED, "batch %.13s was cancelled", state->id);
	if (strcmp(p->run_id, run_id) != 0)
		return err_set(err, ERR_FAILED,
			       "'%s' was handed over again since: this run, %.13s, is not wanted",
			       name, run_id);
	if (p->state != BATCH_JOB_RUNNING)
		return err_set(err, ERR_FAILED, "'%s' is %s: nothing is left to run", name,
			       batch_job_state_word(p->state));
	return 0;
}

static void set_environment(const struct batch_state *state, const struct batch_step *step)
{
	struct strv added = STRV_INIT;

	batch_task_environment(state, step, &added);
	for (size_t i = 0; i < added.n; i++) {
		char *value = strchr(added.v[i], '=');

		*value = '\0';
		setenv(added.v[i], value + 1, 1);
	}
	/* Slurm itself shows a job what it was given, and leaves the variable alone without. */
	if (batch_int(step->job, "gpus", -1) == 0 && !batch_get(step->job, "gres"))
		setenv("CUDA_VISIBLE_DEVICES", "", 1);
	strv_release(&added);
}

static int open_streams(const struct batch_state *state, size_t job, struct err *err)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int log = batch_state_open_log(state, job, state->jobs[job].attempt, true, err);
	int result = log < 0 ? -1 : 0;

	if (result == 0 && (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
			    dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0))
		result = err_errno(err, ERR_FAILED, "cannot set up the job's log");
	if (null >= 0)
		close(null);
	if (log >= 0)
		close(log);
	return result;
}

/* Of the same run once more where Slurm has put the job back into its queue. */
static int become_run(const struct cli *cli, const struct batch_state *state,
		      const struct batch_step *step, const char *run_id, struct err *err)
{
	const char *config = option_value(&cli->options, "config");
	char *config_file = config ? path_absolute(config) : NULL;
	struct strv argv = STRV_INIT;
	char *self = proc_self();

	batch_task_command(&cli->session.options, config_file, state, step, run_id, &argv);
	if (chdir(state->cwd) < 0)
		return err_errno(err, ERR_FAILED, "cannot work in '%s'", state->cwd);
	if (open_streams(state, (size_t)(step->job - state->batch.jobs), err) < 0)
		return -1;
	set_environment(state, step);
	execv(self, argv.v);
	err_errno(err, ERR_FAILED, "cannot start '%s'", self);
	free(self);
	strv_release(&argv);
	free(config_file);
	return -1;
}

static int find_job(const struct batch_state *state, const char *name, size_t *job, struct err *err)
{
	uintptr_t at = (uintptr_t)map_get(&state->batch.by_name, name);

	if (!at)
		return err_set(err, ERR_NOT_FOUND, "there is no job '%s' in batch %.13s", name,
			       state->id);
	*job = at - 1;
	return 0;
}

int batch_job_verb(struct cli *cli, struct err *err)
{
	const char *name = operand(cli, 2);
	const char *run_id = operand(cli, 3);
	struct batch_state state = BATCH_STATE_INIT;
	struct batch_plan plan = { .n = 0 };
	size_t job = 0;
	int result;

	if (!name || !run_id)
		return err_set(err, ERR_USAGE, "which run? (thhost batch job BATCH JOB RUN_ID)");
	result = session_layout(&cli->session, err);
	if (result == 0)
		result = batch_state_open(&state, cli->session.layout.rootfd, operand(cli, 1), err);
	if (result == 0)
		result = find_job(&state, name, &job, err);
	if (result == 0)
		result = check_run(&state, job, run_id, err);
	if (result == 0)
		result = batch_plan_make(&plan, &cli->session, &state.batch, state.common_exp, err);
	if (result == 0)
		result = become_run(cli, &state, &plan.steps[job], run_id, err);
	batch_plan_release(&plan);
	batch_state_release(&state);
	return result;
}
