#include "base/base.h"

#include "cli/compare_page.h"

#include "base/mem.h"
#include "base/width.h"
#include "cli/compare_diff_page.h"
#include "cli/render.h"

#include <math.h>

#define COMMIT_DIGITS 12 /* as git itself shortens them in a large repository */
#define SHORTEST_VALUE 8 /* columns of a value that are left where it is cut */

/* One line of the page: what each side has. */
struct line {
	char *label;
	bool differs;
	char **values;
	char **deltas;
	enum tone *tones; /* of the deltas */
};

struct lines {
	const struct comparison *cmp;
	struct line *v;
	size_t n;
	size_t cap;
};

static struct line *line_new(struct lines *lines, const char *label)
{
	struct line *line;

	if (lines->n == lines->cap) {
		lines->cap = lines->cap ? lines->cap * 2 : 64;
		lines->v = xreallocarray(lines->v, lines->cap, sizeof(*lines->v));
	}
	line = &lines->v[lines->n++];
	*line = (struct line){
		.label = xstrdup(label),
		.values = xcalloc(lines->cmp->n, sizeof(*line->values)),
		.deltas = xcalloc(lines->cmp->n, sizeof(*line->deltas)),
		.tones = xcalloc(lines->cmp->n, sizeof(*line->tones)),
	};
	return line;
}

static void lines_release(struct lines *lines)
{
	for (size_t i = 0; i < lines->n; i++) {
		for (size_t k = 0; k < lines->cmp->n; k++) {
			free(lines->v[i].values[k]);
			free(lines->v[i].deltas[k]);
		}
		free(lines->v[i].label);
		free(lines->v[i].values);
		free(lines->v[i].deltas);
		free(lines->v[i].tones);
	}
	free(lines->v);
}

/* ---- values ---- */

/* A number has the digits that the record has; what has parts stands on one line. */
static char *value_text(const struct compare_row *row, const struct compare_cell *cell)
{
	struct str strict = STR_INIT;
	struct str out = STR_INIT;
	struct jsonw w;
	char *text;

	if (cell->token == JSON_NONE)
		return xstrdup("-");
	if (cell->is_number && json_is(cell->doc, cell->token, JSON_NULL))
		return xstrdup(isnan(cell->number) ? "nan" : cell->number > 0 ? "inf" : "-inf");
	if (json_is(cell->doc, cell->token, JSON_STRING)) {
		text = json_string_copy(cell->doc, cell->token);
		if (strcmp(row->path, "git.commit") == 0 && strlen(text) > COMMIT_DIGITS)
			text[COMMIT_DIGITS] = '\0';
		return text;
	}
	if (json_type(cell->doc, cell->token) < JSON_ARRAY)
		return json_raw_copy(cell->doc, cell->token);
	strict_json(cell->doc, cell->token, &strict);
	w = jsonw_begin(&out, 0);
	w.blanks = true;
	jsonw_raw(&w, strict.buf, strict.len);
	str_release(&strict);
	return str_detach(&out);
}

/* Three digits that count, and all before the point. */
static void add_signed(struct str *out, double value)
{
	double size = fabs(value);

	if (size < 1e-4 || size >= 1e15)
		str_addf(out, "%+.3g", value);
	else if (size < 1)
		str_addf(out, "%+.*g", 3, value);
	else if (value == floor(value))
		str_addf(out, "%+.0f", value);
	else
		str_addf(out, "%+.*f", size < 10 ? 2 : size < 100 ? 1 : 0, value);
}

/* "+0.021  +2.47%  better" */
static char *delta_text(const struct compare_cell *cell)
{
	static const char *const words[] = { "", "same", "better", "worse" };
	struct str out = STR_INIT;

	if (cell->has_delta && cell->delta != 0)
		add_signed(&out, cell->delta);
	if (out.len && isfinite(cell->percent)) {
		str_adds(&out, "  ");
		add_signed(&out, cell->percent);
		str_addch(&out, '%');
	}
	if (out.len && cell->verdict)
		str_adds(&out, "  ");
	str_adds(&out, words[cell->verdict]);
	return str_detach(&out);
}

static void add_row(struct lines *lines, const struct compare_row *row)
{
	static const enum tone tones[] = { TONE_PLAIN, TONE_DIM, TONE_GOOD, TONE_BAD };
	size_t prefix = has_prefix(row->path, "metrics.") ? strlen("metrics.") : 0;
	struct line *line = line_new(lines, row->path + prefix);

	line->differs = row->differs;
	for (size_t i = 0; i < lines->cmp->n; i++) {
		const struct compare_cell *cell = &row->cells[i];

		line->values[i] = value_text(row, cell);
		line->deltas[i] = strcmp(row->path, "git.commit") == 0 ? diff_summary(lines->cmp, i)
								       : delta_text(cell);
		line->tones[i] = tones[cell->verdict];
	}
}

/* ---- cost ---- */

static void add_cost_steps(struct str *out, const struct cost *cost)
{
	if (cost->n_gone)
		str_adds(out, "at least ");
	add_count(out, cost->steps);
}

static void add_cost_time(struct str *out, const struct cost *cost)
{
	if (cost->n_untimed == cost->n_entries) {
		str_addch(out, '-');
		return;
	}
	if (cost->n_untimed || cost->n_gone)
		str_adds(out, "at least ");
	add_duration(out, cost->seconds);
}

static void add_cost_gpu(struct str *out, const struct cost *cost)
{
	double hours = cost->gpu_seconds / 3600;

	if (cost->n_gpu_untold == cost->n_entries) {
		str_addch(out, '-');
		return;
	}
	if (cost->n_gpu_untold || cost->n_gone)
		str_adds(out, "at least ");
	str_addf(out, hours >= 100 ? "%.0f" : hours >= 1 ? "%.1f" : "%.2g", hours);
}

static void add_cost(struct lines *lines, const char *label, bool with_ancestors,
		     void (*add)(struct str *, const struct cost *))
{
	struct line *line = line_new(lines, label);

	for (size_t i = 0; i < lines->cmp->n; i++) {
		const struct compare_side *side = &lines->cmp->sides[i];
		struct str text = STR_INIT;

		add(&text, with_ancestors ? &side->total : &side->own);
		line->values[i] = str_detach(&text);
		line->deltas[i] = xstrdup("");
		line->differs = line->differs || strcmp(line->values[i], line->values[0]) != 0;
	}
}

static void add_costs(struct lines *lines)
{
	add_cost(lines, "steps", false, add_cost_steps);
	add_cost(lines, "steps with ancestors", true, add_cost_steps);
	add_cost(lines, "time", false, add_cost_time);
	add_cost(lines, "time with ancestors", true, add_cost_time);
	add_cost(lines, "GPU hours", false, add_cost_gpu);
	add_cost(lines, "GPU hours with ancestors", true, add_cost_gpu);
}

/* ---- the page ---- */

static void add_lines(struct lines *lines)
{
	const struct comparison *cmp = lines->cmp;
	size_t i = 0;

	for (; i < cmp->n_rows && cmp->rows[i].group <= COMPARE_HYPERPARAMS; i++)
		add_row(lines, &cmp->rows[i]);
	add_costs(lines);
	for (; i < cmp->n_rows; i++)
		add_row(lines, &cmp->rows[i]);
}

static void add_heads(const struct comparison *cmp, struct str *out)
{
	for (size_t i = 0; i < cmp->n; i++) {
		struct str ref = STR_INIT;

		add_safe(&ref, cmp->sides[i].ref);
		add_tone(out, TONE_BOLD, ref.buf);
		str_adds(out, i == cmp->baseline ? "  baseline\n  " : "\n  ");
		add_strategy(out, cmp->sides[i].strategy);
		str_addch(out, '\n');
		str_release(&ref);
	}
}

static struct table *make_table(const struct lines *lines, bool all)
{
	const struct comparison *cmp = lines->cmp;
	struct table *t = table_new();

	table_column(t, "", ALIGN_LEFT);
	for (size_t i = 0; i < cmp->n; i++) {
		table_column(t, cmp->sides[i].ref, ALIGN_LEFT);
		table_column(t, "", ALIGN_LEFT);
	}
	for (size_t i = 0; i < lines->n; i++) {
		const struct line *line = &lines->v[i];

		if (!line->differs && !all)
			continue;
		table_row(t);
		table_cell(t, TONE_PLAIN, line->label);
		for (size_t k = 0; k < cmp->n; k++) {
			table_cell(t, TONE_PLAIN, line->values[k]);
			table_cell(t, line->tones[k], line->deltas[k]);
		}
	}
	return t;
}

static int label_width(const struct lines *lines, bool all)
{
	int widest = 0;

	for (size_t i = 0; i < lines->n; i++) {
		struct str safe = STR_INIT;

		add_safe(&safe, lines->v[i].label);
		if ((all || lines->v[i].differs) && display_width(safe.buf) > widest)
			widest = display_width(safe.buf);
		str_release(&safe);
	}
	return widest;
}

/* "  f1        0.871  +0.021  +2.47%  better": only the value, then the label, gives way. */
static void add_block_line(const struct line *line, size_t side, int label_columns, struct str *out)
{
	struct str label = STR_INIT;
	struct str value = STR_INIT;
	const char *delta = line->deltas[side];
	int room = render_width() - label_columns - 4;
	char *text;

	if (*delta)
		room -= display_width(delta) + 2;
	add_safe(&label, line->label);
	add_safe(&value, line->values[side]);
	text = display_cut(label.buf, label_columns);
	str_addf(out, "  %s%*s  ", text, label_columns - display_width(text), "");
	free(text);
	text = display_cut(value.buf, room > SHORTEST_VALUE ? room : SHORTEST_VALUE);
	str_adds(out, text);
	free(text);
	if (*delta) {
		str_adds(out, "  ");
		add_tone(out, line->tones[side], delta);
	}
	str_addch(out, '\n');
	str_release(&label);
	str_release(&value);
}

static void add_blocks(const struct lines *lines, bool all, struct str *out)
{
	const struct comparison *cmp = lines->cmp;
	int width = label_width(lines, all);

	if (width > render_width() / 2)
		width = render_width() / 2;
	for (size_t i = 0; i < cmp->n; i++) {
		struct str ref = STR_INIT;

		add_safe(&ref, cmp->sides[i].ref);
		str_addch(out, '\n');
		add_tone(out, TONE_BOLD, ref.buf);
		str_addch(out, '\n');
		for (size_t k = 0; k < lines->n; k++)
			if ((all || lines->v[k].differs) && strcmp(lines->v[k].values[i], "-") != 0)
				add_block_line(&lines->v[k], i, width, out);
		str_release(&ref);
	}
}

static void add_hidden(const struct lines *lines, bool all, struct str *out)
{
	size_t hidden = 0;

	for (size_t i = 0; i < lines->n && !all; i++)
		hidden += !lines->v[i].differs;
	if (hidden)
		str_addf(out, "(%zu equal row%s hidden; --all shows %s)\n", hidden,
			 hidden == 1 ? "" : "s", hidden == 1 ? "it" : "them");
}

void compare_as_page(const struct comparison *cmp, bool all, struct str *out)
{
	struct lines lines = { .cmp = cmp };
	struct table *t;

	add_lines(&lines);
	add_heads(cmp, out);
	t = make_table(&lines, all);
	if (table_fits(t, "")) {
		str_addch(out, '\n');
		table_print(t, "", out);
	} else {
		add_blocks(&lines, all, out);
	}
	add_hidden(&lines, all, out);
	if (all)
		diffs_as_page(cmp, out);
	table_free(t);
	lines_release(&lines);
}

/* ---- JSON ---- */

static void pair_real(struct jsonw *w, const char *key, double value, bool is_known)
{
	jsonw_key(w, key);
	if (is_known)
		jsonw_real(w, value);
	else
		jsonw_null(w);
}

static void cost_as_json(struct jsonw *w, const char *key, const struct cost *cost)
{
	jsonw_key(w, key);
	jsonw_object(w);
	jsonw_pair_int(w, "entries", (int64_t)cost->n_entries);
	jsonw_pair_int(w, "steps", cost->steps);
	pair_real(w, "seconds", cost->seconds, cost->n_untimed < cost->n_entries);
	jsonw_pair_int(w, "without_time", (int64_t)cost->n_untimed);
	pair_real(w, "gpu_seconds", cost->gpu_seconds, cost->n_gpu_untold < cost->n_entries);
	jsonw_pair_int(w, "without_gpus", (int64_t)cost->n_gpu_untold);
	jsonw_pair_int(w, "ancestors_gone", (int64_t)cost->n_gone);
	jsonw_end(w);
}

static void side_as_json(struct jsonw *w, const struct compare_side *side)
{
	jsonw_object(w);
	jsonw_pair_string(w, "ref", side->ref);
	jsonw_pair_string(w, "path", side->history.path);
	jsonw_key(w, "entry");
	if (side->number)
		jsonw_int(w, (int64_t)side->number);
	else
		jsonw_null(w);
	jsonw_pair_string(w, "strategy", side->strategy);
	cost_as_json(w, "own", &side->own);
	cost_as_json(w, "with_ancestors", &side->total);
	jsonw_end(w);
}

static void cell_as_json(struct jsonw *w, const struct compare_cell *cell)
{
	static const char *const words[] = { NULL, "same", "better", "worse" };
	struct str strict = STR_INIT;

	jsonw_object(w);
	if (cell->token != JSON_NONE) {
		strict_json(cell->doc, cell->token, &strict);
		jsonw_key(w, "value");
		jsonw_raw(w, strict.buf, strict.len);
		str_release(&strict);
	}
	if (cell->is_number && !isfinite(cell->number))
		jsonw_pair_string(w, "nonfinite",
				  isnan(cell->number) ? "nan"
				  : cell->number > 0  ? "inf"
						      : "-inf");
	if (cell->has_delta) {
		pair_real(w, "delta", cell->delta, true);
		pair_real(w, "percent", cell->percent, isfinite(cell->percent));
	}
	if (cell->verdict)
		jsonw_pair_string(w, "verdict", words[cell->verdict]);
	jsonw_end(w);
}

static void row_as_json(struct jsonw *w, const struct comparison *cmp,
			const struct compare_row *row)
{
	jsonw_object(w);
	jsonw_pair_string(w, "path", row->path);
	jsonw_key(w, "differs");
	jsonw_bool(w, row->differs);
	if (row->goal) {
		jsonw_pair_string(w, "goal", row->goal == '+' ? "max" : "min");
		jsonw_pair_string(w, "goal_from", row->is_goal_declared ? "plugin" : "name");
	}
	jsonw_key(w, "values");
	jsonw_array(w);
	for (size_t i = 0; i < cmp->n; i++)
		cell_as_json(w, &row->cells[i]);
	jsonw_end(w);
	jsonw_end(w);
}

void compare_as_json(const struct comparison *cmp, bool all, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);
	int64_t hidden = 0;

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.compare/1");
	jsonw_pair_string(&w, "baseline", cmp->sides[cmp->baseline].ref);
	jsonw_key(&w, "models");
	jsonw_array(&w);
	for (size_t i = 0; i < cmp->n; i++)
		side_as_json(&w, &cmp->sides[i]);
	jsonw_end(&w);
	jsonw_key(&w, "rows");
	jsonw_array(&w);
	for (size_t i = 0; i < cmp->n_rows; i++)
		if (all || cmp->rows[i].differs)
			row_as_json(&w, cmp, &cmp->rows[i]);
		else
			hidden++;
	jsonw_end(&w);
	jsonw_pair_int(&w, "equal_rows_hidden", hidden);
	jsonw_key(&w, "git_diffs");
	diffs_as_json(cmp, &w);
	jsonw_pair_int(&w, "regressions", (int64_t)cmp->n_worse);
	jsonw_end(&w);
	str_addch(out, '\n');
}
