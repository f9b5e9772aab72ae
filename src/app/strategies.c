#include "base/base.h"

#include "app/strategies.h"

#include "app/each_value.h"
#include "app/goals.h"
#include "app/survey.h"
#include "base/log.h"
#include "base/mem.h"

#include <math.h>

/* ---- models ---- */

struct walk {
	const struct strategy_choice *choice;
	strategy_fn fn;
	void *arg;
	size_t *n_broken;
};

static bool is_chosen(const struct strategy_choice *choice, const struct strategy_model *model)
{
	if (model->sequence->n < 2 || !sequence_matches(model->sequence, choice->pattern))
		return false;
	for (size_t i = 0; i < choice->n_filters; i++)
		if (!filter_matches(choice->filters[i], model->subject))
			return false;
	return true;
}

static int look(void *arg, const char *root UNUSED, struct history *history, struct err *err UNUSED)
{
	struct walk *walk = arg;
	const struct info *info = &history->info;
	struct sequence sequence;
	struct subject subject = { .info = info,
				   .doc = &info->doc,
				   .entry = JSON_NONE,
				   .ref = history->dir.ref,
				   .exp = history->dir.exp,
				   .path = history->path };
	struct strategy_model model = { history, &sequence, &subject };

	if (history->err.code) {
		log_warn("%s", history->err.msg);
		++*walk->n_broken;
	} else if (history->has_record) {
		sequence = sequence_of(info);
		for (size_t i = info_first_entry(info); i != JSON_NONE;
		     i = info_next_entry(info, i))
			subject.entry = i;
		if (is_chosen(walk->choice, &model))
			walk->fn(walk->arg, &model);
		sequence_release(&sequence);
	}
	return 0;
}

int strategies_each(struct session *session, const struct strategy_choice *choice, strategy_fn fn,
		    void *arg, size_t *n_broken, struct err *err)
{
	struct survey_query query = { .roots = choice->roots, .exp = choice->exp };
	struct walk walk = { .choice = choice, .fn = fn, .arg = arg, .n_broken = n_broken };

	return survey(session, &query, look, &walk, err);
}

/* ---- groups ---- */

struct collector {
	struct strategies *all;
	struct session *session;
	const struct strategy_choice *choice;
	struct goals goals;
	/* While a model is looked at: */
	const struct history *history;
	const char *stage;
	struct strategy *group;
};

/* An array or object as its text: its record goes. */
static void keep_value(struct value *value)
{
	struct str text = STR_INIT;

	if (value->type != VALUE_JSON)
		return;
	value_add_text(value, &text);
	value_release(value);
	value->type = VALUE_TEXT;
	value->text = str_detach(&text);
}

static void read_field(const struct strategy_model *model, const char *field, bool with_steps,
		       struct value *out)
{
	if (strcmp(field, "strategy") == 0) {
		value_release(out);
		out->type = VALUE_TEXT;
		out->text = sequence_text(model->sequence, with_steps);
		return;
	}
	field_read(model->subject, field, out);
	keep_value(out);
}

/* The same for 1 and 1.0, and for a number that YAML read as a text (2e-5). */
static void add_key(struct str *key, const struct value *value)
{
	struct str text = STR_INIT;
	double number;

	if (value->type == VALUE_NUMBER && value->is_integer)
		str_addf(&text, "n%lld", (long long)value->integer);
	else if (value_number(value, &number) && isfinite(number))
		str_addf(&text, "n%.17g", number);
	else if (value_number(value, &number))
		str_addf(&text, "n%s", isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
	else
		str_addf(&text, "%c", (char)('a' + (int)value->type));
	if (value->type == VALUE_TRUTH || (value->type == VALUE_TEXT && *text.buf != 'n'))
		value_add_text(value, &text);
	str_addf(key, "%zu:%s", text.len, text.buf);
	str_release(&text);
}

static struct strategy *group_add(struct strategies *all, char *key)
{
	struct strategy *group = xcalloc(1, sizeof(*group));

	group->key = key;
	if (all->n == all->cap) {
		all->cap = all->cap ? all->cap * 2 : 16;
		all->v = xreallocarray(all->v, all->cap, sizeof(struct strategy *));
	}
	all->v[all->n++] = group;
	map_put(&all->by_key, key, group);
	return group;
}

static struct strategy *group_by_fields(struct collector *c, const struct strategy_model *model)
{
	const struct strv *fields = c->choice->fields;
	struct value *values = xcalloc(fields->n, sizeof(*values));
	struct str key = STR_INIT;
	struct strategy *group;

	for (size_t i = 0; i < fields->n; i++) {
		read_field(model, fields->v[i], c->choice->with_steps, &values[i]);
		add_key(&key, &values[i]);
	}
	group = map_get(&c->all->by_key, key.buf);
	if (!group) {
		group = group_add(c->all, str_detach(&key));
		group->values = values;
		return group;
	}
	for (size_t i = 0; i < fields->n; i++)
		value_release(&values[i]);
	free(values);
	str_release(&key);
	return group;
}

static struct strategy *group_by_strategy(struct collector *c, const struct strategy_model *model)
{
	bool with_steps = c->choice->with_steps;
	char *key = sequence_key(model->sequence, c->stage, with_steps);
	struct strategy *group = map_get(&c->all->by_key, key);

	if (group) {
		free(key);
		return group;
	}
	group = group_add(c->all, key);
	group->stage = xstrdup(c->stage);
	group->text = sequence_text(model->sequence, with_steps);
	for (size_t i = 0; i < model->sequence->n; i++)
		strv_push(&group->parts, with_steps ? model->sequence->v[i].with_steps
						    : model->sequence->v[i].name);
	return group;
}

/* ---- metrics ---- */

static struct strategy_metric *metric_of(struct collector *c, const char *name)
{
	struct strategy *group = c->group;
	struct strategy_metric *metric = map_get(&group->by_name, name);
	bool ignored;
	char goal = goals_of(&c->goals, c->stage, name, &ignored);

	if (metric) {
		if (metric->goal != goal) /* of another stage: high here, low there */
			metric->goal = 0;
		return metric;
	}
	metric = xcalloc(1, sizeof(*metric));
	metric->name = xstrdup(name);
	metric->goal = goal;
	group->metrics = xreallocarray(group->metrics, group->n + 1, sizeof(*group->metrics));
	group->metrics[group->n++] = metric;
	map_put(&group->by_name, metric->name, metric);
	return metric;
}

static void forget_best(struct strategy_metric *metric)
{
	free(metric->best_text);
	free(metric->best_ref);
	free(metric->best_path);
	metric->best_text = metric->best_ref = metric->best_path = NULL;
}

static void add_value(void *arg, const char *name, size_t token)
{
	struct collector *c = arg;
	const struct json *doc = &c->history->info.doc;
	struct strategy_metric *metric;
	double value;

	if (!json_is_number(doc, token) || json_real(doc, token, &value) < 0 || !isfinite(value))
		return;
	metric = metric_of(c, name);
	moments_add(&metric->moments, value);
	if (!metric->goal) {
		forget_best(metric);
		return;
	}
	if (metric->best_ref &&
	    (metric->goal == '+' ? value <= metric->best : value >= metric->best))
		return;
	forget_best(metric);
	metric->best = value;
	metric->best_text = json_raw_copy(doc, token);
	metric->best_ref = xstrdup(c->history->dir.ref);
	metric->best_path = xstrdup(c->history->path);
}

static void add_model(void *arg, const struct strategy_model *model)
{
	struct collector *c = arg;
	const struct info *info = &model->history->info;
	char *stage = info_string(info, "stage");
	size_t metrics = info_entry_member(info, model->subject->entry, "metrics");
	struct str path = STR_INIT;

	goals_ask(&c->goals, c->session, stage, NULL);
	c->history = model->history;
	c->stage = stage ? stage : "?";
	c->group = c->choice->fields ? group_by_fields(c, model) : group_by_strategy(c, model);
	c->group->n_models++;
	if (json_is(&info->doc, metrics, JSON_OBJECT))
		each_value(&info->doc, metrics, &path, add_value, c);
	str_release(&path);
	free(stage);
}

/* ---- all of them ---- */

static int compare_strategies(const void *a, const void *b)
{
	const struct strategy *left = *(struct strategy *const *)a;
	const struct strategy *right = *(struct strategy *const *)b;
	int result = natural_compare(left->stage, right->stage);

	result = result ? result : natural_compare(left->text, right->text);
	/* What is natural may call two texts equal ("01" and "1"). */
	return result ? result : strcmp(left->key, right->key);
}

static int compare_fields(const void *a, const void *b, void *n)
{
	const struct strategy *left = *(struct strategy *const *)a;
	const struct strategy *right = *(struct strategy *const *)b;

	for (size_t i = 0; i < *(size_t *)n; i++) {
		int result = value_compare(&left->values[i], &right->values[i]);

		if (result)
			return result;
	}
	return strcmp(left->key, right->key);
}

int strategies_collect(struct strategies *all, struct session *session,
		       const struct strategy_choice *choice, struct err *err)
{
	struct collector c = {
		.all = all, .session = session, .choice = choice, .goals = GOALS_INIT
	};
	int result;

	all->n_fields = choice->fields ? choice->fields->n : 0;
	result = strategies_each(session, choice, add_model, &c, &all->n_broken, err);
	goals_release(&c.goals);
	if (all->n && choice->fields)
		qsort_r(all->v, all->n, sizeof(struct strategy *), compare_fields, &all->n_fields);
	else if (all->n)
		qsort(all->v, all->n, sizeof(struct strategy *), compare_strategies);
	return result;
}

static void strategy_free(struct strategy *group, size_t n_fields)
{
	for (size_t i = 0; i < group->n; i++) {
		free(group->metrics[i]->name);
		forget_best(group->metrics[i]);
		free(group->metrics[i]);
	}
	for (size_t i = 0; group->values && i < n_fields; i++)
		value_release(&group->values[i]);
	map_release(&group->by_name);
	strv_release(&group->parts);
	free(group->values);
	free(group->metrics);
	free(group->key);
	free(group->stage);
	free(group->text);
	free(group);
}

void strategies_release(struct strategies *all)
{
	map_release(&all->by_key);
	for (size_t i = 0; i < all->n; i++)
		strategy_free(all->v[i], all->n_fields);
	free(all->v);
	*all = (struct strategies)STRATEGIES_INIT;
}
