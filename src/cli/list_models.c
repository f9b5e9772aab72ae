#include "base/base.h"

#include "cli/list_models.h"

#include "app/packed.h"
#include "cli/render.h"

#include <math.h>

static void add_table_number(int precision, double value, struct str *out)
{
	bool is_whole = isfinite(value) && value == floor(value);

	if (precision >= 0 && !is_whole)
		add_precise(out, value, precision);
	else
		add_metric(out, value);
}

static void add_best(const struct list_spec *spec, const struct subject *subject, struct str *out)
{
	struct value best = VALUE_INIT;
	double value;

	column_read(spec->best, subject, &best);
	if (value_number(&best, &value)) {
		str_addf(out, "%s ", spec->best->title);
		add_table_number(spec->precision, value, out);
	}
	value_release(&best);
}

/* The metric that was asked for, else the first finite number, as "f1 0.850". */
static void add_telling_metric(const struct list_spec *spec, const struct subject *subject,
			       struct str *out)
{
	const struct json *doc = subject->doc;
	size_t metrics = subject->entry == JSON_NONE ? JSON_NONE
						     : json_member(doc, subject->entry, "metrics");
	double value;

	if (spec->best) {
		add_best(spec, subject, out);
		return;
	}
	for (size_t i = json_first(doc, metrics); i != JSON_NONE; i = json_next(doc, metrics, i)) {
		struct str name = STR_INIT;

		if (!json_is_number(doc, i + 1) || json_real(doc, i + 1, &value) < 0)
			continue;
		json_string(doc, i, &name);
		str_addf(out, "%s ", name.buf);
		add_table_number(spec->precision, value, out);
		str_release(&name);
		return;
	}
}

/* ---- cells ---- */

#define N_CELLS 9

static void pack_string(const struct info *info, const char *key, struct str *out)
{
	char *text = info_string(info, key);

	packed_add_text(out, text ? text : "-");
	free(text);
}

static void pack_count(int64_t count, struct str *out)
{
	struct str text = STR_INIT;

	add_count(&text, count);
	packed_add_text(out, text.buf);
	str_release(&text);
}

static void pack_broken(const struct listing_row *row, struct str *out)
{
	packed_add_text(out, row->history->dir.ref);
	packed_add_text(out, "broken");
	for (size_t i = 2; i < N_CELLS; i++)
		packed_add_text(out, "");
}

static void pack_updated(const struct info *info, struct str *out)
{
	char *updated = info_string(info, "last_updated");
	struct str text = STR_INIT;

	if (updated)
		add_age(&text, updated);
	packed_add_text(out, text.buf);
	str_release(&text);
	free(updated);
}

void list_models_pack(const struct list_spec *spec, const struct listing_row *row, struct str *out)
{
	const struct info *info = &row->history->info;
	size_t outside = history_outside(row->history);
	struct str text = STR_INIT;

	if (row->is_broken) {
		pack_broken(row, out);
		return;
	}
	packed_add_text(out, row->history->dir.ref);
	pack_string(info, "stage", out);
	pack_string(info, "last_dataset", out);
	pack_count(info_total_steps(info), out);
	pack_count((int64_t)info_entry_count(info), out);
	add_telling_metric(spec, &row->subject, &text);
	packed_add_text(out, text.buf);
	pack_string(info, "final_checkpoint", out);
	pack_updated(info, out);
	str_clear(&text);
	if (outside)
		str_addf(&text, "%zu not recorded", outside);
	packed_add_text(out, text.buf);
	str_release(&text);
}

/* ---- the page ---- */

static enum tone tone_of(const struct ranked *row, size_t cell)
{
	bool is_bad = row->is_broken ? cell < 2 : cell == N_CELLS - 1;

	return is_bad ? TONE_BAD : TONE_PLAIN;
}

static void fill_row(const struct ranked *row, struct table *t)
{
	const char *text;
	const char *at = packed_read_text(ranked_payload(row), &text); /* why it is broken */

	table_row(t);
	for (size_t i = 0; i < N_CELLS; i++) {
		at = packed_read_text(at, &text);
		table_cell(t, tone_of(row, i), text);
	}
}

void list_models_print(const struct ranking *rows, struct paged *paged)
{
	static const char *const titles[N_CELLS] = { "model",	   "stage",	"last on",
						     "steps",	   "trainings", "metric",
						     "checkpoint", "updated",	"" };
	static const int spare[N_CELLS] = { 0, 2, 0, 0, 3, 0, 4, 1, 0 };
	struct table *t = table_new();

	for (size_t i = 0; i < N_CELLS; i++) {
		table_column(t, titles[i], i == 3 || i == 4 ? ALIGN_RIGHT : ALIGN_LEFT);
		table_spare(t, spare[i]);
	}
	for (size_t i = 0; i < rows->n; i++) {
		fill_row(rows->rows[i], t);
		table_measure(t);
	}
	table_print_head(t, "", &paged->out);
	for (size_t i = 0; i < rows->n; i++) {
		fill_row(rows->rows[i], t);
		table_print_row(t, "", &paged->out);
		paged_line(paged);
	}
	table_free(t);
}
