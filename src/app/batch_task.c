#include "base/base.h"

#include "app/batch_task.h"

#include "base/mem.h"
#include "sys/proc.h"

#include <sys/stat.h>
#include <unistd.h>

#define REPAIR_MS 600000 /* a large record, a plugin, a lock that somebody holds */
#define OUTPUT_LIMIT (1u << 20)
#define TAIL 4096

void batch_task_options(const struct session_options *options, const char *config_file,
			const char *root, struct strv *argv)
{
	const struct strv *plugins = &options->plugin_files;

	strv_push(argv, "--root");
	strv_push(argv, root);
	if (config_file) {
		strv_push(argv, "--config");
		strv_push(argv, config_file);
	}
	for (size_t i = 0; i < plugins->n; i++) {
		strv_push(argv, "--plugin");
		strv_push(argv, plugins->v[i]);
	}
	if (options->any_stage)
		strv_push(argv, "--generic");
}

static void add_option(const struct batch_job *job, const char *key, const char *option,
		       struct strv *argv)
{
	const char *text = batch_get(job, key);

	if (!text)
		return;
	strv_push(argv, option);
	strv_push(argv, text);
}

static void add_lists(const struct batch_job *job, struct strv *argv)
{
	struct strv params = STRV_INIT;
	struct strv tags = STRV_INIT;
	const char *text = batch_get(job, "tags");
	struct err ignored = ERR_INIT; /* checked when the file was read */

	batch_pairs(job, "param.", &params);
	for (size_t i = 0; i < params.n; i++) {
		strv_push(argv, "--param");
		strv_push(argv, params.v[i]);
	}
	if (text && batch_split_list(text, &tags, &ignored) == 0)
		for (size_t i = 0; i < tags.n; i++) {
			strv_push(argv, "--tag");
			strv_push(argv, tags.v[i]);
		}
	strv_release(&params);
	strv_release(&tags);
}

void batch_task_command(const struct session_options *options, const char *config_file,
			const struct batch_state *state, const struct batch_step *step,
			const char *run_id, struct strv *argv)
{
	const struct batch_job *job = step->job;

	strv_push(argv, "thhost");
	strv_push(argv, "run");
	strv_push(argv, batch_get(job, "stage"));
	batch_task_options(options, config_file, state->root, argv);
	add_option(job, "dataset", "--dataset", argv);
	strv_push(argv, "--exp");
	strv_push(argv, step->exp);
	add_option(job, "init_from", "--init-from", argv);
	add_option(job, "into", "--into", argv);
	add_option(job, "base_model", "--base-model", argv);
	add_option(job, "model_name", "--model-name", argv);
	add_option(job, "note", "--note", argv);
	add_lists(job, argv);
	strv_push(argv, "--run-id");
	strv_push(argv, run_id);
	if (!step->argv.n)
		return;
	strv_push(argv, "--fill");
	strv_push(argv, "--");
	strv_copy(argv, step->argv.v);
}

void batch_task_environment(const struct batch_state *state, const struct batch_step *step,
			    struct strv *added)
{
	batch_pairs(step->job, "env.", added);
	strv_pushf(added, "THHOST_BATCH=%s", state->id);
	strv_pushf(added, "THHOST_JOB=%s", step->job->name);
}

void batch_task_repair(const struct batch_work *work, const struct batch_step *step)
{
	struct strv argv = STRV_INIT;
	struct session_options options = work->session->options;
	char *self = proc_self();
	struct proc_answer answer = PROC_ANSWER_INIT;
	struct err ignored = ERR_INIT;
	struct proc_request request = { .exe = self,
					.cwd = work->state->cwd,
					.output_limit = OUTPUT_LIMIT,
					.deadline_ms = REPAIR_MS };

	strv_push(&argv, "thhost");
	strv_push(&argv, "repair");
	options.any_stage = false; /* 'repair' asks for no stage */
	batch_task_options(&options, work->config_file, work->state->root, &argv);
	strv_push(&argv, step->path);
	request.argv = argv.v;
	proc_capture(&request, &answer, &ignored);
	proc_answer_release(&answer);
	strv_release(&argv);
	free(self);
}

/* What follows 'mark' in the last line that begins with it and goes on. */
static char *last_line(const char *text, const char *mark)
{
	const char *found = NULL;

	for (const char *p = text; p && *p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (has_prefix(p, mark) && strcspn(p, "\n") > strlen(mark))
			found = p + strlen(mark);
	}
	return found ? xstrndup(found, strcspn(found, "\n")) : NULL;
}

static char *last_words_of(int fd, const char *mark)
{
	char tail[TAIL + 1];
	struct stat st;
	ssize_t n = -1;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0)
		n = pread(fd, tail, TAIL, st.st_size > TAIL ? st.st_size - TAIL : 0);
	close(fd);
	if (n < 0)
		return NULL;
	tail[n] = '\0';
	return last_line(tail, mark);
}

char *batch_task_last_words(const struct batch_state *state, size_t job)
{
	const struct batch_progress *p = &state->jobs[job];
	struct err ignored = ERR_INIT;
	char *words = last_words_of(batch_state_open_log(state, job, p->attempt, false, &ignored),
				    "thhost: ");

	/* A shell's or the scheduler's own: why there was no thhost. */
	if (!words && p->executor_id)
		words = last_words_of(batch_state_open_output(state, p->executor_id, &ignored), "");
	return words;
}
