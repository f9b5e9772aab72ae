#include "base/base.h"

#include "app/run.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/report.h"

#include <unistd.h>

static const struct option_spec options[] = {
	{ "dataset", 'd', "D", "the data set that is trained on" },
	{ "exp", 'e', "EXP", "the experiment (default: the one in use)" },
	{ "new-exp", 0, NULL, "make a new experiment first (named EXP with --exp)" },
	{ "init-from", 0, "REF", "begin with the model and the history of a DATASET or REF" },
	{ "into", 0, "REF", "continue in place: append to that record" },
	{ "base-model", 0, "M", "what the training starts from" },
	{ "model-name", 0, "M", "model name of a new record (default: the plugin's)" },
	{ "param", 'p', "K=V", "a hyperparameter to record (repeatable)" },
	{ "tag", 0, "T", "a tag for the entry (repeatable)" },
	{ "note", 0, "TEXT", "a note for the entry" },
	{ "no-record", 0, NULL, "run and keep the log, but append nothing" },
	{ "no-progress", 0, NULL, "no status line" },
	{ "strict", 0, NULL, "end with 125 if the training could not be recorded (run.strict)" },
	{ "fill", 0, NULL, "fill in {stage_dir} and the like in COMMAND too" },
	{ "run-id", 0, "UUID", "the run's id (default: a new one); one that is there is refused" },
	{ "generic", 0, NULL, "a stage that no plugin describes is meant, not a slip of the pen" },
	{ "dry-run", 'n', NULL, "show what would be run, where, and with which variables" },
	{ NULL, 0, NULL, NULL },
};

static char *given(const struct cli *cli, const char *name)
{
	return xstrdup_or_null(option_value(&cli->options, name));
}

static int read_values(struct cli *cli, struct values *values, struct err *err)
{
	const char *text;
	size_t position;

	values->stage = xstrdup(operand(cli, 0));
	values->dataset = given(cli, "dataset");
	values->exp = given(cli, "exp");
	values->new_exp = option_given(&cli->options, "new-exp");
	values->init_from = given(cli, "init-from");
	values->into = given(cli, "into");
	values->base_model = given(cli, "base-model");
	values->model_name = given(cli, "model-name");
	values->note = given(cli, "note");
	for (position = 0; (text = option_each(&cli->options, "tag", &position));)
		strv_push(&values->tags, text);
	for (position = 0; (text = option_each(&cli->options, "param", &position));)
		if (fields_set_param(values->hyperparams, text, err) < 0)
			return -1;
	if (!values->dataset) {
		err_set(err, ERR_USAGE, "which data set? (--dataset D)");
		return err_hint(err, "thhost run %s --dataset D -- COMMAND...", values->stage);
	}
	return 0;
}

static void print_plan(const struct run_report *report, struct str *out)
{
	const struct draft *draft = &report->draft;

	str_addf(out, "stage      %s (%s)\ndataset    %s\ndirectory  %s\n", draft->values->stage,
		 draft->plan.path, draft->values->dataset, draft->dir.path);
	if (draft->base_model)
		str_addf(out, "from       %s\n", draft->base_model);
	str_adds(out, "command    ");
	for (size_t i = 0; i < report->argv.n; i++) {
		if (i)
			str_addch(out, ' ');
		add_shell_word(out, report->argv.v[i]);
	}
	str_addch(out, '\n');
	for (size_t i = 0; i < report->env_added.n; i++)
		str_addf(out, "%s  %s\n", i ? "         " : "variables", report->env_added.v[i]);
}

static void print_plan_json(const struct run_report *report, struct str *out)
{
	const struct draft *draft = &report->draft;
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.plan/1");
	jsonw_pair_string(&w, "stage", draft->values->stage);
	jsonw_pair_string(&w, "dataset", draft->values->dataset);
	jsonw_pair_string(&w, "plugin", draft->plan.path);
	jsonw_pair_string(&w, "directory", draft->dir.path);
	jsonw_pair_string(&w, "ref", draft->dir.ref);
	jsonw_pair_string(&w, "base_model", draft->base_model);
	jsonw_key(&w, "command");
	jsonw_array(&w);
	for (size_t i = 0; i < report->argv.n; i++)
		jsonw_string(&w, report->argv.v[i]);
	jsonw_end(&w);
	jsonw_key(&w, "variables");
	jsonw_array(&w);
	for (size_t i = 0; i < report->env_added.n; i++)
		jsonw_string(&w, report->env_added.v[i]);
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static int show_plan(struct cli *cli, const struct run_report *report)
{
	struct str out = STR_INIT;
	int result;

	if (cli->json)
		print_plan_json(report, &out);
	else
		print_plan(report, &out);
	result = print_out(&out);
	str_release(&out);
	return result < 0 ? 1 : 0;
}

/* stdout belongs to the training: what we say goes to stderr. */
static void say_recorded(const struct cli *cli, const struct run_report *report)
{
	struct str out = STR_INIT;

	if (log_level() == LOG_QUIET)
		return;
	if (cli->json)
		report_recorded_json(&report->draft, &report->outcome, &out);
	else
		report_recorded(&report->draft, &report->outcome, &out);
	fputc('\n', stderr);
	print_to(stderr, &out);
	str_release(&out);
}

static void say_failed(const struct run_report *report)
{
	const struct run *run = &report->run;
	struct str text = STR_INIT;

	if (log_level() == LOG_QUIET || !run->stage)
		return;
	str_addf(&text, "not recorded: the training %s",
		 run->state == RUN_INTERRUPTED ? "was interrupted" : "failed");
	if (run->signal)
		str_addf(&text, " (signal %d, SIG%s)", run->signal, sigabbrev_np(run->signal));
	else if (run->exit_code > 0)
		str_addf(&text, " (exit status %d)", run->exit_code);
	if (run->state == RUN_INTERRUPTED && run->exit_code == 0)
		str_adds(&text, " (Slurm told the job to end)");
	if (run->last_step >= 0)
		str_addf(&text, ", last step %lld", (long long)run->last_step);
	if (run->trouble)
		log_plain("%s", run->trouble);
	log_plain("%s; run %.13s in the journal of %s", text.buf, run->run_id,
		  report->draft.dir.ref);
	str_release(&text);
}

/* A job that Slurm has restarted, although its training had ended well. */
static void say_over(const struct run_report *report)
{
	if (log_level() != LOG_QUIET)
		log_plain("nothing to run: run %.13s of %s had ended well before its job was "
			  "restarted, and is %s",
			  report->run.run_id, report->draft.dir.ref,
			  run_state_word(report->run.state));
}

static void say(const struct cli *cli, const struct run_report *report, bool strict)
{
	for (size_t i = 0; i < report->draft.result.warnings.n; i++)
		log_warn("%s", report->draft.result.warnings.v[i]);
	for (size_t i = 0; i < report->outcome.warnings.n; i++)
		log_warn("%s", report->outcome.warnings.v[i]);
	if (report->was_over)
		say_over(report);
	if (report->is_recorded && !report->was_over)
		say_recorded(cli, report);
	else if (report->is_wanted && !report->is_recorded)
		command_report(&report->trouble, strict ? 125 : 0, cli->json);
	else if (proc_shell_status(&report->child) != 0 || report->run.state == RUN_INTERRUPTED)
		say_failed(report);
}

static int run_run(struct cli *cli, struct err *err)
{
	struct values values;
	struct run_report report;
	struct run_options run = {
		.values = &values,
		.argv = cli->options.command,
		.run_id = option_value(&cli->options, "run-id"),
		.fill = option_given(&cli->options, "fill"),
		.no_record = option_given(&cli->options, "no-record"),
		.no_progress = option_given(&cli->options, "no-progress"),
		.dry_run = option_given(&cli->options, "dry-run"),
		.quiet = log_level() == LOG_QUIET,
		.strict = option_given(&cli->options, "strict") ||
			  conf_bool(&cli->session.conf, "run.strict"),
	};
	struct proc_outcome child;
	bool is_missing;
	int status = -1;

	memset(&report, 0, sizeof(report));
	values_init(&values);
	cli->session.options.any_stage = option_given(&cli->options, "generic");
	if (read_values(cli, &values, err) < 0)
		goto usage;
	if (run_training(&cli->session, &run, &report, err) < 0) {
		status = 125;
		goto out;
	}
	if (run.dry_run) {
		status = show_plan(cli, &report);
		goto out;
	}
	say(cli, &report, run.strict);
	child = report.child;
	is_missing = report.is_wanted && !report.is_recorded;
	run_report_release(&report);
	values_release(&values);
	if (run.strict && is_missing)
		return 125;
	proc_end_as(&child);
out:
	run_report_release(&report);
usage:
	values_release(&values);
	if (status == 125) {
		if (err->code == ERR_USAGE)
			return -1;
		return command_report(err, 125, cli->json);
	}
	return status;
}

const struct command cmd_run = {
	.name = "run",
	.synopsis = "STAGE --dataset D [options] [-- COMMAND [ARG]...]",
	.summary = "run a training and record what came out of it",
	.details = "The command's output, signals and exit status pass through untouched. Without\n"
		   "a command after '--' the one under [stage STAGE] in thhost.ini is run.\n",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.takes_command = true,
	.run = run_run,
};
