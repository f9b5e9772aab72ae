#include "base/base.h"

#include "app/answer.h"

#include "app/goals.h"
#include "app/packed.h"
#include "base/mem.h"
#include "model/goal.h"

#include <math.h>

enum direction { FROM_LOWEST, FROM_HIGHEST };

static void init_best(struct answer *answer)
{
	static char ref[] = "ref";

	for (size_t i = 0; i < ARRAY_SIZE(answer->orders); i++) {
		answer->by_best[i][0] = *answer->request.best;
		answer->by_best[i][0].is_descending = i == FROM_HIGHEST;
		answer->by_best[i][1] = (struct column_spec){ .field = ref };
		answer->orders[i] = (struct column_list){ .v = answer->by_best[i], .n = 2 };
		ranking_init(&answer->rankings[i], &answer->orders[i], answer->request.limit);
	}
}

void answer_init(struct answer *answer, const struct answer_request *request)
{
	memset(answer, 0, sizeof(*answer));
	answer->request = *request;
	str_init(&answer->keys);
	if (request->best)
		init_best(answer);
	else
		ranking_init(&answer->rankings[0], request->keys, request->limit);
	/* Without a limit, one set of rows can be put in either order at the end. */
	answer->n_rankings = request->best && request->limit != SIZE_MAX ? 2 : 1;
}

void answer_release(struct answer *answer)
{
	for (size_t i = 0; i < ARRAY_SIZE(answer->rankings); i++)
		ranking_release(&answer->rankings[i]);
	str_release(&answer->keys);
	strv_release(&answer->stages);
	strv_release(&answer->datasets);
}

/* ---- rows ---- */

static char *text_of(const struct listing_row *row, const char *field)
{
	struct value value = VALUE_INIT;
	char *text = NULL;

	field_read(&row->subject, field, &value);
	if (value.type == VALUE_TEXT)
		text = xstrdup(value.text);
	value_release(&value);
	return text;
}

static void note_stage(struct answer *answer, const struct listing_row *row)
{
	char *stage = text_of(row, "stage");

	if (stage && *stage && !strv_has(&answer->stages, stage)) {
		char *dataset = text_of(row, "dataset");

		strv_push(&answer->stages, stage);
		strv_push(&answer->datasets, dataset ? dataset : "");
		free(dataset);
	}
	free(stage);
}

static bool has_number(const struct listing_row *row, const struct column_spec *column)
{
	struct value value = VALUE_INIT;
	double number;
	bool result;

	column_read(column, &row->subject, &value);
	result = value_number(&value, &number) && isfinite(number);
	value_release(&value);
	return result;
}

static void read_keys(struct answer *answer, const struct listing_row *row)
{
	const struct column_list *keys = answer->rankings[0].keys;
	struct value value = VALUE_INIT;

	str_clear(&answer->keys);
	for (size_t i = 0; i < keys->n; i++) {
		column_read(&keys->v[i], &row->subject, &value);
		packed_add(&answer->keys, &value);
	}
	value_release(&value);
}

bool answer_offer(struct answer *answer, const struct listing_row *row)
{
	const struct column_spec *best = answer->request.best;
	bool is_taken = false;

	if (best && !row->is_broken) {
		if (!has_number(row, best))
			return false;
		note_stage(answer, row);
	}
	answer->n_found++;
	answer->is_broken = row->is_broken;
	read_keys(answer, row);
	for (size_t i = 0; i < answer->n_rankings; i++) {
		answer->takes[i] =
			ranking_takes(&answer->rankings[i], &answer->keys, row->is_broken);
		is_taken |= answer->takes[i];
	}
	return is_taken;
}

void answer_put(struct answer *answer, const struct str *payload)
{
	for (size_t i = 0; i < answer->n_rankings; i++)
		if (answer->takes[i])
			ranking_put(&answer->rankings[i], &answer->keys, payload,
				    answer->is_broken);
}

/* ---- goals ---- */

/* What the plugin of the stage declares, or 0. */
static char ask_stage(struct goals *goals, struct session *session, const char *stage,
		      const char *dataset, const char *metric)
{
	bool is_declared;
	char goal;

	goals_ask(goals, session, stage, *dataset ? dataset : NULL);
	goal = goals_of(goals, stage, metric, &is_declared);
	return is_declared ? goal : 0;
}

/* '+' or '-' for the metric. */
static int find_goal(const struct answer *answer, struct session *session, char *goal,
		     struct err *err)
{
	const char *metric = answer->request.best->field;
	struct goals goals = GOALS_INIT;
	char found = 0;
	int result = 0;

	if (has_prefix(metric, "metrics."))
		metric += strlen("metrics.");
	for (size_t i = 0; i < answer->stages.n && result == 0; i++) {
		const char *stage = answer->stages.v[i];
		char each = ask_stage(&goals, session, stage, answer->datasets.v[i], metric);

		if (each && found && each != found)
			result = err_set(err, ERR_INVALID,
					 "stage '%s' and another one want '%s' to be different: "
					 "one high, one low",
					 stage, metric);
		found = each ? each : found;
	}
	if (result < 0)
		err_hint(err, "--stage STAGE keeps to one of them");
	goals_release(&goals);
	*goal = found ? found : goal_guess(metric);
	return result;
}

int answer_end(struct answer *answer, struct session *session, struct err *err)
{
	enum direction direction = FROM_LOWEST;
	char goal = '-';

	if (answer->request.best && find_goal(answer, session, &goal, err) < 0)
		return -1;
	if (goal == '+')
		direction = FROM_HIGHEST;
	answer->first = &answer->rankings[answer->n_rankings > 1 ? direction : 0];
	if (answer->request.best)
		answer->first->keys = &answer->orders[direction];
	ranking_sort(answer->first);
	return 0;
}
