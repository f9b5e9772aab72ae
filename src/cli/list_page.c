#include "base/base.h"

#include "cli/list_page.h"

#include "base/mem.h"
#include "cli/render.h"

#include <math.h>

#define TABLE_METRICS 3 /* that a table of attempts shows of itself */

static bool is_broken(const struct listing_row *row)
{
	return row->history->err.code && !row->run;
}

static size_t count_outside(const struct history *history)
{
	size_t n = history->waiting.n;

	for (size_t i = 0; i < history->runs.n; i++)
		n += run_is_outside(&history->runs.v[i]);
	return n;
}

/* A real number with so many digits after the point, or so many that count where that would be 0. */
static void add_precise(struct str *out, double value, int precision)
{
	bool is_small = value < 0 || value > 0;

	if (!isfinite(value)) {
		add_metric(out, value);
		return;
	}
	is_small = is_small && fabs(value) < 0.5 * pow(10, -precision);
	str_addf(out, is_small ? "%.*e" : "%.*f", precision, value);
}

static void add_table_number(const struct list_page *page, double value, struct str *out)
{
	bool is_whole = isfinite(value) && value == floor(value);

	if (page->precision >= 0 && !is_whole)
		add_precise(out, value, page->precision);
	else
		add_metric(out, value);
}

/* ---- the page of models that nobody asked columns of ---- */

/* The metric that was asked for, else the first finite number, as "f1 0.850". */
static void add_telling_metric(const struct list_page *page, const struct subject *subject,
			       struct str *out)
{
	const struct json *doc = subject->doc;
	size_t metrics = subject->entry == JSON_NONE ? JSON_NONE
						     : json_member(doc, subject->entry, "metrics");
	struct value best = VALUE_INIT;
	double value;

	if (page->best) {
		column_read(page->best, subject, &best);
		if (value_number(&best, &value)) {
			str_addf(out, "%s ", page->best->title);
			add_table_number(page, value, out);
		}
		value_release(&best);
		return;
	}
	for (size_t i = json_first(doc, metrics); i != JSON_NONE; i = json_next(doc, metrics, i)) {
		struct str name = STR_INIT;

		if (!json_is_number(doc, i + 1) || json_real(doc, i + 1, &value) < 0)
			continue;
		json_string(doc, i, &name);
		str_addf(out, "%s ", name.buf);
		add_table_number(page, value, out);
		str_release(&name);
		return;
	}
}

static void string_cell(struct table *t, const struct info *info, const char *key)
{
	char *text = info_string(info, key);

	table_cell(t, TONE_PLAIN, text ? text : "-");
	free(text);
}

static void count_cell(struct table *t, int64_t count)
{
	struct str text = STR_INIT;

	add_count(&text, count);
	table_cell(t, TONE_PLAIN, text.buf);
	str_release(&text);
}

static void broken_row(struct table *t, const struct history *history)
{
	table_row(t);
	table_cell(t, TONE_BAD, history->dir.ref);
	table_cell(t, TONE_BAD, "broken");
}

static void model_row(const struct list_page *page, const struct listing_row *row, struct table *t)
{
	const struct history *history = row->history;
	const struct info *info = &history->info;
	struct str text = STR_INIT;
	size_t outside = count_outside(history);
	char *updated = info_string(info, "last_updated");

	table_row(t);
	table_cell(t, TONE_PLAIN, history->dir.ref);
	string_cell(t, info, "stage");
	string_cell(t, info, "last_dataset");
	count_cell(t, info_total_steps(info));
	count_cell(t, (int64_t)info_entry_count(info));
	add_telling_metric(page, &row->subject, &text);
	table_cell(t, TONE_PLAIN, text.buf);
	string_cell(t, info, "final_checkpoint");
	str_clear(&text);
	if (updated)
		add_age(&text, updated);
	table_cell(t, TONE_PLAIN, text.buf);
	str_clear(&text);
	if (outside)
		str_addf(&text, "%zu not recorded", outside);
	table_cell(t, TONE_BAD, text.buf);
	str_release(&text);
	free(updated);
}

static void usual_table(const struct list_page *page, struct str *out)
{
	static const char *const titles[] = { "model",	    "stage",	 "last on",
					      "steps",	    "trainings", "metric",
					      "checkpoint", "updated",	 "" };
	static const int spare[] = { 0, 2, 0, 0, 3, 0, 4, 1, 0 };
	struct table *t = table_new();

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++) {
		table_column(t, titles[i], i == 3 || i == 4 ? ALIGN_RIGHT : ALIGN_LEFT);
		table_spare(t, spare[i]);
	}
	for (size_t i = 0; i < page->listing->n; i++) {
		const struct listing_row *row = &page->listing->rows[i];

		if (is_broken(row))
			broken_row(t, row->history);
		else
			model_row(page, row, t);
	}
	table_print(t, "", out);
	table_free(t);
}

/* ---- any columns ---- */

struct grid {
	struct column_list columns;
	bool *is_shown;	      /* of each column */
	struct value *values; /* row by row */
	bool has_broken;
};

static bool has_column(const struct column_list *columns, const char *field)
{
	for (size_t i = 0; i < columns->n; i++)
		if (strcmp(columns->v[i].field, field) == 0)
			return true;
	return false;
}

/* The metrics that the rows have, as they are first met, but no more than 'limit'. */
static void add_metrics(const struct listing *listing, struct column_list *columns, size_t limit)
{
	size_t before = columns->n;

	for (size_t i = 0; i < listing->n; i++) {
		const struct subject *subject = &listing->rows[i].subject;
		struct value all = VALUE_INIT;

		field_read(subject, listing->rows[i].run ? "last_metrics" : "metrics", &all);
		if (all.type != VALUE_JSON || !json_is(all.doc, all.token, JSON_OBJECT))
			all.token = JSON_NONE;
		for (size_t key = all.doc ? json_first(all.doc, all.token) : JSON_NONE;
		     key != JSON_NONE && columns->n - before < limit;
		     key = json_next(all.doc, all.token, key)) {
			char *name = json_string_copy(all.doc, key);
			char *field = xstrf("metrics.%s", name);

			if (json_is_number(all.doc, key + 1) && !has_column(columns, field)) {
				column_list_add(columns, field);
				free(columns->v[columns->n - 1].title);
				columns->v[columns->n - 1].title = xstrdup(name);
			}
			free(field);
			free(name);
		}
		value_release(&all);
	}
}

static void copy_column(struct column_list *columns, const struct column_spec *from)
{
	struct column_spec *column;

	column_list_add(columns, from->field);
	column = &columns->v[columns->n - 1];
	free(column->title);
	column->title = xstrdup(from->title);
	column->pick = from->pick;
	column->is_step = from->is_step;
}

static void add_usual(const struct list_page *page, bool is_table, struct column_list *columns)
{
	static const char *const of_model[] = { "ref",	       "stage",	    "dataset",
						"total_steps", "trainings", "final_checkpoint",
						"updated" };
	static const char *const of_run[] = { "ref",   "status",  "stage", "dataset",
					      "steps", "started", "run_id" };
	size_t n = page->runs ? ARRAY_SIZE(of_run) : ARRAY_SIZE(of_model);

	for (size_t i = 0; i < n; i++)
		column_list_add(columns, page->runs ? of_run[i] : of_model[i]);
	if (page->best)
		copy_column(columns, page->best);
	else
		add_metrics(page->listing, columns, is_table ? TABLE_METRICS : SIZE_MAX);
}

/* A broken record has nothing but its name to go by. */
static bool has_broken(const struct listing *listing)
{
	for (size_t i = 0; i < listing->n; i++)
		if (is_broken(&listing->rows[i]))
			return true;
	return false;
}

static bool is_same(const struct grid *grid, size_t column, size_t n_rows)
{
	const size_t n = grid->columns.n;

	for (size_t i = 1; i < n_rows; i++)
		if (value_compare(&grid->values[column], &grid->values[i * n + column]) != 0)
			return false;
	return true;
}

static void grid_init(struct grid *grid, const struct list_page *page, bool is_table)
{
	const struct listing *listing = page->listing;
	size_t n;

	memset(grid, 0, sizeof(*grid));
	grid->has_broken = has_broken(listing);
	if (grid->has_broken && page->columns->n && !has_column(page->columns, "ref"))
		column_list_add(&grid->columns, "ref");
	for (size_t i = 0; i < page->columns->n; i++)
		copy_column(&grid->columns, &page->columns->v[i]);
	if (!page->columns->n)
		add_usual(page, is_table, &grid->columns);
	n = grid->columns.n;
	grid->is_shown = xcalloc(n, sizeof(*grid->is_shown));
	grid->values = xcalloc(listing->n * n + 1, sizeof(*grid->values));
	for (size_t i = 0; i < listing->n * n; i++)
		column_read(&grid->columns.v[i % n], &listing->rows[i / n].subject,
			    &grid->values[i]);
	for (size_t i = 0; i < n; i++)
		grid->is_shown[i] = !page->changed_only || listing->n < 2 ||
				    strcmp(grid->columns.v[i].field, "ref") == 0 ||
				    !is_same(grid, i, listing->n);
}

static void grid_release(struct grid *grid, const struct list_page *page)
{
	for (size_t i = 0; i < page->listing->n * grid->columns.n; i++)
		value_release(&grid->values[i]);
	free(grid->values);
	free(grid->is_shown);
	column_list_release(&grid->columns);
}

static bool is_count(const struct column_spec *column)
{
	static const char *const names[] = { "steps", "total_steps", "trainings" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(column->field, names[i]) == 0)
			return true;
	return column->is_step || has_prefix(column->field, "datasets.");
}

static void add_number(const struct list_page *page, const struct column_spec *column,
		       const struct value *value, bool is_table, struct str *out)
{
	if (!value->is_integer && page->precision >= 0)
		add_precise(out, value->number, page->precision);
	else if (is_table && value->is_integer && is_count(column))
		add_count(out, value->integer);
	else if (is_table && !value->is_integer && !has_prefix(column->field, "params."))
		add_metric(out, value->number);
	else
		str_adds(out, value->text);
}

static void add_value(const struct list_page *page, const struct column_spec *column,
		      const struct value *value, bool is_table, struct str *out)
{
	if (value->type == VALUE_NUMBER)
		add_number(page, column, value, is_table, out);
	else if (is_table && value->type == VALUE_TEXT && strcmp(column->field, "updated") == 0)
		add_age(out, value->text);
	else if (is_table && value->type == VALUE_TEXT &&
		 (strcmp(column->field, "started") == 0 || strcmp(column->field, "ended") == 0))
		add_when(out, value->text);
	else
		value_add_text(value, out);
}

static bool is_numeric(const struct grid *grid, size_t column, size_t n_rows)
{
	bool any = false;

	for (size_t i = 0; i < n_rows; i++) {
		const struct value *value = &grid->values[i * grid->columns.n + column];

		if (value->type != VALUE_NUMBER && value->type != VALUE_UNDEFINED)
			return false;
		any |= value->type == VALUE_NUMBER;
	}
	return any;
}

/* What the state of a training is worth a colour. */
static enum tone tone_of(const struct listing_row *row, const struct column_spec *column,
			 const struct value *value)
{
	if (is_broken(row))
		return TONE_BAD;
	if (strcmp(column->field, "status") != 0 || value->type != VALUE_TEXT || !row->run)
		return TONE_PLAIN;
	return run_has_ended(row->run) ? run_is_outside(row->run) ? TONE_BAD : TONE_PLAIN
				       : TONE_RUNNING;
}

static void grid_table(const struct grid *grid, const struct list_page *page, struct table *t)
{
	const struct listing *listing = page->listing;
	size_t n = grid->columns.n;
	struct str text = STR_INIT;

	for (size_t i = 0; i < n; i++) {
		if (!grid->is_shown[i])
			continue;
		table_column(t, grid->columns.v[i].title,
			     is_numeric(grid, i, listing->n) ? ALIGN_RIGHT : ALIGN_LEFT);
		if (!page->columns->n && i > 1) /* what was asked for stays, if need be cut */
			table_spare(t, (int)i);
	}
	if (grid->has_broken)
		table_column(t, "", ALIGN_LEFT);
	for (size_t i = 0; i < listing->n * n; i++) {
		const struct listing_row *row = &listing->rows[i / n];
		const struct column_spec *column = &grid->columns.v[i % n];

		if (i % n == 0)
			table_row(t);
		str_clear(&text);
		add_value(page, column, &grid->values[i], true, &text);
		if (grid->is_shown[i % n])
			table_cell(t, tone_of(row, column, &grid->values[i]),
				   text.len ? text.buf : "-");
		if (i % n == n - 1 && grid->has_broken)
			table_cell(t, TONE_BAD, is_broken(row) ? "broken" : "");
	}
	str_release(&text);
}

void list_page_table(const struct list_page *page, struct str *out)
{
	struct table *t;
	struct grid grid;

	if (!page->columns->n && !page->runs && !page->changed_only) {
		usual_table(page, out);
		return;
	}
	t = table_new();
	grid_init(&grid, page, true);
	grid_table(&grid, page, t);
	table_print(t, "", out);
	grid_release(&grid, page);
	table_free(t);
}

void list_page_sheet(const struct list_page *page, enum sheet_format format, struct str *out)
{
	const struct listing *listing = page->listing;
	struct sheet *sheet = sheet_new();
	struct str text = STR_INIT;
	struct grid grid;
	size_t n;

	grid_init(&grid, page, false);
	n = grid.columns.n;
	for (size_t i = 0; i < n; i++)
		if (grid.is_shown[i])
			sheet_column(sheet, grid.columns.v[i].title);
	if (grid.has_broken)
		sheet_column(sheet, "error");
	for (size_t i = 0; i < listing->n * n; i++) {
		const struct listing_row *row = &listing->rows[i / n];

		str_clear(&text);
		add_value(page, &grid.columns.v[i % n], &grid.values[i], false, &text);
		if (grid.is_shown[i % n])
			sheet_cell(sheet, text.buf, grid.values[i].type == VALUE_NUMBER);
		if (i % n == n - 1 && grid.has_broken)
			sheet_cell(sheet, is_broken(row) ? row->history->err.msg : "", false);
	}
	sheet_print(sheet, format, out);
	str_release(&text);
	grid_release(&grid, page);
	sheet_free(sheet);
}

/* ---- JSON ---- */

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

static void add_columns(const struct list_page *page, const struct listing_row *row,
			struct jsonw *w)
{
	struct value value = VALUE_INIT;

	if (!page->columns->n)
		return;
	jsonw_key(w, "columns");
	jsonw_object(w);
	for (size_t i = 0; i < page->columns->n; i++) {
		column_read(&page->columns->v[i], &row->subject, &value);
		jsonw_key(w, page->columns->v[i].title);
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
	jsonw_pair_int(w, "not_recorded", (int64_t)count_outside(history));
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

static void add_row(const struct list_page *page, const struct listing_row *row, struct jsonw *w)
{
	jsonw_object(w);
	jsonw_pair_string(w, "ref", row->history->dir.ref);
	jsonw_pair_string(w, "path", row->history->path);
	if (is_broken(row))
		jsonw_pair_string(w, "error", row->history->err.msg);
	else if (page->runs)
		add_attempt(row, w);
	else
		add_model(row->history, w);
	if (!is_broken(row))
		add_columns(page, row, w);
	jsonw_end(w);
}

void list_page_json(const struct list_page *page, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.list/1");
	jsonw_key(&w, page->runs ? "runs" : "models");
	jsonw_array(&w);
	for (size_t i = 0; i < page->listing->n; i++)
		add_row(page, &page->listing->rows[i], &w);
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

void list_page_lines(const struct list_page *page, struct str *out)
{
	for (size_t i = 0; i < page->listing->n; i++) {
		struct jsonw w = jsonw_begin(out, 0);

		add_row(page, &page->listing->rows[i], &w);
		str_addch(out, '\n');
	}
}
