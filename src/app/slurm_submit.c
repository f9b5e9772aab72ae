#include "base/base.h"

#include "app/slurm_submit.h"

#include "app/slurm_ask.h"
#include "app/slurm_queue.h"
#include "base/clock.h"
#include "base/mem.h"

#define SUBMIT_MS 30000

/* ---- what it is told ---- */

/* Where Slurm's own words about a job go, and what is said before the job's log is open. Its '%' are
 * doubled; a backslash would mean something. */
static void add_output(const struct batch_state *state, bool is_array, struct strv *argv)
{
	struct str path = STR_INIT;

	for (const char *p = state->root; *p; p++)
		str_adds(&path, *p == '%' ? "%%" : (char[]){ *p, '\0' });
	str_addf(&path, "/.thhost/batches/%s/logs/slurm-%s.out", state->id,
		 is_array ? "%A_%a" : "%A");
	strv_pushf(argv, "--output=%s", strchr(path.buf, '\\') ? "/dev/null" : path.buf);
	strv_push(argv, "--open-mode=append");
	str_release(&path);
}

static void add_dependency(const struct executor_task *task, struct strv *argv)
{
	struct str text = STR_INIT;

	if (!task->n_waits_for)
		return;
	str_adds(&text, "--dependency=afterok");
	for (size_t i = 0; i < task->n_waits_for; i++)
		str_addf(&text, ":%s", task->waits_for[i] + strlen("slurm:"));
	strv_push(argv, text.buf);
	strv_push(argv, "--kill-on-invalid-dep=yes");
	str_release(&text);
}

static void add_setting(const struct batch_job *job, const char *key, struct strv *argv)
{
	const char *text = batch_get(job, key);

	if (text)
		strv_pushf(argv, "--%s=%s", key, text);
}

/* In minutes, rounded up, unless it is written as Slurm has it. */
static void add_time(const struct executor_task *task, struct strv *argv)
{
	const char *text = batch_get(task->spec, "time");
	int64_t seconds = text ? batch_seconds(text) : task->timeout;

	if (seconds > 0)
		strv_pushf(argv, "--time=%lld", (long long)(seconds + 59) / 60);
	else if (text)
		strv_pushf(argv, "--time=%s", text);
}

static void add_resources(const struct executor_task *task, struct strv *argv)
{
	const char *more = batch_get(task->spec, "sbatch");
	struct err ignored = ERR_INIT; /* checked when the file was read */

	add_setting(task->spec, "partition", argv);
	add_setting(task->spec, "account", argv);
	add_setting(task->spec, "gres", argv);
	if (!batch_get(task->spec, "gres") && task->gpus != SIZE_MAX && task->gpus)
		strv_pushf(argv, "--gres=gpu:%zu", task->gpus);
	add_time(task, argv);
	if (more)
		batch_sbatch_words(more, argv, &ignored);
}

static void make_argv(const struct executor_slurm_setup *setup, const struct executor_task *tasks,
		      size_t n, const char *comment, struct strv *argv)
{
	strv_push(argv, "sbatch");
	strv_push(argv, "--parsable");
	strv_pushf(argv, "--comment=%s", comment);
	strv_pushf(argv, "--job-name=%s", n > 1 ? tasks->spec->section : tasks->spec->name);
	strv_pushf(argv, "--chdir=%s", setup->state->cwd);
	add_output(setup->state, n > 1, argv);
	if (n > 1 && setup->limit)
		strv_pushf(argv, "--array=0-%zu%%%zu", n - 1, setup->limit);
	else if (n > 1)
		strv_pushf(argv, "--array=0-%zu", n - 1);
	add_dependency(tasks, argv);
	add_resources(tasks, argv);
}

/* ---- what it runs ---- */

static void add_word(struct str *out, const char *text)
{
	str_adds(out, " '");
	for (; *text; text++)
		str_adds(out, *text == '\'' ? "'\\''" : (char[]){ *text, '\0' });
	str_addch(out, '\'');
}

static void make_script(const struct executor_slurm_setup *setup, const struct executor_task *tasks,
			size_t n, struct str *out)
{
	char *self = proc_self();

	str_adds(out, "#!/bin/sh\n# Made by 'thhost batch': each job and its run.\nset --");
	for (size_t i = 0; i < n; i++) {
		add_word(out, tasks[i].spec->name);
		add_word(out, tasks[i].progress->run_id);
	}
	str_adds(out, "\nshift $((2 * ${SLURM_ARRAY_TASK_ID:-0}))\nexec");
	add_word(out, self);
	str_adds(out, " batch job");
	for (char *const *word = setup->options; *word; word++)
		add_word(out, *word);
	add_word(out, setup->state->id);
	str_adds(out, " \"$1\" \"$2\"\n");
	free(self);
}

/* "4711" or "4711;cluster" */
static int parse_id(const char *text, uint64_t *id, struct err *err)
{
	char *end;

	*id = strtoull(text, &end, 10);
	if (*id && (*end == '\n' || *end == ';' || !*end))
		return 0;
	return err_set(err, ERR_BUSY, "sbatch: '%.100s' is no number of a job", text);
}

/* ---- what it says ---- */

/*
 * The limit that was met is told by name: those on the number of jobs ("AssocMaxSubmitJobLimit",
 * "QOSGrpSubmitJobsLimit", "MaxSubmitJobsPerAccount") pass, those on the size of one do not. The
 * controller's own limit (MaxJobCount) and its other short troubles sbatch would wait for itself, for
 * two minutes, were it let.
 */
#define RETRYING "sleeping and retrying"

static const char *const full_words[] = {
	"SubmitJob",
	RETRYING,
	"Job creation temporarily disabled",
	"Resource temporarily unavailable",
	"Unable to create job record",
};

/* Too many for any array here; one alone is none. */
#define ARRAY_WORDS "Invalid job array specification"

/* The one of what sbatch said, "sbatch: ...; ...", that tells of a lack of room; or NULL. */
static char *find_full(const char *said, size_t n)
{
	const char *found = n > 1 ? strstr(said, ARRAY_WORDS) : NULL;
	const char *start = said;

	for (size_t i = 0; i < ARRAY_SIZE(full_words) && !found; i++)
		found = strstr(said, full_words[i]);
	if (!found)
		return NULL;
	for (const char *p = said; p < found; p++)
		if (has_prefix(p, "; ") || (start == said && has_prefix(p, ": ")))
			start = p + 2;
	return xstrndup(start, strcspn(start, ";"));
}

/* sbatch sleeps a second or more once it has said that it tries again: ended before that, Slurm has
 * nothing of it. Where we were stopped meanwhile, it may have. */
#define RETRY_MS 900

static enum slurm_submitted judge(size_t n, int64_t took_ms, struct err *err)
{
	char *words = find_full(err->msg, n);
	bool may_have_tried;

	if (!words)
		return err->code == ERR_BUSY ? SLURM_UNHEARD : SLURM_REFUSED;
	may_have_tried = took_ms >= RETRY_MS && strstr(err->msg, RETRYING);
	err_set(err, ERR_BUSY, "%s", words);
	free(words);
	return may_have_tried ? SLURM_UNHEARD : SLURM_FULL;
}

enum slurm_submitted slurm_submit(const struct executor_slurm_setup *setup,
				  const struct executor_task *tasks, size_t n, const char *comment,
				  uint64_t *id, struct err *err)
{
	struct strv argv = STRV_INIT;
	struct str script = STR_INIT;
	struct str out = STR_INIT;
	struct slurm_command command = { .deadline_ms = SUBMIT_MS, .stop_at = RETRYING };
	int64_t began = clock_monotonic_ms();
	int result;

	make_argv(setup, tasks, n, comment, &argv);
	make_script(setup, tasks, n, &script);
	command.argv = argv.v;
	command.input = script.buf;
	result = slurm_do(&command, &out, err);
	if (result == 0)
		result = parse_id(out.buf, id, err);
	strv_release(&argv);
	str_release(&script);
	str_release(&out);
	return result == 0 ? SLURM_TAKEN : judge(n, clock_monotonic_ms() - began, err);
}
