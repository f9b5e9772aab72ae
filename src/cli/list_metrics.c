#include "base/base.h"

#include "cli/list_metrics.h"

#include "app/packed.h"
#include "base/log.h"
#include "base/mem.h"

/*
 * Kept is an object with the members of the training that metrics are read from. Their names come
 * from NAMES_OF_ENTRY, or of a run from NAMES_OF_RUN; only where the field is no member of the
 * training itself it is added as NAMES.
 */
#define NAMES_OF_ENTRY "metrics"
#define NAMES_OF_RUN "last_metrics"
#define NAMES "names"

void list_metrics_release(struct list_metrics *metrics)
{
	strv_release(&metrics->names);
	map_release(&metrics->known);
}

static bool add_member(const struct json *doc, size_t token, const char *key, struct jsonw *w)
{
	const char *raw;
	size_t len;

	if (token == JSON_NONE)
		return false;
	jsonw_key(w, key);
	raw = json_raw(doc, token, &len);
	jsonw_raw(w, raw, len);
	return true;
}

static size_t member_of(const struct subject *subject, const char *key)
{
	return subject->doc && subject->entry != JSON_NONE
		       ? json_member(subject->doc, subject->entry, key)
		       : JSON_NONE;
}

/* The field that names come from, where it lies somewhere else than in the training. */
static bool add_names(const struct listing_row *row, struct jsonw *w)
{
	const char *key = row->run ? NAMES_OF_RUN : NAMES_OF_ENTRY;
	struct value names = VALUE_INIT;
	bool any = false;

	if (member_of(&row->subject, key) == JSON_NONE) {
		field_read(&row->subject, key, &names);
		if (names.type == VALUE_JSON)
			any = add_member(names.doc, names.token, NAMES, w);
	}
	value_release(&names);
	return any;
}

void list_metrics_pack(const struct listing_row *row, struct str *out)
{
	struct str text = STR_INIT;
	struct jsonw w = jsonw_begin(&text, 0);
	bool any = false;

	jsonw_object(&w);
	any |= add_member(row->subject.doc, member_of(&row->subject, NAMES_OF_ENTRY),
			  NAMES_OF_ENTRY, &w);
	any |= add_member(row->subject.doc, member_of(&row->subject, NAMES_OF_RUN), NAMES_OF_RUN,
			  &w);
	any |= add_names(row, &w);
	jsonw_end(&w);
	str_addch(out, row->run ? 1 : 0);
	packed_add_text(out, any ? text.buf : NULL);
	str_release(&text);
}

/* ---- reading it again ---- */

struct kept {
	struct json doc;
	bool is_run;
	bool is_there;
};

static void kept_open(struct kept *kept, const char *packed)
{
	struct err err = ERR_INIT;
	const char *text;

	*kept = (struct kept){ .doc = JSON_INIT, .is_run = *packed != 0 };
	packed_read_text(packed + 1, &text);
	if (!text)
		return;
	kept->is_there = json_parse(&kept->doc, "metrics", text, strlen(text),
				    JSON_NONFINITE_OK | JSON_DUPLICATES_OK, &err) == 0;
	if (!kept->is_there) /* not reached by tests: it was parsed before */
		log_warn("%s", err.msg);
}

static void add_name(struct list_metrics *metrics, const struct json *doc, size_t key)
{
	char *name = json_string_copy(doc, key);

	if (map_get(&metrics->known, name)) {
		free(name);
		return;
	}
	strv_push_take(&metrics->names, name);
	map_put(&metrics->known, name, name);
}

void list_metrics_look(struct list_metrics *metrics, const char *packed)
{
	struct kept kept;
	const struct json *doc = &kept.doc;
	size_t names = JSON_NONE;

	kept_open(&kept, packed);
	if (kept.is_there)
		names = json_member(doc, 0, NAMES);
	if (kept.is_there && names == JSON_NONE)
		names = json_member(doc, 0, kept.is_run ? NAMES_OF_RUN : NAMES_OF_ENTRY);
	if (names != JSON_NONE && !json_is(doc, names, JSON_OBJECT))
		names = JSON_NONE;
	for (size_t key = names == JSON_NONE ? JSON_NONE : json_first(doc, names);
	     key != JSON_NONE && metrics->names.n < metrics->limit;
	     key = json_next(doc, names, key))
		if (json_is_number(doc, key + 1))
			add_name(metrics, doc, key);
	json_release(&kept.doc);
}

void list_metrics_repack(const struct list_metrics *metrics, const char *packed, struct str *out)
{
	struct kept kept;
	struct subject subject = { .doc = NULL };
	struct value value = VALUE_INIT;
	struct str field = STR_INIT;

	kept_open(&kept, packed);
	subject.doc = kept.is_there ? &kept.doc : NULL;
	subject.entry = kept.is_there ? 0 : JSON_NONE;
	for (size_t i = 0; i < metrics->names.n; i++) {
		str_clear(&field);
		str_addf(&field, "metrics.%s", metrics->names.v[i]);
		field_read(&subject, field.buf, &value);
		packed_add(out, &value);
	}
	value_release(&value);
	str_release(&field);
	json_release(&kept.doc);
}

void list_metrics_add_columns(const struct list_metrics *metrics, struct column_list *columns)
{
	for (size_t i = 0; i < metrics->names.n; i++) {
		char *field = xstrf("metrics.%s", metrics->names.v[i]);
		struct column_spec *column;

		column_list_add(columns, field);
		column = &columns->v[columns->n - 1];
		free(column->title);
		column->title = xstrdup(metrics->names.v[i]);
		free(field);
	}
}
