/*
 * Appending. A new record is printed; an old one is edited: the new entries' text goes in behind
 * the last entry, laid out as the file is, and four values at the top are replaced where they
 * stand. The result is then read again as if it came from a stranger.
 */
#include "base/base.h"

#include "model/info.h"

#include "base/mem.h"
#include "model/info_style.h"

/* ---- the new entries ---- */

/* The entries of a request that go in, and what the record then says. */
struct batch {
	const struct info_append *what;
	const struct entry **entries;
	size_t n;
	bool already;
	const char *other_base; /* base_model for entries without one, or NULL */
};

struct inherited {
	struct entry *entries;
	size_t n;
};

static const struct entry *last_of(const struct batch *batch)
{
	return batch->entries[batch->n - 1];
}

static bool same_run(const struct entry *a, const struct entry *b)
{
	const char *id_a = entry_extra(a, "run_id");
	const char *id_b = entry_extra(b, "run_id");

	return id_a && id_b && strcmp(id_a, id_b) == 0;
}

static bool is_in_record(const struct info *info, const struct entry *entry)
{
	const char *json = entry_extra(entry, "run_id");
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	char *run_id = NULL;
	bool found;

	if (!info || !json)
		return false;
	if (json_parse(&doc, "run_id", json, strlen(json), JSON_STRICT, &ignored) == 0)
		run_id = json_string_copy(&doc, 0);
	found = run_id && info_entry_find(info, run_id) != JSON_NONE;
	json_release(&doc);
	free(run_id);
	return found;
}

static bool is_in_batch(const struct batch *batch, const struct entry *entry)
{
	for (size_t i = 0; i < batch->n; i++)
		if (same_run(batch->entries[i], entry))
			return true;
	return false;
}

/* Take those of the request's entries whose run is not there yet. 'info' may be NULL. */
static int take_entries(struct batch *batch, const struct info *info, struct err *err)
{
	const struct info_append *what = batch->what;

	batch->entries =
		xreallocarray(batch->entries, batch->n + what->n + 1, sizeof(*batch->entries));
	for (size_t i = 0; i < what->n; i++) {
		const struct entry *entry = &what->entries[i];

		if (entry_check(entry, err) < 0)
			return -1;
		if (is_in_record(info, entry) || is_in_batch(batch, entry))
			batch->already = true;
		else
			batch->entries[batch->n++] = entry;
	}
	return 0;
}

/* The former record's entries are taken as they are: they passed info_validate(). */
static void take_inherited(struct batch *batch, const struct inherited *inherited)
{
	batch->entries = xreallocarray(batch->entries, inherited->n + 1, sizeof(*batch->entries));
	for (size_t i = 0; i < inherited->n; i++)
		batch->entries[batch->n++] = &inherited->entries[i];
}

/* The entry with base_model added. */
static int print_with_base(const struct entry *entry, const char *base_model, struct jsonw *w,
			   struct err *err)
{
	struct str text = STR_INIT;
	struct jsonw plain = jsonw_begin(&text, 0);
	struct entry copy = ENTRY_INIT;
	int rc;

	entry_print(entry, &plain);
	rc = entry_parse("entry", text.buf, text.len, &copy, err);
	if (rc == 0) {
		entry_add_extra_string(&copy, "base_model", base_model);
		entry_print(&copy, w);
	}
	entry_release(&copy);
	str_release(&text);
	return rc;
}

static int print_entry(const struct batch *batch, size_t i, struct jsonw *w, struct err *err)
{
	const struct entry *entry = batch->entries[i];

	if (batch->other_base && !entry_extra(entry, "base_model"))
		return print_with_base(entry, batch->other_base, w, err);
	entry_print(entry, w);
	return 0;
}

/* ---- the check of the result ---- */

/* What was not edited is what it was. */
static bool is_untouched(const struct str *old, const struct str *out,
			 const struct json_edit *edits, size_t n)
{
	size_t at = 0;
	size_t at_out = 0;

	for (size_t i = 0; i <= n; i++) {
		size_t end = i < n ? edits[i].start : old->len;
		size_t len = end - at;

		if (at_out + len > out->len || memcmp(old->buf + at, out->buf + at_out, len) != 0)
			return false;
		at_out += len + (i < n ? edits[i].len : 0);
		at = end + (i < n ? edits[i].old_len : 0);
	}
	return at_out == out->len;
}

/* Read what was made; it must hold 'n_entries' entries. */
static int check_result(const char *name, const struct str *out, size_t n_entries,
			struct info_summary *after, struct err *err)
{
	struct info info = INFO_INIT;
	struct err cause = ERR_INIT;
	int rc = info_open(&info, name, out->buf, out->len, &cause);

	if (rc == 0)
		rc = info_validate(&info, after, &cause);
	if (rc < 0)
		err_set(err, ERR_INTERNAL, "the new record would be broken: %s", cause.msg);
	else if (after->n_entries != n_entries || info_total_steps(&info) != after->total_steps)
		rc = err_set(err, ERR_INTERNAL, "%s: the new record would not add up", name);
	info_release(&info);
	return rc;
}

/* 'total' plus the steps of the batch, in 64 bits. */
static int add_steps(const char *name, const struct batch *batch, int64_t *total, struct err *err)
{
	for (size_t i = 0; i < batch->n; i++)
		if (__builtin_add_overflow(*total, batch->entries[i]->steps, total))
			return err_set(err, ERR_INVALID,
				       "%s: the total of steps does not fit 64 bits", name);
	return 0;
}

/* ---- an old record ---- */

static int check_agreement(const struct info *info, const char *key, const char *want,
			   struct err *err)
{
	size_t value = json_member(&info->doc, 0, key);
	char *text;

	if (!want || json_string_is(&info->doc, value, want))
		return 0;
	text = json_string_copy(&info->doc, value);
	err_set(err, ERR_INVALID, "%s is '%s' in %s:%zu, not '%s'", key, text, info->name,
		json_line(&info->doc, value), want);
	free(text);
	return -1;
}

#define N_EDITS 5

/* The edits of one append, in the order of the text, and the texts they put in. */
struct edits {
	struct json_edit v[N_EDITS];
	struct str texts[N_EDITS];
	size_t n;
};

static void add_edit(struct edits *edits, size_t start, size_t old_len, const struct str *text)
{
	size_t i = edits->n++;

	str_init(&edits->texts[i]);
	str_add(&edits->texts[i], text->buf, text->len);
	edits->v[i] = (struct json_edit){ start, old_len, edits->texts[i].buf, text->len };
}

static void replace_value(const struct info *info, const char *key, const char *json,
			  struct edits *edits)
{
	const struct json_token *old = &info->doc.tokens[json_member(&info->doc, 0, key)];
	struct str text = STR_INIT;

	str_adds(&text, json);
	add_edit(edits, old->start, old->end - old->start, &text);
	str_release(&text);
}

/* A value that says the same already keeps its escapes. */
static void replace_string(const struct info *info, const char *key, const char *value,
			   struct edits *edits)
{
	struct str json = STR_INIT;

	if (!value || json_string_is(&info->doc, json_member(&info->doc, 0, key), value))
		return;
	json_add_strz(&json, value);
	replace_value(info, key, json.buf, edits);
	str_release(&json);
}

static int insert_entries(const struct info *info, const struct batch *batch, struct edits *edits,
			  struct err *err)
{
	struct info_style style = INFO_STYLE_INIT;
	struct str text = STR_INIT;
	int rc = 0;

	info_style_detect(info, &style);
	for (size_t i = 0; rc == 0 && i < batch->n; i++) {
		struct jsonw w = style.layout;
		const struct str *lead = i == 0 ? &style.before : &style.separator;

		w.out = &text;
		str_add(&text, lead->buf, lead->len);
		rc = print_entry(batch, i, &w, err);
	}
	str_add(&text, style.after.buf, style.after.len);
	if (rc == 0)
		add_edit(edits, style.position, 0, &text);
	str_release(&text);
	info_style_release(&style);
	return rc;
}

static int compare_edits(const void *left, const void *right)
{
	const struct json_edit *a = left;
	const struct json_edit *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

static int collect_edits(const struct info *info, const struct batch *batch, int64_t total,
			 struct edits *edits, struct err *err)
{
	char number[32];

	if (insert_entries(info, batch, edits, err) < 0)
		return -1;
	snprintf(number, sizeof(number), "%lld", (long long)total);
	replace_value(info, "total_steps", number, edits);
	replace_string(info, "final_checkpoint", batch->what->head.final_checkpoint, edits);
	replace_string(info, "last_updated", last_of(batch)->end_time, edits);
	replace_string(info, "last_dataset", last_of(batch)->dataset, edits);
	qsort(edits->v, edits->n, sizeof(edits->v[0]), compare_edits);
	return 0;
}

static int edit_record(const struct info *info, const struct str *old, const struct batch *batch,
		       struct info_summary *after, struct str *out, struct err *err)
{
	struct edits edits = { .n = 0 };
	size_t n_entries = info_entry_count(info) + batch->n;
	int64_t total = after->total_steps;
	int rc = add_steps(info->name, batch, &total, err);

	if (rc == 0)
		rc = collect_edits(info, batch, total, &edits, err);
	if (rc == 0) {
		json_splice(old->buf, old->len, edits.v, edits.n, out);
		rc = check_result(info->name, out, n_entries, after, err);
	}
	if (rc == 0 && !is_untouched(old, out, edits.v, edits.n))
		rc = err_set(err, ERR_INTERNAL, "%s: the append would change more than it should",
			     info->name);
	for (size_t i = 0; i < edits.n; i++)
		str_release(&edits.texts[i]);
	return rc;
}

/* base_model of the request where the record began with another one, and may say so. */
static const char *other_base(const struct info *info, const struct info_append *what)
{
	const char *base = what->head.base_model;

	if (!what->additive || !base)
		return NULL;
	return json_string_is(&info->doc, json_member(&info->doc, 0, "base_model"), base) ? NULL
											  : base;
}

static int append_to_record(const struct info *info, const struct str *old, struct batch *batch,
			    struct str *out, struct info_summary *after, struct err *err)
{
	const struct info_append *what = batch->what;

	if (info_validate(info, after, err) < 0)
		return -1;
	if (check_agreement(info, "model_name", what->head.model_name, err) < 0 ||
	    check_agreement(info, "stage", what->head.stage, err) < 0)
		return -1;
	if (take_entries(batch, info, err) < 0)
		return -1;
	if (!batch->n) {
		str_add(out, old->buf, old->len);
		return 0;
	}
	batch->other_base = other_base(info, what);
	return edit_record(info, old, batch, after, out, err);
}

/* ---- a new record ---- */

static void inherited_release(struct inherited *inherited)
{
	for (size_t i = 0; i < inherited->n; i++)
		entry_release(&inherited->entries[i]);
	free(inherited->entries);
}

static int read_inherited(const char *name, const struct info_append *what, struct inherited *out,
			  struct err *err)
{
	struct info info = INFO_INIT;
	struct info_summary summary;
	int rc = info_open(&info, what->inherited_ref, what->inherited->buf, what->inherited->len,
			   err);

	if (rc == 0)
		rc = info_validate(&info, &summary, err);
	if (rc == 0)
		out->entries = xcalloc(info_entry_count(&info) + 1, sizeof(*out->entries));
	for (size_t i = rc < 0 ? JSON_NONE : info_first_entry(&info); rc == 0 && i != JSON_NONE;
	     i = info_next_entry(&info, i)) {
		struct entry *entry = &out->entries[out->n++];

		entry_init(entry);
		rc = info_entry_read(&info, i, entry, err);
		if (!entry_extra(entry, "inherited_from"))
			entry_add_extra_string(entry, "inherited_from", what->inherited_ref);
	}
	if (rc < 0)
		err_prefix(err, "%s cannot inherit", name);
	info_release(&info);
	return rc;
}

static int print_record(const struct batch *batch, int64_t total, struct str *out, struct err *err)
{
	const struct info_head *head = &batch->what->head;
	bool additive = batch->what->additive || batch->what->inherited;
	struct jsonw w = jsonw_begin(out, 2);
	int rc = 0;

	jsonw_object(&w);
	jsonw_pair_string(&w, "model_name", head->model_name);
	jsonw_pair_string(&w, "stage", head->stage);
	jsonw_pair_string(&w, "final_checkpoint",
			  head->final_checkpoint ? head->final_checkpoint : "");
	jsonw_pair_string(&w, "base_model", head->base_model ? head->base_model : "");
	jsonw_pair_string(&w, "created_at", batch->entries[0]->start_time);
	jsonw_pair_string(&w, "last_updated", last_of(batch)->end_time);
	jsonw_pair_int(&w, "total_steps", total);
	jsonw_pair_string(&w, "last_dataset", last_of(batch)->dataset);
	jsonw_key(&w, "training_history");
	jsonw_array(&w);
	for (size_t i = 0; rc == 0 && i < batch->n; i++)
		rc = print_entry(batch, i, &w, err);
	jsonw_end(&w);
	if (additive)
		jsonw_pair_int(&w, "schema_version", INFO_SCHEMA_VERSION);
	if (additive && head->parents)
		jsonw_pair_raw(&w, "parents", head->parents);
	jsonw_end(&w);
	str_addch(out, '\n');
	return rc;
}

static int check_parents(const char *json, struct err *err)
{
	struct json doc = JSON_INIT;
	int rc = json ? json_parse(&doc, "parents", json, strlen(json), JSON_STRICT, err) : 0;

	if (rc == 0 && json && !json_is(&doc, 0, JSON_ARRAY))
		rc = err_set(err, ERR_INVALID, "'parents' must be an array");
	json_release(&doc);
	return rc;
}

static int make_record(const char *name, struct batch *batch, struct inherited *inherited,
		       struct str *out, struct info_summary *after, struct err *err)
{
	const struct info_append *what = batch->what;
	int64_t total = 0;

	if (!what->head.model_name || !what->head.stage)
		return err_set(err, ERR_INVALID, "%s: a new record needs model_name and stage",
			       name);
	if (check_parents(what->head.parents, err) < 0)
		return -1;
	if (what->inherited && read_inherited(name, what, inherited, err) < 0)
		return -1;
	take_inherited(batch, inherited);
	if (take_entries(batch, NULL, err) < 0)
		return -1;
	if (!batch->n)
		return err_set(err, ERR_INVALID, "%s: a new record needs an entry", name);
	if (add_steps(name, batch, &total, err) < 0 || print_record(batch, total, out, err) < 0)
		return -1;
	return check_result(name, out, batch->n, after, err);
}

int info_append(const char *name, const struct str *old, const struct info_append *what,
		struct str *out, struct info_summary *after, struct err *err)
{
	struct batch batch = { .what = what };
	struct inherited inherited = { .n = 0 };
	struct info info = INFO_INIT;
	int rc;

	str_clear(out);
	*after = (struct info_summary){ 0 };
	if (!old) {
		rc = make_record(name, &batch, &inherited, out, after, err);
	} else {
		rc = info_open(&info, name, old->buf, old->len, err);
		if (rc == 0)
			rc = append_to_record(&info, old, &batch, out, after, err);
	}
	after->n_added = rc == 0 ? batch.n - inherited.n : 0;
	after->already = batch.already;
	info_release(&info);
	inherited_release(&inherited);
	free(batch.entries);
	return rc;
}
