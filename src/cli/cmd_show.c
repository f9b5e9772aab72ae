#include "base/base.h"

#include "model/history.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/width.h"
#include "cli/command.h"
#include "cli/pager.h"
#include "cli/render.h"

#include <math.h>

#define METRIC_COLUMNS 5 /* more do not fit a terminal; --json has them all */

static const struct option_spec options[] = {
	{ "exp", 'e', "EXP", "the experiment that a short REF is in (default: the one in use)" },
	{ NULL, 0, NULL, NULL },
};

/* Names of finite numbers in the metrics of all entries, first seen first. */
static void collect_metrics(const struct info *info, struct strv *names)
{
	const struct json *doc = &info->doc;

	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		size_t metrics = info_entry_member(info, i, "metrics");

		for (size_t k = json_first(doc, metrics);
		     k != JSON_NONE && names->n < METRIC_COLUMNS; k = json_next(doc, metrics, k)) {
			char *name = json_string_copy(doc, k);

			if (json_is_number(doc, k + 1) && !strv_has(names, name))
				strv_push(names, name);
			free(name);
		}
	}
}

static void number_cell(struct table *t, const struct json *doc, size_t value)
{
	struct str text = STR_INIT;
	double number;

	if (value != JSON_NONE && json_real(doc, value, &number) == 0)
		add_metric(&text, number);
	else
		str_adds(&text, "-");
	table_cell(t, TONE_PLAIN, text.buf);
	str_release(&text);
}

static void raw_cell(struct table *t, const struct json *doc, size_t value)
{
	char *text = value == JSON_NONE			? xstrdup("-")
		     : json_is(doc, value, JSON_STRING) ? json_string_copy(doc, value)
							: json_raw_copy(doc, value);

	table_cell(t, TONE_PLAIN, text);
	free(text);
}

static void time_cells(struct table *t, const struct info *info, size_t entry)
{
	char *start = info_entry_string(info, entry, "start_time");
	double seconds = entry_seconds(&info->doc, entry);
	struct str took = STR_INIT;
	struct str when = STR_INIT;

	if (seconds > 0)
		add_duration(&took, seconds);
	else
		str_adds(&took, "-");
	add_when(&when, start ? start : "-");
	table_cell(t, TONE_PLAIN, took.buf);
	table_cell(t, TONE_PLAIN, when.buf);
	str_release(&took);
	str_release(&when);
	free(start);
}

/* "inherited from hrds", "3 attempts (2 interrupted)", or nothing; fresh memory. */
static char *note_of(const struct info *info, size_t entry)
{
	char *from = info_entry_string(info, entry, "inherited_from");
	size_t interrupted;
	size_t attempts = entry_attempts(&info->doc, entry, &interrupted);
	struct str note = STR_INIT;

	if (from)
		str_addf(&note, "inherited from %s", from);
	if (attempts > 1)
		str_addf(&note, "%s%zu attempts", from ? ", " : "", attempts);
	if (attempts > 1 && interrupted)
		str_addf(&note, " (%zu interrupted)", interrupted);
	free(from);
	return note.len ? str_detach(&note) : xstrdup("");
}

static void entry_row(struct table *t, const struct info *info, size_t entry, size_t number,
		      const struct strv *metrics)
{
	const struct json *doc = &info->doc;
	size_t values = info_entry_member(info, entry, "metrics");
	size_t params = info_entry_member(info, entry, "hyperparams");
	char *dataset = info_entry_string(info, entry, "dataset");
	char *note = note_of(info, entry);
	struct str count = STR_INIT;

	table_row(t);
	str_addf(&count, "%zu", number);
	table_cell(t, TONE_DIM, count.buf);
	table_cell(t, TONE_PLAIN, dataset ? dataset : "?");
	str_clear(&count);
	add_count(&count, info_entry_steps(info, entry));
	table_cell(t, TONE_PLAIN, count.buf);
	for (size_t i = 0; i < metrics->n; i++)
		number_cell(t, doc, json_member(doc, values, metrics->v[i]));
	raw_cell(t, doc, json_member(doc, params, "lr"));
	raw_cell(t, doc, json_member(doc, params, "batch_size"));
	time_cells(t, info, entry);
	table_cell(t, TONE_DIM, note);
	str_release(&count);
	free(dataset);
	free(note);
}

static void add_table(const struct history *history, struct str *out)
{
	const struct info *info = &history->info;
	struct table *t = table_new();
	struct strv metrics = STRV_INIT;
	size_t number = 0;

	collect_metrics(info, &metrics);
	table_column(t, "#", ALIGN_RIGHT);
	table_column(t, "dataset", ALIGN_LEFT);
	table_column(t, "steps", ALIGN_RIGHT);
	for (size_t i = 0; i < metrics.n; i++) {
		table_column(t, metrics.v[i], ALIGN_RIGHT);
		table_spare(t, i ? (int)i + 3 : 0); /* the first is the one that counts */
	}
	table_column(t, "lr", ALIGN_RIGHT);
	table_spare(t, 2);
	table_column(t, "batch", ALIGN_RIGHT);
	table_spare(t, 3);
	table_column(t, "took", ALIGN_RIGHT);
	table_spare(t, 1);
	table_column(t, "when", ALIGN_LEFT);
	table_column(t, "", ALIGN_LEFT);
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i))
		entry_row(t, info, i, ++number, &metrics);
	table_print(t, "  ", out);
	table_free(t);
	strv_release(&metrics);
}

static void add_head(const struct history *history, struct str *out)
{
	const struct info *info = &history->info;
	char *model = info_string(info, "model_name");
	char *stage = info_string(info, "stage");
	char *checkpoint = info_string(info, "final_checkpoint");
	char *dataset = info_string(info, "last_dataset");
	char *updated = info_string(info, "last_updated");
	char *strategy = history_strategy(history);
	size_t n = info_entry_count(info);
	struct str safe = STR_INIT;
	int width = render_width();
	int gap;

	add_safe(&safe, model ? model : "?");
	gap = 60 - display_width(safe.buf);
	if (width && display_width(safe.buf) + gap + display_width(history->dir.ref) > width)
		gap = 2;
	add_tone(out, TONE_BOLD, safe.buf);
	str_addf(out, "%*s", gap > 2 ? gap : 2, "");
	add_safe(out, history->dir.ref);
	str_addch(out, '\n');
	add_safe(out, stage ? stage : "?");
	if (checkpoint && *checkpoint) {
		str_adds(out, ", ");
		add_safe(out, checkpoint);
	}
	str_adds(out, ", ");
	add_count(out, info_total_steps(info));
	str_addf(out, " step%s in %zu training%s", info_total_steps(info) == 1 ? "" : "s", n,
		 n == 1 ? "" : "s");
	if (dataset) {
		str_adds(out, ", last on ");
		add_safe(out, dataset);
	}
	if (updated) {
		str_adds(out, ", updated ");
		add_age(out, updated);
	}
	str_adds(out, "\nstrategy  ");
	add_strategy(out, strategy);
	str_adds(out, "\n\n");
	str_release(&safe);
	free(model);
	free(stage);
	free(checkpoint);
	free(dataset);
	free(updated);
	free(strategy);
}

static void add_run(const struct run *run, struct str *out)
{
	enum tone tone =
		run->state == RUN_RUNNING || run->state == RUN_STARTING ? TONE_RUNNING : TONE_BAD;

	str_addf(out, "  %.13s  ", run->run_id);
	add_tone(out, tone, run_state_word(run->state));
	str_adds(out, "  ");
	add_safe(out, run->dataset ? run->dataset : "?");
	if (run->earlier_attempts)
		str_addf(out, "  attempt %zu", run_count_attempts(run));
	if (run->last_step >= 0) {
		str_adds(out, "  last step ");
		add_count(out, run->last_step);
	}
	if (run->signal)
		str_addf(out, "  signal %d", run->signal);
	else if (run->exit_code > 0)
		str_addf(out, "  exit status %d", run->exit_code);
	if (run->start_time) {
		str_adds(out, "  ");
		add_when(out, run->start_time);
	}
	if (run->trouble) {
		str_adds(out, "  ");
		add_safe(out, run->trouble);
	}
	str_addch(out, '\n');
}

static void add_outside(const struct history *history, struct str *out)
{
	bool any = false;

	for (size_t i = 0; i < history->runs.n; i++) {
		if (!run_is_outside(&history->runs.v[i]))
			continue;
		if (!any)
			str_adds(out, "\nnot in the history:\n");
		any = true;
		add_run(&history->runs.v[i], out);
	}
	if (!history->waiting.n)
		return;
	str_addf(out, "\n%zu in the spool: 'thhost repair ", history->waiting.n);
	add_safe(out, history->dir.ref);
	str_addf(out, "' puts %s in\n", history->waiting.n == 1 ? "it" : "them");
}

static void show_as_json(const struct history *history, struct str *out)
{
	struct str record = STR_INIT;
	struct jsonw w = jsonw_begin(out, 2);

	history_strict_json(history, &record);
	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.show/1");
	jsonw_pair_string(&w, "ref", history->dir.ref);
	jsonw_pair_string(&w, "path", history->path);
	jsonw_key(&w, "record");
	if (history->has_record)
		jsonw_raw(&w, record.buf, record.len);
	else
		jsonw_null(&w);
	jsonw_key(&w, "runs");
	jsonw_array(&w);
	for (size_t i = 0; i < history->runs.n; i++) {
		struct str run = STR_INIT;

		run_print(&history->runs.v[i], &run, 2);
		jsonw_raw(&w, run.buf, run.len);
		str_release(&run);
	}
	jsonw_end(&w);
	jsonw_pair_int(&w, "spooled", (int64_t)history->waiting.n);
	jsonw_end(&w);
	str_addch(out, '\n');
	str_release(&record);
}

static void show_as_page(const struct history *history, struct str *out)
{
	if (history->has_record) {
		add_head(history, out);
		add_table(history, out);
	} else {
		add_safe(out, history->dir.ref);
		str_adds(out, " has no record yet\n");
	}
	add_outside(history, out);
}

/* Without a REF: the record that was last written to, in the experiment in use. */
static int find_newest(struct session *session, const char *exp, struct str *ref, struct err *err)
{
	struct histories all;
	struct str name = STR_INIT;
	double newest = -INFINITY;

	if (session_layout(session, err) < 0 ||
	    layout_find_experiment(&session->layout, exp, &name, err) < 0 ||
	    histories_load(&all, &session->layout, name.buf, NULL, err) < 0) {
		str_release(&name);
		return -1;
	}
	for (size_t i = 0; i < all.n; i++) {
		char *updated = info_string(&all.v[i].info, "last_updated");
		double when = 0;

		if (updated)
			clock_parse(updated, &when, NULL);
		if (when > newest) {
			newest = when;
			str_sets(ref, all.v[i].dir.ref);
		}
		free(updated);
	}
	if (!ref->len)
		err_set(err, ERR_NOT_FOUND, "experiment '%s' holds no record yet", name.buf);
	histories_release(&all);
	str_release(&name);
	return ref->len ? 0 : -1;
}

static int show(struct cli *cli, struct history *history, struct err *err)
{
	struct str out = STR_INIT;
	int result;

	if (history->err.code) {
		*err = history->err;
		return -1;
	}
	if (!history->has_record && !history->runs.n && !history->waiting.n) {
		err_set(err, ERR_NOT_FOUND, "%s: no such record", history->path);
		return err_hint(err, "'thhost list' shows what there is");
	}
	if (cli->json)
		show_as_json(history, &out);
	else
		show_as_page(history, &out);
	result = print_paged(&out, &cli->session.conf) < 0 ? 1 : 0;
	str_release(&out);
	return result;
}

static int run_show(struct cli *cli, struct err *err)
{
	const char *exp = option_value(&cli->options, "exp");
	struct stage_dir dir = STAGE_DIR_INIT;
	struct history history;
	struct str ref = STR_INIT;
	int result = 0;

	if (operand(cli, 0))
		str_sets(&ref, operand(cli, 0));
	else
		result = find_newest(&cli->session, exp, &ref, err);
	if (result == 0)
		result = session_resolve(&cli->session, exp, ref.buf, &dir, err);
	str_release(&ref);
	if (result < 0)
		return -1;
	history_load(&history, &dir);
	result = show(cli, &history, err);
	history_release(&history);
	return result;
}

const struct command cmd_show = {
	.name = "show",
	.synopsis = "[REF]",
	.summary = "show the training history of one model",
	.details = "Without a REF: the record of the experiment in use that was written last.\n",
	.options = options,
	.max_operands = 1,
	.run = run_show,
};
