#include "base/base.h"

#include "cli/strategies_page.h"

#include "base/mem.h"
#include "cli/render.h"
#include "cli/sheet_rows.h"
#include "sys/json.h"

#include <math.h>

#define MEAN_DIGITS 6
#define DEVIATION_DIGITS 3

const char *goal_word(char goal)
{
	return goal == '+' ? "max" : goal == '-' ? "min" : NULL;
}

char *short_real(double value, int digits)
{
	return isfinite(value) ? xstrf("%.*g", digits, value) : xstrdup("-");
}

void pair_real(struct jsonw *w, const char *key, double value)
{
	jsonw_key(w, key);
	jsonw_real(w, value);
}

void moments_as_json(struct jsonw *w, const char *key, const struct moments *moments)
{
	if (key)
		jsonw_key(w, key);
	if (!moments->n) {
		jsonw_null(w);
		return;
	}
	jsonw_object(w);
	jsonw_pair_int(w, "n", (int64_t)moments->n);
	pair_real(w, "mean", moments->mean);
	pair_real(w, "deviation", moments_deviation(moments));
	jsonw_end(w);
}

bool strategies_want(const struct strategies_page *page, bool with_nested, const char *name)
{
	if (page->metrics->n)
		return strv_has(page->metrics, name);
	return with_nested || !strchr(name, '.');
}

/* ---- cells of a table ---- */

static void count_cell(struct table *t, size_t count)
{
	struct str text = STR_INIT;

	add_count(&text, (int64_t)count);
	table_cell(t, TONE_PLAIN, text.buf);
	str_release(&text);
}

static void real_cell(struct table *t, double value, int digits)
{
	char *text = short_real(value, digits);

	table_cell(t, TONE_PLAIN, text);
	free(text);
}

static void metric_columns(struct table *t)
{
	table_column(t, "metric", ALIGN_LEFT);
	table_column(t, "n", ALIGN_RIGHT);
	table_column(t, "mean", ALIGN_RIGHT);
	table_column(t, "deviation", ALIGN_RIGHT);
	table_column(t, "best", ALIGN_RIGHT);
	table_column(t, "of", ALIGN_LEFT);
}

static void metric_cells(struct table *t, const struct strategy_metric *metric)
{
	table_cell(t, TONE_PLAIN, metric->name);
	count_cell(t, metric->moments.n);
	real_cell(t, metric->moments.mean, MEAN_DIGITS);
	real_cell(t, moments_deviation(&metric->moments), DEVIATION_DIGITS);
	table_cell(t, TONE_PLAIN, metric->best_text ? metric->best_text : "-");
	table_cell(t, TONE_DIM, metric->best_ref ? metric->best_ref : "-");
}

/* ---- groups ---- */

static void group_as_page(const struct strategies_page *page, const struct strategy *group,
			  struct str *out)
{
	struct table *t = table_new();

	add_safe(out, group->stage);
	str_adds(out, "  ");
	add_strategy(out, group->text);
	str_adds(out, "  (");
	add_count(out, (int64_t)group->n_models);
	str_adds(out, group->n_models == 1 ? " model)\n" : " models)\n");
	metric_columns(t);
	for (size_t i = 0; i < group->n; i++) {
		if (!strategies_want(page, page->with_nested, group->metrics[i]->name))
			continue;
		table_row(t);
		metric_cells(t, group->metrics[i]);
	}
	table_print(t, "  ", out);
	table_free(t);
}

static void field_cells(struct table *t, const struct strategies_page *page,
			const struct strategy *group)
{
	for (size_t i = 0; i < page->fields->n; i++) {
		struct str text = STR_INIT;

		value_add_text(&group->values[i], &text);
		table_cell(t, TONE_PLAIN, text.len ? text.buf : "-");
		str_release(&text);
	}
}

/* One table: beside each other, groups of repeats are what is compared. */
static void groups_by_fields_as_page(const struct strategies_page *page, struct str *out)
{
	struct table *t = table_new();

	for (size_t i = 0; i < page->fields->n; i++)
		table_column(t, page->fields->v[i], ALIGN_LEFT);
	table_column(t, "models", ALIGN_RIGHT);
	metric_columns(t);
	for (size_t i = 0; i < page->all->n; i++) {
		const struct strategy *group = page->all->v[i];

		for (size_t k = 0; k < group->n; k++) {
			if (!strategies_want(page, page->with_nested, group->metrics[k]->name))
				continue;
			table_row(t);
			field_cells(t, page, group);
			count_cell(t, group->n_models);
			metric_cells(t, group->metrics[k]);
		}
	}
	table_print(t, "", out);
	table_free(t);
}

static void groups_as_page(const struct strategies_page *page, struct str *out)
{
	if (page->fields) {
		if (page->all->n)
			groups_by_fields_as_page(page, out);
		return;
	}
	for (size_t i = 0; i < page->all->n; i++) {
		if (i)
			str_addch(out, '\n');
		group_as_page(page, page->all->v[i], out);
	}
}

/* ---- pairs ---- */

static enum tone tone_of(const char *verdict)
{
	if (!verdict || strcmp(verdict, "same") == 0)
		return TONE_PLAIN;
	return strcmp(verdict, "better") == 0 ? TONE_GOOD : TONE_BAD;
}

static void pair_row(struct table *t, const struct strategy_metric *first,
		     const struct strategy_metric *second)
{
	const struct strategy_metric *const both[] = { first, second };
	const char *word = order_verdict(first, second);
	char *text;

	table_row(t);
	table_cell(t, TONE_PLAIN, first->name);
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		count_cell(t, both[i]->moments.n);
		real_cell(t, both[i]->moments.mean, MEAN_DIGITS);
		real_cell(t, moments_deviation(&both[i]->moments), DEVIATION_DIGITS);
	}
	text = isfinite(mean_difference(first, second))
		       ? xstrf("%+.*g", DEVIATION_DIGITS, mean_difference(first, second))
		       : xstrdup("-");
	table_cell(t, TONE_PLAIN, text);
	free(text);
	real_cell(t, difference_error(first, second), DEVIATION_DIGITS);
	table_cell(t, tone_of(word), word ? word : "");
}

static void add_side(struct str *out, const char *label, const struct strategy *group)
{
	str_addf(out, "  %s  ", label);
	add_strategy(out, group->text);
	str_adds(out, "  (");
	add_count(out, (int64_t)group->n_models);
	str_adds(out, group->n_models == 1 ? " model)\n" : " models)\n");
}

static void pair_as_page(const struct strategies_page *page, const struct order_pair *pair,
			 struct str *out)
{
	static const char *const titles[] = { "n 1",	"mean 1",      "deviation 1", "n 2",
					      "mean 2", "deviation 2", "2 - 1",	      "error" };
	struct table *t = table_new();

	add_safe(out, pair->first->stage);
	str_adds(out, "  order\n");
	add_side(out, "1", pair->first);
	add_side(out, "2", pair->second);
	table_column(t, "metric", ALIGN_LEFT);
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		table_column(t, titles[i], ALIGN_RIGHT);
	table_column(t, "", ALIGN_LEFT);
	for (size_t i = 0; i < pair->first->n; i++) {
		const struct strategy_metric *first = pair->first->metrics[i];
		const struct strategy_metric *second = strategy_metric(pair->second, first->name);

		if (second && strategies_want(page, page->with_nested, first->name))
			pair_row(t, first, second);
	}
	table_print(t, "  ", out);
	table_free(t);
}

void strategies_as_page(const struct strategies_page *page, struct str *out)
{
	if (!page->only_orders)
		groups_as_page(page, out);
	for (size_t i = 0; i < page->orders->n; i++) {
		if (out->len)
			str_addch(out, '\n');
		pair_as_page(page, &page->orders->v[i], out);
	}
}

/* ---- sheets ---- */

static void push_all(struct strv *titles, const char *const *more, size_t n)
{
	for (size_t i = 0; i < n; i++)
		strv_push(titles, more[i]);
}

static void value_cell(struct sheet_rows *to, const struct value *value)
{
	struct str text = STR_INIT;
	double ignored;

	value_add_text(value, &text);
	if (value->type == VALUE_UNDEFINED || value_number(value, &ignored))
		row_number(to, text.buf);
	else
		row_text(to, text.buf);
	str_release(&text);
}

static void group_cells(struct sheet_rows *to, const struct strategies_page *page,
			const struct strategy *group)
{
	for (size_t i = 0; page->fields && i < page->fields->n; i++)
		value_cell(to, &group->values[i]);
	if (!page->fields) {
		row_text(to, group->stage);
		row_text(to, group->text);
	}
	row_count(to, group->n_models);
}

static void group_rows(struct sheet_rows *to, const void *arg)
{
	const struct strategies_page *page = arg;

	for (size_t i = 0; i < page->all->n; i++) {
		const struct strategy *group = page->all->v[i];

		for (size_t k = 0; k < group->n; k++) {
			const struct strategy_metric *metric = group->metrics[k];

			if (!strategies_want(page, true, metric->name))
				continue;
			group_cells(to, page, group);
			row_text(to, metric->name);
			row_count(to, metric->moments.n);
			row_real(to, metric->moments.mean);
			row_real(to, moments_deviation(&metric->moments));
			row_number(to, metric->best_text);
			row_text(to, metric->best_ref);
		}
	}
}

static void group_titles(const struct strategies_page *page, struct strv *titles)
{
	static const char *const usual[] = { "stage", "strategy" };
	static const char *const more[] = { "models",	 "metric", "n",	      "mean",
					    "deviation", "best",   "best_ref" };

	if (page->fields)
		push_all(titles, (const char *const *)page->fields->v, page->fields->n);
	else
		push_all(titles, usual, ARRAY_SIZE(usual));
	push_all(titles, more, ARRAY_SIZE(more));
}

static void pair_cells(struct sheet_rows *to, const struct order_pair *pair,
		       const struct strategy_metric *first, const struct strategy_metric *second)
{
	const struct strategy_metric *const both[] = { first, second };

	row_text(to, pair->first->stage);
	row_text(to, pair->first->text);
	row_text(to, pair->second->text);
	row_text(to, first->name);
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		row_count(to, both[i]->moments.n);
		row_real(to, both[i]->moments.mean);
		row_real(to, moments_deviation(&both[i]->moments));
	}
	row_real(to, mean_difference(first, second));
	row_real(to, difference_error(first, second));
	row_text(to, order_verdict(first, second));
}

static void pair_rows(struct sheet_rows *to, const void *arg)
{
	const struct strategies_page *page = arg;

	for (size_t i = 0; i < page->orders->n; i++) {
		const struct order_pair *pair = &page->orders->v[i];

		for (size_t k = 0; k < pair->first->n; k++) {
			const struct strategy_metric *first = pair->first->metrics[k];
			const struct strategy_metric *second =
				strategy_metric(pair->second, first->name);

			if (second && strategies_want(page, true, first->name))
				pair_cells(to, pair, first, second);
		}
	}
}

void strategies_as_sheet(const struct strategies_page *page, enum sheet_format format,
			 struct str *out)
{
	static const char *const of_pairs[] = {
		"stage",      "first",		 "second",   "metric",	    "first_n",
		"first_mean", "first_deviation", "second_n", "second_mean", "second_deviation",
		"difference", "standard_error",	 "verdict"
	};
	struct strv titles = STRV_INIT;

	if (page->only_orders)
		push_all(&titles, of_pairs, ARRAY_SIZE(of_pairs));
	else
		group_titles(page, &titles);
	sheet_of_rows(format, &titles, page->only_orders ? pair_rows : group_rows, page, out);
	strv_release(&titles);
}
