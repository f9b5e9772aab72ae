#include "base/base.h"

#include "app/base_files.h"
#include "app/capture_all.h"
#include "app/record.h"
#include "app/settle.h"
#include "app/taken.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/preview.h"
#include "cli/render.h"
#include "cli/report.h"
#include "sys/file.h"

#include <unistd.h>

#define INPUT_LIMIT (16u << 20)

static const struct option_spec options[] = {
	{ "dataset", 'd', "D", "the data set that was trained on" },
	{ "exp", 'e', "EXP", "the experiment (default: the one in use)" },
	{ "model-name", 0, "M", "model name of a new record (default: the plugin's)" },
	{ "steps", 0, "N", "optimizer steps that ran" },
	{ "epochs", 0, "N", "epochs that ran" },
	{ "metric", 'm', "K=V", "a metric; dots nest, as in per_class_f1.title=0.9 (repeatable)" },
	{ "param", 'p', "K=V", "a hyperparameter (repeatable)" },
	{ "base-model", 0, "M", "what the training started from" },
	{ "final-checkpoint", 0, "C", "name of the checkpoint to use from now on" },
	{ "start-time", 0, "T", "ISO 8601; kept to the letter" },
	{ "end-time", 0, "T", "ISO 8601; kept to the letter" },
	{ "into", 0, "REF", "append to that record instead of the dataset's own" },
	{ "init-from", 0, "REF", "begin a new record with the history of a DATASET or REF" },
	{ "from", 0, "DIR", "let the stage's plugin read DIR, or one FILE" },
	{ "again", 0, NULL, "append what was read from the same files before once more" },
	{ "tag", 0, "T", "a tag for the entry (repeatable)" },
	{ "note", 0, "TEXT", "a note for the entry" },
	{ "capture", 0, NULL, "also record git, host, GPU and Python as they are now" },
	{ "json-input", 0, "FILE", "read the values from a JSON object; '-' is stdin" },
	{ "generic", 0, NULL, "a stage that no plugin describes is meant, not a slip of the pen" },
	{ "dry-run", 'n', NULL, "show the entry and write nothing" },
	{ NULL, 0, NULL, NULL },
};

static void replace(char **place, const char *value)
{
	if (!value)
		return;
	free(*place);
	*place = xstrdup(value);
}

static int read_stdin(struct str *text, struct err *err)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0) {
		str_add(text, buf, (size_t)n);
		if (text->len > INPUT_LIMIT)
			return err_set(err, ERR_INVALID, "stdin: more than 16 MiB of JSON");
	}
	return n < 0 ? err_errno(err, ERR_FAILED, "cannot read stdin") : 0;
}

static int read_json_input(const struct options *given, struct values *values, struct err *err)
{
	const char *file = option_value(given, "json-input");
	struct str text = STR_INIT;
	int result;

	if (!file)
		return 0;
	if (strcmp(file, "-") == 0)
		result = read_stdin(&text, err);
	else
		result = file_read_path(file, INPUT_LIMIT, &text, err);
	if (result == 0)
		result = values_read_json(values, strcmp(file, "-") == 0 ? "stdin" : file, text.buf,
					  err);
	str_release(&text);
	return result;
}

static int read_lists(const struct options *given, struct values *values, struct err *err)
{
	const char *text;
	size_t position;

	for (position = 0; (text = option_each(given, "metric", &position));)
		if (fields_set_metric(values->metrics, text, err) < 0)
			return -1;
	for (position = 0; (text = option_each(given, "param", &position));)
		if (fields_set_param(values->hyperparams, text, err) < 0)
			return -1;
	for (position = 0; (text = option_each(given, "tag", &position));)
		strv_push(&values->tags, text);
	return 0;
}

static int read_epochs(const struct options *given, struct values *values, struct err *err)
{
	const char *text = option_value(given, "epochs");

	if (!text)
		return 0;
	if (!json_is_number_text(text, strlen(text), NULL) || text[0] == '-')
		return err_set(err, ERR_USAGE, "--epochs must be a number from 0, not '%s'", text);
	replace(&values->epochs, text);
	return 0;
}

static int read_values(struct cli *cli, struct values *values, struct err *err)
{
	const struct options *given = &cli->options;

	if (read_json_input(given, values, err) < 0)
		return -1;
	replace(&values->stage, operand(cli, 0));
	replace(&values->dataset, option_value(given, "dataset"));
	replace(&values->exp, option_value(given, "exp"));
	replace(&values->model_name, option_value(given, "model-name"));
	replace(&values->base_model, option_value(given, "base-model"));
	replace(&values->final_checkpoint, option_value(given, "final-checkpoint"));
	replace(&values->start_time, option_value(given, "start-time"));
	replace(&values->end_time, option_value(given, "end-time"));
	replace(&values->into, option_value(given, "into"));
	replace(&values->init_from, option_value(given, "init-from"));
	replace(&values->from, option_value(given, "from"));
	replace(&values->note, option_value(given, "note"));
	if (option_integer(given, "steps", 0, INT64_MAX, &values->steps, err) < 0 ||
	    read_epochs(given, values, err) < 0 || read_lists(given, values, err) < 0)
		return -1;
	if (!values->stage)
		err_set(err, ERR_USAGE, "which stage? (thhost record STAGE --dataset D)");
	else if (!values->dataset && !values->from)
		err_set(err, ERR_USAGE, "which data set? (--dataset D)");
	else
		return 0;
	return -1;
}

/* What nothing tells. */
static int missing_dataset(const struct values *values, struct err *err)
{
	err_set(err, ERR_USAGE, "which data set? Nothing in '%s' tells (--dataset D)",
		values->from);
	return err_hint(err, "--dry-run shows what was found there");
}

/* What the user did not name: nothing tells it, and only a look may go on without. */
static int find_dataset(struct cli *cli, struct values *values, struct err *err)
{
	bool dry = option_given(&cli->options, "dry-run");
	struct err trouble = ERR_INIT;

	if (values->dataset || !values->from)
		return 0;
	if (taken_dataset(&cli->session, values, &values->dataset_how, &trouble) < 0 && !dry) {
		*err = trouble;
		return -1;
	}
	if (values->dataset || dry)
		return 0; /* the same trouble comes again, and is shown */
	return missing_dataset(values, err);
}

/* Read --from, and judge what it holds. */
static int take_from(struct cli *cli, struct draft *draft, struct err *err)
{
	if (!draft->values->from)
		return 0;
	if (taken_extract(draft, &cli->session, err) < 0)
		return -1;
	return option_given(&cli->options, "again") ? 0 : taken_check(draft, err);
}

static void warn_of_plugin(const struct draft *draft)
{
	for (size_t i = 0; i < draft->result.warnings.n; i++)
		log_warn("%s", draft->result.warnings.v[i]);
}

/* Show what would become of it; 'err' is what speaks against it already, and what does so now. That
 * the data set is missing is no failure of a look. */
static int preview(struct cli *cli, struct draft *draft, struct err *err)
{
	struct record_preview entry = RECORD_PREVIEW_INIT;
	struct preview page = {
		.draft = draft, .conf = &cli->session.conf, .entry = &entry, .refused = err
	};
	struct str out = STR_INIT;
	struct err trouble = ERR_INIT;
	int result = 0;

	if (draft->has_result || !draft->values->from)
		result = draft_preview(draft, &cli->session, &entry, &trouble);
	if (!err->code && !draft->values->dataset) {
		missing_dataset(draft->values, &trouble);
		page.refused = &trouble;
	} else if (!err->code) {
		*err = result < 0 ? trouble : entry.refused;
	}
	if (cli->json)
		preview_json(&page, &out);
	else
		preview_text(&page, &out);
	result = print_out(&out) < 0 ? 1 : 0;
	for (size_t i = 0; i < entry.warnings.n; i++)
		log_warn("%s", entry.warnings.v[i]);
	record_preview_release(&entry);
	str_release(&out);
	return err->code ? -1 : result;
}

static int commit(struct cli *cli, struct draft *draft, struct err *err)
{
	struct record_outcome outcome = { .entry = STR_INIT, .spooled = STR_INIT };
	struct str out = STR_INIT;
	int result = draft_commit(draft, &cli->session, SPOOL_DAMAGE, &outcome, err);

	/* Nobody needs a remark on an entry that is refused. */
	for (size_t i = 0; result == 0 && i < outcome.warnings.n; i++)
		log_warn("%s", outcome.warnings.v[i]);
	if (result == 0) {
		session_tell_plan(&draft->plan);
		settle_run(draft, outcome.entry.buf);
		if (cli->json)
			report_recorded_json(draft, &outcome, &out);
		else if (log_level() > LOG_QUIET)
			report_recorded(draft, &outcome, &out);
		if (outcome.result == STORE_NOT_DURABLE) {
			print_out(&out);
			result = -1; /* 'err' says so */
		} else {
			result = print_done(&out, err);
		}
	}
	str_release(&out);
	record_outcome_release(&outcome);
	return result;
}

static void add_context(struct cli *cli, struct draft *draft, struct capture_texts *texts,
			struct str *base_digest)
{
	bool capture = option_given(&cli->options, "capture");
	struct capture_place place = { .argv = NULL };
	char *data = NULL;

	draft->additive = draft->values->from || capture;
	if (!capture)
		return;
	if (draft->values->stage && draft->values->dataset)
		place.data = data = conf_dataset_path(&cli->session.conf, draft->values->stage,
						      draft->values->dataset);
	capture_all(texts, &cli->session.conf, &place);
	free(data);
	base_files_digest(draft, &cli->session.conf, NULL, base_digest);
	draft->context.base_digest = base_digest->buf;
	draft->context.dataset_digest = texts->dataset.buf;
	draft->context.git = texts->git.buf;
	draft->context.environment = texts->environment.buf;
}

static int run_record(struct cli *cli, struct err *err)
{
	struct values values;
	struct draft draft = { .values = NULL };
	struct capture_texts texts = CAPTURE_TEXTS_INIT;
	struct str base_digest = STR_INIT;
	bool dry = option_given(&cli->options, "dry-run");
	int result;

	values_init(&values);
	cli->session.options.any_stage = option_given(&cli->options, "generic");
	cli->session.options.may_lack_root = dry;
	result = read_values(cli, &values, err);
	if (result == 0)
		result = find_dataset(cli, &values, err);
	if (result == 0)
		result = draft_open(&draft, &cli->session, &values, false, err);
	if (result == 0) {
		result = take_from(cli, &draft, err);
		add_context(cli, &draft, &texts, &base_digest);
		if (dry)
			result = preview(cli, &draft, err);
		else if (result == 0)
			result = commit(cli, &draft, err);
	}
	if (result >= 0 || dry || err->code == ERR_SPOOLED)
		warn_of_plugin(&draft);
	capture_texts_release(&texts);
	str_release(&base_digest);
	if (draft.values)
		draft_release(&draft);
	values_release(&values);
	return result;
}

const struct command cmd_record = {
	.name = "record",
	.synopsis = "STAGE [--dataset D] [--steps N] [--metric K=V]... [--from DIR] ...",
	.summary = "append an entry to a training history without running anything",
	.details =
		"Values come from options, from a JSON object with the same names (--json-input),\n"
		"or are read by the stage's plugin from what a training left (--from DIR).\n"
		"An option wins over JSON, and JSON over what the plugin found. With --from the "
		"data\n"
		"set may be left out where the directory tells it, and any stage will do.\n",
	.options = options,
	.max_operands = 1,
	.run = run_record,
};
