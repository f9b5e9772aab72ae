#include "base/base.h"

#include "app/batch_queue.h"
#include "app/batch_task.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/batch_job.h"
#include "cli/batch_page.h"
#include "cli/batch_watch.h"
#include "cli/command.h"
#include "cli/pager.h"
#include "cli/render.h"
#include "sys/path.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

static const struct option_spec options[] = {
	{ "jobs", 'j', "N", "how many run at once (default: the file's, else 1)" },
	{ "executor", 0, "NAME", "who carries it out: local, slurm" },
	{ "detach", 0, NULL, "slurm: hand over what can be, and do not watch" },
	{ "resume", 'r', NULL, "go on with what was begun and stopped" },
	{ "host-is-gone", 0, "NAME",
	  "with --resume: that host is dead for certain, so what it ran is not" },
	{ "keep-going", 'k', NULL, "after a failure begin all that does not wait for it" },
	{ "fail-fast", 'x', NULL, "after a failure begin nothing new" },
	{ "needed", 0, NULL, "skip what its record has already: same inputs, command and code" },
	{ "failed", 0, NULL, "retry: not what was cancelled" },
	{ "only", 'o', "PATTERN", "only these jobs: a name, a section or a pattern (repeatable)" },
	{ "generic", 0, NULL, "stages that no plugin describes are meant, not slips of the pen" },
	{ "dry-run", 'n', NULL, "show what would be done, in which order, and why" },
	{ NULL, 0, NULL, NULL },
};

/* The jobs that --only leaves; NULL: all. */
static int choose(const struct cli *cli, const struct batch *batch, bool **out, struct err *err)
{
	const char *word;
	size_t position = 0;

	*out = NULL;
	while ((word = option_each(&cli->options, "only", &position))) {
		size_t *found;
		size_t n = batch_match(batch, word, &found);

		if (!*out)
			*out = xcalloc(batch->n_jobs ? batch->n_jobs : 1, sizeof(**out));
		for (size_t i = 0; i < n; i++)
			(*out)[found[i]] = true;
		free(found);
		if (!n)
			return err_set(err, ERR_USAGE, "--only: there is no job '%s'", word);
	}
	return 0;
}

static int show_plan(const struct cli *cli, const struct batch_plan *plan, const bool *chosen)
{
	struct str out = STR_INIT;
	int result;

	if (cli->json)
		batch_plan_json(plan, chosen, &out);
	else
		batch_plan_page(plan, chosen, &out);
	result = print_paged(&out, &cli->session.conf) < 0 ? 1 : 0;
	str_release(&out);
	return result;
}

/* What is asked for, once it is known to be in order. */
struct request {
	struct batch batch;
	struct batch_plan plan;
	bool *chosen;
};

static void request_release(struct request *request)
{
	free(request->chosen);
	batch_plan_release(&request->plan);
	batch_release(&request->batch);
}

static int read_batch(struct cli *cli, struct request *request, struct err *err)
{
	const char *file = operand(cli, 1);

	if (!file)
		return err_set(err, ERR_USAGE, "which file? (thhost batch %s FILE)",
			       operand(cli, 0));
	return batch_read(&request->batch, file, err);
}

static int plan_batch(struct cli *cli, struct request *request, struct err *err)
{
	if (batch_plan_make(&request->plan, &cli->session, &request->batch, NULL, err) < 0)
		return -1;
	return choose(cli, &request->batch, &request->chosen, err);
}

/* ---- run ---- */

static int make_root(struct cli *cli, const struct batch *batch, struct err *err)
{
	char *root;
	int result = 0;

	for (size_t i = 0; i < batch->n_jobs; i++)
		if (batch_bool(&batch->jobs[i], "new_exp", false)) {
			root = conf_path(&cli->session.conf, "artifact.root");
			result = layout_make_root(root, err);
			free(root);
			break;
		}
	return result;
}

/* The GPUs to give out: the file's, else those that we were given. */
static int find_gpus(const struct batch *batch, struct strv *gpus, struct err *err)
{
	const char *visible = getenv("CUDA_VISIBLE_DEVICES");
	const char *text = batch_option(batch, "gpus", visible && *visible ? visible : NULL);

	return text ? batch_split_list(text, gpus, err) : 0;
}

static int open_local(const struct batch *batch, int64_t limit, struct executor **out,
		      struct err *err)
{
	struct strv gpus = STRV_INIT;
	int result = find_gpus(batch, &gpus, err);

	if (result == 0)
		*out = executor_local((size_t)limit, &gpus);
	strv_release(&gpus);
	return result;
}

/* A limit only where somebody has said one: the cluster has limits of its own. */
static int open_slurm(struct cli *cli, const struct batch_state *state, int64_t limit,
		      const char *config_file, struct executor **out, struct err *err)
{
	bool is_limited =
		option_given(&cli->options, "jobs") || batch_option(&state->batch, "jobs", NULL);
	struct strv words = STRV_INIT;
	struct executor_slurm_setup setup = { .state = state,
					      .limit = is_limited ? (size_t)limit : 0 };

	batch_task_options(&cli->session.options, config_file, state->root, &words);
	setup.options = words.v;
	*out = executor_slurm(&setup, err);
	strv_release(&words);
	return *out ? 0 : -1;
}

static const char *executor_of(const struct cli *cli, const struct batch *batch)
{
	const char *given = option_value(&cli->options, "executor");

	return given ? given : batch_option(batch, "executor", "local");
}

/* Whether it can be carried out at all is known before anything is made. */
static int check_executor(const struct cli *cli, const struct batch *batch, struct err *err)
{
	const char *name = executor_of(cli, batch);
	bool is_slurm = strcmp(name, "slurm") == 0;

	if (!is_slurm && strcmp(name, "local") != 0)
		return err_set(err, ERR_USAGE, "there is no executor '%s'; known: local, slurm",
			       name);
	if (!is_slurm && option_given(&cli->options, "detach"))
		return err_set(err, ERR_USAGE,
			       "--detach is for --executor slurm: jobs on this machine want us");
	return is_slurm ? executor_slurm_check(err) : 0;
}

static int open_executor(struct cli *cli, const struct batch_state *state, const char *config_file,
			 struct executor **out, struct err *err)
{
	const char *name = executor_of(cli, &state->batch);
	int64_t limit = strtoll(batch_option(&state->batch, "jobs", "1"), NULL, 10);

	if (check_executor(cli, &state->batch, err) < 0 ||
	    option_integer(&cli->options, "jobs", 1, 1024, &limit, err) < 0)
		return -1;
	if (strcmp(name, "slurm") == 0)
		return open_slurm(cli, state, limit, config_file, out, err);
	if (batch_queue_has_any(state)) {
		err_set(err, ERR_USAGE, "jobs of batch %.13s are in Slurm's queue", state->id);
		return err_hint(err, "go on with --executor slurm, or 'thhost batch cancel' them");
	}
	return open_local(&state->batch, limit, out, err);
}

/* With --detach: what could not be handed over needs somebody who comes again. */
static int tell_left(const struct batch_state *state, size_t n, struct err *err)
{
	const char *why = NULL;

	for (size_t i = 0; i < state->batch.n_jobs && !why; i++)
		if (state->jobs[i].state == BATCH_JOB_WAITING)
			why = state->jobs[i].why;
	err_set(err, ERR_FAILED, "not handed over: %zu of %zu jobs%s%s", n, state->batch.n_jobs,
		why ? "; the first one " : "", why ? why : "");
	return err_hint(err,
			"'thhost batch run %.13s --resume' hands them over as room is made, with "
			"--detach those that there is room for then",
			state->id);
}

static int exit_of(const struct batch_state *state, const struct batch_result *result,
		   struct err *err)
{
	size_t left = result->count[BATCH_JOB_WAITING] + result->count[BATCH_JOB_RUNNING];

	if (result->was_interrupted && left && batch_queue_has_any(state)) {
		err_set(err, ERR_INTERRUPTED,
			"not watched any more; %zu jobs are left, and Slurm goes on with those "
			"that it has",
			left);
		return err_hint(err,
				"'thhost batch run %.13s --resume' watches again, 'thhost batch "
				"cancel %.13s' ends them",
				state->id, state->id);
	}
	if (result->was_interrupted && left) {
		err_set(err, ERR_INTERRUPTED, "interrupted; %zu jobs are left", left);
		return err_hint(err, "'thhost batch run %.13s --resume' goes on", state->id);
	}
	if (result->was_detached && result->count[BATCH_JOB_WAITING])
		return tell_left(state, result->count[BATCH_JOB_WAITING], err);
	if (result->was_detached && left)
		log_notice("'thhost batch run %.13s --resume' watches and does what is left",
			   state->id);
	return (left && !result->was_detached) || result->count[BATCH_JOB_FAILED] ||
	       result->count[BATCH_JOB_BLOCKED] || result->count[BATCH_JOB_CANCELLED];
}

static bool keeps_going(const struct cli *cli, const struct batch *batch)
{
	if (option_given(&cli->options, "fail-fast"))
		return false;
	return option_given(&cli->options, "keep-going") ||
	       batch_is_true(batch_option(batch, "keep_going", "yes"));
}

static int show_state(const struct cli *cli, const struct batch_state *state, struct err *err)
{
	struct str out = STR_INIT;
	int result;

	if (cli->json)
		batch_state_json(state, &out);
	else
		batch_state_page(state, &out);
	result = print_done(&out, err);
	str_release(&out);
	return result;
}

/* The state is ours; 'plan' is of its batch. */
static int work_on(struct cli *cli, struct batch_state *state, const struct batch_plan *plan,
		   struct err *err)
{
	const char *config = option_value(&cli->options, "config");
	char *config_file = config ? path_absolute(config) : NULL;
	struct batch_work work = { .session = &cli->session,
				   .state = state,
				   .plan = plan,
				   .config_file = config_file,
				   .gone_host = option_value(&cli->options, "host-is-gone"),
				   .keep_going = keeps_going(cli, &state->batch),
				   .detach = option_given(&cli->options, "detach"),
				   .only_needed = option_given(&cli->options, "needed"),
				   .changed = batch_watch_changed,
				   .tick = batch_watch_tick,
				   .said = batch_watch_said };
	struct batch_watch *watch;
	struct batch_result done;
	int result = open_executor(cli, state, config_file, &work.executor, err);

	if (result == 0) {
		work.arg = watch = batch_watch_new(state, plan, log_level() == LOG_QUIET);
		result = batch_work_on(&work, &done, err);
		batch_watch_free(watch);
		work.executor->ops->close(work.executor);
	}
	free(config_file);
	if (result < 0 || show_state(cli, state, err) < 0)
		return -1;
	return exit_of(state, &done, err);
}

static int run_new(struct cli *cli, struct request *request, struct err *err)
{
	struct batch_state state = BATCH_STATE_INIT;
	struct layout *layout = &cli->session.layout;
	char *cwd = getcwd(NULL, 0);
	struct batch_start start = { .batch = &request->batch, .root = layout->root, .cwd = cwd };
	const char *executor = option_value(&cli->options, "executor");
	int result = cwd ? batch_state_reserve(&state, layout->rootfd, layout->root,
					       request->batch.path, err)
			 : err_errno(err, ERR_FAILED, "cannot find the current directory");

	if (executor) /* the same one goes on with it */
		batch_set(&request->batch.settings, "executor", executor, "--executor", 0);
	if (result == 0)
		result = batch_make_experiments(&request->plan, &cli->session, err);
	start.common_exp = request->plan.common_exp;
	if (result == 0) {
		result = batch_state_create(&state, layout->rootfd, &start, err);
		request->plan.batch = &state.batch;
	}
	if (result == 0) {
		log_notice("batch %.13s: %zu jobs", state.id, state.batch.n_jobs);
		batch_skip_others(&state, request->chosen);
		result = work_on(cli, &state, &request->plan, err);
	}
	free(cwd);
	batch_state_release(&state);
	return result;
}

static int batch_run_new(struct cli *cli, struct err *err)
{
	struct request request = { .chosen = NULL };
	bool is_dry = option_given(&cli->options, "dry-run");
	int result = read_batch(cli, &request, err);

	if (result == 0 && !is_dry)
		result = check_executor(cli, &request.batch, err);
	if (result == 0 && !is_dry)
		result = make_root(cli, &request.batch, err);
	if (result == 0)
		result = plan_batch(cli, &request, err);
	if (result == 0)
		result = is_dry ? show_plan(cli, &request.plan, request.chosen)
				: run_new(cli, &request, err);
	request_release(&request);
	return result;
}

/* ---- going on ---- */

static int find_state(struct cli *cli, const char *text, struct batch_state *state, struct err *err)
{
	if (session_layout(&cli->session, err) < 0)
		return -1;
	return batch_state_find(state, cli->session.layout.rootfd, text, err);
}

static bool is_this_host(const char *host)
{
	char name[HOST_NAME_MAX + 1] = "";

	gethostname(name, sizeof(name) - 1);
	return strcmp(host, name) == 0;
}

/* A slip of the pen must not give up what lives. 'had': it held the batch. */
static int check_gone(const struct batch_state *state, const char *host, bool had, struct err *err)
{
	struct str others = STR_INIT;

	for (size_t i = 0; i < state->batch.n_jobs && !had; i++) {
		const struct batch_progress *p = &state->jobs[i];

		if (p->state != BATCH_JOB_RUNNING || !p->host)
			continue;
		had = p->executor_id || strcmp(p->host, host) == 0;
		if (!strstr(others.buf ? others.buf : "", p->host))
			str_addf(&others, "%s%s", others.len ? ", " : "", p->host);
	}
	if (!had) {
		err_set(err, ERR_NOT_FOUND, "nothing of batch %.13s goes on on '%s'", state->id,
			host);
		if (others.len)
			err_hint(err, "its jobs were begun on %s", others.buf);
	}
	str_release(&others);
	return had ? 0 : -1;
}

/* "--host-is-gone": take the batch from that host, whose locks may outlive it. */
static int evict(struct cli *cli, struct batch_state *state, struct err *err)
{
	const char *host = option_value(&cli->options, "host-is-gone");
	const struct layout *layout = &cli->session.layout;
	int had;

	if (!host)
		return 0;
	if (!option_given(&cli->options, "resume"))
		return err_set(err, ERR_USAGE, "--host-is-gone goes with 'run --resume'");
	if (is_this_host(host))
		return err_set(err, ERR_USAGE, "'%s' is this host, which is not gone", host);
	had = batch_state_evict(state, layout->rootfd, layout->root, host, err);
	return had < 0 ? -1 : check_gone(state, host, had, err);
}

static int take(struct cli *cli, struct batch_state *state, struct err *err)
{
	const struct layout *layout = &cli->session.layout;
	char *host;

	if (evict(cli, state, err) < 0)
		return -1;
	if (batch_state_take(state, layout->rootfd, layout->root, err) == 0)
		return 0;
	host = err->code == ERR_BUSY ? batch_state_holder(state) : NULL;
	if (host && !is_this_host(host))
		err_hint(err,
			 "'thhost batch status %.13s' tells when it last gave a sign; if %s is "
			 "gone for "
			 "good: 'thhost batch run %.13s --resume --host-is-gone %s'",
			 state->id, host, state->id, host);
	free(host);
	return -1;
}

/* The batch that 'text' names is ours and planned as it was; 'prepare' may change its jobs first. */
static int go_on(struct cli *cli, const char *text,
		 int (*prepare)(struct cli *cli, struct batch_state *state, struct err *err),
		 struct err *err)
{
	struct batch_state state = BATCH_STATE_INIT;
	struct batch_plan plan = { .n = 0 };
	int result = find_state(cli, text, &state, err);

	if (result == 0)
		result = take(cli, &state, err);
	if (result == 0)
		result = batch_plan_make(&plan, &cli->session, &state.batch, state.common_exp, err);
	if (result == 0)
		result = prepare(cli, &state, err);
	if (result == 0)
		result = work_on(cli, &state, &plan, err);
	batch_plan_release(&plan);
	batch_state_release(&state);
	return result;
}

static int prepare_resume(struct cli *cli, struct batch_state *state, struct err *err)
{
	(void)cli;
	if (state->n_torn)
		log_warn("%zu lines of the batch's journal were cut off and do not count",
			 state->n_torn);
	return batch_state_uncancel(state, err);
}

static int batch_run_verb(struct cli *cli, struct err *err)
{
	if (!option_given(&cli->options, "resume"))
		return batch_run_new(cli, err);
	return go_on(cli, operand(cli, 1), prepare_resume, err);
}

static int prepare_retry(struct cli *cli, struct batch_state *state, struct err *err)
{
	size_t n = batch_retry(state, option_given(&cli->options, "failed"));

	if (!n)
		return err_set(err, ERR_NOT_FOUND, "batch %.13s has nothing to try again",
			       state->id);
	return prepare_resume(cli, state, err);
}

static int batch_retry_verb(struct cli *cli, struct err *err)
{
	return go_on(cli, operand(cli, 1), prepare_retry, err);
}

static int keep_cancelled(struct cli *cli, struct batch_state *state, struct err *err)
{
	(void)cli;
	(void)state;
	(void)err;
	return 0;
}

/* Whoever works on it sees to it; where nobody does, we do. */
static int batch_cancel_verb(struct cli *cli, struct err *err)
{
	struct batch_state state = BATCH_STATE_INIT;
	bool is_taken;
	int result = find_state(cli, operand(cli, 1), &state, err);

	if (result == 0)
		result = batch_state_cancel(&state, err);
	is_taken = result == 0 && batch_state_is_taken(&state);
	if (is_taken)
		log_notice("asked the one that works on batch %.13s to end it", state.id);
	else if (result == 0)
		result = go_on(cli, state.id, keep_cancelled, err);
	batch_state_release(&state);
	return result < 0 ? -1 : 0;
}

/* ---- looking ---- */

static int list_batches(struct cli *cli, struct err *err)
{
	struct strv ids = STRV_INIT;
	struct batch_state **states;
	struct str out = STR_INIT;
	size_t n = 0;
	int result;

	if (session_layout(&cli->session, err) < 0 ||
	    batch_state_list(cli->session.layout.rootfd, &ids, err) < 0)
		return -1;
	states = xcalloc(ids.n ? ids.n : 1, sizeof(struct batch_state *));
	for (size_t i = 0; i < ids.n; i++) {
		struct err trouble = ERR_INIT;

		states[n] = xcalloc(1, sizeof(**states));
		if (batch_state_open(states[n], cli->session.layout.rootfd, ids.v[i], &trouble) ==
		    0) {
			n++;
			continue;
		}
		if (trouble.code != ERR_NOT_FOUND) /* else it was killed before it had begun */
			log_warn("%s", trouble.msg);
		batch_state_release(states[n]);
		free(states[n]);
	}
	if (cli->json)
		batch_list_json(states, n, &out);
	else if (n)
		batch_list_page(states, n, &out);
	else
		log_notice("no batch yet; 'thhost batch run FILE' begins one");
	result = print_paged(&out, &cli->session.conf) < 0 ? 1 : 0;
	for (size_t i = 0; i < n; i++) {
		batch_state_release(states[i]);
		free(states[i]);
	}
	free(states);
	strv_release(&ids);
	str_release(&out);
	return result;
}

static int batch_status_verb(struct cli *cli, struct err *err)
{
	struct batch_state state = BATCH_STATE_INIT;
	int result;

	if (!operand(cli, 1))
		return list_batches(cli, err);
	result = find_state(cli, operand(cli, 1), &state, err);
	if (result == 0)
		batch_queue_ask(&state);
	if (result == 0)
		result = show_state(cli, &state, err);
	batch_state_release(&state);
	return result;
}

static int print_log(int fd, struct err *err)
{
	struct str text = STR_INIT;
	char buf[65536];
	ssize_t n;
	int result = 0;

	while (result == 0 && (n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			result = err_errno(err, ERR_FAILED, "cannot read the log");
		str_clear(&text);
		str_add(&text, buf, n > 0 ? (size_t)n : 0);
		if (result == 0 && print_out(&text) < 0)
			break; /* dispatch() tells */
	}
	str_release(&text);
	return result;
}

static int find_job(const struct batch_state *state, const char *name, size_t *job, struct err *err)
{
	size_t *found;
	size_t n = batch_match(&state->batch, name, &found);

	*job = n ? found[0] : 0;
	free(found);
	if (n == 1)
		return 0;
	return err_set(err, n ? ERR_USAGE : ERR_NOT_FOUND,
		       n ? "'%s' is more than one job of batch %.13s"
			 : "there is no job '%s' in batch %.13s",
		       name, state->id);
}

/* Where the job never came as far as its log, what the scheduler kept. */
static int open_log(const struct batch_state *state, size_t job, struct err *err)
{
	const struct batch_progress *p = &state->jobs[job];
	struct err ignored = ERR_INIT;
	int fd = batch_state_open_log(state, job, p->attempt, false, err);

	if (fd < 0 && err->code == ERR_NOT_FOUND && p->executor_id)
		fd = batch_state_open_output(state, p->executor_id, &ignored);
	if (fd >= 0)
		*err = (struct err)ERR_INIT;
	return fd;
}

static int check_begun(const struct batch_state *state, size_t job, struct err *err)
{
	const struct batch_progress *p = &state->jobs[job];

	if (p->attempt)
		return 0;
	err_set(err, ERR_NOT_FOUND, "the job '%s' has not begun: it has no log",
		state->batch.jobs[job].name);
	return p->why ? err_hint(err, "it is %s: %s", batch_job_state_word(p->state), p->why) : -1;
}

static int batch_logs_verb(struct cli *cli, struct err *err)
{
	struct batch_state state = BATCH_STATE_INIT;
	size_t job = 0;
	int fd = -1;
	int result = -1;

	if (!operand(cli, 1))
		return err_set(err, ERR_USAGE, "of which job? (thhost batch logs JOB [BATCH])");
	if (find_state(cli, operand(cli, 2), &state, err) == 0 &&
	    find_job(&state, operand(cli, 1), &job, err) == 0 && check_begun(&state, job, err) == 0)
		fd = open_log(&state, job, err);
	if (fd >= 0) {
		result = print_log(fd, err);
		close(fd);
	}
	batch_state_release(&state);
	return result;
}

/* ---- record ---- */

/* Only the recordings among what was chosen. */
static void leave_recordings(struct request *request)
{
	bool *chosen = xcalloc(request->plan.n ? request->plan.n : 1, sizeof(*chosen));

	for (size_t i = 0; i < request->plan.n; i++)
		chosen[i] = request->plan.steps[i].is_recording &&
			    (!request->chosen || request->chosen[i]);
	free(request->chosen);
	request->chosen = chosen;
}

static void tell_recordings(const struct request *request,
			    const struct batch_recordings *recordings)
{
	for (size_t i = 0; i < recordings->n; i++) {
		const struct batch_recorded *recorded = &recordings->v[i];
		const char *name = request->batch.jobs[i].name;

		for (size_t k = 0; k < recorded->warnings.n; k++)
			log_warn("%s: %s", name, recorded->warnings.v[k]);
		if (recorded->err)
			log_error(recorded->err);
		if (recorded->what == BATCH_BLOCKED)
			log_plain("'%s' is not recorded: what it waits for is not", name);
	}
}

static int record_all(struct cli *cli, struct request *request, struct err *err)
{
	struct batch_recordings recordings;
	struct str out = STR_INIT;
	bool is_good = false;
	int result = batch_make_experiments(&request->plan, &cli->session, err);

	batch_recordings_init(&recordings, request->plan.n);
	if (result == 0)
		result = batch_record(&cli->session, &request->plan, request->chosen, &recordings,
				      err);
	if (result == 0) {
		tell_recordings(request, &recordings);
		is_good = cli->json ? batch_recordings_json(&request->plan, &recordings, &out)
				    : batch_recordings_page(&request->plan, &recordings, &out);
		result = print_done(&out, err);
	}
	batch_recordings_release(&recordings);
	str_release(&out);
	return result < 0 ? -1 : !is_good;
}

static int batch_record_verb(struct cli *cli, struct err *err)
{
	struct request request = { .chosen = NULL };
	bool is_dry = option_given(&cli->options, "dry-run");
	int result = read_batch(cli, &request, err);

	if (result == 0 && !is_dry)
		result = make_root(cli, &request.batch, err);
	if (result == 0)
		result = plan_batch(cli, &request, err);
	if (result == 0)
		leave_recordings(&request);
	if (result == 0 && is_dry)
		result = show_plan(cli, &request.plan, request.chosen);
	else if (result == 0)
		result = record_all(cli, &request, err);
	request_release(&request);
	return result;
}

static const struct {
	const char *name;
	int (*run)(struct cli *cli, struct err *err);
} verbs[] = {
	{ "run", batch_run_verb },	 { "record", batch_record_verb },
	{ "status", batch_status_verb }, { "logs", batch_logs_verb },
	{ "cancel", batch_cancel_verb }, { "retry", batch_retry_verb },
	{ "job", batch_job_verb },
};

static int run_batch(struct cli *cli, struct err *err)
{
	const char *what = operand(cli, 0);
	struct str known = STR_INIT;

	cli->session.options.any_stage = option_given(&cli->options, "generic");
	cli->session.options.may_lack_root = option_given(&cli->options, "dry-run");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(what, verbs[i].name) == 0)
			return verbs[i].run(cli, err);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		str_addf(&known, "%s%s", i ? ", " : "", verbs[i].name);
	err_set(err, ERR_USAGE, "'thhost batch' knows %s, not '%s'", known.buf, what);
	str_release(&known);
	return -1;
}

const struct command cmd_batch = {
	.name = "batch",
	.synopsis = "run FILE | record FILE | status [BATCH] | logs JOB [BATCH] |\n"
		    "                    cancel [BATCH] | retry [BATCH] [options]",
	.summary = "run or record many trainings that one file lists",
	.details = "FILE is described in thhost-batch(1). BATCH is an id, the batch's name or its\n"
		   "file; the newest is meant where none is given.\n",
	.options = options,
	.min_operands = 1,
	.max_operands = 4,
	.run = run_batch,
};
