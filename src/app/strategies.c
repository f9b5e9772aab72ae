#include "base/base.h"

#include "app/strategies.h"

#include "app/each_value.h"
#include "app/goals.h"
#include "model/history.h"
#include "base/log.h"
#include "base/mem.h"

#include <math.h>

/* ---- patterns ---- */

int strategy_pattern(const char *text, struct strv *parts, struct err *err)
{
	for (const char *at = text, *end; at; at = end ? end + 1 : NULL) {
		struct str part = STR_INIT;
		bool is_empty;

		end = strchr(at, '>');
		str_add(&part, at, end ? (size_t)(end - at) : strlen(at));
		str_trim(&part);
		is_empty = !part.len;
		strv_push_take(parts, str_detach(&part));
		if (!is_empty)
			continue;
		err_set(err, ERR_USAGE, "an empty part in the pattern '%s'", text);
		return err_hint(err, "write for instance 'hrds > *'");
	}
	return 0;
}

/* One training of a strategy, or its base model, which has no steps. */
struct part {
	char *name;
	char *with_steps;
	bool is_training;
};

struct sequence {
	struct part *v;
	size_t n;
};

static bool is_part(const struct part *part, const char *pattern)
{
	return (part->is_training && strcmp(pattern, "?") == 0) ||
	       strcmp(pattern, part->name) == 0 || strcmp(pattern, part->with_steps) == 0;
}

/* Do the parts from 'first' on match all of the pattern? After a mismatch the last '*' takes one
 * more. */
static bool matches_from(const struct sequence *sequence, size_t first, const struct strv *pattern)
{
	size_t star = SIZE_MAX;
	size_t resume = 0;
	size_t p = 0;

	for (size_t i = first; i < sequence->n;) {
		if (p < pattern->n && strcmp(pattern->v[p], "*") == 0) {
			star = p++;
			resume = i;
		} else if (p < pattern->n && is_part(&sequence->v[i], pattern->v[p])) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern->n && strcmp(pattern->v[p], "*") == 0)
		p++;
	return p == pattern->n;
}

static bool matches(const struct sequence *sequence, const struct strv *pattern)
{
	return !pattern || matches_from(sequence, 1, pattern) || matches_from(sequence, 0, pattern);
}

static struct sequence sequence_of(const struct info *info)
{
	char *base = info_string(info, "base_model");
	struct sequence sequence = {
		.v = xcalloc(info_entry_count(info) + 1, sizeof(*sequence.v)),
	};

	if (!base || !*base) {
		free(base);
		base = xstrdup("unknown");
	}
	sequence.v[sequence.n++] = (struct part){ base, xstrdup(base), false };
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		struct part *part = &sequence.v[sequence.n++];

		part->name = info_entry_string(info, i, "dataset");
		if (!part->name)
			part->name = xstrdup("?");
		part->is_training = true;
		part->with_steps =
			xstrf("%s:%lld", part->name, (long long)info_entry_steps(info, i));
	}
	return sequence;
}

static void sequence_release(struct sequence *sequence)
{
	for (size_t i = 0; i < sequence->n; i++) {
		free(sequence->v[i].name);
		free(sequence->v[i].with_steps);
	}
	free(sequence->v);
}

static char *join(const struct sequence *sequence, bool with_steps)
{
	struct str out = STR_INIT;

	for (size_t i = 0; i < sequence->n; i++)
		str_addf(&out, "%s%s", i ? " > " : "",
			 with_steps ? sequence->v[i].with_steps : sequence->v[i].name);
	return str_detach(&out);
}

/* ---- groups ---- */

struct collector {
	struct strategies *all;
	struct session *session;
	const struct strategy_choice *choice;
	struct goals goals;
	/* While a record is read: */
	const struct history *history;
	struct strategy *group;
};

static int compare_groups(const void *a, const void *b)
{
	const struct strategy *left = *(struct strategy *const *)a;
	const struct strategy *right = *(struct strategy *const *)b;
	int result = natural_compare(left->stage, right->stage);

	result = result ? result : natural_compare(left->text, right->text);
	/* What is natural may call two texts equal ("01" and "1"). */
	return result ? result : strcmp(left->key, right->key);
}

static struct strategy_metric *metric_of(struct collector *c, const char *name)
{
	struct strategy *group = c->group;
	struct strategy_metric *metric = map_get(&group->by_name, name);
	bool ignored;

	if (metric)
		return metric;
	metric = xcalloc(1, sizeof(*metric));
	metric->name = xstrdup(name);
	metric->goal = goals_of(&c->goals, group->stage, name, &ignored);
	group->metrics = xreallocarray(group->metrics, group->n + 1, sizeof(*group->metrics));
	group->metrics[group->n++] = metric;
	map_put(&group->by_name, metric->name, metric);
	return metric;
}

static struct strategy *group_of(struct collector *c, const char *stage, const char *text)
{
	struct strategies *all = c->all;
	char *key = xstrf("%s\n%s", stage, text);
	struct strategy *group = map_get(&all->by_key, key);

	if (group) {
		free(key);
		return group;
	}
	group = xcalloc(1, sizeof(*group));
	group->key = key;
	group->stage = xstrdup(stage);
	group->text = xstrdup(text);
	all->v = xreallocarray(all->v, all->n + 1, sizeof(struct strategy *));
	all->v[all->n++] = group;
	map_put(&all->by_key, key, group);
	return group;
}

/* Welford's way: no difference of large sums. */
static void add_value(void *arg, const char *name, size_t token)
{
	struct collector *c = arg;
	const struct json *doc = &c->history->info.doc;
	struct strategy_metric *metric;
	double value;
	double distance;

	if (!json_is_number(doc, token) || json_real(doc, token, &value) < 0 || !isfinite(value))
		return;
	metric = metric_of(c, name);
	metric->n++;
	distance = value - metric->mean;
	metric->mean += distance / (double)metric->n;
	metric->spread += distance * (value - metric->mean);
	if (!metric->goal || (metric->best_ref && (metric->goal == '+' ? value <= metric->best
								       : value >= metric->best)))
		return;
	free(metric->best_text);
	free(metric->best_ref);
	metric->best = value;
	metric->best_text = json_raw_copy(doc, token);
	metric->best_ref = xstrdup(c->history->dir.ref);
}

static void add_model(struct collector *c, const struct sequence *sequence)
{
	const struct info *info = &c->history->info;
	char *stage = info_string(info, "stage");
	char *text = join(sequence, c->choice->with_steps);
	struct str path = STR_INIT;
	size_t last = JSON_NONE;

	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i))
		last = i;
	goals_ask(&c->goals, c->session, stage, NULL);
	c->group = group_of(c, stage ? stage : "?", text);
	c->group->n_models++;
	if (json_is(&info->doc, info_entry_member(info, last, "metrics"), JSON_OBJECT))
		each_value(&info->doc, info_entry_member(info, last, "metrics"), &path, add_value,
			   c);
	str_release(&path);
	free(text);
	free(stage);
}

static int visit(void *arg, struct stage_dir *dir, struct err *err)
{
	struct collector *c = arg;
	struct history history;

	history_read(&history, dir);
	if (history.dir.fd < 0 && err->code)
		history.err = *err;
	if (history.err.code) {
		log_warn("%s", history.err.msg);
		c->all->n_broken++;
	} else if (history.has_record) {
		struct sequence sequence = sequence_of(&history.info);

		c->history = &history;
		if (sequence.n > 1 && matches(&sequence, c->choice->pattern))
			add_model(c, &sequence);
		sequence_release(&sequence);
	}
	history_release(&history);
	return 0;
}

int strategies_collect(struct strategies *all, struct session *session,
		       const struct strategy_choice *choice, struct err *err)
{
	struct collector c = {
		.all = all, .session = session, .choice = choice, .goals = GOALS_INIT
	};
	int result = session_layout(session, err);

	if (result == 0)
		result = layout_walk(&session->layout, choice->exp, visit, &c, err);
	goals_release(&c.goals);
	if (all->n)
		qsort(all->v, all->n, sizeof(struct strategy *), compare_groups);
	return result;
}

double strategy_deviation(const struct strategy_metric *metric)
{
	return metric->n < 2 ? NAN : sqrt(metric->spread / (double)(metric->n - 1));
}

static void group_free(struct strategy *group)
{
	for (size_t i = 0; i < group->n; i++) {
		free(group->metrics[i]->name);
		free(group->metrics[i]->best_text);
		free(group->metrics[i]->best_ref);
		free(group->metrics[i]);
	}
	map_release(&group->by_name);
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
		group_free(all->v[i]);
	free(all->v);
	*all = (struct strategies)STRATEGIES_INIT;
}
