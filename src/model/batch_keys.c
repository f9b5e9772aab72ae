#include "base/base.h"

#include "model/batch.h"

#include "sys/json.h"
#include "sys/path.h"

#include <ctype.h>

#define JOB BATCH_IN_JOB
#define RUN (BATCH_IN_JOB | BATCH_RUNNING)
#define RECORD (BATCH_IN_JOB | BATCH_RECORDING)

static const struct batch_key keys[] = {
	{ "name", BATCH_NAME, BATCH_IN_BATCH, 0, 0, NULL },
	{ "include", BATCH_LIST, BATCH_IN_BATCH, 0, 0, NULL },
	{ "executor", BATCH_CHOICE, BATCH_IN_BATCH, 0, 0, "local slurm" },
	{ "jobs", BATCH_NUMBER, BATCH_IN_BATCH, 1, 1024, NULL },
	{ "keep_going", BATCH_BOOL, BATCH_IN_BATCH, 0, 0, NULL },
	{ "gpus", BATCH_LIST, BATCH_IN_BATCH, 0, 0, NULL },

	{ "stage", BATCH_NAME, JOB, 0, 0, NULL },
	{ "dataset", BATCH_NAME, JOB, 0, 0, NULL },
	{ "exp", BATCH_NAME, JOB, 0, 0, NULL },
	{ "new_exp", BATCH_BOOL, JOB, 0, 0, NULL },
	{ "init_from", BATCH_TEXT, JOB, 0, 0, NULL },
	{ "into", BATCH_TEXT, JOB, 0, 0, NULL },
	{ "base_model", BATCH_TEXT, JOB, 0, 0, NULL },
	{ "model_name", BATCH_TEXT, JOB, 0, 0, NULL },
	{ "after", BATCH_LIST, JOB, 0, 0, NULL },
	{ "seed", BATCH_TEXT, JOB, 0, 0, NULL },
	{ "param.", BATCH_TEXT, JOB, 0, 0, NULL },
	{ "tags", BATCH_LIST, JOB, 0, 0, NULL },
	{ "note", BATCH_TEXT, JOB, 0, 0, NULL },

	{ "command", BATCH_COMMAND, RUN, 0, 0, NULL },
	{ "shell", BATCH_BOOL, RUN, 0, 0, NULL },
	{ "env.", BATCH_TEXT, RUN, 0, 0, NULL },
	{ "gpus", BATCH_NUMBER, RUN, 0, 1024, NULL },
	{ "timeout", BATCH_DURATION, RUN | BATCH_IN_BATCH, 0, 0, NULL },
	{ "retries", BATCH_NUMBER, RUN | BATCH_IN_BATCH, 0, 1000, NULL },

	{ "partition", BATCH_TEXT, RUN, 0, 0, NULL },
	{ "account", BATCH_TEXT, RUN, 0, 0, NULL },
	{ "gres", BATCH_TEXT, RUN, 0, 0, NULL },
	{ "time", BATCH_SLURM_TIME, RUN, 0, 0, NULL },
	{ "sbatch", BATCH_SBATCH, RUN, 0, 0, NULL },

	{ "from", BATCH_PATH, RECORD, 0, 0, NULL },
	{ "steps", BATCH_NUMBER, RECORD, 0, INT64_MAX, NULL },
	{ "epochs", BATCH_REAL, RECORD, 0, 0, NULL },
	{ "metric.", BATCH_TEXT, RECORD, 0, 0, NULL },
	{ "final_checkpoint", BATCH_TEXT, RECORD, 0, 0, NULL },
	{ "start_time", BATCH_TEXT, RECORD, 0, 0, NULL },
	{ "end_time", BATCH_TEXT, RECORD, 0, 0, NULL },

	{ "trials", BATCH_PATH, BATCH_IN_SOURCE, 0, 0, NULL },
	{ "each.", BATCH_LIST, BATCH_IN_MATRIX, 0, 0, NULL },
	{ "exclude", BATCH_LINES, BATCH_IN_MATRIX, 0, 0, NULL },
};

const struct batch_key *batch_keys(size_t *n)
{
	*n = ARRAY_SIZE(keys);
	return keys;
}

static bool is_named(const struct batch_key *key, const char *name)
{
	if (has_suffix(key->name, "."))
		return has_prefix(name, key->name) && name[strlen(key->name)];
	return strcmp(key->name, name) == 0;
}

const struct batch_key *batch_find_key(const char *name, unsigned where)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if ((keys[i].where & where) && is_named(&keys[i], name))
			return &keys[i];
	return NULL;
}

/* ---- values ---- */

bool batch_is_true(const char *text)
{
	static const char *const words[] = { "yes", "true", "on", "1" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

static bool is_bool(const char *text)
{
	static const char *const words[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return batch_is_true(text);
}

static int64_t seconds_in(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	default:
		return 0;
	}
}

int64_t batch_seconds(const char *text)
{
	int64_t total = 0;
	const char *p = text;

	while (*p) {
		size_t digits = strspn(p, "0123456789");
		int64_t unit = digits ? seconds_in(p[digits]) : 0;

		if (!unit || digits > 9) /* a thousand years, with room to multiply and add */
			return -1;
		total += strtoll(p, NULL, 10) * unit;
		p += digits + 1;
		if (total > INT32_MAX)
			return -1;
	}
	return p == text ? -1 : total;
}

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = words; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (n == len && strncmp(p, word, len) == 0)
			return true;
		p += n;
	}
	return false;
}

static int check_number(const struct batch_key *key, const char *name, const char *text,
			struct err *err)
{
	bool is_integer = false;
	int64_t value = -1;

	if (json_is_number_text(text, strlen(text), &is_integer) && is_integer &&
	    strlen(text) <= 19) /* more digits than 2^63 has */
		value = strtoll(text, NULL, 10);
	if (value >= key->min && value <= key->max && value >= 0)
		return 0;
	if (key->max == INT64_MAX)
		return err_set(err, ERR_INVALID, "'%s' must be a whole number from %lld, not '%s'",
			       name, (long long)key->min, text);
	return err_set(err, ERR_INVALID, "'%s' must be a whole number from %lld to %lld, not '%s'",
		       name, (long long)key->min, (long long)key->max, text);
}

static int check_list(const char *name, const char *text, struct err *err)
{
	struct strv parts = STRV_INIT;
	int result = batch_split_list(text, &parts, err);

	strv_release(&parts);
	return result < 0 ? err_prefix(err, "'%s'", name) : 0;
}

static int expected(const char *name, const char *what, const char *text, struct err *err)
{
	return err_set(err, ERR_INVALID, "'%s' must be %s, not '%s'", name, what, text);
}

/* "90", "30:00", "1-12:00:00" as Slurm has it, or as our own times are written. */
static bool is_slurm_time(const char *text)
{
	bool is_plain =
		strspn(text, "0123456789:-") == strlen(text) && isdigit((unsigned char)*text);

	return is_plain || batch_seconds(text) > 0 || strcasecmp(text, "unlimited") == 0;
}

/* What thhost says to sbatch itself, and what would make it do something else than hand over. */
static bool is_own_option(const char *word)
{
	static const char *const names[] = {
		"array",     "chdir",	"comment",  "clusters", "dependency",
		"error",     "help",	"input",    "job-name", "kill-on-invalid-dep",
		"open-mode", "output",	"parsable", "quiet",	"test-only",
		"usage",     "verbose", "version",  "wait",	"wrap"
	};
	size_t len = strcspn(word + 2, "=");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) /* getopt_long takes a beginning, too */
		if (len && strncmp(names[i], word + 2, len) == 0)
			return true;
	return false;
}

static int check_sbatch(const char *name, const char *text, struct err *err)
{
	struct strv words = STRV_INIT;
	int result = batch_sbatch_words(text, &words, err);

	for (size_t i = 0; i < words.n && result == 0; i++) {
		const char *word = words.v[i];

		if (strncmp(word, "--", 2) != 0 || !word[2]) {
			err_set(err, ERR_INVALID, "'%s' takes options such as --mem=8G, not '%s'",
				name, word);
			result =
				err_hint(err, "an option and its value are one word: --NAME=VALUE");
		} else if (is_own_option(word)) {
			result = err_set(err, ERR_INVALID, "'%s': '%s' is for thhost to say", name,
					 word);
		}
	}
	strv_release(&words);
	return result;
}

static int expected_choice(const struct batch_key *key, const char *name, const char *text,
			   struct err *err)
{
	struct str choices = STR_INIT;

	for (const char *p = key->choices; *p; p++)
		str_adds(&choices, *p == ' ' ? " or " : (char[]){ *p, '\0' });
	expected(name, choices.buf, text, err);
	str_release(&choices);
	return -1;
}

int batch_check_value(const struct batch_key *key, const char *name, const char *text,
		      struct err *err)
{
	if (!*text)
		return err_set(err, ERR_INVALID, "'%s' has no value", name);
	switch (key->kind) {
	case BATCH_NAME:
		return path_check_name(name, text, err);
	case BATCH_LIST:
		return check_list(name, text, err);
	case BATCH_NUMBER:
		return check_number(key, name, text, err);
	case BATCH_REAL:
		return json_is_number_text(text, strlen(text), NULL) && text[0] != '-'
			       ? 0
			       : expected(name, "a number from 0", text, err);
	case BATCH_BOOL:
		return is_bool(text) ? 0 : expected(name, "yes or no", text, err);
	case BATCH_DURATION:
		return batch_seconds(text) > 0
			       ? 0
			       : expected(name, "a time such as 90s, 30m, 2h or 1d12h", text, err);
	case BATCH_CHOICE:
		return has_word(key->choices, text) ? 0 : expected_choice(key, name, text, err);
	case BATCH_SLURM_TIME:
		return is_slurm_time(text)
			       ? 0
			       : expected(name, "a time such as 90s, 30m, 2h, 30:00 or 1-12:00:00",
					  text, err);
	case BATCH_SBATCH:
		return check_sbatch(name, text, err);
	case BATCH_COMMAND: /* batch_argv() knows whether a shell reads it */
	case BATCH_TEXT:
	case BATCH_PATH:
	case BATCH_LINES:
		break;
	}
	return 0;
}
