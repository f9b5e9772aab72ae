#include "base/base.h"

#include "model/batch_parts.h"

#include "base/mem.h"
#include "model/conf_ini.h"
#include "sys/file.h"
#include "sys/path.h"

#define FILE_MAX (8u << 20)
#define INCLUDE_DEPTH 8

struct reading {
	struct batch *batch;
	struct batch_settings defaults;
	struct batch_section *sections;
	size_t n_sections;
	/* of the file that is being read */
	const char *file;
	unsigned depth;
	struct batch_settings *into; /* NULL before the first section */
	unsigned where;
	const char *section; /* for messages; borrowed or static */
	struct batch_setting *last;
	const struct batch_key *last_key;
};

/* ---- sections ---- */

static int check_name(const char *what, const char *name, struct err *err)
{
	size_t bad = strcspn(name, " \t,*?[]{}'\"");

	if (path_check_name(what, name, err) < 0)
		return -1;
	if (name[bad])
		return err_set(err, ERR_INVALID, "%s name '%s' holds '%c'", what, name, name[bad]);
	return 0;
}

static int begin_jobs(struct reading *r, const char *name, size_t line, bool is_matrix,
		      struct err *err)
{
	struct batch_section *section;

	if (check_name(is_matrix ? "matrix" : "job", name, err) < 0)
		return -1;
	for (size_t i = 0; i < r->n_sections; i++)
		if (strcmp(r->sections[i].name, name) == 0)
			return err_set(err, ERR_INVALID, "'%s' is there already (%s:%zu)", name,
				       r->sections[i].file, r->sections[i].line);
	if ((r->n_sections & (r->n_sections - 1)) == 0)
		r->sections = xreallocarray(r->sections, r->n_sections ? r->n_sections * 2 : 1,
					    sizeof(*r->sections));
	section = &r->sections[r->n_sections++];
	*section = (struct batch_section){ .name = xstrdup(name),
					   .is_matrix = is_matrix,
					   .file = xstrdup(r->file),
					   .line = line };
	r->into = &section->settings;
	r->where = BATCH_IN_JOB | BATCH_IN_SOURCE | (is_matrix ? BATCH_IN_MATRIX : 0);
	r->section = section->name;
	return 0;
}

/* What follows "job " in "[job NAME]", or NULL. */
static const char *after_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(text, word, len) != 0 || (text[len] != ' ' && text[len] != '\t'))
		return NULL;
	return text + len + strspn(text + len, " \t");
}

static int on_section(void *arg, const char *name, size_t line, struct err *err)
{
	struct reading *r = arg;
	const char *job = after_word(name, "job");
	const char *matrix = after_word(name, "matrix");

	r->last = NULL;
	if (job || matrix)
		return begin_jobs(r, job ? job : matrix, line, matrix != NULL, err);
	if (strcmp(name, "batch") == 0) {
		r->into = &r->batch->settings;
		r->where = BATCH_IN_BATCH;
		r->section = "batch";
	} else if (strcmp(name, "defaults") == 0) {
		r->into = &r->defaults;
		r->where = BATCH_IN_JOB;
		r->section = "defaults";
	} else {
		err_set(err, ERR_INVALID, "unknown section [%s]", name);
		return err_hint(err, "known: [batch], [defaults], [job NAME], [matrix NAME]");
	}
	return 0;
}

/* ---- entries ---- */

static int unknown_key(const struct reading *r, const char *name, struct err *err)
{
	const char *names[64];
	const struct batch_key *keys;
	const char *near;
	size_t n_keys;
	size_t n = 0;

	keys = batch_keys(&n_keys);
	for (size_t i = 0; i < n_keys && n < ARRAY_SIZE(names); i++)
		if (keys[i].where & r->where)
			names[n++] = keys[i].name;
	near = nearest_word(name, names, n);
	err_set(err, ERR_INVALID, "unknown key '%s' in [%s]", name, r->section);
	if (near)
		err_hint(err, "did you mean '%s'?", near);
	else if (batch_find_key(name, BATCH_IN_MATRIX))
		err_hint(err, "it belongs into a [matrix NAME]");
	else if (batch_find_key(name, BATCH_IN_JOB))
		err_hint(err, "it belongs into [defaults] or a [job NAME]");
	else if (batch_find_key(name, BATCH_IN_BATCH))
		err_hint(err, "it belongs into [batch]");
	return -1;
}

/* More of the value above. */
static int go_on(struct reading *r, const struct ini_entry *entry, struct err *err)
{
	char *text;

	if (!r->last) /* of a key that the including file has set: passed over with it */
		return 0;
	if (r->last_key->kind != BATCH_COMMAND && r->last_key->kind != BATCH_LINES &&
	    r->last_key->kind != BATCH_LIST && r->last_key->kind != BATCH_TEXT &&
	    r->last_key->kind != BATCH_SBATCH)
		return err_set(err, ERR_INVALID, "'%s' has its value on one line", entry->key);
	/* A comma at a line's end is the list's own, not an empty part. */
	if (r->last_key->kind == BATCH_LIST && has_suffix(r->last->text, ","))
		r->last->text[strlen(r->last->text) - 1] = '\0';
	if (r->last_key->kind == BATCH_TEXT)
		text = xstrf("%s %s", r->last->text, entry->value);
	else if (*r->last->text)
		text = xstrf("%s\n%s", r->last->text, entry->value);
	else
		text = xstrdup(entry->value);
	free(r->last->text);
	r->last->text = text;
	return 0;
}

static int refuse_twice(const struct batch_setting *old, struct err *err)
{
	return err_set(err, ERR_INVALID, "'%s' was set before (%s:%zu)", old->key, old->file,
		       old->line);
}

static struct batch_setting *put(struct reading *r, const struct ini_entry *entry,
				 const char *value)
{
	const char *key = batch_canonical_key(entry->key);

	batch_set(r->into, key, value, r->file, entry->line);
	for (size_t i = 0; i < r->into->n; i++)
		if (strcmp(r->into->v[i].key, key) == 0) {
			r->into->v[i].depth = r->depth;
			return &r->into->v[i];
		}
	return NULL; /* not reached by tests: it has just been set */
}

/* The table of trials may be written with '@', as on command lines elsewhere. */
static const char *plain_value(const struct ini_entry *entry)
{
	bool is_table = strcmp(entry->key, "trials") == 0 && entry->value[0] == '@';

	return entry->value + is_table;
}

static int on_entry(void *arg, const struct ini_entry *entry, struct err *err)
{
	struct reading *r = arg;
	const struct batch_setting *old;
	const struct batch_key *key;

	if (!r->into)
		return err_set(err, ERR_INVALID, "'%s' stands before the first section",
			       entry->key);
	if (entry->continued)
		return go_on(r, entry, err);
	key = batch_find_key(entry->key, r->where);
	if (!key)
		return unknown_key(r, entry->key, err);
	old = batch_setting(r->into, batch_canonical_key(entry->key));
	r->last = NULL;
	r->last_key = NULL;
	if (strcmp(entry->key, "include") != 0 && old && old->depth == r->depth)
		return refuse_twice(old, err);
	if (strcmp(entry->key, "include") != 0 && old && old->depth < r->depth)
		return 0; /* what includes wins over what is included */
	r->last_key = key;
	r->last = put(r, entry, plain_value(entry));
	return 0;
}

/* ---- files ---- */

static int read_file(struct reading *r, const char *path, unsigned depth, struct err *err);

/* The file's own includes, after it: it wins wherever both say something. */
static int read_includes(struct reading *r, const char *path, unsigned depth, struct err *err)
{
	const struct batch_setting *setting = batch_setting(&r->batch->settings, "include");
	struct strv names = STRV_INIT;
	char *dir = path_dir(path);
	size_t line;
	int result = 0;

	if (setting && strcmp(setting->file, path) == 0) {
		line = setting->line;
		result = batch_split_list(setting->text, &names, err);
		if (result < 0)
			err_prefix(err, "%s:%zu", path, line);
		for (size_t i = 0; i < names.n && result == 0; i++) {
			char *name = names.v[i][0] == '/' ? xstrdup(names.v[i])
							  : path_join(dir, names.v[i]);

			if (depth == INCLUDE_DEPTH || strv_has(&r->batch->files, name))
				result = err_set(err, ERR_INVALID, "%s:%zu: '%s' %s", path, line,
						 name,
						 depth == INCLUDE_DEPTH
							 ? "is included too deep"
							 : "was read before; a file includes "
							   "none twice");
			else
				result = read_file(r, name, depth + 1, err);
			free(name);
		}
	}
	strv_release(&names);
	free(dir);
	return result;
}

static int read_file(struct reading *r, const char *path, unsigned depth, struct err *err)
{
	const struct ini_reader reader = { .section = on_section, .entry = on_entry, .arg = r };
	struct str text = STR_INIT;
	int result = file_read_path(path, FILE_MAX, &text, err);

	strv_push(&r->batch->files, path);
	r->file = path;
	r->depth = depth;
	r->into = NULL;
	r->last = NULL;
	r->last_key = NULL;
	if (result == 0)
		result = conf_ini_read_with(path, text.buf, text.len, &reader, err);
	str_release(&text);
	return result == 0 ? read_includes(r, path, depth, err) : -1;
}

/* ---- the whole ---- */

static int check_options(const struct batch *batch, struct err *err)
{
	for (size_t i = 0; i < batch->settings.n; i++) {
		const struct batch_setting *s = &batch->settings.v[i];

		if (batch_check_value(batch_find_key(s->key, BATCH_IN_BATCH), s->key, s->text,
				      err) < 0) {
			err_path(err, s->file);
			return err_prefix(err, "%s:%zu", s->file, s->line);
		}
	}
	return 0;
}

/* "home" for "dir/home.ini", where the file does not say. */
static char *name_of(const struct batch *batch)
{
	const char *base = path_base(batch->path);
	const char *given = batch_option(batch, "name", NULL);
	size_t len = strlen(base);

	if (given)
		return xstrdup(given);
	return xstrndup(base, len > 4 && has_suffix(base, ".ini") ? len - 4 : len);
}

static int check_after(const struct batch *batch, struct err *err)
{
	for (size_t i = 0; i < batch->n_jobs; i++) {
		const struct batch_job *job = &batch->jobs[i];
		const char *text = batch_get(job, "after");
		struct strv words = STRV_INIT;
		int result = text ? batch_split_list(text, &words, err) : 0;

		for (size_t k = 0; k < words.n && result == 0; k++) {
			size_t *found;

			if (!batch_match(batch, words.v[k], &found))
				result = err_set(err, ERR_INVALID, "'after': there is no job '%s'",
						 words.v[k]);
			free(found);
		}
		strv_release(&words);
		if (result < 0)
			return batch_place(err, job, "after");
	}
	return 0;
}

static void reading_release(struct reading *r)
{
	for (size_t i = 0; i < r->n_sections; i++) {
		free(r->sections[i].name);
		free(r->sections[i].file);
		batch_settings_release(&r->sections[i].settings);
	}
	free(r->sections);
	batch_settings_release(&r->defaults);
}

int batch_read(struct batch *batch, const char *path, struct err *err)
{
	struct reading r = { .batch = batch };
	int result;

	memset(batch, 0, sizeof(*batch));
	batch->path = path_absolute(path);
	result = read_file(&r, path, 0, err);
	if (result == 0)
		result = check_options(batch, err);
	batch->name = name_of(batch);
	for (size_t i = 0; i < r.n_sections && result == 0; i++)
		result = batch_expand(batch, &r.defaults, &r.sections[i], err);
	if (result == 0 && !batch->n_jobs) {
		err_path(err, path);
		result =
			err_set(err, ERR_INVALID, "%s:1: no [job NAME] and no [matrix NAME]", path);
	}
	if (result == 0)
		result = check_after(batch, err);
	reading_release(&r);
	if (result < 0)
		batch_release(batch);
	return result;
}
