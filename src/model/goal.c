#include "base/base.h"

#include "model/goal.h"

#include "base/mem.h"

static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

struct words {
	const char *const *v;
	size_t n;
};

#define WORDS(array) (&(struct words){ array, ARRAY_SIZE(array) })

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
	for (const char *at = name; *at;) {
		size_t len = strspn(at, letters);

		if (has_word(words, at, len))
			return true;
		at += len ? len : strcspn(at, letters);
	}
	return false;
}

static char *lower_case(const char *name)
{
	char *lower = xstrdup(name);

	for (char *c = lower; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return lower;
}

/* The same lists as in lua/th/metrics.lua; tests/spec/filter_spec.lua holds them together. */
char goal_guess(const char *metric)
{
	static const char *const parts[] = { "loss", "error", "mse", "mae", "perplexity" };
	static const char *const low[] = {
		"wer", "cer", "ter", "ppl", "nll", "mape", "smape",
		"fid", "nme", "epe", "bpb", "bpd", "bce",  "crossentropy"
	};
	char *lower = lower_case(metric);
	char goal = names_one(lower, WORDS(low)) ? '-' : '+';

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strstr(lower, parts[i]))
			goal = '-';
	free(lower);
	return goal;
}

bool goal_is_description(const char *metric)
{
	static const char *const words[] = { "support", "confusion", "count", "counts", "num",
					     "samples", "size",	     "epoch", "epochs", "step",
					     "steps",	"runtime",   "time",  "second", "seconds",
					     "flos",	"lr" };
	char *lower = lower_case(metric);
	bool found = names_one(lower, WORDS(words));

	free(lower);
	return found;
}
