#include "base/base.h"

#include "model/conf.h"

#include "base/mem.h"
#include "model/conf_ini.h"
#include "sys/file.h"
#include "sys/path.h"

#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "thhost.ini"

/* A configuration is written by hand; what is larger is some other file. */
#define SIZE_LIMIT (256u << 10)

/* Keys of [stage ...] sections in all; looking one up is linear. */
#define FREE_KEYS_LIMIT 2000

/* One file being loaded. */
struct loading {
	struct conf *conf;
	const char *path;
	const char *base;
	struct conf_value *last; /* what an indented line continues */
};

/* ---- the table of values ---- */

static void value_set(struct conf_value *v, const char *value, const char *base, char *origin_taken)
{
	char *fresh = xstrdup(value); /* 'value' may be a part of what is freed */

	free(v->value);
	free(v->origin);
	free(v->base);
	v->value = fresh;
	v->base = xstrdup(base);
	v->origin = origin_taken;
}

static struct conf_value *value_add(struct conf *conf, const char *section, const char *key)
{
	struct conf_value *v;

	conf->v = xreallocarray(conf->v, conf->n + 1, sizeof(*conf->v));
	v = &conf->v[conf->n++];
	memset(v, 0, sizeof(*v));
	v->section = xstrdup(section);
	v->key = xstrdup(key);
	return v;
}

static struct conf_value *value_find(const struct conf *conf, const char *section, const char *key)
{
	for (size_t i = 0; i < conf->n; i++)
		if (strcmp(conf->v[i].key, key) == 0 && strcmp(conf->v[i].section, section) == 0)
			return &conf->v[i];
	return NULL;
}

/* The table's entry for a value, or NULL for a free key. */
static const struct conf_key *key_of(const struct conf *conf, const struct conf_value *v)
{
	size_t n;
	const struct conf_key *keys = conf_keys(&n);
	size_t i = (size_t)(v - conf->v);

	return i < n ? &keys[i] : NULL;
}

/* "section.key" of a known key, or NULL. */
static struct conf_value *known_find(const struct conf *conf, const char *name)
{
	size_t n;
	const char *dot = strchr(name, '.');

	conf_keys(&n);
	for (size_t i = 0; dot && i < n && i < conf->n; i++) {
		const struct conf_value *v = &conf->v[i];
		size_t len = strlen(v->section);

		if (len == (size_t)(dot - name) && memcmp(v->section, name, len) == 0 &&
		    strcmp(v->key, dot + 1) == 0)
			return &conf->v[i];
	}
	return NULL;
}

/* ---- names that are not known ---- */

static bool is_section(const char *section)
{
	size_t n;
	const struct conf_key *keys = conf_keys(&n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(keys[i].section, section) == 0)
			return true;
	return false;
}

static int refuse_section(const char *section, struct err *err)
{
	static const char *const sections[] = { "artifact", "plugins", "record",
						"run",	    "ui",      "stage NAME" };
	const char *nearest = nearest_word(section, sections, ARRAY_SIZE(sections));

	if (!*section)
		return err_set(err, ERR_INVALID, "a key before the first [section]");
	if (nearest)
		return err_set(err, ERR_INVALID, "unknown section [%s]; did you mean [%s]?",
			       section, nearest);
	return err_set(err, ERR_INVALID,
		       "unknown section [%s]; there are artifact, plugins, record, run, ui and "
		       "stage NAME",
		       section);
}

static int refuse_key(const char *section, const char *key, struct err *err)
{
	size_t n;
	const struct conf_key *keys = conf_keys(&n);
	const char **words = xcalloc(n, sizeof(*words));
	size_t n_words = 0;
	const char *nearest;

	for (size_t i = 0; i < n; i++)
		if (strcmp(keys[i].section, section) == 0)
			words[n_words++] = keys[i].key;
	nearest = nearest_word(key, words, n_words);
	free(words);
	if (nearest)
		return err_set(err, ERR_INVALID, "unknown key '%s' in [%s]; did you mean '%s'?",
			       key, section, nearest);
	for (size_t i = 0; i < n; i++)
		if (strcmp(keys[i].key, key) == 0)
			return err_set(err, ERR_INVALID,
				       "unknown key '%s' in [%s]; it belongs to [%s]", key, section,
				       keys[i].section);
	return err_set(err, ERR_INVALID, "unknown key '%s' in [%s]", key, section);
}

/* ---- [stage NAME] and [stage NAME/DATASET] ---- */

static bool is_stage_section(const char *section)
{
	return has_prefix(section, "stage ") || has_prefix(section, "stage\t") ||
	       strcmp(section, "stage") == 0;
}

/* "stage  a/b" as "stage a/b" in 'out', its names checked. */
static int normal_stage(const char *section, struct str *out, struct err *err)
{
	struct str name = STR_INIT;
	char *slash;
	int rc;

	str_adds(&name, section + strlen("stage"));
	str_trim(&name);
	slash = strchr(name.buf, '/');
	if (slash)
		*slash = '\0';
	rc = path_check_name("stage", name.buf, err);
	if (rc == 0 && slash)
		rc = path_check_name("dataset", slash + 1, err);
	if (slash)
		*slash = '/';
	str_addf(out, "stage %s", name.buf);
	str_release(&name);
	return rc;
}

static struct conf_value *stage_value(struct conf *conf, const char *section, const char *key,
				      struct err *err)
{
	struct str name = STR_INIT;
	struct conf_value *v = NULL;

	if (normal_stage(section, &name, err) < 0)
		goto out;
	v = value_find(conf, name.buf, key);
	if (!v && conf->n >= FREE_KEYS_LIMIT)
		err_set(err, ERR_INVALID, "more than %d keys", FREE_KEYS_LIMIT);
	else if (!v)
		v = value_add(conf, name.buf, key);
out:
	str_release(&name);
	return v;
}

/* ---- files ---- */

static struct conf_value *entry_value(struct loading *loading, const struct ini_entry *entry,
				      struct err *err)
{
	struct conf_value *v;

	if (is_stage_section(entry->section))
		return stage_value(loading->conf, entry->section, entry->key, err);
	if (!is_section(entry->section))
		return refuse_section(entry->section, err), NULL;
	v = value_find(loading->conf, entry->section, entry->key);
	if (!v)
		refuse_key(entry->section, entry->key, err);
	return v;
}

/* The line of this file that has set 'v', or NULL. */
static const char *line_in(const struct loading *loading, const struct conf_value *v)
{
	size_t len = strlen(loading->path);

	if (!v->origin || strncmp(v->origin, loading->path, len) != 0 || v->origin[len] != ':')
		return NULL;
	return v->origin + len + 1;
}

static int check(const struct conf *conf, const struct conf_value *v, const char *value,
		 struct err *err)
{
	const struct conf_key *key = key_of(conf, v);

	return key ? conf_check_value(key, value, err) : 0;
}

static int continue_value(struct loading *loading, const char *more, struct err *err)
{
	struct conf_value *v = loading->last;
	struct str whole = STR_INIT;
	int rc;

	str_addf(&whole, "%s%s%s", v->value, *v->value ? " " : "", more);
	rc = check(loading->conf, v, whole.buf, err);
	if (rc == 0)
		value_set(v, whole.buf, loading->base, xstrdup(v->origin));
	str_release(&whole);
	return rc;
}

static int on_entry(void *arg, const struct ini_entry *entry, struct err *err)
{
	struct loading *loading = arg;
	struct conf_value *v;

	if (entry->continued && loading->last)
		return continue_value(loading, entry->value, err);
	v = entry_value(loading, entry, err);
	if (!v)
		return -1;
	if (line_in(loading, v))
		return err_set(err, ERR_INVALID, "'%s' was set before, in line %s", entry->key,
			       line_in(loading, v));
	if (check(loading->conf, v, entry->value, err) < 0)
		return -1;
	value_set(v, entry->value, loading->base, xstrf("%s:%zu", loading->path, entry->line));
	loading->last = v;
	return 0;
}

static int load_file(struct conf *conf, const char *path, struct err *err)
{
	struct str text = STR_INIT;
	char *base = path_dir(path);
	struct loading loading = { .conf = conf, .path = path, .base = base };
	int rc = file_read_path(path, SIZE_LIMIT, &text, err);

	if (rc < 0)
		err_prefix(err, "cannot read the configuration");
	else
		rc = conf_ini_read(path, text.buf, text.len, on_entry, &loading, err);
	str_release(&text);
	free(base);
	return rc;
}

/*
 * Found by chance rather than named: in a directory like /tmp anybody may have put it there, and
 * it may name the command that runs.
 */
static int check_owner(const char *path, const char *dir, struct err *err)
{
	struct stat file;
	struct stat above;
	bool is_foreign;

	if (stat(path, &file) < 0 || stat(dir, &above) < 0)
		return err_errno(err, ERR_FAILED, "cannot examine '%s'", path);
	is_foreign = file.st_uid != geteuid() && file.st_uid != 0;
	if (!(file.st_mode & S_IWOTH) && !(is_foreign && (above.st_mode & S_IWOTH)))
		return 0;
	err_path(err, path);
	err_set(err, ERR_INVALID, "'%s' may have been written by anybody; not used", path);
	return err_hint(err, "'chmod o-w' it, or name it with --config if you trust it");
}

/* The nearest thhost.ini from 'start' upwards in 'found', or NULL. */
static int find_project(const char *start, char **found, struct err *err)
{
	char *dir = path_absolute(start);
	int result = 0;

	*found = NULL;
	while (dir) {
		char *path = path_join(dir, FILE_NAME);
		char *up = path_dir(dir);

		result = path_exists(path, NULL, err);
		if (result > 0)
			*found = xstrdup(path);
		if (result || strcmp(up, dir) == 0) {
			free(up);
			up = NULL;
		}
		free(path);
		free(dir);
		dir = up;
	}
	return result < 0 ? -1 : 0;
}

static const char *variable(const char *name)
{
	const char *value = name ? getenv(name) : NULL;

	return value && *value ? value : NULL;
}

static int load_user(struct conf *conf, struct err *err)
{
	const char *xdg = variable("XDG_CONFIG_HOME");
	const char *home = variable("HOME");
	char *path;
	int rc = 0;

	if (!xdg && !home)
		return 0;
	path = xdg ? xstrf("%s/thhost/" FILE_NAME, xdg)
		   : xstrf("%s/.config/thhost/" FILE_NAME, home);
	rc = path_exists(path, NULL, err);
	if (rc > 0)
		rc = load_file(conf, path, err);
	free(path);
	return rc;
}

static int load_project(struct conf *conf, const char *file, const char *start, struct err *err)
{
	const char *named = file ? file : variable("THHOST_CONFIG");
	char *path = NULL;
	int rc = 0;

	if (named)
		path = path_absolute(named);
	else
		rc = find_project(start, &path, err);
	if (!path)
		return rc;
	conf->project_dir = path_dir(path);
	if (!named)
		rc = check_owner(path, conf->project_dir, err);
	if (rc == 0)
		rc = load_file(conf, path, err);
	free(path);
	return rc;
}

/* ---- all sources, weakest first ---- */

static void load_defaults(struct conf *conf)
{
	size_t n;
	const struct conf_key *keys = conf_keys(&n);

	for (size_t i = 0; i < n; i++) {
		struct conf_value *v = value_add(conf, keys[i].section, keys[i].key);

		value_set(v, keys[i].preset, "", xstrdup("default"));
	}
}

/* A default is relative to the project; without one to where we stand. */
static void base_defaults(struct conf *conf, const char *start)
{
	for (size_t i = 0; i < conf->n; i++) {
		struct conf_value *v = &conf->v[i];

		if (strcmp(v->origin, "default") != 0)
			continue;
		free(v->base);
		v->base = xstrdup(conf->project_dir ? conf->project_dir : start);
	}
}

static int load_environment(struct conf *conf, const char *start, struct err *err)
{
	size_t n;
	const struct conf_key *keys = conf_keys(&n);

	for (size_t i = 0; i < n; i++) {
		const char *value = variable(keys[i].variable);

		if (!value)
			continue;
		if (conf_check_value(&keys[i], value, err) < 0)
			return err_prefix(err, "environment %s", keys[i].variable);
		value_set(&conf->v[i], value, start, xstrf("environment %s", keys[i].variable));
	}
	return 0;
}

int conf_load(struct conf *conf, const char *file, const char *start_dir, struct err *err)
{
	char *start = path_absolute(start_dir);
	int rc;

	memset(conf, 0, sizeof(*conf));
	load_defaults(conf);
	rc = load_user(conf, err);
	if (rc == 0)
		rc = load_project(conf, file, start, err);
	if (rc == 0) {
		base_defaults(conf, start);
		rc = load_environment(conf, start, err);
	}
	if (rc < 0)
		conf_release(conf);
	free(start);
	return rc;
}

void conf_release(struct conf *conf)
{
	for (size_t i = 0; i < conf->n; i++) {
		free(conf->v[i].section);
		free(conf->v[i].key);
		free(conf->v[i].value);
		free(conf->v[i].origin);
		free(conf->v[i].base);
	}
	free(conf->v);
	free(conf->project_dir);
	memset(conf, 0, sizeof(*conf));
}

int conf_set_flag(struct conf *conf, const char *name, const char *value, struct err *err)
{
	struct conf_value *v = known_find(conf, name);
	char *here;

	if (!v)
		return err_set(err, ERR_USAGE, "unknown configuration key '%s'", name);
	if (check(conf, v, value, err) < 0) {
		err->code = ERR_USAGE;
		return -1;
	}
	here = path_absolute(".");
	value_set(v, value, here, xstrdup("flag"));
	free(here);
	return 0;
}
