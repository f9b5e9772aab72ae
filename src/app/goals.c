#include "base/base.h"

#include "app/goals.h"

#include "base/log.h"
#include "base/mem.h"

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

struct words {
	const char *const *v;
	size_t n;
};

static bool has_word(const struct words *words, const char *word, size_t len)
{
	for (size_t i = 0; i < words->n; i++)
		if (strlen(words->v[i]) == len && strncmp(words->v[i], word, len) == 0)
			return true;
	return false;
}

/* Is one of the runs of letters in 'name' (lower case) one of 'words'? */
static bool names_one(const char *name, const struct words *words)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

	while (*name) {
		size_t len = strspn(name, letters);

		if (len && has_word(words, name, len))
			return true;
		name += len ? len : strcspn(name, letters);
	}
	return false;
}

/* Better when lower. The lists are those of lua/th/metrics.lua: tests/spec/cli_compare_spec.lua holds
 * them together. */
static bool is_low(const char *name)
{
	static const char *const parts[] = { "loss", "error", "mse", "mae", "perplexity" };
	static const char *const low[] = {
		"wer", "cer", "ter", "ppl", "nll", "mape", "smape",
		"fid", "nme", "epe", "bpb", "bpd", "bce",  "crossentropy"
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strstr(name, parts[i]))
			return true;
	return names_one(name, &(struct words){ low, ARRAY_SIZE(low) });
}

/* What only describes the data or the run: more of it is neither better nor worse. */
static bool is_description(const char *name)
{
	static const char *const words[] = { "support", "confusion", "count", "counts", "num",
					     "samples", "size",	     "epoch", "epochs", "step",
					     "steps",	"runtime",   "time",  "second", "seconds",
					     "flos",	"lr" };

	return names_one(name, &(struct words){ words, ARRAY_SIZE(words) });
}

static char guess(const char *name)
{
	char *lower = xstrdup(name);
	char goal;

	for (char *c = lower; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	goal = is_low(lower) ? '-' : is_description(lower) ? 0 : '+';
	free(lower);
	return goal;
}

char goals_of(const struct goals *goals, const char *stage, const char *name, bool *is_declared)
{
	const struct plugin_metric *metric = declared(goals, stage, name, strlen(name));

	if (!metric)
		metric = declared(goals, stage, name, strcspn(name, "."));
	*is_declared = metric != NULL;
	return metric ? metric->goal : guess(name);
}
