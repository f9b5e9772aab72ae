#include "base/base.h"

#include "base/log.h"
#include "base/mem.h"
#include "cli/batch_page.h"
#include "cli/command.h"
#include "cli/pager.h"
#include "cli/render.h"

static const struct option_spec options[] = {
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

static int read_file(struct cli *cli, struct request *request, struct err *err)
{
	const char *file = operand(cli, 1);

	if (!file)
		return err_set(err, ERR_USAGE, "which file? (thhost batch %s FILE)",
			       operand(cli, 0));
	if (batch_read(&request->batch, file, err) < 0 ||
	    batch_plan_make(&request->plan, &cli->session, &request->batch, NULL, err) < 0)
		return -1;
	return choose(cli, &request->batch, &request->chosen, err);
}

static int batch_run_verb(struct cli *cli, struct err *err)
{
	struct request request = { .chosen = NULL };
	int result = read_file(cli, &request, err);

	if (result == 0)
		result = show_plan(cli, &request.plan, request.chosen);
	request_release(&request);
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
	int result = read_file(cli, &request, err);

	if (result == 0)
		leave_recordings(&request);
	if (result == 0 && option_given(&cli->options, "dry-run"))
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
	{ "run", batch_run_verb },
	{ "record", batch_record_verb },
};

static int run_batch(struct cli *cli, struct err *err)
{
	const char *what = operand(cli, 0);
	struct str known = STR_INIT;

	cli->session.options.any_stage = option_given(&cli->options, "generic");
	cli->session.options.may_lack_root = option_given(&cli->options, "dry-run");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(what, verbs[i].name) == 0)
			return verbs[i].run(cli, err);
		str_addf(&known, "%s%s", i ? ", " : "", verbs[i].name);
	}
	err_set(err, ERR_USAGE, "'thhost batch' knows %s, not '%s'", known.buf, what);
	str_release(&known);
	return -1;
}

const struct command cmd_batch = {
	.name = "batch",
	.synopsis = "run FILE [options]",
	.summary = "run or record many trainings that one file lists",
	.details = "FILE is described in config/batch.example.ini.\n",
	.options = options,
	.min_operands = 1,
	.max_operands = 2,
	.run = run_batch,
};
