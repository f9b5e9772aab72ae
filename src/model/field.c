#include "base/base.h"

#include "model/field.h"

#include "base/clock.h"
#include "base/mem.h"
#include "model/history.h"

#include <math.h>

void value_release(struct value *value)
{
	if (value->made)
		json_release(value->made);
	free(value->made);
	free(value->made_text);
	free(value->text);
	*value = (struct value)VALUE_INIT;
}

static void set_number(const struct json *doc, size_t token, struct value *out)
{
	out->type = VALUE_NUMBER;
	out->text = json_raw_copy(doc, token);
	out->is_integer = json_int64(doc, token, &out->integer) == 0;
	json_real(doc, token, &out->number);
}

void value_of_token(const struct json *doc, size_t token, struct value *out)
{
	value_release(out);
	if (token == JSON_NONE)
		return;
	switch (json_type(doc, token)) {
	case JSON_NULL:
		break;
	case JSON_FALSE:
	case JSON_TRUE:
		out->type = VALUE_TRUTH;
		out->truth = json_type(doc, token) == JSON_TRUE;
		break;
	case JSON_INTEGER:
	case JSON_REAL:
	case JSON_NONFINITE:
		set_number(doc, token, out);
		break;
	case JSON_STRING:
		out->type = VALUE_TEXT;
		out->text = json_string_copy(doc, token);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		out->type = VALUE_JSON;
		out->doc = doc;
		out->token = token;
		break;
	}
}

bool value_of_number(const char *text, struct value *out)
{
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	bool is_number = json_is_number_text(text, strlen(text), NULL) &&
			 json_parse(&doc, "", text, strlen(text), JSON_STRICT, &ignored) == 0;

	if (is_number)
		value_of_token(&doc, 0, out);
	json_release(&doc);
	return is_number;
}

bool value_number(const struct value *value, double *out)
{
	struct value read = VALUE_INIT;
	bool is_number = value->type == VALUE_NUMBER;

	if (is_number)
		*out = value->number;
	else if (value->type == VALUE_TEXT && value_of_number(value->text, &read)) {
		is_number = true;
		*out = read.number;
	}
	value_release(&read);
	return is_number;
}

static int sign(bool is_less, bool is_greater)
{
	return is_greater - is_less;
}

static int compare_texts(const char *a, const char *b)
{
	double seconds_a;
	double seconds_b;
	bool is_time_a = clock_parse(a, &seconds_a, NULL) == 0;
	bool is_time_b = clock_parse(b, &seconds_b, NULL) == 0;
	int order;

	if (is_time_a != is_time_b) /* else the order would have no direction */
		return is_time_a ? -1 : 1;
	if (is_time_a)
		return sign(seconds_a<seconds_b, seconds_a> seconds_b);
	order = natural_compare(a, b);
	return order ? order : strcmp(a, b);
}

static int compare_json(const struct value *a, const struct value *b)
{
	struct str text_a = STR_INIT;
	struct str text_b = STR_INIT;
	int order;

	value_add_text(a, &text_a);
	value_add_text(b, &text_b);
	order = strcmp(text_a.buf, text_b.buf);
	str_release(&text_a);
	str_release(&text_b);
	return order;
}

/* Where a value stands among those of other kinds: NaN is nearly as good as nothing. */
static int rank(const struct value *value)
{
	static const int ranks[] = { 5, 2, 0, 1, 3 };

	return value->type == VALUE_NUMBER && value->number != value->number ? 4
									     : ranks[value->type];
}

int value_compare(const struct value *a, const struct value *b)
{
	if (rank(a) != rank(b))
		return rank(a) - rank(b);
	switch (a->type) {
	case VALUE_UNDEFINED:
		return 0;
	case VALUE_TRUTH:
		return sign(a->truth<b->truth, a->truth> b->truth);
	case VALUE_NUMBER:
		if (a->is_integer && b->is_integer)
			return sign(a->integer<b->integer, a->integer> b->integer);
		return sign(a->number<b->number, a->number> b->number);
	case VALUE_TEXT:
		return compare_texts(a->text, b->text);
	case VALUE_JSON:
		return compare_json(a, b);
	}
	return 0; /* not reached by tests: each type has its case */
}

void value_add_text(const struct value *value, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 0);
	const char *raw;
	size_t len;

	switch (value->type) {
	case VALUE_UNDEFINED:
		break;
	case VALUE_TRUTH:
		str_adds(out, value->truth ? "true" : "false");
		break;
	case VALUE_NUMBER:
	case VALUE_TEXT:
		str_adds(out, value->text);
		break;
	case VALUE_JSON:
		if (value->text) {
			str_adds(out, value->text);
			break;
		}
		raw = json_raw(value->doc, value->token, &len);
		jsonw_raw(&w, raw, len);
		break;
	}
}

/* ---- names ---- */

/* Keys may hold dots themselves ("val.loss"): the longest one that is there counts. */
static size_t lookup(const struct json *doc, size_t object, const char *path)
{
	size_t found = json_member(doc, object, path);

	for (size_t len = strlen(path); found == JSON_NONE && len-- > 0;) {
		char *key;
		size_t inner;

		if (path[len] != '.')
			continue;
		key = xstrndup(path, len);
		inner = json_member(doc, object, key);
		free(key);
		if (inner != JSON_NONE)
			found = lookup(doc, inner, path + len + 1);
	}
	return found;
}

static bool is_entry_there(const struct subject *subject)
{
	return subject->doc && subject->entry != JSON_NONE;
}

/* In the training's member 'key', or else in its member 'other'. */
static void read_below(const struct subject *subject, const char *key, const char *other,
		       const char *path, struct value *out)
{
	const struct json *doc = subject->doc;
	size_t found;

	value_release(out);
	if (!is_entry_there(subject))
		return;
	found = lookup(doc, json_member(doc, subject->entry, key), path);
	if (found == JSON_NONE && other)
		found = lookup(doc, json_member(doc, subject->entry, other), path);
	value_of_token(doc, found, out);
}

static void set_text(struct value *out, const char *text)
{
	value_release(out);
	if (!text)
		return;
	out->type = VALUE_TEXT;
	out->text = xstrdup(text);
}

static void set_integer(struct value *out, int64_t integer)
{
	value_release(out);
	out->type = VALUE_NUMBER;
	out->is_integer = true;
	out->integer = integer;
	out->number = (double)integer;
	out->text = xstrf("%lld", (long long)integer);
}

/* Seconds: a whole number of them as an integer. */
static void set_seconds(struct value *out, double seconds)
{
	struct str text = STR_INIT;

	if (seconds == floor(seconds) && seconds < 1e15) {
		set_integer(out, (int64_t)seconds);
		return;
	}
	value_release(out);
	json_add_real(&text, seconds);
	out->type = VALUE_NUMBER;
	out->number = seconds;
	out->text = str_detach(&text);
}

/* A tag of the list, or one with a value of its own. */
static void read_tag(const struct subject *subject, const char *name, struct value *out)
{
	const struct json *doc = subject->doc;
	size_t tags;

	read_below(subject, "tags", NULL, name, out);
	if (out->type != VALUE_UNDEFINED || !is_entry_there(subject))
		return;
	tags = json_member(doc, subject->entry, "tags");
	if (!json_is(doc, tags, JSON_ARRAY))
		return;
	out->type = VALUE_TRUTH;
	for (size_t i = json_first(doc, tags); i != JSON_NONE; i = json_next(doc, tags, i))
		if (json_string_is(doc, i, name))
			out->truth = true;
}

static void read_dataset_steps(const struct subject *subject, const char *name, struct value *out)
{
	const struct info *info = subject->info;
	int64_t sum = 0;
	bool any = false;

	value_release(out);
	if (!info)
		return;
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		int64_t steps = info_entry_steps(info, i);

		if (!json_string_is(&info->doc, info_entry_member(info, i, "dataset"), name))
			continue;
		any = true;
		if (steps > 0 && __builtin_add_overflow(sum, steps, &sum))
			sum = INT64_MAX;
	}
	if (any)
		set_integer(out, sum);
}

static void read_datasets(const struct subject *subject, struct value *out)
{
	const struct info *info = subject->info;
	struct strv names = STRV_INIT;
	struct str text = STR_INIT;
	struct jsonw w = jsonw_begin(&text, 0);
	struct err ignored = ERR_INIT;

	value_release(out);
	if (!info)
		return;
	jsonw_array(&w);
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		char *name = info_entry_string(info, i, "dataset");

		if (name && !strv_has(&names, name)) {
			strv_push(&names, name);
			jsonw_string(&w, name);
		}
		free(name);
	}
	jsonw_end(&w);
	strv_release(&names);
	out->made = xcalloc(1, sizeof(*out->made));
	out->made_text = str_detach(&text);
	if (json_parse(out->made, "", out->made_text, strlen(out->made_text), JSON_STRICT,
		       &ignored) < 0)
		return; /* not reached by tests: what we have printed is read again */
	out->type = VALUE_JSON;
	out->doc = out->made;
	out->token = 0;
}

static void read_record(const struct subject *subject, const char *name, struct value *out)
{
	value_release(out);
	if (subject->info && strcmp(name, "training_history") != 0)
		value_of_token(&subject->info->doc, lookup(&subject->info->doc, 0, name), out);
}

/* As far as this training; that of a run in no record is the model's. */
static void read_strategy(const struct subject *subject, struct value *out)
{
	bool is_of_record = subject->info && subject->doc == &subject->info->doc;
	char *text = NULL;

	if (subject->info)
		text = info_strategy_to(subject->info, is_of_record ? subject->entry : JSON_NONE);
	set_text(out, text);
	free(text);
}

/* One moment for start and end means that nobody measured. */
static void read_duration(const struct subject *subject, struct value *out)
{
	double seconds = is_entry_there(subject) ? entry_seconds(subject->doc, subject->entry) : 0;

	if (seconds > 0 && isfinite(seconds))
		set_seconds(out, seconds);
}

static void read_attempts(const struct subject *subject, struct value *out)
{
	size_t earlier;
	size_t interrupted;
	size_t n;

	if (!is_entry_there(subject))
		return;
	n = entry_attempts(subject->doc, subject->entry, &interrupted);
	earlier = json_member(subject->doc, subject->entry, "earlier_attempts");
	for (size_t i = json_first(subject->doc, earlier); i != JSON_NONE;
	     i = json_next(subject->doc, earlier, i))
		n++;
	set_integer(out, (int64_t)n);
}

/* What has a name of its own: 1 and the value, or 0. */
static int read_special(const struct subject *subject, const char *name, struct value *out)
{
	static const struct {
		const char *name;
		const char *key;
	} keys[] = { { "started", "start_time" },
		     { "ended", "end_time" },
		     { "params", "hyperparams" },
		     { "env", "environment" } };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(name, keys[i].name) != 0)
			continue;
		if (is_entry_there(subject))
			value_of_token(subject->doc,
				       json_member(subject->doc, subject->entry, keys[i].key), out);
		return 1;
	}
	if (strcmp(name, "ref") == 0)
		set_text(out, subject->ref);
	else if (strcmp(name, "exp") == 0)
		set_text(out, subject->exp);
	else if (strcmp(name, "path") == 0)
		set_text(out, subject->path);
	else if (strcmp(name, "updated") == 0)
		read_record(subject, "last_updated", out);
	else if (strcmp(name, "strategy") == 0)
		read_strategy(subject, out);
	else if (strcmp(name, "duration") == 0)
		read_duration(subject, out);
	else if (strcmp(name, "attempts") == 0)
		read_attempts(subject, out);
	else if (strcmp(name, "datasets") == 0)
		read_datasets(subject, out);
	else if (strcmp(name, "trainings") == 0 && subject->info)
		set_integer(out, (int64_t)info_entry_count(subject->info));
	else
		return strcmp(name, "trainings") == 0;
	return 1;
}

/* In the training itself; a run of the journal has its own words for some. */
static size_t lookup_own(const struct subject *subject, const char *name)
{
	static const struct {
		const char *name;
		const char *of_run;
	} words[] = { { "status", "state" }, { "steps", "last_step" }, { "epochs", "last_epoch" } };
	size_t found;

	if (!is_entry_there(subject))
		return JSON_NONE;
	found = lookup(subject->doc, subject->entry, name);
	for (size_t i = 0; i < ARRAY_SIZE(words) && found == JSON_NONE; i++)
		if (strcmp(name, words[i].name) == 0)
			found = json_member(subject->doc, subject->entry, words[i].of_run);
	return found;
}

static void read_bare(const struct subject *subject, const char *name, struct value *out)
{
	size_t found;

	if (read_special(subject, name, out))
		return;
	found = lookup_own(subject, name);
	value_of_token(subject->doc, found, out);
	if (found == JSON_NONE)
		read_record(subject, name, out);
	if (found == JSON_NONE && out->type == VALUE_UNDEFINED)
		read_below(subject, "metrics", "last_metrics", name, out);
	/* What older programs recorded had ended well: they recorded nothing else. */
	if (out->type == VALUE_UNDEFINED && strcmp(name, "status") == 0 && is_entry_there(subject))
		set_text(out, "completed");
}

void field_read(const struct subject *subject, const char *name, struct value *out)
{
	static const struct {
		const char *prefix;
		const char *key;
		const char *other;
	} parts[] = {
		{ "metrics.", "metrics", "last_metrics" },
		{ "params.", "hyperparams", "raw_hyperparams" },
		{ "git.", "git", NULL },
		{ "env.", "environment", NULL },
	};

	value_release(out);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!has_prefix(name, parts[i].prefix))
			continue;
		read_below(subject, parts[i].key, parts[i].other, name + strlen(parts[i].prefix),
			   out);
		return;
	}
	if (has_prefix(name, "tags."))
		read_tag(subject, name + strlen("tags."), out);
	else if (has_prefix(name, "datasets."))
		read_dataset_steps(subject, name + strlen("datasets."), out);
	else
		read_bare(subject, name, out);
}
