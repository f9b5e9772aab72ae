/*
 * Appending. A new record is printed; an old one is edited: the new entries' text goes in behind
 * the last entry, laid out as the file is, and four values at the top are replaced where they
 * stand.
 *
 * Nothing is written that was not read back and found valid. Of a long record that need not mean
 * all of it once more, for its entries but the last take no part in an edit:
 *
 *	the new text     HEAD' [ e1, e2, ... ek,  ek+1, NEW  ] TAIL'
 *	the abridged one HEAD' [                  ek+1, NEW  ] TAIL'
 *
 * 1. info_skim() has tokenised and checked the whole old text; so "e1, ... ek," is a run of valid
 *    entries, each with the comma behind it.
 * 2. The abridged text is made by the very edits that make the new one, and one more that cuts that
 *    run out. It is read as if it came from a stranger: whatever an edit spoils, a bracket, a
 *    comma, an escape, the depth, the type of a value, a rule of the record, is spoiled there too.
 * 3. What may stand in a JSON array does not depend on its neighbours, so putting the run back
 *    behind the bracket makes a valid text again, with k entries more. The rules that look beyond
 *    one entry are the order (inherited entries first: the last old one is there to tell) and the
 *    totals: steps of the run are known from 1, and all sums are compared.
 * 4. The bytes outside the edits are taken from the old text where they lie. sys/replace compares
 *    the file with them after the write, and the file that gave way too.
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

/* The run_ids of the request's entries, NULL for one without; they are the caller's. */
static char **runs_init(const struct info_append *what, struct info_skim_runs *runs)
{
	char **ids = xcalloc(what->n, sizeof(*ids));

	for (size_t i = 0; i < what->n; i++) {
		const char *json = entry_extra(&what->entries[i], "run_id");
		struct json doc = JSON_INIT;
		struct err ignored = ERR_INIT;

		if (json &&
		    json_parse(&doc, "run_id", json, strlen(json), JSON_STRICT, &ignored) == 0)
			ids[i] = json_string_copy(&doc, 0);
		json_release(&doc);
	}
	*runs = (struct info_skim_runs){
		.ids = ids,
		.found = xcalloc(what->n, sizeof(*runs->found)),
		.n = what->n,
	};
	return ids;
}

static void runs_release(struct info_skim_runs *runs, char **ids)
{
	for (size_t i = 0; i < runs->n; i++)
		free(ids[i]);
	free(ids);
	free(runs->found);
}

static bool is_in_batch(const struct batch *batch, const struct entry *entry)
{
	for (size_t i = 0; i < batch->n; i++)
		if (same_run(batch->entries[i], entry))
			return true;
	return false;
}

/* Take those of the request's entries whose run is not there yet. 'found' may be NULL. */
static int take_entries(struct batch *batch, const bool *found, struct err *err)
{
	const struct info_append *what = batch->what;

	batch->entries =
		xreallocarray(batch->entries, batch->n + what->n + 1, sizeof(*batch->entries));
	for (size_t i = 0; i < what->n; i++) {
		const struct entry *entry = &what->entries[i];

		if (entry_check(entry, err) < 0)
			return -1;
		if ((found && found[i]) || is_in_batch(batch, entry))
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

/* ---- checks of the result ---- */

/* Read what was made; it must hold 'n_entries' entries and say that all took 'total' steps. */
static int check_result(const char *name, const struct str *out, size_t n_entries, int64_t total,
			struct info_summary *after, struct err *err)
{
	struct info info = INFO_INIT;
	struct err cause = ERR_INIT;
	int rc = info_open(&info, name, out->buf, out->len, &cause);

	if (rc == 0)
		rc = info_validate(&info, after, &cause);
	if (rc < 0) /* not reached by tests: a fault of ours */
		err_set(err, ERR_INTERNAL, "the new record would be broken: %s", cause.msg);
	else if (after->n_entries != n_entries || info_total_steps(&info) != total)
		/* not reached by tests: a fault of ours */
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

static void add_edit(struct info_change *change, size_t start, size_t old_len,
		     const struct str *text)
{
	struct str *copy = &change->texts[change->n];

	str_init(copy);
	str_add(copy, text->buf, text->len);
	change->edits[change->n++] = (struct json_edit){ start, old_len, copy->buf, copy->len };
	change->len += copy->len - old_len;
}

void info_change_release(struct info_change *change)
{
	for (size_t i = 0; i < change->n; i++)
		str_release(&change->texts[i]);
	*change = (struct info_change)INFO_CHANGE_INIT;
}

static void replace_value(const struct info *info, const char *key, const char *json,
			  struct info_change *change)
{
	const struct json_token *old = &info->doc.tokens[json_member(&info->doc, 0, key)];
	struct str text = STR_INIT;

	str_adds(&text, json);
	add_edit(change, old->start, old->end - old->start, &text);
	str_release(&text);
}

/* A value that says the same already keeps its escapes. */
static void replace_string(const struct info *info, const char *key, const char *value,
			   struct info_change *change)
{
	struct str json = STR_INIT;

	if (!value || json_string_is(&info->doc, json_member(&info->doc, 0, key), value))
		return;
	json_add_strz(&json, value);
	replace_value(info, key, json.buf, change);
	str_release(&json);
}

static int insert_entries(const struct info *info, const struct batch *batch,
			  struct info_change *change, struct err *err)
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
		add_edit(change, style.position, 0, &text);
	str_release(&text);
	info_style_release(&style);
	return rc;
}

static int collect_edits(const struct info *info, const struct batch *batch, int64_t total,
			 struct info_change *change, struct err *err)
{
	char number[32];

	if (insert_entries(info, batch, change, err) < 0)
		return -1; /* not reached by tests: an entry that we printed is read again */
	snprintf(number, sizeof(number), "%lld", (long long)total);
	replace_value(info, "total_steps", number, change);
	replace_string(info, "final_checkpoint", batch->what->head.final_checkpoint, change);
	replace_string(info, "last_updated", last_of(batch)->end_time, change);
	replace_string(info, "last_dataset", last_of(batch)->dataset, change);
	json_sort_edits(change->edits, change->n);
	return 0;
}

/* The old text with the edits, and without the entries before the last one. */
static void abridge(const struct info *info, const struct str *old,
		    const struct info_change *change, struct str *out)
{
	struct json_edit edits[INFO_MAX_EDITS + 1];
	size_t start = info->doc.tokens[info->history].start + 1;
	size_t last = info_first_entry(info); /* after info_skim() */
	size_t n = change->n;

	memcpy(edits, change->edits, n * sizeof(edits[0]));
	if (last != JSON_NONE)
		edits[n++] =
			(struct json_edit){ start, info->doc.tokens[last].start - start, "", 0 };
	json_sort_edits(edits, n);
	json_splice(old->buf, old->len, edits, n, out);
}

/* 'left_out' is what the entries that the abridged text lacks add up to. */
static int check_change(const struct info *info, const struct str *old,
			const struct info_change *change, size_t n_new, int64_t total,
			int64_t left_out, struct err *err)
{
	struct str text = STR_INIT;
	struct info_summary seen;
	size_t n_entries = n_new + (info_entry_count(info) ? 1 : 0);
	int rc;

	if (change->len > JSON_MAX_LEN)
		/* not reached by tests: takes entries of 256 MiB */
		return err_set(err, ERR_INVALID, "%s: would be larger than %u bytes", info->name,
			       JSON_MAX_LEN);
	abridge(info, old, change, &text);
	rc = check_result(info->name, &text, n_entries, total, &seen, err);
	if (rc == 0 && seen.total_steps != total - left_out)
		/* not reached by tests: a fault of ours */
		rc = err_set(err, ERR_INTERNAL, "%s: the new entries would not add up", info->name);
	str_release(&text);
	return rc;
}

static int edit_record(const struct info *info, const struct str *old, const struct batch *batch,
		       struct info_change *change, struct info_summary *after, struct err *err)
{
	size_t last = info_first_entry(info);
	int64_t left_out =
		after->total_steps - (last == JSON_NONE ? 0 : info_entry_steps(info, last));
	int64_t total = after->total_steps;

	if (add_steps(info->name, batch, &total, err) < 0 ||
	    collect_edits(info, batch, total, change, err) < 0 ||
	    check_change(info, old, change, batch->n, total, left_out, err) < 0)
		return -1;
	after->n_entries += batch->n;
	after->total_steps = total;
	return 0;
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
			    const bool *found, struct info_change *change,
			    struct info_summary *after, struct err *err)
{
	const struct info_append *what = batch->what;

	if (check_agreement(info, "model_name", what->head.model_name, err) < 0 ||
	    check_agreement(info, "stage", what->head.stage, err) < 0)
		return -1;
	if (take_entries(batch, found, err) < 0)
		return -1;
	if (!batch->n)
		return 0;
	batch->other_base = other_base(info, what);
	return edit_record(info, old, batch, change, after, err);
}

static int change_record(const char *name, const struct str *old, struct batch *batch,
			 struct info_change *change, struct info_summary *after, struct err *err)
{
	struct info info = INFO_INIT;
	struct info_skim_runs runs;
	char **ids = runs_init(batch->what, &runs);
	int rc = info_skim(&info, name, old->buf, old->len, &runs, after, err);

	change->len = old->len;
	if (rc == 0)
		rc = append_to_record(&info, old, batch, runs.found, change, after, err);
	runs_release(&runs, ids);
	info_release(&info);
	return rc;
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

static int print_checked(const char *name, const struct batch *batch, struct info_change *change,
			 struct info_summary *after, struct err *err)
{
	struct str text = STR_INIT;
	int64_t total = 0;
	int rc = add_steps(name, batch, &total, err);

	if (rc == 0)
		rc = print_record(batch, total, &text, err);
	if (rc == 0)
		rc = check_result(name, &text, batch->n, total, after, err);
	if (rc == 0 && after->total_steps != total)
		/* not reached by tests: a fault of ours */
		rc = err_set(err, ERR_INTERNAL, "%s: the new entries would not add up", name);
	add_edit(change, 0, 0, &text);
	str_release(&text);
	return rc;
}

static int make_record(const char *name, struct batch *batch, struct inherited *inherited,
		       struct info_change *change, struct info_summary *after, struct err *err)
{
	const struct info_append *what = batch->what;

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
	return print_checked(name, batch, change, after, err);
}

int info_change_make(const char *name, const struct str *old, const struct info_append *what,
		     struct info_change *out, struct info_summary *after, struct err *err)
{
	struct batch batch = { .what = what };
	struct inherited inherited = { .n = 0 };
	int rc;

	info_change_release(out);
	*after = (struct info_summary){ 0 };
	if (old)
		rc = change_record(name, old, &batch, out, after, err);
	else
		rc = make_record(name, &batch, &inherited, out, after, err);
	after->n_added = rc == 0 ? batch.n - inherited.n : 0;
	after->already = batch.already;
	inherited_release(&inherited);
	free(batch.entries);
	return rc;
}

/* ---- as one text ---- */

/* What was not edited is what it was. */
static bool is_untouched(const struct str *old, const struct str *out,
			 const struct info_change *change)
{
	size_t at = 0;
	size_t at_out = 0;

	for (size_t i = 0; i <= change->n; i++) {
		const struct json_edit *edit = i < change->n ? &change->edits[i] : NULL;
		size_t end = edit ? edit->start : old->len;
		size_t len = end - at;

		if (at_out + len > out->len || memcmp(old->buf + at, out->buf + at_out, len) != 0)
			return false; /* not reached by tests: a fault of ours */
		at_out += len + (edit ? edit->len : 0);
		at = end + (edit ? edit->old_len : 0);
	}
	return at_out == out->len && out->len == change->len;
}

int info_append(const char *name, const struct str *old, const struct info_append *what,
		struct str *out, struct info_summary *after, struct err *err)
{
	static const struct str nothing = STR_INIT;
	const struct str *base = old ? old : &nothing;
	struct info_change change = INFO_CHANGE_INIT;
	struct info_summary seen;
	int rc = info_change_make(name, old, what, &change, after, err);

	str_clear(out);
	if (rc == 0)
		json_splice(base->buf, base->len, change.edits, change.n, out);
	if (rc == 0 && change.n) {
		rc = check_result(name, out, after->n_entries, after->total_steps, &seen, err);
		if (rc == 0 && seen.total_steps != after->total_steps)
			/* not reached by tests: a fault of ours */
			rc = err_set(err, ERR_INTERNAL, "%s: the new record would not add up",
				     name);
	}
	if (rc == 0 && !is_untouched(base, out, &change))
		/* not reached by tests: a fault of ours */
		rc = err_set(err, ERR_INTERNAL, "%s: the append would change more than it should",
			     name);
	info_change_release(&change);
	return rc;
}
