#include "base/base.h"

#include "app/fields.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "model/info.h"
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

/* Names are kept as C strings: one that a NUL ends early would be another's. */
static int merge_object(struct fields *fields, const char *name, const struct json *doc,
			size_t object, struct err *err)
{
	int rc = 0;

	for (size_t i = json_first(doc, object); rc == 0 && i != JSON_NONE;
	     i = json_next(doc, object, i)) {
		struct str key = STR_INIT;
		struct fields *kid;

		json_string(doc, i, &key);
		if (strlen(key.buf) != key.len) {
			str_release(&key);
			return err_set(err, ERR_INVALID, "%s:%zu: NUL in a key", name,
				       json_line(doc, i));
		}
		kid = add_kid(fields, key.buf, key.len);
		str_release(&key);
		if (!json_is(doc, i + 1, JSON_OBJECT) || doc->tokens[i + 1].size == 0) {
			set_leaf(kid, json_raw_copy(doc, i + 1));
			continue;
		}
		free(kid->raw);
		kid->raw = NULL;
		rc = merge_object(kid, name, doc, i + 1, err);
	}
	return rc;
}

int fields_merge(struct fields *fields, const char *name, const char *text, struct err *err)
{
	struct json doc = JSON_INIT;
	int result = json_parse(&doc, name, text, strlen(text), JSON_NONFINITE_OK, err);

	if (result == 0 && !json_is(&doc, 0, JSON_OBJECT))
		result = err_set(err, ERR_INVALID, "%s: not a JSON object", name);
	if (result == 0)
		result = merge_object(fields, name, &doc, 0, err);
	json_release(&doc);
	return result;
}

/* A path that can be printed and read again: no entry may be deeper, and what is no UTF-8 would come
 * out as another name. */
static int check_path(const char *path, struct err *err)
{
	size_t parts = 1;

	for (const char *p = path; (p = strchr(p, '.')); p++)
		parts++;
	if (parts > INFO_VALUE_DEPTH)
		return err_set(err, ERR_USAGE, "'%.60s...' has %zu parts; %d at most", path, parts,
			       INFO_VALUE_DEPTH);
	if (!utf8_is_valid(path, strlen(path)))
		return err_set(err, ERR_USAGE, "the name '%.200s' is not valid UTF-8", path);
	return 0;
}

int fields_set(struct fields *fields, const char *path, const char *raw, struct err *err)
{
	const char *whole = path;

	if (check_path(path, err) < 0)
		return -1;
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
