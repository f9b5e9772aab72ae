#include "base/base.h"

#include "model/batch_parts.h"

#include "base/mem.h"
#include "model/conf.h"
#include "sys/file.h"
#include "sys/path.h"

#define TRIALS_LIMIT (64u << 20)

/* One "each.KEY = a, b, c". */
struct axis {
	const char *key;
	struct strv values;
	const struct batch_setting *setting;
};

/* One line of "exclude": all of its words must hold. */
struct exclusion {
	struct strv keys;
	struct strv values;
};

struct expansion {
	struct batch *batch;
	const struct batch_settings *defaults;
	const struct batch_section *section;
	struct axis *axes;
	size_t n_axes;
	struct exclusion *exclusions;
	size_t n_exclusions;
	struct batch_rows rows;
	char *trials; /* path of the table, or NULL */
	size_t n_made;
};

static int refuse_at(struct err *err, const struct batch_setting *setting)
{
	err_path(err, setting->file);
	return err_prefix(err, "%s:%zu", setting->file, setting->line);
}

/* ---- axes ---- */

static int check_axis_key(const struct batch_setting *setting, struct err *err)
{
	const struct batch_key *key = batch_find_key(setting->key + strlen("each."), BATCH_IN_JOB);

	if (key && key->kind != BATCH_COMMAND && key->kind != BATCH_LIST)
		return 0;
	err_set(err, ERR_INVALID, "'%s' cannot be an axis", setting->key + strlen("each."));
	return refuse_at(err, setting);
}

static int add_axis(struct expansion *x, const struct batch_setting *setting, struct err *err)
{
	struct axis *axis;

	if (check_axis_key(setting, err) < 0)
		return -1;
	x->axes = xreallocarray(x->axes, x->n_axes + 1, sizeof(*x->axes));
	axis = &x->axes[x->n_axes++];
	*axis = (struct axis){ .key = batch_canonical_key(setting->key + strlen("each.")),
			       .setting = setting };
	if (batch_split_list(setting->text, &axis->values, err) < 0)
		return refuse_at(err, setting);
	for (size_t i = 0; i < axis->values.n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(axis->values.v[i], axis->values.v[k]) == 0) {
				err_set(err, ERR_INVALID, "'%s' is there twice", axis->values.v[i]);
				return refuse_at(err, setting);
			}
	return 0;
}

static int read_axes(struct expansion *x, struct err *err)
{
	const struct batch_settings *settings = &x->section->settings;

	for (size_t i = 0; i < settings->n; i++)
		if (has_prefix(settings->v[i].key, "each.") &&
		    add_axis(x, &settings->v[i], err) < 0)
			return -1;
	return 0;
}

static const struct axis *axis_of(const struct expansion *x, const char *key)
{
	for (size_t i = 0; i < x->n_axes; i++)
		if (strcmp(x->axes[i].key, key) == 0)
			return &x->axes[i];
	return NULL;
}

/* ---- trials ---- */

static int check_titles(const struct expansion *x, const struct batch_row *row, struct err *err)
{
	for (size_t i = 0; i < row->keys.n; i++) {
		const char *key = row->keys.v[i];

		if (strcmp(key, "name") != 0 && !batch_find_key(key, BATCH_IN_JOB))
			return err_set(err, ERR_INVALID, "%s:%zu: unknown column '%s'", x->trials,
				       row->line, key);
		if (axis_of(x, batch_canonical_key(key)))
			return err_set(err, ERR_INVALID,
				       "%s:%zu: the column '%s' is an axis of the matrix too",
				       x->trials, row->line, key);
	}
	return 0;
}

static int read_trials(struct expansion *x, struct err *err)
{
	const struct batch_setting *setting = batch_setting(&x->section->settings, "trials");
	struct str text = STR_INIT;
	char *dir;
	int result;

	if (!setting)
		return 0;
	dir = path_dir(setting->file);
	x->trials =
		setting->text[0] == '/' ? xstrdup(setting->text) : path_join(dir, setting->text);
	free(dir);
	result = file_read_path(x->trials, TRIALS_LIMIT, &text, err);
	if (result < 0)
		refuse_at(err, setting);
	else
		result = batch_read_trials(x->trials, text.buf, text.len, &x->rows, err);
	str_release(&text);
	for (size_t i = 0; i < x->rows.n && result == 0; i++)
		result = check_titles(x, &x->rows.v[i], err);
	if (result == 0)
		strv_push(&x->batch->files, x->trials);
	return result;
}

/* ---- exclusions ---- */

static bool has_trial_column(const struct expansion *x, const char *key)
{
	for (size_t i = 0; i < x->rows.n; i++)
		for (size_t k = 0; k < x->rows.v[i].keys.n; k++)
			if (strcmp(batch_canonical_key(x->rows.v[i].keys.v[k]), key) == 0)
				return true;
	return false;
}

/* A slip there would leave out nothing, in silence. */
static int check_exclusion(const struct expansion *x, const char *word, const char *key,
			   const char *value, struct err *err)
{
	const struct axis *axis = axis_of(x, key);

	if (!axis && !has_trial_column(x, key))
		return err_set(err, ERR_INVALID, "'%s': '%s' is no axis of the matrix", word, key);
	if (axis && !strv_has(&axis->values, value))
		return err_set(err, ERR_INVALID, "'%s': the axis '%s' has no '%s'", word, key,
			       value);
	return 0;
}

static int add_exclusion_word(const struct expansion *x, struct exclusion *exclusion,
			      const char *word, struct err *err)
{
	size_t len = strcspn(word, "=");
	char *key = xstrndup(word, len);
	const char *canonical = batch_canonical_key(key);
	int result = 0;

	if (!word[len] || !len || !word[len + 1])
		result = err_set(err, ERR_INVALID, "expected KEY=VALUE, not '%s'", word);
	else
		result = check_exclusion(x, word, canonical, word + len + 1, err);
	if (result == 0) {
		strv_push(&exclusion->keys, canonical);
		strv_push(&exclusion->values, word + len + 1);
	}
	free(key);
	return result;
}

static int add_exclusion(struct expansion *x, const char *line, struct err *err)
{
	struct exclusion *exclusion;
	struct strv words = STRV_INIT;
	int result = conf_split_command(line, &words, err);

	x->exclusions = xreallocarray(x->exclusions, x->n_exclusions + 1, sizeof(*x->exclusions));
	exclusion = &x->exclusions[x->n_exclusions++];
	*exclusion = (struct exclusion){ .keys = STRV_INIT };
	for (size_t i = 0; i < words.n && result == 0; i++)
		result = add_exclusion_word(x, exclusion, words.v[i], err);
	strv_release(&words);
	return result;
}

static int read_exclusions(struct expansion *x, struct err *err)
{
	const struct batch_setting *setting = batch_setting(&x->section->settings, "exclude");
	const char *p = setting ? setting->text : "";

	while (*p) {
		size_t len = strcspn(p, "\n");
		char *line = xstrndup(p, len);
		int result = add_exclusion(x, line, err);

		free(line);
		if (result < 0)
			return refuse_at(err, setting);
		p += len + (p[len] != '\0');
	}
	return 0;
}

static bool is_excluded(const struct expansion *x, const struct batch_job *job)
{
	for (size_t i = 0; i < x->n_exclusions; i++) {
		const struct exclusion *e = &x->exclusions[i];
		size_t held = 0;

		for (size_t k = 0; k < e->keys.n; k++) {
			const char *value = batch_get(job, e->keys.v[k]);

			held += value && strcmp(value, e->values.v[k]) == 0;
		}
		if (held == e->keys.n)
			return true;
	}
	return false;
}

/* ---- one job ---- */

static unsigned kind_of(const struct batch_settings *settings)
{
	unsigned kinds = 0;

	for (size_t i = 0; i < settings->n; i++) {
		const struct batch_key *key = batch_find_key(settings->v[i].key, BATCH_IN_JOB);

		if (key)
			kinds |= key->where & (BATCH_RECORDING | BATCH_RUNNING);
	}
	return kinds;
}

/* [defaults] are for jobs of both kinds: what the job's own kind has no use for is left out. */
static void add_defaults(const struct expansion *x, struct batch_settings *settings)
{
	unsigned own = kind_of(settings);

	for (size_t i = 0; i < x->defaults->n; i++) {
		const struct batch_setting *s = &x->defaults->v[i];
		unsigned kind = batch_find_key(s->key, BATCH_IN_JOB)->where &
				(BATCH_RECORDING | BATCH_RUNNING);

		if (kind && own && !(kind & own))
			continue;
		if (!batch_setting(settings, s->key))
			batch_set(settings, s->key, s->text, s->file, s->line);
	}
}

static void add_own(const struct expansion *x, const struct batch_row *row, const size_t *at,
		    struct batch_settings *settings)
{
	const struct batch_settings *own = &x->section->settings;

	for (size_t i = 0; i < own->n; i++)
		if (batch_find_key(own->v[i].key, BATCH_IN_JOB))
			batch_set(settings, own->v[i].key, own->v[i].text, own->v[i].file,
				  own->v[i].line);
	for (size_t i = 0; row && i < row->keys.n; i++)
		if (strcmp(row->keys.v[i], "name") != 0)
			batch_set(settings, batch_canonical_key(row->keys.v[i]), row->values.v[i],
				  x->trials, row->line);
	for (size_t i = 0; i < x->n_axes; i++)
		batch_set(settings, x->axes[i].key, x->axes[i].values.v[at[i]],
			  x->axes[i].setting->file, x->axes[i].setting->line);
}

/* A value as a part of a name: what would mean something to a shell, a path or "after" is '_'. */
static void add_to_name(struct str *name, const char *value)
{
	str_addch(name, '-');
	for (const unsigned char *p = (const unsigned char *)value; *p; p++)
		str_addch(name,
			  *p <= ' ' || *p == 0x7f || strchr("/\\,*?[]{}'\"", *p) ? '_' : (char)*p);
}

static char *name_of(const struct expansion *x, const struct batch_row *row, const size_t *at)
{
	struct str name = STR_INIT;
	const char *title = NULL;

	str_adds(&name, x->section->name);
	for (size_t i = 0; row && i < row->keys.n; i++)
		if (strcmp(row->keys.v[i], "name") == 0)
			title = row->values.v[i];
	if (title)
		add_to_name(&name, title);
	else if (row)
		str_addf(&name, "-%zu", (size_t)(row - x->rows.v) + 1);
	for (size_t i = 0; i < x->n_axes; i++)
		add_to_name(&name, x->axes[i].values.v[at[i]]);
	return str_detach(&name);
}

/* Whose values have no placeholders: they are what fills those of others, or no text. */
static bool is_literal(const struct batch_key *key, const char *name)
{
	if (key->kind != BATCH_TEXT && key->kind != BATCH_PATH && key->kind != BATCH_LIST)
		return strcmp(name, "exp") != 0;
	return has_prefix(name, "param.");
}

static int fill_setting(struct batch_job *job, struct batch_setting *setting, struct err *err)
{
	const struct batch_key *key = batch_find_key(setting->key, BATCH_IN_JOB);
	struct str text = STR_INIT;
	int result = 0;

	if (!is_literal(key, setting->key)) {
		result = batch_fill(job, setting->text, &text, err);
		if (result == 0 && key->kind == BATCH_PATH && text.buf[0] != '/') {
			char *dir = path_dir(setting->file);
			char *joined = path_join(dir, text.buf);
			char *absolute = path_absolute(joined);

			str_sets(&text, absolute);
			free(absolute);
			free(joined);
			free(dir);
		}
		if (result == 0)
			batch_set(&job->settings, setting->key, text.buf, setting->file,
				  setting->line);
	}
	if (result == 0)
		result = batch_check_value(key, setting->key, setting->text, err);
	str_release(&text);
	return result < 0 ? refuse_at(err, setting) : 0;
}

/* "exp" first: others may name it. */
static int fill_job(struct batch_job *job, struct err *err)
{
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < job->settings.n; i++) {
			struct batch_setting *setting = &job->settings.v[i];

			if ((strcmp(setting->key, "exp") == 0) == (pass == 0) &&
			    fill_setting(job, setting, err) < 0)
				return -1;
		}
	return 0;
}

static const char *first_of_kind(const struct batch_job *job, unsigned kind)
{
	for (size_t i = 0; i < job->settings.n; i++)
		if (batch_find_key(job->settings.v[i].key, BATCH_IN_JOB)->where & kind)
			return job->settings.v[i].key;
	return NULL; /* not reached by tests: asked only for what the job has */
}

static int check_job(const struct batch_job *job, struct err *err)
{
	static const char *const required[] = { "stage", "dataset" };
	unsigned kinds = kind_of(&job->settings);
	struct strv argv = STRV_INIT;
	int result;

	for (size_t i = 0; i < ARRAY_SIZE(required); i++)
		if (!batch_get(job, required[i])) {
			err_set(err, ERR_INVALID, "the job '%s' has no %s", job->name, required[i]);
			return batch_place(err, job, NULL);
		}
	if (kinds == (BATCH_RECORDING | BATCH_RUNNING)) {
		const char *record = first_of_kind(job, BATCH_RECORDING);

		err_set(err, ERR_INVALID,
			"the job '%s' has '%s', which is for what is run, and "
			"'%s', which is for what is recorded",
			job->name, first_of_kind(job, BATCH_RUNNING), record);
		return batch_place(err, job, record);
	}
	if (batch_get(job, "init_from") && batch_get(job, "into")) {
		err_set(err, ERR_INVALID, "'init_from' begins a record, 'into' goes on with one");
		return batch_place(err, job, "init_from");
	}
	result = batch_argv(job, &argv, err);
	strv_release(&argv);
	return result;
}

static int make_job(struct expansion *x, const struct batch_row *row, const size_t *at,
		    struct err *err)
{
	struct batch_job job = {
		.name = name_of(x, row, at),
		.section = xstrdup(x->section->name),
		.file = xstrdup(row ? x->trials : x->section->file),
		.line = row ? row->line : x->section->line,
	};
	int result = 0;

	add_own(x, row, at, &job.settings);
	if (!is_excluded(x, &job)) {
		add_defaults(x, &job.settings);
		x->n_made++;
		result = fill_job(&job, err);
		if (result == 0)
			result = check_job(&job, err);
		if (result == 0)
			result = batch_add_job(x->batch, &job, err);
	}
	batch_job_release(&job);
	return result;
}

/* The next place in the matrix, the last axis fastest; false after the last. */
static bool advance(const struct expansion *x, size_t *at)
{
	for (size_t i = x->n_axes; i > 0; i--) {
		if (++at[i - 1] < x->axes[i - 1].values.n)
			return true;
		at[i - 1] = 0;
	}
	return false;
}

static int make_jobs(struct expansion *x, struct err *err)
{
	size_t *at = xcalloc(x->n_axes + 1, sizeof(*at));
	size_t rows = x->trials ? x->rows.n : 1;
	int result = 0;

	for (size_t i = 0; i < rows && result == 0; i++)
		do
			result = make_job(x, x->trials ? &x->rows.v[i] : NULL, at, err);
		while (result == 0 && advance(x, at));
	free(at);
	return result;
}

static void release(struct expansion *x)
{
	for (size_t i = 0; i < x->n_axes; i++)
		strv_release(&x->axes[i].values);
	for (size_t i = 0; i < x->n_exclusions; i++) {
		strv_release(&x->exclusions[i].keys);
		strv_release(&x->exclusions[i].values);
	}
	free(x->axes);
	free(x->exclusions);
	batch_rows_release(&x->rows);
	free(x->trials);
}

static int check_section(const struct expansion *x, struct err *err)
{
	const struct batch_section *section = x->section;

	if (section->is_matrix && !x->n_axes && !x->trials)
		err_set(err, ERR_INVALID, "[matrix %s] has no 'each.KEY = ...' and no trials",
			section->name);
	else if (!x->n_made)
		err_set(err, ERR_INVALID, "[matrix %s]: everything is excluded", section->name);
	else
		return 0;
	return err_prefix(err, "%s:%zu", section->file, section->line);
}

int batch_expand(struct batch *batch, const struct batch_settings *defaults,
		 const struct batch_section *section, struct err *err)
{
	struct expansion x = { .batch = batch, .defaults = defaults, .section = section };
	int result = read_axes(&x, err);

	if (result == 0)
		result = read_trials(&x, err);
	if (result == 0)
		result = read_exclusions(&x, err);
	if (result == 0)
		result = make_jobs(&x, err);
	if (result == 0)
		result = check_section(&x, err);
	release(&x);
	return result;
}
