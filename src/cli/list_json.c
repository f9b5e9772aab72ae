#include "base/base.h"

#include "cli/list_json.h"

#include <math.h>

/* The value at 'token' with NaN and Infinity as null. */
static void add_strict(const struct json *doc, size_t token, struct jsonw *w)
{
	struct str out = STR_INIT;

	strict_json(doc, token, &out);
	jsonw_raw(w, out.buf, out.len);
	str_release(&out);
}

static void add_json_value(const struct value *value, struct jsonw *w)
{
	switch (value->type) {
	case VALUE_UNDEFINED:
		jsonw_null(w);
		break;
	case VALUE_TRUTH:
		jsonw_bool(w, value->truth);
		break;
	case VALUE_NUMBER:
		if (isfinite(value->number) || value->is_integer)
			jsonw_raw(w, value->text, strlen(value->text));
		else
			jsonw_null(w);
		break;
	case VALUE_TEXT:
		jsonw_string(w, value->text);
		break;
	case VALUE_JSON:
		add_strict(value->doc, value->token, w);
		break;
	}
}

static void add_columns(const struct column_list *columns, const struct listing_row *row,
			struct jsonw *w)
{
	struct value value = VALUE_INIT;

	if (!columns->n)
		return;
	jsonw_key(w, "columns");
	jsonw_object(w);
	for (size_t i = 0; i < columns->n; i++) {
		column_read(&columns->v[i], &row->subject, &value);
		jsonw_key(w, columns->v[i].title);
		add_json_value(&value, w);
	}
	jsonw_end(w);
	value_release(&value);
}

static void add_model(const struct history *history, struct jsonw *w)
{
	struct str record = STR_INIT;
	char *strategy = history_strategy(history);

	history_strict_json(history, &record);
	jsonw_pair_string(w, "strategy", strategy);
	jsonw_pair_int(w, "not_recorded", (int64_t)history_outside(history));
	jsonw_key(w, "record");
	jsonw_raw(w, record.buf, record.len);
	free(strategy);
	str_release(&record);
}

/* One attempt: its entry of the record, or the run as the journal has it. */
static void add_attempt(const struct listing_row *row, struct jsonw *w)
{
	struct value status = VALUE_INIT;

	field_read(&row->subject, "status", &status);
	jsonw_key(w, "status");
	add_json_value(&status, w);
	jsonw_key(w, row->run ? "run" : "entry");
	add_strict(row->subject.doc, row->subject.entry, w);
	value_release(&status);
}

void list_json_row(const struct list_spec *spec, const struct listing_row *row, struct jsonw *w)
{
	jsonw_object(w);
	jsonw_pair_string(w, "ref", row->history->dir.ref);
	jsonw_pair_string(w, "path", row->history->path);
	if (row->is_broken)
		jsonw_pair_string(w, "error", row->history->err.msg);
	else if (spec->runs)
		add_attempt(row, w);
	else
		add_model(row->history, w);
	if (!row->is_broken)
		add_columns(spec->columns, row, w);
	jsonw_end(w);
}
