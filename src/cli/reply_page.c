#include "base/base.h"

#include "cli/reply_page.h"

#include "base/log.h"
#include "base/mem.h"
#include "cli/render.h"
#include "sys/json.h"

#include <math.h>

static bool is_number(const struct db_value *value)
{
	return value->type == DB_INTEGER || value->type == DB_REAL;
}

static void add_hex(const struct db_value *blob, struct str *out)
{
	str_adds(out, "x'");
	for (size_t i = 0; i < blob->len; i++)
		str_addf(out, "%02x", (unsigned char)blob->text[i]);
	str_addch(out, '\'');
}

static void add_real(double value, struct str *out)
{
	if (isfinite(value))
		json_add_real(out, value);
	else
		str_adds(out, value > 0 ? "Infinity" : "-Infinity"); /* SQL has no NaN */
}

static void add_value(const struct db_value *value, const char *null, struct str *out)
{
	switch (value->type) {
	case DB_NULL:
		str_adds(out, null);
		break;
	case DB_INTEGER:
		str_addf(out, "%lld", (long long)value->integer);
		break;
	case DB_REAL:
		add_real(value->real, out);
		break;
	case DB_TEXT:
		add_harmless(out, value->text, value->len); /* all of it: it may hold NULs */
		break;
	case DB_BLOB:
		add_hex(value, out);
		break;
	}
}

static const struct db_value *value_at(const struct reply *reply, size_t row, size_t column)
{
	return &reply->values[row * reply->columns.n + column];
}

/* ---- table, sheet ---- */

static enum align align_of(const struct reply *reply, size_t column)
{
	bool any = false;

	for (size_t i = 0; i < reply->n_rows; i++) {
		const struct db_value *value = value_at(reply, i, column);

		if (!is_number(value) && value->type != DB_NULL)
			return ALIGN_LEFT;
		any |= value->type != DB_NULL;
	}
	return any ? ALIGN_RIGHT : ALIGN_LEFT;
}

static void fill_row(const struct reply *reply, size_t row, struct table *t)
{
	struct str cell = STR_INIT;

	table_row(t);
	for (size_t i = 0; i < reply->columns.n; i++) {
		const struct db_value *value = value_at(reply, row, i);

		str_clear(&cell);
		add_value(value, "NULL", &cell);
		table_cell(t, value->type == DB_NULL ? TONE_DIM : TONE_PLAIN, cell.buf);
	}
	str_release(&cell);
}

void reply_as_table(const struct reply *reply, struct paged *page)
{
	struct table *t = table_new();

	for (size_t i = 0; i < reply->columns.n; i++)
		table_column(t, reply->columns.v[i], align_of(reply, i));
	for (size_t row = 0; row < reply->n_rows; row++) {
		fill_row(reply, row, t);
		table_measure(t);
	}
	table_print_head(t, "", &page->out);
	for (size_t row = 0; row < reply->n_rows && !page->is_lost; row++) {
		fill_row(reply, row, t);
		table_print_row(t, "", &page->out);
		paged_line(page);
	}
	table_free(t);
}

static void sheet_row(const struct reply *reply, size_t row, struct sheet *sheet, struct str *out)
{
	struct str cell = STR_INIT;

	for (size_t i = 0; i < reply->columns.n; i++) {
		const struct db_value *value = value_at(reply, row, i);

		str_clear(&cell);
		add_value(value, "", &cell);
		sheet_cell(sheet, cell.buf, is_number(value), out);
	}
	str_release(&cell);
}

void reply_as_sheet(const struct reply *reply, enum sheet_format format, struct paged *page)
{
	struct sheet *sheet = sheet_new(format);

	for (size_t i = 0; i < reply->columns.n; i++)
		sheet_column(sheet, reply->columns.v[i]);
	for (size_t row = 0; row < reply->n_rows && sheet_looks_first(sheet); row++)
		sheet_row(reply, row, sheet, NULL);
	sheet_begin(sheet, &page->out);
	for (size_t row = 0; row < reply->n_rows && !page->is_lost; row++) {
		sheet_row(reply, row, sheet, &page->out);
		paged_line(page);
	}
	sheet_end(sheet, &page->out);
	sheet_free(sheet);
}

/* ---- JSON ---- */

static void value_as_json(struct jsonw *w, const struct db_value *value)
{
	struct str hex = STR_INIT;

	switch (value->type) {
	case DB_NULL:
		jsonw_null(w);
		break;
	case DB_INTEGER:
		jsonw_int(w, value->integer);
		break;
	case DB_REAL:
		jsonw_real(w, value->real);
		break;
	case DB_TEXT:
		jsonw_stringn(w, value->text, value->len);
		break;
	case DB_BLOB:
		add_hex(value, &hex);
		jsonw_string(w, hex.buf);
		break;
	}
	str_release(&hex);
}

/* A row is a line: a page of thousands of them is still one to look at. */
static void row_as_json(struct jsonw *w, const struct reply *reply, size_t row)
{
	jsonw_array(w);
	w->lines = false;
	for (size_t i = 0; i < reply->columns.n; i++)
		value_as_json(w, value_at(reply, row, i));
	jsonw_end(w);
	w->lines = true;
}

void reply_as_json(const struct reply *reply, struct paged *page)
{
	struct jsonw w = jsonw_begin(&page->out, 2);

	w.blanks = true;
	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.query/1");
	jsonw_key(&w, "columns");
	jsonw_array(&w);
	w.lines = false;
	for (size_t i = 0; i < reply->columns.n; i++)
		jsonw_string(&w, reply->columns.v[i]);
	jsonw_end(&w);
	w.lines = true;
	jsonw_key(&w, "rows");
	jsonw_array(&w);
	for (size_t row = 0; row < reply->n_rows && !page->is_lost; row++) {
		row_as_json(&w, reply, row);
		paged_line(page);
	}
	jsonw_end(&w);
	jsonw_key(&w, "has_more");
	jsonw_bool(&w, reply->has_more);
	jsonw_end(&w);
	str_addch(&page->out, '\n');
}

/* Keys of an object: "f1", "f1:1", "f1:2". */
static void name_columns(const struct reply *reply, struct strv *names)
{
	for (size_t i = 0; i < reply->columns.n; i++) {
		const char *name = reply->columns.v[i];
		char *own = xstrdup(name);

		for (int k = 1; strv_has(names, own); k++) {
			free(own);
			own = xstrf("%s:%d", name, k);
		}
		strv_push_take(names, own);
	}
}

void reply_as_lines(const struct reply *reply, struct paged *page)
{
	struct strv names = STRV_INIT;

	name_columns(reply, &names);
	for (size_t row = 0; row < reply->n_rows && !page->is_lost; row++) {
		struct jsonw w = jsonw_begin(&page->out, 0);

		jsonw_object(&w);
		for (size_t i = 0; i < names.n; i++) {
			jsonw_key(&w, names.v[i]);
			value_as_json(&w, value_at(reply, row, i));
		}
		jsonw_end(&w);
		str_addch(&page->out, '\n');
		paged_line(page);
	}
	strv_release(&names);
}
