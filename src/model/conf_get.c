#include "base/base.h"

#include "model/conf.h"

#include "base/mem.h"
#include "sys/path.h"

/* A known key's place is its place in the table, so that a lookup never misses. */
static const struct conf_value *known(const struct conf *conf, const char *name)
{
	size_t n;
	const struct conf_key *keys = conf_keys(&n);

	for (size_t i = 0; i < n && i < conf->n; i++) {
		size_t len = strlen(keys[i].section);

		if (strncmp(keys[i].section, name, len) == 0 && name[len] == '.' &&
		    strcmp(keys[i].key, name + len + 1) == 0)
			return &conf->v[i];
	}
	/* not reached by tests: every name that the code asks for is in the table */
	fprintf(stderr, "thhost: bug: no configuration key '%s'\n", name);
	abort();
}

const char *conf_get(const struct conf *conf, const char *name)
{
	return known(conf, name)->value;
}

bool conf_bool(const struct conf *conf, const char *name)
{
	const char *value = conf_get(conf, name);

	return strcmp(value, "yes") == 0 || strcmp(value, "true") == 0 ||
	       strcmp(value, "on") == 0 || strcmp(value, "1") == 0;
}

int64_t conf_int(const struct conf *conf, const char *name)
{
	return strtoll(conf_get(conf, name), NULL, 10); /* checked when it was set */
}

const char *conf_origin(const struct conf *conf, const char *name)
{
	return known(conf, name)->origin;
}

static char *absolute(const char *path, const char *base)
{
	const char *home = getenv("HOME");
	char *joined;
	char *result;

	if (has_prefix(path, "~/") && home && *home)
		joined = path_join(home, path + 2);
	else
		joined = *path == '/' ? xstrdup(path) : path_join(base, path);
	result = path_absolute(joined);
	free(joined);
	return result;
}

char *conf_path(const struct conf *conf, const char *name)
{
	const struct conf_value *v = known(conf, name);

	return *v->value ? absolute(v->value, v->base) : NULL;
}

static void split(const char *text, char separator, struct strv *out)
{
	const char marks[] = { separator, '\0' };

	for (;;) {
		size_t len = strcspn(text, marks);
		struct str part = STR_INIT;

		str_add(&part, text, len);
		str_trim(&part);
		if (part.len)
			strv_push(out, part.buf);
		str_release(&part);
		if (!text[len])
			return;
		text += len + 1;
	}
}

void conf_paths(const struct conf *conf, const char *name, struct strv *out)
{
	const struct conf_value *v = known(conf, name);
	struct strv parts = STRV_INIT;

	split(v->value, ':', &parts);
	for (size_t i = 0; i < parts.n; i++)
		strv_push_take(out, absolute(parts.v[i], v->base));
	strv_release(&parts);
}

void conf_list(const struct conf *conf, const char *name, struct strv *out)
{
	split(conf_get(conf, name), ',', out);
}

/* ---- [stage NAME] ---- */

/* Is this the section "stage NAME", or with 'dataset' "stage NAME/DATASET"? */
static bool is_section_of(const struct conf_value *v, const char *stage, const char *dataset)
{
	const char *p = v->section;
	size_t len = strlen(stage);

	if (!has_prefix(p, "stage ") || strncmp(p + 6, stage, len) != 0)
		return false;
	p += 6 + len;
	if (!dataset)
		return *p == '\0';
	return *p == '/' && strcmp(p + 1, dataset) == 0;
}

static const struct conf_value *find_stage(const struct conf *conf, const char *stage,
					   const char *dataset, const char *key)
{
	const struct conf_value *general = NULL;

	for (size_t i = 0; i < conf->n; i++) {
		const struct conf_value *v = &conf->v[i];

		if (strcmp(v->key, key) != 0)
			continue;
		if (dataset && is_section_of(v, stage, dataset))
			return v;
		if (is_section_of(v, stage, NULL))
			general = v;
	}
	return general;
}

const char *conf_stage(const struct conf *conf, const char *stage, const char *dataset,
		       const char *key)
{
	const struct conf_value *found = find_stage(conf, stage, dataset, key);

	return found ? found->value : NULL;
}

char *conf_dataset_path(const struct conf *conf, const char *stage, const char *dataset)
{
	static const char mark[] = "{dataset}";
	const struct conf_value *found = find_stage(conf, stage, dataset, "dataset_path");
	struct str text = STR_INIT;
	char *path;

	if (!found || !*found->value)
		return NULL;
	for (const char *p = found->value; *p;) {
		if (has_prefix(p, mark)) {
			str_adds(&text, dataset);
			p += sizeof(mark) - 1;
		} else {
			str_addch(&text, *p++);
		}
	}
	path = absolute(text.buf, found->base);
	str_release(&text);
	return path;
}

static bool is_free_key(const char *key)
{
	return strcmp(key, "command") != 0 && strcmp(key, "base_model") != 0 &&
	       strcmp(key, "model_name") != 0 && strcmp(key, "dataset_path") != 0;
}

void conf_stage_all(const struct conf *conf, const char *stage, const char *dataset,
		    struct strv *keys, struct strv *values)
{
	for (size_t i = 0; i < conf->n; i++) {
		const struct conf_value *v = &conf->v[i];

		if (!is_section_of(v, stage, NULL) &&
		    !(dataset && is_section_of(v, stage, dataset)))
			continue;
		if (!is_free_key(v->key) || strv_has(keys, v->key))
			continue;
		strv_push(keys, v->key);
		strv_push(values, conf_stage(conf, stage, dataset, v->key));
	}
}

/* ---- command lines ---- */

/* The text up to the closing quote; inside "..." a backslash protects '"', '\' and itself only. */
static const char *take_quoted(const char *p, struct str *word)
{
	char quote = *p++;

	for (; *p && *p != quote; p++) {
		if (quote == '"' && *p == '\\' && (p[1] == '"' || p[1] == '\\'))
			p++;
		str_addch(word, *p);
	}
	return *p ? p + 1 : NULL;
}

/* One word; NULL if it does not end. */
static const char *take_word(const char *p, struct str *word)
{
	while (*p && *p != ' ' && *p != '\t') {
		if (*p == '\'' || *p == '"') {
			p = take_quoted(p, word);
			if (!p)
				return NULL;
			continue;
		}
		if (*p == '\\' && !*++p)
			return NULL;
		str_addch(word, *p++);
	}
	return p;
}

int conf_split_command(const char *text, struct strv *argv, struct err *err)
{
	const char *p = text + strspn(text, " \t");
	size_t before = argv->n;

	while (*p) {
		struct str word = STR_INIT;
		const char *end = take_word(p, &word);

		if (!end) {
			str_release(&word);
			return err_set(err, ERR_INVALID, "a quote or backslash has no end in '%s'",
				       text);
		}
		strv_push_take(argv, str_detach(&word));
		p = end + strspn(end, " \t");
	}
	if (argv->n == before)
		return err_set(err, ERR_INVALID, "the command is empty");
	return 0;
}
