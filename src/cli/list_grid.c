#include "base/base.h"

#include "cli/list_grid.h"

#include "app/packed.h"
#include "base/mem.h"
#include "cli/list_metrics.h"
#include "cli/render.h"

#define TABLE_METRICS 3 /* that a table of attempts shows of itself */

struct grid {
	const struct list_spec *spec;
	struct column_list columns;
	bool is_ref_ours;   /* column 0 is there only because a broken record has nothing else */
	bool takes_metrics; /* the rows' metrics become columns */
	bool has_broken;
	bool *is_shown;	      /* of each column */
	struct value *values; /* of the row that is being looked at; borrowed */
};

/* A packed row: its tone, its cells, its metrics if they are taken. */

static bool is_table(const struct grid *grid)
{
	return grid->spec->format.kind == FORMAT_TABLE;
}

/* ---- columns ---- */

static bool has_column(const struct column_list *columns, const char *field)
{
	for (size_t i = 0; i < columns->n; i++)
		if (strcmp(columns->v[i].field, field) == 0)
			return true;
	return false;
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

static void add_usual(struct grid *grid)
{
	static const char *const of_model[] = { "ref",	       "stage",	    "dataset",
						"total_steps", "trainings", "final_checkpoint",
						"updated" };
	static const char *const of_run[] = { "ref",   "status",  "stage", "dataset",
					      "steps", "started", "run_id" };
	bool runs = grid->spec->runs;
	size_t n = runs ? ARRAY_SIZE(of_run) : ARRAY_SIZE(of_model);

	for (size_t i = 0; i < n; i++)
		column_list_add(&grid->columns, runs ? of_run[i] : of_model[i]);
	if (grid->spec->best)
		copy_column(&grid->columns, grid->spec->best);
	grid->takes_metrics = !grid->spec->best;
}

struct grid *grid_new(const struct list_spec *spec)
{
	struct grid *grid = xcalloc(1, sizeof(*grid));

	grid->spec = spec;
	grid->is_ref_ours = spec->columns->n && !has_column(spec->columns, "ref");
	if (grid->is_ref_ours)
		column_list_add(&grid->columns, "ref");
	for (size_t i = 0; i < spec->columns->n; i++)
		copy_column(&grid->columns, &spec->columns->v[i]);
	if (!spec->columns->n)
		add_usual(grid);
	return grid;
}

void grid_free(struct grid *grid)
{
	column_list_release(&grid->columns);
	free(grid->is_shown);
	free(grid->values);
	free(grid);
}

/* ---- rows ---- */

/* What the state of a training is worth a colour. */
static enum tone tone_of_status(const struct run *run)
{
	if (!run)
		return TONE_PLAIN;
	if (!run_has_ended(run))
		return TONE_RUNNING;
	return run_is_outside(run) ? TONE_BAD : TONE_PLAIN;
}

void grid_pack(const struct grid *grid, const struct listing_row *row, struct str *out)
{
	struct value value = VALUE_INIT;

	str_addch(out, (char)tone_of_status(row->run));
	for (size_t i = 0; i < grid->columns.n; i++) {
		column_read(&grid->columns.v[i], &row->subject, &value);
		packed_add(out, &value);
	}
	value_release(&value);
	if (grid->takes_metrics)
		list_metrics_pack(row, out);
}

/* The first 'n' cells into grid->values; what comes after them. */
static const char *read_cells(struct grid *grid, const struct ranked *row, size_t n,
			      enum tone *status)
{
	const char *error;
	const char *at = packed_read_text(ranked_payload(row), &error);

	*status = (enum tone) * at++;
	for (size_t i = 0; i < n; i++)
		at = packed_read(at, &grid->values[i]);
	return at;
}

static void look_at(struct grid *grid, const struct ranked *row, enum tone *status)
{
	read_cells(grid, row, grid->columns.n, status);
}

/* ---- once all rows are there ---- */

/* In the place of its metrics a row gets those that are columns. */
static void settle_metrics(struct grid *grid, struct ranking *rows)
{
	const size_t n = grid->columns.n;
	struct list_metrics metrics = LIST_METRICS_INIT;
	struct str payload = STR_INIT;
	enum tone status;

	metrics.limit = is_table(grid) ? TABLE_METRICS : SIZE_MAX;
	for (size_t i = 0; i < rows->n && metrics.names.n < metrics.limit; i++)
		list_metrics_look(&metrics, read_cells(grid, rows->rows[i], n, &status));
	for (size_t i = 0; i < rows->n; i++) {
		const char *start = ranked_payload(rows->rows[i]);
		const char *at = read_cells(grid, rows->rows[i], n, &status);

		str_clear(&payload);
		str_add(&payload, start, (size_t)(at - start));
		list_metrics_repack(&metrics, at, &payload);
		ranked_replace(&rows->rows[i], &payload);
	}
	list_metrics_add_columns(&metrics, &grid->columns);
	list_metrics_release(&metrics);
	str_release(&payload);
}

/* Leave out what is the same in each row, but not the REF. */
static void hide_same(struct grid *grid, const struct ranking *rows)
{
	const size_t n = grid->columns.n;
	struct value *first = xcalloc(n, sizeof(*first));
	enum tone status;

	look_at(grid, rows->rows[0], &status);
	memcpy(first, grid->values, n * sizeof(*first));
	for (size_t i = 0; i < n; i++)
		grid->is_shown[i] = strcmp(grid->columns.v[i].field, "ref") == 0;
	for (size_t row = 1; row < rows->n; row++) {
		look_at(grid, rows->rows[row], &status);
		for (size_t i = 0; i < n; i++)
			if (!grid->is_shown[i] && value_compare(&first[i], &grid->values[i]) != 0)
				grid->is_shown[i] = true;
	}
	free(first);
}

static void settle(struct grid *grid, struct ranking *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		grid->has_broken |= rows->rows[i]->is_broken;
	grid->values = xcalloc(grid->columns.n, sizeof(*grid->values));
	if (grid->takes_metrics)
		settle_metrics(grid, rows);
	grid->values = xreallocarray(grid->values, grid->columns.n, sizeof(*grid->values));
	grid->is_shown = xcalloc(grid->columns.n, sizeof(*grid->is_shown));
	for (size_t i = 0; i < grid->columns.n; i++)
		grid->is_shown[i] = true;
	if (grid->spec->changed_only && rows->n > 1)
		hide_same(grid, rows);
	if (grid->is_ref_ours && !grid->has_broken)
		grid->is_shown[0] = false;
}

/* ---- cells ---- */

static bool is_count(const struct column_spec *column)
{
	static const char *const names[] = { "steps", "total_steps", "trainings" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(column->field, names[i]) == 0)
			return true;
	return column->is_step || has_prefix(column->field, "datasets.");
}

static void add_number(const struct grid *grid, const struct column_spec *column,
		       const struct value *value, struct str *out)
{
	if (is_table(grid) && strcmp(column->field, "duration") == 0)
		add_duration(out, value->number);
	else if (!value->is_integer && grid->spec->precision >= 0)
		add_precise(out, value->number, grid->spec->precision);
	else if (is_table(grid) && value->is_integer && is_count(column))
		add_count(out, value->integer);
	else if (is_table(grid) && !value->is_integer && !has_prefix(column->field, "params."))
		add_metric(out, value->number);
	else
		str_adds(out, value->text);
}

static void add_cell(const struct grid *grid, size_t i, struct str *out)
{
	const struct column_spec *column = &grid->columns.v[i];
	const struct value *value = &grid->values[i];
	bool is_text = is_table(grid) && value->type == VALUE_TEXT;

	if (value->type == VALUE_NUMBER)
		add_number(grid, column, value, out);
	else if (is_text && strcmp(column->field, "updated") == 0)
		add_age(out, value->text);
	else if (is_text &&
		 (strcmp(column->field, "started") == 0 || strcmp(column->field, "ended") == 0))
		add_when(out, value->text);
	else
		value_add_text(value, out);
}

/* ---- as a table ---- */

/* Of each column: numbers alone, and at least one. */
static bool *find_numeric(struct grid *grid, const struct ranking *rows)
{
	const size_t n = grid->columns.n;
	bool *has_number = xcalloc(n, sizeof(bool));
	bool *has_other = xcalloc(n, sizeof(bool));
	enum tone status;

	for (size_t row = 0; row < rows->n; row++) {
		look_at(grid, rows->rows[row], &status);
		for (size_t i = 0; i < n; i++) {
			has_number[i] |= grid->values[i].type == VALUE_NUMBER;
			has_other[i] |= grid->values[i].type != VALUE_NUMBER &&
					grid->values[i].type != VALUE_UNDEFINED;
		}
	}
	for (size_t i = 0; i < n; i++)
		has_number[i] &= !has_other[i];
	free(has_other);
	return has_number;
}

static void add_table_columns(struct grid *grid, const struct ranking *rows, struct table *t)
{
	bool *is_numeric = find_numeric(grid, rows);

	for (size_t i = 0; i < grid->columns.n; i++) {
		if (!grid->is_shown[i])
			continue;
		table_column(t, grid->columns.v[i].title, is_numeric[i] ? ALIGN_RIGHT : ALIGN_LEFT);
		if (!grid->spec->columns->n && i > 1) /* what was asked for stays, if need be cut */
			table_spare(t, (int)i);
	}
	if (grid->has_broken)
		table_column(t, "", ALIGN_LEFT);
	free(is_numeric);
}

static enum tone tone_of(const struct grid *grid, size_t i, enum tone status)
{
	bool is_status = strcmp(grid->columns.v[i].field, "status") == 0;

	return is_status && grid->values[i].type == VALUE_TEXT ? status : TONE_PLAIN;
}

static void fill_row(struct grid *grid, const struct ranked *row, struct table *t)
{
	struct str text = STR_INIT;
	enum tone status;

	look_at(grid, row, &status);
	table_row(t);
	for (size_t i = 0; i < grid->columns.n; i++) {
		if (!grid->is_shown[i])
			continue;
		str_clear(&text);
		add_cell(grid, i, &text);
		table_cell(t, row->is_broken ? TONE_BAD : tone_of(grid, i, status),
			   text.len ? text.buf : "-");
	}
	if (grid->has_broken)
		table_cell(t, TONE_BAD, row->is_broken ? "broken" : "");
	str_release(&text);
}

void grid_table(struct grid *grid, struct ranking *rows, struct paged *paged)
{
	struct table *t = table_new();

	settle(grid, rows);
	add_table_columns(grid, rows, t);
	for (size_t i = 0; i < rows->n; i++) {
		fill_row(grid, rows->rows[i], t);
		table_measure(t);
	}
	table_print_head(t, "", &paged->out);
	for (size_t i = 0; i < rows->n; i++) {
		fill_row(grid, rows->rows[i], t);
		table_print_row(t, "", &paged->out);
		paged_line(paged);
	}
	table_free(t);
}

/* ---- as a sheet ---- */

static void add_sheet_row(struct grid *grid, const struct ranked *row, struct sheet *sheet,
			  struct str *out)
{
	struct str text = STR_INIT;
	const char *error;
	enum tone status;

	look_at(grid, row, &status);
	for (size_t i = 0; i < grid->columns.n; i++) {
		if (!grid->is_shown[i])
			continue;
		str_clear(&text);
		add_cell(grid, i, &text);
		sheet_cell(sheet, text.buf, grid->values[i].type == VALUE_NUMBER, out);
	}
	packed_read_text(ranked_payload(row), &error);
	if (grid->has_broken)
		sheet_cell(sheet, error ? error : "", false, out);
	str_release(&text);
}

void grid_sheet(struct grid *grid, struct ranking *rows, struct paged *paged)
{
	struct sheet *sheet = sheet_new(grid->spec->format.sheet);

	settle(grid, rows);
	for (size_t i = 0; i < grid->columns.n; i++)
		if (grid->is_shown[i])
			sheet_column(sheet, grid->columns.v[i].title);
	if (grid->has_broken)
		sheet_column(sheet, "error");
	for (size_t i = 0; i < rows->n && sheet_looks_first(sheet); i++)
		add_sheet_row(grid, rows->rows[i], sheet, NULL);
	sheet_begin(sheet, &paged->out);
	for (size_t i = 0; i < rows->n; i++) {
		add_sheet_row(grid, rows->rows[i], sheet, &paged->out);
		paged_line(paged);
	}
	sheet_end(sheet, &paged->out);
	sheet_free(sheet);
}
