#include "base/base.h"

#include "app/compare.h"

#include "app/each_value.h"
#include "app/goals.h"
#include "base/mem.h"

#include <math.h>

/* ---- values ---- */

/* One value of one side, before the values of all sides are put together. */
struct found {
	char *path;
	enum compare_group group;
	size_t side;
	size_t order; /* in which it was met */
	size_t token;
};

struct finder {
	struct found *v;
	size_t n;
	size_t cap;
	enum compare_group group;
	size_t side;
};

static void found(void *arg, const char *path, size_t token)
{
	struct finder *finder = arg;

	if (finder->n == finder->cap) {
		finder->cap = finder->cap ? finder->cap * 2 : 256;
		finder->v = xreallocarray(finder->v, finder->cap, sizeof(*finder->v));
	}
	finder->v[finder->n] = (struct found){
		.path = xstrdup(path),
		.group = finder->group,
		.side = finder->side,
		.order = finder->n,
		.token = token,
	};
	finder->n++;
}

static void find_member(struct finder *finder, const struct json *doc, size_t object,
			const char *key, enum compare_group group)
{
	size_t token = json_member(doc, object, key);
	struct str path = STR_INIT;

	finder->group = group;
	str_sets(&path, key);
	if (token != JSON_NONE)
		each_value(doc, token, &path, found, finder);
	str_release(&path);
}

static void find_side(struct finder *finder, const struct compare_side *side)
{
	static const struct {
		const char *key;
		enum compare_group group;
	} members[] = {
		{ "dataset", COMPARE_MODEL },		{ "dataset_digest", COMPARE_MODEL },
		{ "base_model_digest", COMPARE_MODEL }, { "epochs", COMPARE_MODEL },
		{ "planned", COMPARE_MODEL },		{ "metrics", COMPARE_METRICS },
		{ "hyperparams", COMPARE_HYPERPARAMS }, { "git", COMPARE_GIT },
		{ "environment", COMPARE_ENVIRONMENT }, { "plugin", COMPARE_ORIGIN },
	};
	const struct json *doc = &side->history.info.doc;
	size_t checkpoint;

	find_member(finder, doc, 0, "model_name", COMPARE_MODEL);
	find_member(finder, doc, 0, "stage", COMPARE_MODEL);
	checkpoint = json_member(doc, side->number ? side->entry : 0, "final_checkpoint");
	if (!json_string_is(doc, checkpoint, "")) /* no checkpoint is known */
		find_member(finder, doc, side->number ? side->entry : 0, "final_checkpoint",
			    COMPARE_MODEL);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		find_member(finder, doc, side->entry, members[i].key, members[i].group);
}

static int by_path(const void *a, const void *b)
{
	const struct found *left = a;
	const struct found *right = b;
	int result = strcmp(left->path, right->path);

	return result ? result : left->order < right->order ? -1 : 1;
}

/* ---- rows ---- */

/* A row and where it goes: as its values were met, group by group. */
struct ordered {
	struct compare_row row;
	size_t order;
};

static int by_order(const void *a, const void *b)
{
	const struct ordered *left = a;
	const struct ordered *right = b;

	if (left->row.group != right->row.group)
		return left->row.group < right->row.group ? -1 : 1;
	return left->order < right->order ? -1 : 1;
}

static void empty_cells(struct comparison *cmp, struct compare_row *row)
{
	row->cells = xcalloc(cmp->n, sizeof(*row->cells));
	for (size_t i = 0; i < cmp->n; i++) {
		row->cells[i].doc = &cmp->sides[i].history.info.doc;
		row->cells[i].token = JSON_NONE;
		row->cells[i].percent = NAN;
	}
}

static void put_together(struct comparison *cmp, struct finder *finder)
{
	struct ordered *rows = xcalloc(finder->n + 1, sizeof(*rows));
	struct ordered *last = NULL;
	size_t n = 0;

	if (finder->n)
		qsort(finder->v, finder->n, sizeof(*finder->v), by_path);
	for (size_t i = 0; i < finder->n; i++) {
		struct found *value = &finder->v[i];

		if (!last || strcmp(last->row.path, value->path) != 0) {
			last = &rows[n++];
			last->row.path = value->path;
			last->row.group = value->group;
			last->order = value->order;
			empty_cells(cmp, &last->row);
		} else {
			free(value->path);
		}
		last->row.cells[value->side].token = value->token;
	}
	if (n)
		qsort(rows, n, sizeof(*rows), by_order);
	cmp->rows = xcalloc(n + 1, sizeof(*cmp->rows));
	for (size_t i = 0; i < n; i++)
		cmp->rows[i] = rows[i].row;
	cmp->n_rows = n;
	free(rows);
}

/* ---- numbers ---- */

/* "f1" of "metrics.f1"; NULL for what is no metric. */
static const char *metric_name(const struct compare_row *row)
{
	if (row->group != COMPARE_METRICS || !has_prefix(row->path, "metrics."))
		return NULL;
	return row->path + strlen("metrics.");
}

/* A number that was not finite is null in the record, and "nan", "inf" or "-inf" in "nonfinite". */
static bool listed_number(const struct compare_side *side, const char *name, double *number)
{
	const struct info *info = &side->history.info;
	size_t list = info_entry_member(info, side->entry, "nonfinite");
	char *word = json_string_copy(&info->doc, json_member(&info->doc, list, name));
	bool is_known = true;

	if (word && strcmp(word, "nan") == 0)
		*number = NAN;
	else if (word && strcmp(word, "inf") == 0)
		*number = INFINITY;
	else if (word && strcmp(word, "-inf") == 0)
		*number = -INFINITY;
	else
		is_known = false;
	free(word);
	return is_known;
}

static void read_number(const struct compare_side *side, const char *name,
			struct compare_cell *cell)
{
	if (cell->token == JSON_NONE)
		return;
	if (json_is(cell->doc, cell->token, JSON_NULL))
		cell->is_number = listed_number(side, name, &cell->number);
	else
		cell->is_number = json_real(cell->doc, cell->token, &cell->number) == 0;
}

static double difference(const struct compare_cell *cell, const struct compare_cell *base)
{
	int64_t a;
	int64_t b;
	int64_t exact;

	if (json_int64(cell->doc, cell->token, &a) == 0 &&
	    json_int64(base->doc, base->token, &b) == 0 && !__builtin_sub_overflow(a, b, &exact))
		return (double)exact;
	return cell->number - base->number;
}

/* What is not a number is worse than any number. */
static enum verdict judge(const struct compare_cell *cell, const struct compare_cell *base,
			  char goal)
{
	bool is_higher = cell->has_delta ? cell->delta > 0 : cell->number > base->number;

	if (!goal)
		return VERDICT_NONE;
	if (isnan(cell->number) && isnan(base->number))
		return VERDICT_SAME;
	if (isnan(cell->number) || isnan(base->number))
		return isnan(cell->number) ? VERDICT_WORSE : VERDICT_BETTER;
	if (cell->has_delta ? cell->delta == 0 : cell->number == base->number)
		return VERDICT_SAME;
	return is_higher == (goal == '+') ? VERDICT_BETTER : VERDICT_WORSE;
}

static void weigh(struct comparison *cmp, struct compare_row *row)
{
	const struct compare_cell *base = &row->cells[cmp->baseline];

	for (size_t i = 0; i < cmp->n; i++)
		read_number(&cmp->sides[i], metric_name(row), &row->cells[i]);
	for (size_t i = 0; i < cmp->n; i++) {
		struct compare_cell *cell = &row->cells[i];

		if (i == cmp->baseline || !cell->is_number || !base->is_number)
			continue;
		cell->has_delta = isfinite(cell->number) && isfinite(base->number);
		if (cell->has_delta)
			cell->delta = difference(cell, base);
		cell->has_delta = cell->has_delta && isfinite(cell->delta);
		if (cell->has_delta && base->number != 0)
			cell->percent = 100 * cell->delta / fabs(base->number);
		cell->verdict = judge(cell, base, row->goal);
		cmp->n_worse += cell->verdict == VERDICT_WORSE;
	}
}

static bool are_equal(const struct compare_cell *a, const struct compare_cell *b)
{
	if (a->token == JSON_NONE || b->token == JSON_NONE)
		return a->token == b->token;
	if (a->is_number && b->is_number && (!isfinite(a->number) || !isfinite(b->number)))
		return a->number == b->number || (isnan(a->number) && isnan(b->number));
	return a->is_number == b->is_number && json_equal(a->doc, a->token, b->doc, b->token);
}

/* ---- all of it ---- */

static void ask_plugin(struct goals *goals, struct session *session,
		       const struct compare_side *side)
{
	const struct info *info = &side->history.info;
	char *stage = info_string(info, "stage");
	char *dataset = info_entry_string(info, side->entry, "dataset");

	goals_ask(goals, session, stage, dataset);
	free(stage);
	free(dataset);
}

/* The baseline's plugin has the first word. */
static void set_goals(struct comparison *cmp, struct session *session)
{
	struct goals goals = GOALS_INIT;

	ask_plugin(&goals, session, &cmp->sides[cmp->baseline]);
	for (size_t i = 0; i < cmp->n; i++)
		if (i != cmp->baseline)
			ask_plugin(&goals, session, &cmp->sides[i]);
	for (size_t i = 0; i < cmp->n_rows; i++) {
		struct compare_row *row = &cmp->rows[i];

		if (metric_name(row))
			row->goal =
				goals_of(&goals, NULL, metric_name(row), &row->is_goal_declared);
	}
	goals_release(&goals);
}

/* The same REF below two roots tells nobody which is which. */
static void name_apart(struct comparison *cmp)
{
	bool *is_shared = xcalloc(cmp->n, sizeof(*is_shared));

	for (size_t i = 0; i < cmp->n; i++)
		for (size_t k = 0; k < cmp->n; k++)
			is_shared[i] = is_shared[i] ||
				       (strcmp(cmp->sides[i].ref, cmp->sides[k].ref) == 0 &&
					strcmp(cmp->sides[i].history.dir.path,
					       cmp->sides[k].history.dir.path) != 0);
	for (size_t i = 0; i < cmp->n; i++) {
		struct compare_side *side = &cmp->sides[i];

		if (!is_shared[i])
			continue;
		free(side->ref);
		side->ref = side->number ? xstrf("%s#%zu", side->history.dir.path, side->number)
					 : xstrdup(side->history.dir.path);
	}
	free(is_shared);
}

static void add_costs(struct comparison *cmp, struct session *session)
{
	struct strv here = STRV_INIT;
	struct costs *costs;

	if (session->has_layout)
		strv_push(&here, session->layout.root);
	costs = costs_new(session, cmp->roots.n ? &cmp->roots : &here);
	for (size_t i = 0; i < cmp->n; i++)
		costs_add(costs, &cmp->sides[i].history);
	for (size_t i = 0; i < cmp->n; i++) {
		struct compare_side *side = &cmp->sides[i];

		costs_of(costs, &side->history, side->number, &side->own, &side->total);
	}
	costs_free(costs);
	strv_release(&here);
}

void compare_make(struct comparison *cmp, struct session *session)
{
	struct finder finder = { .n = 0 };

	name_apart(cmp);
	add_costs(cmp, session);
	compare_read_diffs(cmp);
	for (size_t i = 0; i < cmp->n; i++) {
		finder.side = i;
		find_side(&finder, &cmp->sides[i]);
	}
	put_together(cmp, &finder);
	free(finder.v);
	set_goals(cmp, session);
	for (size_t i = 0; i < cmp->n_rows; i++) {
		struct compare_row *row = &cmp->rows[i];

		if (metric_name(row))
			weigh(cmp, row);
		for (size_t k = 1; k < cmp->n; k++)
			row->differs = row->differs || !are_equal(&row->cells[0], &row->cells[k]);
	}
}
