#include "base/base.h"

#include "app/goals.h"

#include "base/log.h"
#include "base/mem.h"
#include "model/goal.h"

void goals_ask(struct goals *goals, struct session *session, const char *stage, const char *dataset)
{
	struct plugin_plan plan = PLUGIN_PLAN_INIT;
	struct err err = ERR_INIT;

	if (!stage || !*stage || strv_has(&goals->asked, stage))
		return;
	strv_push(&goals->asked, stage);
	if (session_plan(session, stage, dataset, NULL, &plan, &err) < 0) {
		if (err.code != ERR_NOT_FOUND) /* an old stage may have no plugin */
			log_warn("%s", err.msg);
		return;
	}
	goals->plans = xreallocarray(goals->plans, goals->n + 1, sizeof(plan));
	goals->plans[goals->n++] = plan;
}

void goals_release(struct goals *goals)
{
	for (size_t i = 0; i < goals->n; i++)
		plugin_plan_release(&goals->plans[i]);
	free(goals->plans);
	strv_release(&goals->asked);
}

static const struct plugin_metric *declared(const struct goals *goals, const char *stage,
					    const char *name, size_t len)
{
	for (size_t i = 0; i < goals->n; i++) {
		const struct plugin_plan *plan = &goals->plans[i];

		for (size_t k = 0; k < plan->n_metrics; k++)
			if ((!stage || strcmp(plan->stage, stage) == 0) && plan->metrics[k].goal &&
			    strncmp(plan->metrics[k].name, name, len) == 0 &&
			    !plan->metrics[k].name[len])
				return &plan->metrics[k];
	}
	return NULL;
}

static char guess(const char *name)
{
	char goal = goal_guess(name);

	return goal == '+' && goal_is_description(name) ? 0 : goal;
}

char goals_of(const struct goals *goals, const char *stage, const char *name, bool *is_declared)
{
	const struct plugin_metric *metric = declared(goals, stage, name, strlen(name));

	if (!metric)
		metric = declared(goals, stage, name, strcspn(name, "."));
	*is_declared = metric != NULL;
	return metric ? metric->goal : guess(name);
}
