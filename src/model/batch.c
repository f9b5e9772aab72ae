#include "base/base.h"

#include "model/batch.h"

#include "base/mem.h"

#include <fnmatch.h>

/* ---- settings ---- */

static struct batch_setting *find(const struct batch_settings *settings, const char *key)
{
	for (size_t i = 0; i < settings->n; i++)
		if (strcmp(settings->v[i].key, key) == 0)
			return &settings->v[i];
	return NULL;
}

const struct batch_setting *batch_setting(const struct batch_settings *settings, const char *key)
{
	return find(settings, key);
}

static struct batch_setting *add(struct batch_settings *settings, const char *key)
{
	if (settings->n == settings->cap) {
		settings->cap = settings->cap ? settings->cap * 2 : 8;
		settings->v = xreallocarray(settings->v, settings->cap, sizeof(*settings->v));
	}
	settings->v[settings->n] = (struct batch_setting){ .key = xstrdup(key) };
	return &settings->v[settings->n++];
}

void batch_set(struct batch_settings *settings, const char *key, const char *text, const char *file,
	       size_t line)
{
	struct batch_setting *setting = find(settings, key);
	char *fresh = xstrdup(text); /* 'text' may be the old value */
	char *place = xstrdup(file);

	if (!setting)
		setting = add(settings, key);
	free(setting->text);
	free(setting->file);
	setting->text = fresh;
	setting->file = place;
	setting->line = line;
}

void batch_settings_release(struct batch_settings *settings)
{
	for (size_t i = 0; i < settings->n; i++) {
		free(settings->v[i].key);
		free(settings->v[i].text);
		free(settings->v[i].file);
	}
	free(settings->v);
	*settings = (struct batch_settings){ .v = NULL };
}

/* ---- jobs ---- */

void batch_job_release(struct batch_job *job)
{
	free(job->name);
	free(job->section);
	free(job->file);
	batch_settings_release(&job->settings);
	*job = (struct batch_job){ .name = NULL };
}

/* The map holds indices + 1: the jobs themselves move as they become more. */
static struct batch_job *job_named(const struct batch *batch, const char *name)
{
	uintptr_t at = (uintptr_t)map_get(&batch->by_name, name);

	return at ? &batch->jobs[at - 1] : NULL;
}

int batch_add_job(struct batch *batch, struct batch_job *job, struct err *err)
{
	const struct batch_job *twin = job_named(batch, job->name);

	if (twin) {
		err_set(err, ERR_INVALID, "the job '%s' is there already (%s:%zu)", job->name,
			twin->file, twin->line);
		return batch_place(err, job, NULL);
	}
	if (batch->n_jobs == BATCH_MAX_JOBS) {
		err_set(err, ERR_INVALID, "more than %d jobs", BATCH_MAX_JOBS);
		return batch_place(err, job, NULL);
	}
	if (batch->n_jobs == batch->cap_jobs) {
		batch->cap_jobs = batch->cap_jobs ? batch->cap_jobs * 2 : 16;
		batch->jobs = xreallocarray(batch->jobs, batch->cap_jobs, sizeof(*batch->jobs));
	}
	batch->jobs[batch->n_jobs++] = *job;
	map_put(&batch->by_name, job->name, (void *)(uintptr_t)batch->n_jobs);
	*job = (struct batch_job){ .name = NULL };
	return 0;
}

void batch_release(struct batch *batch)
{
	for (size_t i = 0; i < batch->n_jobs; i++)
		batch_job_release(&batch->jobs[i]);
	free(batch->jobs);
	map_release(&batch->by_name);
	batch_settings_release(&batch->settings);
	strv_release(&batch->files);
	free(batch->path);
	free(batch->name);
	memset(batch, 0, sizeof(*batch));
}

const char *batch_get(const struct batch_job *job, const char *key)
{
	const struct batch_setting *setting = find(&job->settings, key);

	return setting ? setting->text : NULL;
}

int64_t batch_int(const struct batch_job *job, const char *key, int64_t preset)
{
	const char *text = batch_get(job, key);

	return text ? strtoll(text, NULL, 10) : preset;
}

bool batch_bool(const struct batch_job *job, const char *key, bool preset)
{
	const char *text = batch_get(job, key);

	return text ? batch_is_true(text) : preset;
}

int64_t batch_seconds_of(const struct batch_job *job, const char *key, int64_t preset)
{
	const char *text = batch_get(job, key);

	return text ? batch_seconds(text) : preset;
}

const char *batch_option(const struct batch *batch, const char *key, const char *preset)
{
	const struct batch_setting *setting = find(&batch->settings, key);

	return setting ? setting->text : preset;
}

bool batch_is_recording(const struct batch_job *job)
{
	for (size_t i = 0; i < job->settings.n; i++) {
		const struct batch_key *key = batch_find_key(job->settings.v[i].key, BATCH_IN_JOB);

		if (key && (key->where & BATCH_RECORDING))
			return true;
	}
	return false;
}

void batch_pairs(const struct batch_job *job, const char *prefix, struct strv *out)
{
	for (size_t i = 0; i < job->settings.n; i++)
		if (has_prefix(job->settings.v[i].key, prefix))
			strv_pushf(out, "%s=%s", job->settings.v[i].key + strlen(prefix),
				   job->settings.v[i].text);
}

int batch_place(struct err *err, const struct batch_job *job, const char *key)
{
	const struct batch_setting *setting = key ? find(&job->settings, key) : NULL;
	const char *file = setting ? setting->file : job->file;

	err_path(err, file);
	return err_prefix(err, "%s:%zu", file, setting ? setting->line : job->line);
}

size_t batch_match(const struct batch *batch, const char *word, size_t **out)
{
	const struct batch_job *job = job_named(batch, word);
	size_t n = 0;

	*out = xcalloc(batch->n_jobs ? batch->n_jobs : 1, sizeof(**out));
	if (job) {
		(*out)[n++] = (size_t)(job - batch->jobs);
		return n;
	}
	for (size_t i = 0; i < batch->n_jobs; i++)
		if (strcmp(batch->jobs[i].section, word) == 0 ||
		    fnmatch(word, batch->jobs[i].name, 0) == 0)
			(*out)[n++] = i;
	return n;
}

/* ---- keeping it ---- */

static void print_settings(const struct batch_settings *settings, struct jsonw *w)
{
	jsonw_array(w);
	for (size_t i = 0; i < settings->n; i++) {
		const struct batch_setting *s = &settings->v[i];

		jsonw_array(w);
		jsonw_string(w, s->key);
		jsonw_string(w, s->text);
		jsonw_string(w, s->file);
		jsonw_int(w, (int64_t)s->line);
		jsonw_end(w);
	}
	jsonw_end(w);
}

static void print_job(const struct batch_job *job, struct jsonw *w)
{
	jsonw_object(w);
	jsonw_pair_string(w, "name", job->name);
	jsonw_pair_string(w, "section", job->section);
	jsonw_pair_string(w, "file", job->file);
	jsonw_pair_int(w, "line", (int64_t)job->line);
	jsonw_key(w, "settings");
	print_settings(&job->settings, w);
	jsonw_end(w);
}

void batch_print(const struct batch *batch, struct jsonw *w)
{
	jsonw_pair_string(w, "path", batch->path);
	jsonw_pair_string(w, "name", batch->name);
	jsonw_key(w, "files");
	jsonw_array(w);
	for (size_t i = 0; i < batch->files.n; i++)
		jsonw_string(w, batch->files.v[i]);
	jsonw_end(w);
	jsonw_key(w, "settings");
	print_settings(&batch->settings, w);
	jsonw_key(w, "jobs");
	jsonw_array(w);
	for (size_t i = 0; i < batch->n_jobs; i++)
		print_job(&batch->jobs[i], w);
	jsonw_end(w);
}

/* [key, text, file, line] */
static int parse_setting(const struct json *doc, size_t at, struct batch_settings *out)
{
	size_t item = json_first(doc, at);
	char *texts[3] = { NULL, NULL, NULL };
	int64_t line = 0;
	int result = -1;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		texts[i] = item == JSON_NONE ? NULL : json_string_copy(doc, item);
		item = item == JSON_NONE ? item : json_next(doc, at, item);
	}
	if (texts[0] && texts[1] && texts[2] && item != JSON_NONE &&
	    json_int64(doc, item, &line) == 0) {
		batch_set(out, texts[0], texts[1], texts[2], (size_t)line);
		result = 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	return result;
}

static int parse_settings(const struct json *doc, size_t array, struct batch_settings *out)
{
	if (!json_is(doc, array, JSON_ARRAY))
		return -1;
	for (size_t i = json_first(doc, array); i != JSON_NONE; i = json_next(doc, array, i))
		if (!json_is(doc, i, JSON_ARRAY) || parse_setting(doc, i, out) < 0)
			return -1;
	return 0;
}

static int parse_job(const struct json *doc, size_t at, struct batch *batch, struct err *err)
{
	struct batch_job job = {
		.name = json_string_copy(doc, json_member(doc, at, "name")),
		.section = json_string_copy(doc, json_member(doc, at, "section")),
		.file = json_string_copy(doc, json_member(doc, at, "file")),
	};
	int64_t line = 0;
	int result = -1;

	if (!job.name || !job.section || !job.file ||
	    json_int64(doc, json_member(doc, at, "line"), &line) < 0 ||
	    parse_settings(doc, json_member(doc, at, "settings"), &job.settings) < 0) {
		err_set(err, ERR_INVALID, "not a job");
	} else {
		job.line = (size_t)line;
		result = batch_add_job(batch, &job, err);
	}
	batch_job_release(&job);
	return result;
}

static void parse_files(const struct json *doc, size_t array, struct strv *files)
{
	if (!json_is(doc, array, JSON_ARRAY))
		return;
	for (size_t i = json_first(doc, array); i != JSON_NONE; i = json_next(doc, array, i))
		if (json_is(doc, i, JSON_STRING))
			strv_push_take(files, json_string_copy(doc, i));
}

int batch_parse(const char *name, const struct json *doc, size_t object, struct batch *out,
		struct err *err)
{
	size_t jobs = json_member(doc, object, "jobs");
	int result = 0;

	memset(out, 0, sizeof(*out));
	out->path = json_string_copy(doc, json_member(doc, object, "path"));
	out->name = json_string_copy(doc, json_member(doc, object, "name"));
	parse_files(doc, json_member(doc, object, "files"), &out->files);
	if (!out->path || !out->name || !json_is(doc, jobs, JSON_ARRAY) ||
	    parse_settings(doc, json_member(doc, object, "settings"), &out->settings) < 0)
		result = err_set(err, ERR_INVALID, "not the state of a batch");
	for (size_t i = result == 0 ? json_first(doc, jobs) : JSON_NONE;
	     i != JSON_NONE && result == 0; i = json_next(doc, jobs, i))
		result = parse_job(doc, i, out, err);
	if (result < 0) {
		err_prefix(err, "%s", name);
		batch_release(out);
	}
	return result;
}
