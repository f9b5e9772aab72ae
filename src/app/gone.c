#include "base/base.h"

#include "app/gone.h"

#include "base/mem.h"
#include "model/store.h"
#include "sys/file.h"
#include "sys/path.h"

#define CONFLICT "." RECORD_NAME ".conflict-"

static void training_of_entry(const struct json *doc, size_t entry, struct training *out)
{
	out->run_id = json_string_copy(doc, json_member(doc, entry, "run_id"));
	out->dataset = json_string_copy(doc, json_member(doc, entry, "dataset"));
	out->start_time = json_string_copy(doc, json_member(doc, entry, "start_time"));
	out->end_time = json_string_copy(doc, json_member(doc, entry, "end_time"));
}

static void training_release(struct training *t)
{
	free(t->run_id);
	free(t->dataset);
	free(t->start_time);
	free(t->end_time);
}

static bool has_string(const struct info *info, size_t entry, const char *key, const char *text)
{
	return text && json_string_is(&info->doc, info_entry_member(info, entry, key), text);
}

static bool is_same(const struct info *info, size_t entry, const struct training *t)
{
	if (t->run_id && info_entry_member(info, entry, "run_id") != JSON_NONE)
		return has_string(info, entry, "run_id", t->run_id);
	return has_string(info, entry, "dataset", t->dataset) &&
	       has_string(info, entry, "start_time", t->start_time) &&
	       has_string(info, entry, "end_time", t->end_time);
}

/*
 * Looks for one training after the other. Both sides have nearly the same order, so the search goes
 * on behind the last one found and seldom looks at more than one entry.
 */
struct cursor {
	const struct info *info;
	size_t at;
};

static bool find(struct cursor *c, const struct training *t)
{
	size_t first = info_first_entry(c->info);
	size_t start = c->at == JSON_NONE ? first : c->at;

	for (size_t i = start; i != JSON_NONE; i = info_next_entry(c->info, i))
		if (is_same(c->info, i, t)) {
			c->at = info_next_entry(c->info, i);
			return true;
		}
	for (size_t i = first; i != start; i = info_next_entry(c->info, i))
		if (is_same(c->info, i, t)) {
			c->at = info_next_entry(c->info, i);
			return true;
		}
	return false;
}

/* ---- the list ---- */

static bool is_equal(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static struct gone_entry *find_listed(const struct gone *gone, const struct training *t)
{
	for (size_t i = 0; i < gone->n; i++) {
		const struct training *other = &gone->v[i].training;

		if (t->run_id && other->run_id
			    ? is_equal(t->run_id, other->run_id)
			    : is_equal(t->dataset, other->dataset) &&
				      is_equal(t->start_time, other->start_time) &&
				      is_equal(t->end_time, other->end_time))
			return &gone->v[i];
	}
	return NULL;
}

static char *describe(const struct training *t)
{
	struct str text = STR_INIT;

	if (t->run_id)
		str_addf(&text, "run %.13s on ", t->run_id);
	else
		str_adds(&text, "the training on ");
	str_adds(&text, t->dataset ? t->dataset : "?");
	if (t->end_time)
		str_addf(&text, ", ended %s,", t->end_time);
	return str_detach(&text);
}

/* Takes what 't' owns, and 'json'. */
static void add(struct gone *gone, struct training *t, const char *source, char *json)
{
	if (gone->n == gone->cap) {
		gone->cap = gone->cap ? gone->cap * 2 : 16;
		gone->v = xreallocarray(gone->v, gone->cap, sizeof(*gone->v));
	}
	gone->v[gone->n++] = (struct gone_entry){
		.training = *t,
		.what = describe(t),
		.source = xstrdup(source),
		.json = json,
	};
	*t = (struct training){ .run_id = NULL };
}

static void gone_entry_release(struct gone_entry *entry)
{
	training_release(&entry->training);
	free(entry->what);
	free(entry->source);
	free(entry->json);
}

void gone_release(struct gone *gone)
{
	for (size_t i = 0; i < gone->n; i++)
		gone_entry_release(&gone->v[i]);
	free(gone->v);
	*gone = (struct gone){ .v = NULL };
}

/* ---- who remembers ---- */

/* The entry that the journal keeps, or else what it knows of the run. */
static void training_of_run(const struct run *run, struct training *out)
{
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;

	*out = (struct training){ .run_id = NULL };
	if (run->entry &&
	    json_parse(&doc, "entry", run->entry, strlen(run->entry), JSON_STRICT, &ignored) == 0)
		training_of_entry(&doc, 0, out);
	json_release(&doc);
	if (!out->run_id)
		out->run_id = xstrdup(run->run_id);
	if (!out->dataset)
		out->dataset = xstrdup_or_null(run->dataset);
	if (!out->start_time)
		out->start_time = xstrdup_or_null(run->start_time);
	if (!out->end_time)
		out->end_time = xstrdup_or_null(run->end_time);
}

void gone_find_runs(const struct history *history, const struct info *info, struct gone *out)
{
	struct cursor cursor = { .info = info, .at = JSON_NONE };

	for (size_t i = 0; i < history->runs.n; i++) {
		const struct run *run = &history->runs.v[i];
		struct training t;

		if (run->state != RUN_RECORDED)
			continue;
		training_of_run(run, &t);
		if (!find(&cursor, &t))
			add(out, &t, "the journal", xstrdup_or_null(run->entry));
		training_release(&t);
	}
}

/* A run that the journal knows too gets its text from here, if it has none yet. */
static void give_text(struct gone_entry *listed, const char *source, const struct json *doc,
		      size_t entry)
{
	if (listed->json)
		return;
	listed->json = json_raw_copy(doc, entry);
	free(listed->source);
	listed->source = xstrdup(source);
}

static void find_in_file(const struct history *history, const char *name, struct gone *out)
{
	struct cursor cursor = { .info = &history->info, .at = JSON_NONE };
	struct str text = STR_INIT;
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;
	size_t i = JSON_NONE;

	if (file_read(history->dir.fd, name, FILE_LIMIT, &text, NULL, &ignored) == 0 &&
	    info_open(&info, name, text.buf, text.len, &ignored) == 0)
		i = info_first_entry(&info);
	for (; i != JSON_NONE; i = info_next_entry(&info, i)) {
		struct gone_entry *listed;
		struct training t;

		if (!json_is(&info.doc, i, JSON_OBJECT))
			continue;
		training_of_entry(&info.doc, i, &t);
		listed = find_listed(out, &t);
		if (listed)
			give_text(listed, name, &info.doc, i);
		else if ((t.run_id || t.start_time) && !find(&cursor, &t))
			add(out, &t, name, json_raw_copy(&info.doc, i));
		training_release(&t);
	}
	info_release(&info);
	str_release(&text);
}

void gone_list_conflicts(const struct history *history, struct strv *names)
{
	struct strv all = STRV_INIT;
	struct err ignored = ERR_INIT;

	if (history->dir.fd >= 0 && path_list(history->dir.fd, &all, &ignored) == 0)
		for (size_t i = 0; i < all.n; i++)
			if (has_prefix(all.v[i], CONFLICT))
				strv_push(names, all.v[i]);
	strv_release(&all);
}

/* An append since the record was read has made a newer version the backup: look once more. */
static void drop_found(const struct history *history, struct gone *gone)
{
	struct str text = STR_INIT;
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;
	struct cursor cursor = { .info = &info, .at = JSON_NONE };
	size_t n = 0;

	if (store_read(history->dir.fd, history->path, &text, &ignored) == 0 &&
	    info_open(&info, history->path, text.buf, text.len, &ignored) == 0) {
		for (size_t i = 0; i < gone->n; i++) {
			if (find(&cursor, &gone->v[i].training))
				gone_entry_release(&gone->v[i]);
			else
				gone->v[n++] = gone->v[i];
		}
		gone->n = n;
	}
	info_release(&info);
	str_release(&text);
}

void gone_find(const struct history *history, struct gone *out)
{
	struct strv conflicts = STRV_INIT;

	*out = (struct gone){ .v = NULL };
	if (!history->has_record || history->err.code)
		return;
	gone_find_runs(history, &history->info, out);
	find_in_file(history, RECORD_BACKUP, out);
	gone_list_conflicts(history, &conflicts);
	for (size_t i = 0; i < conflicts.n; i++)
		find_in_file(history, conflicts.v[i], out);
	strv_release(&conflicts);
	if (out->n)
		drop_found(history, out);
}
