#include "base/base.h"

#include "app/forgetting.h"

#include "app/each_value.h"
#include "app/goals.h"
#include "base/log.h"
#include "base/mem.h"

#include <math.h>

/* Of one model's matrix: 32 MiB of numbers. Nobody looks at a larger one. */
#define MAX_CELLS ((size_t)4 << 20)

/* ---- names ---- */

static const char *const prefixes[] = { "eval_", "validation_", "valid_", "val_", "dev_", "test_" };

static bool is_separator(char c)
{
	return c == '_' || c == '/' || c == '.';
}

static bool are_same(char a, char b)
{
	return a == b || (is_separator(a) && is_separator(b));
}

static bool begins(const char *text, const char *prefix)
{
	for (; *prefix; prefix++, text++)
		if (!are_same(*text, *prefix))
			return false;
	return true;
}

static bool is_name(const char *text, const char *name)
{
	return begins(text, name) && strlen(text) == strlen(name);
}

/* "f1" of "eval_f1", "metrics.eval/f1". */
static const char *bare_name(const char *metric)
{
	if (has_prefix(metric, "metrics."))
		metric += strlen("metrics.");
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (begins(metric, prefixes[i]) && metric[strlen(prefixes[i])])
			return metric + strlen(prefixes[i]);
	return metric;
}

/* The rank of 'name' among the ways to write it: 'plain', or behind one of the prefixes. 0: none. */
static size_t rank_behind_prefix(const char *name, const char *plain)
{
	if (is_name(name, plain))
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (begins(name, prefixes[i]) && is_name(name + strlen(prefixes[i]), plain))
			return i + 2;
	return 0;
}

/* ---- one model ---- */

/* How the metric on one data set is written. */
struct spelling {
	char *dataset_first;
	char *metric_first;
};

/* A model's matrix; NAN: not recorded. */
struct matrix {
	const char *metric;
	const struct sequence *sequence;
	struct strv datasets;
	struct spelling *spellings;
	size_t *first; /* training on each data set, from 0 */
	size_t n_columns;
	double *values;
	size_t *ranks; /* of the values, the lower the better; 0: none */
	size_t column; /* that is being read */
	const struct json *doc;
	bool any;
};

static void matrix_release(struct matrix *m)
{
	for (size_t i = 0; i < m->datasets.n; i++) {
		free(m->spellings[i].dataset_first);
		free(m->spellings[i].metric_first);
	}
	strv_release(&m->datasets);
	free(m->spellings);
	free(m->first);
	free(m->values);
	free(m->ranks);
}

static void add_dataset(struct matrix *m, size_t training)
{
	const char *name = m->sequence->v[training + 1].name;
	size_t n = m->datasets.n;

	if (strv_has(&m->datasets, name))
		return;
	strv_push(&m->datasets, name);
	m->spellings = xreallocarray(m->spellings, n + 1, sizeof(*m->spellings));
	m->spellings[n] = (struct spelling){ xstrf("%s_%s", name, m->metric),
					     xstrf("%s_%s", m->metric, name) };
	m->first = xreallocarray(m->first, n + 1, sizeof(*m->first));
	m->first[n] = training;
}

/* False: it would be too large. */
static bool matrix_make(struct matrix *m, const struct sequence *sequence, const char *metric)
{
	*m = (struct matrix){ .metric = metric, .sequence = sequence };
	m->n_columns = sequence->n - 1;
	for (size_t i = 0; i < m->n_columns; i++)
		add_dataset(m, i);
	if (m->datasets.n > MAX_CELLS / m->n_columns)
		return false;
	m->values = xcalloc(m->datasets.n * m->n_columns, sizeof(*m->values));
	m->ranks = xcalloc(m->datasets.n * m->n_columns, sizeof(*m->ranks));
	for (size_t i = 0; i < m->datasets.n * m->n_columns; i++)
		m->values[i] = (double)NAN;
	return true;
}

static size_t rank_of(const struct matrix *m, size_t row, const char *name)
{
	const struct spelling *spelling = &m->spellings[row];
	const char *own = m->sequence->v[m->column + 1].name;
	size_t rank = rank_behind_prefix(name, spelling->dataset_first);

	if (rank)
		return 2 * rank;
	rank = rank_behind_prefix(name, spelling->metric_first);
	if (rank)
		return 2 * rank + 1;
	rank = strcmp(m->datasets.v[row], own) == 0 ? rank_behind_prefix(name, m->metric) : 0;
	return rank ? 2 * (ARRAY_SIZE(prefixes) + 2) + rank : 0;
}

/* Nearly all metrics are others: do not compare these with every data set. */
static bool has_metric(const struct matrix *m, const char *name)
{
	for (; *name; name++)
		if (begins(name, m->metric))
			return true;
	return false;
}

static void take_value(void *arg, const char *name, size_t token)
{
	struct matrix *m = arg;
	double value;

	if (!has_metric(m, name) || !json_is_number(m->doc, token) ||
	    json_real(m->doc, token, &value) < 0 || !isfinite(value))
		return;
	for (size_t row = 0; row < m->datasets.n; row++) {
		size_t cell = row * m->n_columns + m->column;
		size_t rank = rank_of(m, row, name);

		if (!rank || (m->ranks[cell] && m->ranks[cell] <= rank))
			continue;
		m->ranks[cell] = rank;
		m->values[cell] = value;
		m->any = true;
	}
}

static void matrix_read(struct matrix *m, const struct info *info)
{
	struct str path = STR_INIT;

	m->doc = &info->doc;
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		size_t metrics = info_entry_member(info, i, "metrics");

		if (json_is(m->doc, metrics, JSON_OBJECT))
			each_value(m->doc, metrics, &path, take_value, m);
		m->column++;
	}
	str_release(&path);
}

/* ---- groups ---- */

struct gatherer {
	struct forgettings *all;
	struct session *session;
	const struct strategy_choice *choice;
	const char *metric;
	struct goals goals;
};

static struct forgetting *group_of(struct gatherer *g, const struct matrix *m, const char *stage)
{
	struct forgettings *all = g->all;
	char *key = sequence_key(m->sequence, stage, g->choice->with_steps);
	struct forgetting *group = map_get(&all->by_key, key);
	bool ignored;

	if (group) {
		free(key);
		return group;
	}
	group = xcalloc(1, sizeof(*group));
	group->key = key;
	group->text = sequence_text(m->sequence, g->choice->with_steps);
	group->stage = xstrdup(stage);
	group->goal = goals_of(&g->goals, stage, g->metric, &ignored);
	strv_copy(&group->datasets, m->datasets.v);
	for (size_t i = 1; i < m->sequence->n; i++)
		strv_push(&group->trainings, g->choice->with_steps ? m->sequence->v[i].with_steps
								   : m->sequence->v[i].name);
	group->values = xcalloc(m->datasets.n * m->n_columns, sizeof(*group->values));
	group->forgotten = xcalloc(m->datasets.n, sizeof(*group->forgotten));
	if (all->n == all->cap) {
		all->cap = all->cap ? all->cap * 2 : 16;
		all->v = xreallocarray(all->v, all->cap, sizeof(struct forgetting *));
	}
	all->v[all->n++] = group;
	map_put(&all->by_key, key, group);
	return group;
}

/* What is lost of the best, positive where it is worse now; NAN: it cannot be told. */
static double forgotten(const double *row, size_t first, size_t last, double sign)
{
	double lost = (double)NAN;

	for (size_t i = first; i < last; i++)
		if (!isnan(row[i]) && !(sign * (row[i] - row[last]) <= lost))
			lost = sign * (row[i] - row[last]);
	return lost;
}

static void add_lost(struct forgetting *group, const struct matrix *m)
{
	double sign = group->goal == '-' ? -1 : 1;
	size_t last = m->n_columns - 1;
	struct moments average = { .n = 0 };
	struct moments transfer = { .n = 0 };

	for (size_t row = 0; row < m->datasets.n; row++) {
		const double *values = m->values + row * m->n_columns;
		double lost = forgotten(values, m->first[row], last, sign);
		double gained = sign * (values[last] - values[m->first[row]]);

		if (isfinite(lost)) {
			moments_add(&group->forgotten[row], lost);
			moments_add(&average, lost);
		}
		if (m->first[row] < last && isfinite(gained))
			moments_add(&transfer, gained);
	}
	if (average.n)
		moments_add(&group->average, average.mean);
	if (transfer.n)
		moments_add(&group->transfer, transfer.mean);
}

static void add_matrix(struct gatherer *g, const struct matrix *m, const struct info *info)
{
	char *stage = info_string(info, "stage");
	struct forgetting *group;

	goals_ask(&g->goals, g->session, stage, NULL);
	group = group_of(g, m, stage ? stage : "?");
	group->n_models++;
	for (size_t i = 0; i < m->datasets.n * m->n_columns; i++)
		if (!isnan(m->values[i]))
			moments_add(&group->values[i], m->values[i]);
	if (group->goal)
		add_lost(group, m);
	free(stage);
}

static void add_model(void *arg, const struct strategy_model *model)
{
	struct gatherer *g = arg;
	struct matrix m;

	if (model->sequence->n < 3)
		return;
	if (matrix_make(&m, model->sequence, g->metric)) {
		matrix_read(&m, &model->history->info);
		if (m.any)
			add_matrix(g, &m, &model->history->info);
	} else {
		log_warn("'%s' has too many trainings and data sets for a matrix",
			 model->history->dir.ref);
	}
	matrix_release(&m);
}

static int compare_groups(const void *a, const void *b)
{
	const struct forgetting *left = *(struct forgetting *const *)a;
	const struct forgetting *right = *(struct forgetting *const *)b;
	int result = natural_compare(left->stage, right->stage);

	result = result ? result : natural_compare(left->text, right->text);
	return result ? result : strcmp(left->key, right->key);
}

int forgettings_collect(struct forgettings *all, struct session *session,
			const struct strategy_choice *choice, const char *metric, struct err *err)
{
	struct gatherer g = { .all = all,
			      .session = session,
			      .choice = choice,
			      .metric = bare_name(metric),
			      .goals = GOALS_INIT };
	int result = strategies_each(session, choice, add_model, &g, &all->n_broken, err);

	goals_release(&g.goals);
	if (all->n)
		qsort(all->v, all->n, sizeof(struct forgetting *), compare_groups);
	return result;
}

static void forgetting_free(struct forgetting *group)
{
	strv_release(&group->trainings);
	strv_release(&group->datasets);
	free(group->values);
	free(group->forgotten);
	free(group->stage);
	free(group->text);
	free(group->key);
	free(group);
}

void forgettings_release(struct forgettings *all)
{
	map_release(&all->by_key);
	for (size_t i = 0; i < all->n; i++)
		forgetting_free(all->v[i]);
	free(all->v);
	*all = (struct forgettings)FORGETTINGS_INIT;
}
