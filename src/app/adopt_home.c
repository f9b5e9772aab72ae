#include "base/base.h"

#include "app/adopt_home.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/path.h"

void adopt_home_free(struct adopt_home *home)
{
	if (!home)
		return;
	stage_state_list_release(home->states, home->n_states);
	json_release(&home->doc);
	str_release(&home->text);
	free(home->exp);
	free(home);
}

static void read_home(struct adopt_home *home, struct layout *layout)
{
	struct err err = ERR_INIT;

	if (layout_read_config(layout, home->exp, &home->text, &err) < 0 ||
	    json_parse(&home->doc, home->exp, home->text.buf, home->text.len, JSON_NONFINITE_OK,
		       &err) < 0 ||
	    layout_list_states(layout, home->exp, &home->states, &home->n_states, &err) < 0) {
		if (err.code != ERR_NOT_FOUND)
			log_warn("%s", err.msg);
		return;
	}
	home->has_doc = true;
}

const struct adopt_home *adopt_home_of(struct adopt *adopt, const char *exp)
{
	struct adopt_home *home = adopt->home;

	if (home && strcmp(home->exp, exp) == 0)
		return home;
	adopt_home_free(home);
	home = xcalloc(1, sizeof(*home));
	home->exp = xstrdup(exp);
	home->doc = (struct json)JSON_INIT;
	str_init(&home->text);
	read_home(home, &adopt->session->layout);
	adopt->home = home;
	return home;
}

const struct stage_state *adopt_home_state(const struct adopt_home *home, const char *dir)
{
	for (size_t i = 0; i < home->n_states; i++)
		if (strcmp(home->states[i].dir, dir) == 0 || strcmp(home->states[i].key, dir) == 0)
			return &home->states[i];
	return NULL;
}

char *adopt_iso(const char *text)
{
	double seconds;
	char *iso;

	if (!text || clock_parse(text, &seconds, NULL) < 0)
		return NULL;
	iso = xstrdup(text);
	if (strlen(iso) > 10 && iso[10] == ' ')
		iso[10] = 'T';
	return iso;
}

/* ---- runs ---- */

static char *text_of(const struct json *doc, size_t object, const char *key)
{
	char *text = json_string_copy(doc, json_member(doc, object, key));

	if (text && !*text) {
		free(text);
		text = NULL;
	}
	return text;
}

/* "a/b/stage1_hrds/" and "a\b\stage1_hrds" end in "stage1_hrds". */
static bool ends_in(const char *path, const char *name)
{
	size_t len = strlen(path);
	size_t name_len = strlen(name);

	while (len && (path[len - 1] == '/' || path[len - 1] == '\\'))
		len--;
	if (len < name_len || strncmp(path + len - name_len, name, name_len) != 0)
		return false;
	return len == name_len || path[len - name_len - 1] == '/' ||
	       path[len - name_len - 1] == '\\';
}

/* By the directory that it was told to write to, else by its stage and data set. */
static bool is_run_of(const struct json *doc, size_t item, size_t training, const char *dir)
{
	char *out = text_of(doc, training, "output_dir");
	char *stage = text_of(doc, item, "stage");
	char *dataset = text_of(doc, item, "dataset");
	char *name = stage && dataset ? xstrf("%s_%s", stage, dataset) : NULL;
	/* An output directory that is the experiment or above it says nothing of the stage. */
	bool found = (out && ends_in(out, dir)) || (name && strcmp(name, dir) == 0);

	free(out);
	free(stage);
	free(dataset);
	free(name);
	return found;
}

/* The words of a command that was joined by blanks. */
static void split_words(const char *text, struct strv *words)
{
	while (text && *(text += strspn(text, " \t"))) {
		size_t len = strcspn(text, " \t");

		strv_pushn(words, text, len);
		text += len;
	}
}

/* 500 of ".../checkpoint-500"; 0 without a name; -1 if there is no number. */
static int64_t step_of(const char *checkpoint)
{
	const char *digits = checkpoint ? strrchr(checkpoint, '-') : NULL;
	char *end;
	long long value;

	if (!checkpoint)
		return 0;
	if (!digits || digits[1] < '0' || digits[1] > '9')
		return -1;
	value = strtoll(digits + 1, &end, 10);
	return *end && *end != '/' ? -1 : value;
}

static void take_run(const struct json *doc, size_t item, struct adopt_run *run)
{
	size_t params = json_member(doc, item, "params");
	size_t training = json_member(doc, params, "training");
	char *when = text_of(doc, item, "timestamp");
	char *command = text_of(doc, item, "command");

	run->timestamp = adopt_iso(when);
	run->dataset = text_of(doc, item, "dataset");
	split_words(command, &run->argv);
	if (json_is(doc, training, JSON_OBJECT))
		run->training = json_raw_copy(doc, training);
	run->model = text_of(doc, json_member(doc, params, "model"), "model_name_or_path");
	run->resumed = text_of(doc, training, "resume_from_checkpoint");
	run->resumed_from = step_of(run->resumed);
	if (json_int64(doc, json_member(doc, training, "max_steps"), &run->max_steps) < 0 ||
	    run->max_steps <= 0)
		run->max_steps = -1;
	free(when);
	free(command);
}

void adopt_home_runs(const struct adopt_home *home, const char *dir, struct adopt_run **runs,
		     size_t *n)
{
	const struct json *doc = &home->doc;
	size_t list = home->has_doc ? json_member(doc, 0, "runs") : JSON_NONE;

	*runs = NULL;
	*n = 0;
	if (!json_is(doc, list, JSON_ARRAY))
		return;
	*runs = xcalloc(doc->tokens[list].size + 1, sizeof(**runs));
	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i)) {
		size_t params = json_member(doc, i, "params");

		if (is_run_of(doc, i, json_member(doc, params, "training"), dir)) {
			(*runs)[*n].argv = (struct strv)STRV_INIT;
			take_run(doc, i, &(*runs)[(*n)++]);
		}
	}
}

void adopt_runs_release(struct adopt_run *runs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(runs[i].timestamp);
		free(runs[i].dataset);
		strv_release(&runs[i].argv);
		free(runs[i].training);
		free(runs[i].model);
		free(runs[i].resumed);
	}
	free(runs);
}

/* ---- the static part ---- */

char *adopt_home_settings(const struct adopt_home *home, const char *stage)
{
	static const char *const sections[][2] = {
		{ "stage1", "stage1_training" },
		{ "stage2", "feature_extraction" },
		{ "stage3", "parent_finder" },
		{ "stage4", "relation_classifier" },
	};

	for (size_t i = 0; home->has_doc && i < ARRAY_SIZE(sections); i++) {
		size_t section = json_member(&home->doc, 0, sections[i][1]);

		if (strcmp(stage, sections[i][0]) == 0 && json_is(&home->doc, section, JSON_OBJECT))
			return json_raw_copy(&home->doc, section);
	}
	return NULL;
}

char *adopt_home_model(const struct adopt_home *home)
{
	if (!home->has_doc)
		return NULL;
	return text_of(&home->doc, json_member(&home->doc, 0, "model"), "name_or_path");
}
