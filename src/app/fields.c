#include "base/base.h"

#include "app/fields.h"

#include "base/mem.h"
#include "sys/json.h"

#include <strings.h>

struct fields *fields_new(void)
{
	return xcalloc(1, sizeof(struct fields));
}

void fields_free(struct fields *fields)
{
	if (!fields)
		return;
	for (size_t i = 0; i < fields->n; i++)
		fields_free(fields->kids[i]);
	free(fields->kids);
	free(fields->key);
	free(fields->raw);
	free(fields);
}

bool fields_empty(const struct fields *fields)
{
	return fields->n == 0;
}

static struct fields *find_kid(const struct fields *fields, const char *key, size_t len)
{
	for (size_t i = 0; i < fields->n; i++)
		if (strlen(fields->kids[i]->key) == len &&
		    memcmp(fields->kids[i]->key, key, len) == 0)
			return fields->kids[i];
	return NULL;
}

const char *fields_get(const struct fields *fields, const char *key)
{
	const struct fields *kid = find_kid(fields, key, strlen(key));

	return kid ? kid->raw : NULL;
}

static struct fields *add_kid(struct fields *fields, const char *key, size_t len)
{
	struct fields *kid = find_kid(fields, key, len);

	if (kid)
		return kid;
	kid = fields_new();
	kid->key = xstrndup(key, len);
	fields->kids = xreallocarray(fields->kids, fields->n + 1, sizeof(struct fields *));
	fields->kids[fields->n++] = kid;
	return kid;
}

static void set_leaf(struct fields *kid, char *raw)
{
	for (size_t i = 0; i < kid->n; i++)
		fields_free(kid->kids[i]);
	free(kid->kids);
	kid->kids = NULL;
	kid->n = 0;
	free(kid->raw);
	kid->raw = raw;
}

static void merge_object(struct fields *fields, const struct json *doc, size_t object)
{
	for (size_t i = json_first(doc, object); i != JSON_NONE; i = json_next(doc, object, i)) {
		struct str key = STR_INIT;
		struct fields *kid;

		json_string(doc, i, &key);
		kid = add_kid(fields, key.buf, key.len);
		str_release(&key);
		if (!json_is(doc, i + 1, JSON_OBJECT) || doc->tokens[i + 1].size == 0) {
			set_leaf(kid, json_raw_copy(doc, i + 1));
			continue;
		}
		free(kid->raw);
		kid->raw = NULL;
		merge_object(kid, doc, i + 1);
	}
}

int fields_merge(struct fields *fields, const char *name, const char *text, struct err *err)
{
	struct json doc = JSON_INIT;
	int result = json_parse(&doc, name, text, strlen(text), JSON_NONFINITE_OK, err);

	if (result == 0 && !json_is(&doc, 0, JSON_OBJECT))
		result = err_set(err, ERR_INVALID, "%s: not a JSON object", name);
	if (result == 0)
		merge_object(fields, &doc, 0);
	json_release(&doc);
	return result;
}

int fields_set(struct fields *fields, const char *path, const char *raw, struct err *err)
{
	const char *whole = path;

	for (;;) {
		size_t len = strcspn(path, ".");

		if (!len)
			return err_set(err, ERR_USAGE, "empty name in '%s'", whole);
		if (fields->raw)
			return err_set(err, ERR_USAGE, "'%s' is a value and cannot hold '%s'",
				       fields->key, whole);
		fields = add_kid(fields, path, len);
		if (!path[len])
			break;
		path += len + 1;
	}
	set_leaf(fields, xstrdup(raw));
	return 0;
}

/* Split "K=V" at the first '='. */
static char *split(const char *assignment, const char *option, const char **value, struct err *err)
{
	const char *equals = strchr(assignment, '=');

	if (!equals || equals == assignment) {
		err_set(err, ERR_USAGE, "--%s needs NAME=VALUE, not '%s'", option, assignment);
		return NULL;
	}
	*value = equals + 1;
	return xstrndup(assignment, (size_t)(equals - assignment));
}

static const char *nonfinite_word(const char *text)
{
	static const char *const words[][2] = {
		{ "nan", "NaN" },	 { "inf", "Infinity" },	     { "+inf", "Infinity" },
		{ "-inf", "-Infinity" }, { "infinity", "Infinity" }, { "-infinity", "-Infinity" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(text, words[i][0]) == 0)
			return words[i][1];
	return NULL;
}

int fields_set_metric(struct fields *fields, const char *assignment, struct err *err)
{
	const char *value;
	char *name = split(assignment, "metric", &value, err);
	const char *word;
	int result;

	if (!name)
		return -1;
	word = nonfinite_word(value);
	if (word)
		result = fields_set(fields, name, word, err);
	else if (json_is_number_text(value, strlen(value), NULL))
		result = fields_set(fields, name, value, err);
	else
		result = err_set(err, ERR_USAGE, "metric '%s' must be a number, not '%s'", name,
				 value);
	free(name);
	return result;
}

/* Is 'value' JSON as it stands, of a kind that a hyperparameter may be? */
static bool is_json_value(const char *value)
{
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	bool result;

	if (!*value || !strchr("-0123456789tfn[{", *value))
		return false;
	result = json_parse(&doc, "", value, strlen(value), JSON_STRICT, &ignored) == 0;
	json_release(&doc);
	return result;
}

int fields_set_param(struct fields *fields, const char *assignment, struct err *err)
{
	const char *value;
	char *name = split(assignment, "param", &value, err);
	struct str raw = STR_INIT;
	int result;

	if (!name)
		return -1;
	if (is_json_value(value))
		str_adds(&raw, value);
	else
		json_add_strz(&raw, value);
	result = fields_set(fields, name, raw.buf, err);
	str_release(&raw);
	free(name);
	return result;
}

void fields_order(struct fields *fields, int (*rank)(const char *name, const void *arg),
		  const void *arg)
{
	for (size_t i = 1; i < fields->n; i++) {
		struct fields *kid = fields->kids[i];
		int its_rank = rank(kid->key, arg);
		size_t place = i;

		for (; place && rank(fields->kids[place - 1]->key, arg) > its_rank; place--)
			fields->kids[place] = fields->kids[place - 1];
		fields->kids[place] = kid;
	}
}

void fields_print(const struct fields *fields, struct str *out)
{
	if (fields->raw) {
		str_adds(out, fields->raw);
		return;
	}
	str_addch(out, '{');
	for (size_t i = 0; i < fields->n; i++) {
		if (i)
			str_adds(out, ", ");
		json_add_strz(out, fields->kids[i]->key);
		str_adds(out, ": ");
		fields_print(fields->kids[i], out);
	}
	str_addch(out, '}');
}

char *fields_text(const struct fields *fields)
{
	struct str out = STR_INIT;

	if (fields_empty(fields))
		return NULL;
	fields_print(fields, &out);
	return str_detach(&out);
}
