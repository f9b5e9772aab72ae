#include "base/base.h"

#include "app/record.h"
#include "base/mem.h"

void values_init(struct values *values)
{
	memset(values, 0, sizeof(*values));
	values->steps = -1;
	values->metrics = fields_new();
	values->hyperparams = fields_new();
}

void values_release(struct values *values)
{
	char *const owned[] = {
		values->stage,	    values->dataset,  values->exp,	 values->model_name,
		values->epochs,	    values->into,     values->init_from, values->base_model,
		values->start_time, values->end_time, values->from,	 values->final_checkpoint,
		values->note,
	};

	for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
		free(owned[i]);
	fields_free(values->metrics);
	fields_free(values->hyperparams);
	strv_release(&values->tags);
}

static int wrong_type(const struct json *doc, const char *name, size_t token, const char *key,
		      const char *expected, struct err *err)
{
	return err_set(err, ERR_INVALID, "%s:%zu: '%s' must be %s", name, json_line(doc, token),
		       key, expected);
}

static int read_tags(struct values *values, const struct json *doc, size_t token)
{
	if (!json_is(doc, token, JSON_ARRAY))
		return -1;
	for (size_t i = json_first(doc, token); i != JSON_NONE; i = json_next(doc, token, i)) {
		char *tag = json_string_copy(doc, i);

		if (!tag)
			return -1;
		strv_push_take(&values->tags, tag);
	}
	return 0;
}

struct string_member {
	const char *key;
	char **place;
};

/* 1: taken, 0: none of these names, -1: wrong type. */
static int read_string(const struct string_member *members, size_t n, const struct json *doc,
		       const char *name, size_t key, struct err *err)
{
	struct str text = STR_INIT;

	for (size_t i = 0; i < n; i++) {
		if (!json_string_is(doc, key, members[i].key))
			continue;
		if (json_is(doc, key + 1, JSON_NULL))
			return 1;
		if (!json_is(doc, key + 1, JSON_STRING))
			return wrong_type(doc, name, key + 1, members[i].key, "a string", err);
		json_string(doc, key + 1, &text);
		if (strlen(text.buf) != text.len) {
			str_release(&text);
			return wrong_type(doc, name, key + 1, members[i].key,
					  "a string without NUL", err);
		}
		free(*members[i].place);
		*members[i].place = str_detach(&text);
		return 1;
	}
	return 0;
}

static int read_object(struct fields *into, const struct json *doc, const char *name, size_t key,
		       const char *what, struct err *err)
{
	char *raw;
	int result;

	if (json_is(doc, key + 1, JSON_NULL))
		return 0;
	if (!json_is(doc, key + 1, JSON_OBJECT))
		return wrong_type(doc, name, key + 1, what, "an object", err);
	raw = json_raw_copy(doc, key + 1);
	result = fields_merge(into, name, raw, err);
	free(raw);
	return result;
}

static int unknown_member(const struct json *doc, const char *name, size_t key, struct err *err)
{
	static const char *const known[] = {
		"stage",      "dataset",  "exp",	 "model_name", "steps",
		"epochs",     "metrics",  "hyperparams", "base_model", "final_checkpoint",
		"start_time", "end_time", "into",	 "init_from",  "from",
		"tags",	      "notes",
	};
	char *given = json_string_copy(doc, key);
	const char *near = nearest_word(given, known, ARRAY_SIZE(known));

	err_set(err, ERR_INVALID, "%s:%zu: unknown key '%s'", name, json_line(doc, key), given);
	if (near)
		err_hint(err, "did you mean '%s'?", near);
	free(given);
	return -1;
}

static int read_member(struct values *values, const struct json *doc, const char *name, size_t key,
		       struct err *err)
{
	const struct string_member strings[] = {
		{ "stage", &values->stage },
		{ "dataset", &values->dataset },
		{ "exp", &values->exp },
		{ "model_name", &values->model_name },
		{ "base_model", &values->base_model },
		{ "final_checkpoint", &values->final_checkpoint },
		{ "start_time", &values->start_time },
		{ "end_time", &values->end_time },
		{ "into", &values->into },
		{ "init_from", &values->init_from },
		{ "from", &values->from },
		{ "notes", &values->note },
		{ "note", &values->note },
	};
	size_t value = key + 1;
	int taken = read_string(strings, ARRAY_SIZE(strings), doc, name, key, err);

	if (taken)
		return taken < 0 ? -1 : 0;
	if (json_string_is(doc, key, "metrics"))
		return read_object(values->metrics, doc, name, key, "metrics", err);
	if (json_string_is(doc, key, "hyperparams") || json_string_is(doc, key, "params"))
		return read_object(values->hyperparams, doc, name, key, "hyperparams", err);
	if (json_string_is(doc, key, "tags"))
		return read_tags(values, doc, value) == 0
			       ? 0
			       : wrong_type(doc, name, value, "tags", "a list of strings", err);
	if (json_string_is(doc, key, "steps"))
		return json_int64(doc, value, &values->steps) == 0 && values->steps >= 0
			       ? 0
			       : wrong_type(doc, name, value, "steps", "a whole number from 0",
					    err);
	if (!json_string_is(doc, key, "epochs"))
		return unknown_member(doc, name, key, err);
	if (json_is(doc, value, JSON_NULL))
		return 0;
	if (!json_is_number(doc, value))
		return wrong_type(doc, name, value, "epochs", "a number or null", err);
	free(values->epochs);
	values->epochs = json_raw_copy(doc, value);
	return 0;
}

int values_read_json(struct values *values, const char *name, const char *text, struct err *err)
{
	struct json doc = JSON_INIT;
	int result = json_parse(&doc, name, text, strlen(text), JSON_NONFINITE_OK, err);

	if (result == 0 && !json_is(&doc, 0, JSON_OBJECT))
		result = err_set(err, ERR_INVALID, "%s: not a JSON object", name);
	for (size_t i = result == 0 ? json_first(&doc, 0) : JSON_NONE;
	     i != JSON_NONE && result == 0; i = json_next(&doc, 0, i))
		result = read_member(values, &doc, name, i, err);
	json_release(&doc);
	return result;
}
