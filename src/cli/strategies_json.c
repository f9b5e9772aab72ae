/* The groups and pairs of strategies_page.h as JSON. */
#include "base/base.h"

#include "cli/strategies_page.h"
#include "sys/json.h"

static void metric_as_json(struct jsonw *w, const struct strategy_metric *metric)
{
	jsonw_object(w);
	jsonw_pair_string(w, "name", metric->name);
	jsonw_pair_string(w, "goal", goal_word(metric->goal));
	jsonw_pair_int(w, "n", (int64_t)metric->moments.n);
	pair_real(w, "mean", metric->moments.mean);
	pair_real(w, "deviation", moments_deviation(&metric->moments));
	jsonw_pair_raw(w, "best", metric->best_text ? metric->best_text : "null");
	jsonw_pair_string(w, "best_ref", metric->best_ref);
	jsonw_pair_string(w, "best_path", metric->best_path);
	jsonw_end(w);
}

/* Numbers in the record's own digits. */
static void value_as_json(struct jsonw *w, const struct value *value)
{
	if (value->type == VALUE_NUMBER &&
	    json_is_number_text(value->text, strlen(value->text), NULL))
		jsonw_raw(w, value->text, strlen(value->text));
	else if (value->type == VALUE_TRUTH)
		jsonw_bool(w, value->truth);
	else
		jsonw_string(w, value->type == VALUE_UNDEFINED ? NULL : value->text);
}

static void group_as_json(const struct strategies_page *page, struct jsonw *w,
			  const struct strategy *group)
{
	jsonw_object(w);
	if (page->fields) {
		jsonw_key(w, "group");
		jsonw_object(w);
		for (size_t i = 0; i < page->fields->n; i++) {
			jsonw_key(w, page->fields->v[i]);
			value_as_json(w, &group->values[i]);
		}
		jsonw_end(w);
	} else {
		jsonw_pair_string(w, "stage", group->stage);
		jsonw_pair_string(w, "strategy", group->text);
	}
	jsonw_pair_int(w, "models", (int64_t)group->n_models);
	jsonw_key(w, "metrics");
	jsonw_array(w);
	for (size_t i = 0; i < group->n; i++)
		if (strategies_want(page, true, group->metrics[i]->name))
			metric_as_json(w, group->metrics[i]);
	jsonw_end(w);
	jsonw_end(w);
}

static void pair_as_json(const struct strategies_page *page, struct jsonw *w,
			 const struct order_pair *pair)
{
	jsonw_object(w);
	jsonw_pair_string(w, "stage", pair->first->stage);
	jsonw_pair_string(w, "first", pair->first->text);
	jsonw_pair_string(w, "second", pair->second->text);
	jsonw_key(w, "metrics");
	jsonw_array(w);
	for (size_t i = 0; i < pair->first->n; i++) {
		const struct strategy_metric *first = pair->first->metrics[i];
		const struct strategy_metric *second = strategy_metric(pair->second, first->name);

		if (!second || !strategies_want(page, true, first->name))
			continue;
		jsonw_object(w);
		jsonw_pair_string(w, "name", first->name);
		jsonw_pair_string(w, "goal", goal_word(first->goal));
		moments_as_json(w, "first", &first->moments);
		moments_as_json(w, "second", &second->moments);
		pair_real(w, "difference", mean_difference(first, second));
		pair_real(w, "standard_error", difference_error(first, second));
		jsonw_pair_string(w, "verdict", order_verdict(first, second));
		jsonw_end(w);
	}
	jsonw_end(w);
	jsonw_end(w);
}

void strategies_as_json(const struct strategies_page *page, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.strategies/1");
	if (!page->only_orders) {
		jsonw_key(&w, page->fields ? "groups" : "strategies");
		jsonw_array(&w);
		for (size_t i = 0; i < page->all->n; i++)
			group_as_json(page, &w, page->all->v[i]);
		jsonw_end(&w);
	}
	if (!page->fields) {
		jsonw_key(&w, "order_effects");
		jsonw_array(&w);
		for (size_t i = 0; i < page->orders->n; i++)
			pair_as_json(page, &w, &page->orders->v[i]);
		jsonw_end(&w);
	}
	jsonw_pair_int(&w, "broken", (int64_t)page->all->n_broken);
	jsonw_end(&w);
	str_addch(out, '\n');
}

void strategies_as_lines(const struct strategies_page *page, struct str *out)
{
	size_t n = page->only_orders ? page->orders->n : page->all->n;

	for (size_t i = 0; i < n; i++) {
		struct jsonw w = jsonw_begin(out, 0);

		if (page->only_orders)
			pair_as_json(page, &w, &page->orders->v[i]);
		else
			group_as_json(page, &w, page->all->v[i]);
		str_addch(out, '\n');
	}
}
