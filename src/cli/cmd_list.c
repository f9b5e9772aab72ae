#include "base/base.h"

#include "app/history.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/pager.h"
#include "cli/render.h"

static const struct option_spec options[] = {
	{ "stage", 's', "STAGE", "only models of this stage" },
	{ "dataset", 'd', "D", "only models that were trained on D" },
	{ "exp", 'e', "EXP", "only this experiment" },
	{ NULL, 0, NULL, NULL },
};

/* The first finite number of the last entry's metrics, as "f1 0.850". */
static void add_telling_metric(const struct info *info, struct str *out)
{
	const struct json *doc = &info->doc;
	size_t last = JSON_NONE;
	size_t metrics;

	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i))
		last = i;
	metrics = last == JSON_NONE ? JSON_NONE : info_entry_member(info, last, "metrics");
	for (size_t i = json_first(doc, metrics); i != JSON_NONE; i = json_next(doc, metrics, i)) {
		struct str name = STR_INIT;
		double value;

		if (!json_is_number(doc, i + 1) || json_real(doc, i + 1, &value) < 0)
			continue;
		json_string(doc, i, &name);
		str_addf(out, "%s ", name.buf);
		add_metric(out, value);
		str_release(&name);
		return;
	}
}

static size_t count_outside(const struct history *history)
{
	size_t n = history->waiting.n;

	for (size_t i = 0; i < history->runs.n; i++)
		n += run_is_outside(&history->runs.v[i]);
	return n;
}

static void string_cell(struct table *t, const struct info *info, const char *key)
{
	char *text = info_string(info, key);

	table_cell(t, TONE_PLAIN, text ? text : "-");
	free(text);
}

static void broken_row(struct table *t, const struct history *history)
{
	table_row(t);
	table_cell(t, TONE_BAD, history->dir.ref);
	table_cell(t, TONE_BAD, "broken");
}

static void model_row(struct table *t, const struct history *history)
{
	const struct info *info = &history->info;
	struct str text = STR_INIT;
	size_t outside = count_outside(history);
	char *updated = info_string(info, "last_updated");

	table_row(t);
	table_cell(t, TONE_PLAIN, history->dir.ref);
	string_cell(t, info, "stage");
	string_cell(t, info, "last_dataset");
	add_count(&text, info_total_steps(info));
	table_cell(t, TONE_PLAIN, text.buf);
	str_clear(&text);
	add_count(&text, (int64_t)info_entry_count(info));
	table_cell(t, TONE_PLAIN, text.buf);
	str_clear(&text);
	add_telling_metric(info, &text);
	table_cell(t, TONE_PLAIN, text.buf);
	string_cell(t, info, "final_checkpoint");
	str_clear(&text);
	if (updated)
		add_age(&text, updated);
	table_cell(t, TONE_PLAIN, text.buf);
	str_clear(&text);
	if (outside)
		str_addf(&text, "%zu not recorded", outside);
	table_cell(t, TONE_BAD, text.buf);
	str_release(&text);
	free(updated);
}

static void list_as_table(const struct histories *all, struct str *out)
{
	static const char *const titles[] = { "model",	    "stage",	 "last on",
					      "steps",	    "trainings", "metric",
					      "checkpoint", "updated",	 "" };
	static const int spare[] = { 0, 2, 0, 0, 3, 0, 4, 1, 0 };
	struct table *t = table_new();

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++) {
		table_column(t, titles[i], i == 3 || i == 4 ? ALIGN_RIGHT : ALIGN_LEFT);
		table_spare(t, spare[i]);
	}
	for (size_t i = 0; i < all->n; i++) {
		const struct history *history = &all->v[i];

		if (history->err.code)
			broken_row(t, history);
		else if (history->has_record)
			model_row(t, history);
	}
	table_print(t, "", out);
	table_free(t);
}

static void model_as_json(const struct history *history, struct jsonw *w)
{
	struct str record = STR_INIT;

	jsonw_object(w);
	jsonw_pair_string(w, "ref", history->dir.ref);
	jsonw_pair_string(w, "path", history->path);
	if (history->err.code) {
		jsonw_pair_string(w, "error", history->err.msg);
	} else {
		char *strategy = history_strategy(history);

		history_strict_json(history, &record);
		jsonw_pair_string(w, "strategy", strategy);
		jsonw_pair_int(w, "not_recorded", (int64_t)count_outside(history));
		jsonw_key(w, "record");
		jsonw_raw(w, record.buf, record.len);
		free(strategy);
	}
	jsonw_end(w);
	str_release(&record);
}

static void list_as_json(const struct histories *all, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.list/1");
	jsonw_key(&w, "models");
	jsonw_array(&w);
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].err.code || all->v[i].has_record)
			model_as_json(&all->v[i], &w);
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static bool report_broken(const struct histories *all)
{
	bool any = false;

	for (size_t i = 0; i < all->n; i++) {
		if (!all->v[i].err.code)
			continue;
		any = true;
		log_warn("%s", all->v[i].err.msg);
	}
	return any;
}

static int run_list(struct cli *cli, struct err *err)
{
	struct history_filter filter = {
		.stage = option_value(&cli->options, "stage"),
		.dataset = option_value(&cli->options, "dataset"),
	};
	const char *exp = option_value(&cli->options, "exp");
	struct histories all;
	struct str name = STR_INIT;
	struct str out = STR_INIT;
	int result;

	if (session_layout(&cli->session, err) < 0)
		return -1;
	if (exp && layout_find_experiment(&cli->session.layout, exp, &name, err) < 0)
		return -1;
	if (histories_load(&all, &cli->session.layout, exp ? name.buf : NULL, &filter, err) < 0) {
		histories_release(&all);
		str_release(&name);
		return -1;
	}
	if (cli->json)
		list_as_json(&all, &out);
	else
		list_as_table(&all, &out);
	if (!out.len)
		log_notice("no such model below '%s'", cli->session.layout.root);
	result = print_paged(&out, &cli->session.conf) < 0 ? 1 : 0;
	if (report_broken(&all))
		result = 1;
	histories_release(&all);
	str_release(&name);
	str_release(&out);
	return result;
}

const struct command cmd_list = {
	.name = "list",
	.synopsis = "[--stage STAGE] [--dataset D] [--exp EXP]",
	.summary = "list all models below the artifact root",
	.details =
		"A record that cannot be read is a row that says so; the exit status is then 1.\n",
	.options = options,
	.run = run_list,
};
