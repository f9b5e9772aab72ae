#include "base/base.h"

#include "app/strategies.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/pager.h"
#include "cli/render.h"
#include "sys/json.h"

#include <math.h>

static const struct option_spec options[] = {
	{ "metric", 'm', "NAME", "only this metric (repeatable)" },
	{ "all", 'a', NULL, "also metrics that are nested in others" },
	{ "steps", 0, NULL, "tell apart what was trained for other numbers of steps" },
	{ "exp", 'e', "EXP", "only this experiment" },
	{ NULL, 0, NULL, NULL },
};

static bool is_wanted(const struct cli *cli, const char *name)
{
	size_t position = 0;
	bool any = false;
	const char *wanted;

	while ((wanted = option_each(&cli->options, "metric", &position))) {
		any = true;
		if (strcmp(wanted, name) == 0)
			return true;
	}
	return !any && (cli->json || option_given(&cli->options, "all") || !strchr(name, '.'));
}

static void number_cell(struct table *t, int digits, double value)
{
	char text[64] = "-";

	if (isfinite(value))
		snprintf(text, sizeof(text), "%.*g", digits, value);
	table_cell(t, TONE_PLAIN, text);
}

static void metric_row(struct table *t, const struct strategy_metric *metric)
{
	struct str count = STR_INIT;

	table_row(t);
	table_cell(t, TONE_PLAIN, metric->name);
	add_count(&count, (int64_t)metric->n);
	table_cell(t, TONE_PLAIN, count.buf);
	number_cell(t, 6, metric->mean);
	number_cell(t, 3, strategy_deviation(metric));
	table_cell(t, TONE_PLAIN, metric->best_text ? metric->best_text : "-");
	table_cell(t, TONE_DIM, metric->best_ref ? metric->best_ref : "-");
	str_release(&count);
}

static void add_group(const struct cli *cli, const struct strategy *group, struct str *out)
{
	struct table *t = table_new();

	add_safe(out, group->stage);
	str_adds(out, "  ");
	add_strategy(out, group->text);
	str_adds(out, "  (");
	add_count(out, (int64_t)group->n_models);
	str_adds(out, group->n_models == 1 ? " model)\n" : " models)\n");
	table_column(t, "metric", ALIGN_LEFT);
	table_column(t, "n", ALIGN_RIGHT);
	table_column(t, "mean", ALIGN_RIGHT);
	table_column(t, "deviation", ALIGN_RIGHT);
	table_column(t, "best", ALIGN_RIGHT);
	table_column(t, "of", ALIGN_LEFT);
	for (size_t i = 0; i < group->n; i++)
		if (is_wanted(cli, group->metrics[i]->name))
			metric_row(t, group->metrics[i]);
	table_print(t, "  ", out);
	table_free(t);
}

static void real_or_null(struct jsonw *w, const char *key, double value)
{
	jsonw_key(w, key);
	jsonw_real(w, value); /* null where it is not finite */
}

static void metric_as_json(struct jsonw *w, const struct strategy_metric *metric)
{
	jsonw_object(w);
	jsonw_pair_string(w, "name", metric->name);
	jsonw_pair_string(w, "goal",
			  metric->goal == '+'	? "max"
			  : metric->goal == '-' ? "min"
						: NULL);
	jsonw_pair_int(w, "n", (int64_t)metric->n);
	real_or_null(w, "mean", metric->mean);
	real_or_null(w, "deviation", strategy_deviation(metric));
	jsonw_pair_raw(w, "best", metric->best_text ? metric->best_text : "null");
	jsonw_pair_string(w, "best_ref", metric->best_ref);
	jsonw_end(w);
}

static void as_json(const struct cli *cli, const struct strategies *all, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.strategies/1");
	jsonw_key(&w, "strategies");
	jsonw_array(&w);
	for (size_t i = 0; i < all->n; i++) {
		const struct strategy *group = all->v[i];

		jsonw_object(&w);
		jsonw_pair_string(&w, "stage", group->stage);
		jsonw_pair_string(&w, "strategy", group->text);
		jsonw_pair_int(&w, "models", (int64_t)group->n_models);
		jsonw_key(&w, "metrics");
		jsonw_array(&w);
		for (size_t k = 0; k < group->n; k++)
			if (is_wanted(cli, group->metrics[k]->name))
				metric_as_json(&w, group->metrics[k]);
		jsonw_end(&w);
		jsonw_end(&w);
	}
	jsonw_end(&w);
	jsonw_pair_int(&w, "broken", (int64_t)all->n_broken);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static void as_page(const struct cli *cli, const struct strategies *all, struct str *out)
{
	for (size_t i = 0; i < all->n; i++) {
		if (i)
			str_addch(out, '\n');
		add_group(cli, all->v[i], out);
	}
	if (!all->n)
		log_notice("no such model below '%s'", cli->session.layout.root);
}

static int choose(struct cli *cli, struct strv *pattern, struct str *exp,
		  struct strategy_choice *choice, struct err *err)
{
	const char *name = option_value(&cli->options, "exp");

	choice->with_steps = option_given(&cli->options, "steps");
	if (operand(cli, 0)) {
		if (strategy_pattern(operand(cli, 0), pattern, err) < 0)
			return -1;
		choice->pattern = pattern;
	}
	if (!name)
		return 0;
	if (session_layout(&cli->session, err) < 0 ||
	    layout_find_experiment(&cli->session.layout, name, exp, err) < 0)
		return -1;
	choice->exp = exp->buf;
	return 0;
}

static int run_strategies(struct cli *cli, struct err *err)
{
	struct strategies all = STRATEGIES_INIT;
	struct strategy_choice choice = { .pattern = NULL };
	struct strv pattern = STRV_INIT;
	struct str exp = STR_INIT;
	struct str out = STR_INIT;
	int result = choose(cli, &pattern, &exp, &choice, err);

	if (result == 0)
		result = strategies_collect(&all, &cli->session, &choice, err);
	if (result == 0) {
		if (cli->json)
			as_json(cli, &all, &out);
		else
			as_page(cli, &all, &out);
		result = print_paged(&out, &cli->session.conf) < 0 || all.n_broken ? 1 : 0;
	}
	strategies_release(&all);
	strv_release(&pattern);
	str_release(&exp);
	str_release(&out);
	return result;
}

const struct command cmd_strategies = {
	.name = "strategies",
	.synopsis = "[PATTERN]",
	.summary = "group models by the sequence of data sets they were trained on",
	.details =
		"PATTERN is for instance 'hrds > *': '*' stands for any number of trainings, '?' "
		"for one.\nA record that cannot be read is named; the exit status is then 1.\n",
	.options = options,
	.max_operands = 1,
	.run = run_strategies,
};
