#include "base/base.h"

#include "model/goal.h"

#include "base/mem.h"

static bool is_low_word(const char *word, size_t len)
{
	static const char *const words[] = { "wer",  "cer",   "ter", "ppl",	    "nll",
					     "mape", "smape", "fid", "nme",	    "epe",
					     "bpb",  "bpd",   "bce", "crossentropy" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == len && strncmp(words[i], word, len) == 0)
			return true;
	return false;
}

/* The same lists as in lua/th/metrics.lua; tests/spec/filter_spec.lua holds them together. */
char goal_guess(const char *metric)
{
	static const char *const parts[] = { "loss", "error", "mse", "mae", "perplexity" };
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	char *lower = xstrdup(metric);
	char goal = '+';

	for (char *c = lower; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strstr(lower, parts[i]))
			goal = '-';
	for (const char *at = lower; *at;) {
		size_t len = strspn(at, letters);

		if (is_low_word(at, len))
			goal = '-';
		at += len ? len : strcspn(at, letters);
	}
	free(lower);
	return goal;
}
