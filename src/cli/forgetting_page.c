#include "base/base.h"

#include "cli/forgetting_page.h"

#include "base/mem.h"
#include "cli/render.h"
#include "cli/sheet_rows.h"
#include "cli/strategies_page.h"
#include "sys/json.h"

#include <math.h>

#define VALUE_DIGITS 6
#define CHANGE_DIGITS 3

static const struct moments *cell_of(const struct forgetting *group, size_t row, size_t column)
{
	return &group->values[row * group->trainings.n + column];
}

/* Moments of nothing have no mean. */
static double mean_of(const struct moments *moments)
{
	return moments->n ? moments->mean : (double)NAN;
}

/* ---- the page ---- */

/* "0.79", and where not every model of the strategy has it "0.79 (n 2)". */
static void mean_cell(struct table *t, const struct moments *moments, size_t n_models, int digits)
{
	char *number = short_real(mean_of(moments), digits);
	char *text = moments->n && moments->n != n_models ? xstrf("%s (n %zu)", number, moments->n)
							  : xstrdup(number);

	table_cell(t, TONE_PLAIN, text);
	free(text);
	free(number);
}

static void add_summary(const struct forgetting *group, struct str *out)
{
	char *average = short_real(mean_of(&group->average), CHANGE_DIGITS);
	char *transfer = short_real(mean_of(&group->transfer), CHANGE_DIGITS);

	if (group->average.n || group->transfer.n)
		str_addf(out, "  forgotten %s on average, backward transfer %s\n", average,
			 transfer);
	free(average);
	free(transfer);
}

static void group_as_page(const struct forgetting *group, const char *metric, struct str *out)
{
	struct table *t = table_new();

	add_safe(out, group->stage);
	str_adds(out, "  ");
	add_strategy(out, group->text);
	str_adds(out, "  (");
	add_count(out, (int64_t)group->n_models);
	str_adds(out, group->n_models == 1 ? " model)\n" : " models)\n");
	str_adds(out, "  ");
	add_safe(out, metric);
	str_adds(out, " on each data set after each training\n");
	table_column(t, "", ALIGN_LEFT);
	for (size_t i = 0; i < group->trainings.n; i++) {
		char *title = xstrf("%zu %s", i + 1, group->trainings.v[i]);

		table_column(t, title, ALIGN_RIGHT);
		free(title);
	}
	table_column(t, "forgotten", ALIGN_RIGHT);
	for (size_t row = 0; row < group->datasets.n; row++) {
		table_row(t);
		table_cell(t, TONE_PLAIN, group->datasets.v[row]);
		for (size_t i = 0; i < group->trainings.n; i++)
			mean_cell(t, cell_of(group, row, i), group->n_models, VALUE_DIGITS);
		mean_cell(t, &group->forgotten[row], group->n_models, CHANGE_DIGITS);
	}
	table_print(t, "  ", out);
	table_free(t);
	add_summary(group, out);
}

void forgetting_as_page(const struct forgettings *all, const char *metric, struct str *out)
{
	for (size_t i = 0; i < all->n; i++) {
		if (i)
			str_addch(out, '\n');
		group_as_page(all->v[i], metric, out);
	}
}

/* ---- sheets ---- */

/* What the rows are of. */
struct source {
	const struct forgettings *all;
	const char *metric;
};

static void cell_as_row(struct sheet_rows *to, const struct forgetting *group, const char *metric,
			size_t row, size_t column)
{
	const struct moments *cell = cell_of(group, row, column);

	row_text(to, group->stage);
	row_text(to, group->text);
	row_count(to, group->n_models);
	row_text(to, metric);
	row_text(to, group->datasets.v[row]);
	row_count(to, column + 1);
	row_text(to, group->trainings.v[column]);
	row_count(to, cell->n);
	row_real(to, cell->mean);
	row_real(to, moments_deviation(cell));
	row_real(to, mean_of(&group->forgotten[row]));
	row_real(to, mean_of(&group->average));
	row_real(to, mean_of(&group->transfer));
}

static void matrix_rows(struct sheet_rows *to, const void *arg)
{
	const struct source *source = arg;

	for (size_t i = 0; i < source->all->n; i++) {
		const struct forgetting *group = source->all->v[i];

		for (size_t row = 0; row < group->datasets.n; row++)
			for (size_t k = 0; k < group->trainings.n; k++)
				if (cell_of(group, row, k)->n)
					cell_as_row(to, group, source->metric, row, k);
	}
}

void forgetting_as_sheet(const struct forgettings *all, const char *metric,
			 enum sheet_format format, struct str *out)
{
	static const char *const names[] = { "stage",
					     "strategy",
					     "models",
					     "metric",
					     "dataset",
					     "training",
					     "trained_on",
					     "n",
					     "mean",
					     "deviation",
					     "forgotten",
					     "average_forgotten",
					     "backward_transfer" };
	const struct source source = { all, metric };
	struct strv titles = STRV_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		strv_push(&titles, names[i]);
	sheet_of_rows(format, &titles, matrix_rows, &source, out);
	strv_release(&titles);
}

/* ---- JSON ---- */

static void names_as_json(struct jsonw *w, const char *key, const struct strv *names)
{
	jsonw_key(w, key);
	jsonw_array(w);
	for (size_t i = 0; i < names->n; i++)
		jsonw_string(w, names->v[i]);
	jsonw_end(w);
}

static void group_as_json(struct jsonw *w, const struct forgetting *group)
{
	jsonw_object(w);
	jsonw_pair_string(w, "stage", group->stage);
	jsonw_pair_string(w, "strategy", group->text);
	jsonw_pair_int(w, "models", (int64_t)group->n_models);
	jsonw_pair_string(w, "goal", goal_word(group->goal));
	names_as_json(w, "datasets", &group->datasets);
	names_as_json(w, "trainings", &group->trainings);
	jsonw_key(w, "values");
	jsonw_array(w);
	for (size_t row = 0; row < group->datasets.n; row++) {
		jsonw_array(w);
		for (size_t i = 0; i < group->trainings.n; i++)
			moments_as_json(w, NULL, cell_of(group, row, i));
		jsonw_end(w);
	}
	jsonw_end(w);
	jsonw_key(w, "forgotten");
	jsonw_array(w);
	for (size_t row = 0; row < group->datasets.n; row++)
		moments_as_json(w, NULL, &group->forgotten[row]);
	jsonw_end(w);
	moments_as_json(w, "average_forgotten", &group->average);
	moments_as_json(w, "backward_transfer", &group->transfer);
	jsonw_end(w);
}

void forgetting_as_json(const struct forgettings *all, const char *metric, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.forgetting/1");
	jsonw_pair_string(&w, "metric", metric);
	jsonw_key(&w, "strategies");
	jsonw_array(&w);
	for (size_t i = 0; i < all->n; i++)
		group_as_json(&w, all->v[i]);
	jsonw_end(&w);
	jsonw_pair_int(&w, "broken", (int64_t)all->n_broken);
	jsonw_end(&w);
	str_addch(out, '\n');
}

void forgetting_as_lines(const struct forgettings *all, struct str *out)
{
	for (size_t i = 0; i < all->n; i++) {
		struct jsonw w = jsonw_begin(out, 0);

		group_as_json(&w, all->v[i]);
		str_addch(out, '\n');
	}
}
