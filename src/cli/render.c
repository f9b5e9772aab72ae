#include "base/base.h"

#include "cli/render.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/width.h"
#include "sys/json.h"

#include <errno.h>
#include <math.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool has_color;
static bool is_iso_wanted;
static int output_errno;

void render_set_color(const char *when)
{
	const char *term = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");
	const char *force = getenv("FORCE_COLOR");

	if (strcmp(when, "always") == 0 || (force && *force && strcmp(force, "0") != 0))
		has_color = true;
	else if (strcmp(when, "never") == 0 || (no_color && *no_color))
		has_color = false;
	else
		has_color = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

void render_set_time(const char *how)
{
	is_iso_wanted = strcmp(how, "iso") == 0;
}

void add_safe(struct str *out, const char *text)
{
	add_harmless(out, text, strlen(text));
}

void add_tone(struct str *out, enum tone tone, const char *text)
{
	static const char *const codes[] = { "", "2", "1", "32", "31", "33" };

	if (has_color && tone != TONE_PLAIN && *text)
		str_addf(out, "\033[%sm%s\033[0m", codes[tone], text);
	else
		str_adds(out, text);
}

int render_width(void)
{
	struct winsize size;
	const char *columns = getenv("COLUMNS");

	if (!isatty(STDOUT_FILENO))
		return 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return columns ? (int)strtol(columns, NULL, 10) : 80;
}

void add_shell_word(struct str *out, const char *word)
{
	bool plain =
		*word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					    "0123456789_./:=@%+,-")];

	if (plain) {
		str_adds(out, word);
		return;
	}
	str_addch(out, '\'');
	for (; *word; word++)
		if (*word == '\'')
			str_adds(out, "'\\''");
		else
			str_addch(out, *word);
	str_addch(out, '\'');
}

void add_count(struct str *out, int64_t value)
{
	char digits[32];
	size_t len;

	snprintf(digits, sizeof(digits), "%lld", (long long)value);
	len = strlen(digits);
	for (size_t i = 0; i < len; i++) {
		str_addch(out, digits[i]);
		if ((len - i - 1) % 3 == 0 && i + 1 < len && digits[i] != '-')
			str_addch(out, ',');
	}
}

void add_duration(struct str *out, double seconds)
{
	int64_t whole = (int64_t)(seconds + 0.5);

	if (seconds < 0)
		str_adds(out, "?");
	else if (seconds < 10)
		str_addf(out, "%.1fs", seconds);
	else if (whole < 60)
		str_addf(out, "%ds", (int)whole);
	else if (whole < 3600)
		str_addf(out, "%dm%02ds", (int)(whole / 60), (int)(whole % 60));
	else if (whole < 48 * 3600)
		str_addf(out, "%dh%02dm", (int)(whole / 3600), (int)(whole / 60 % 60));
	else
		str_addf(out, "%dd%02dh", (int)(whole / 86400), (int)(whole / 3600 % 24));
}

void add_age(struct str *out, const char *iso)
{
	static const struct {
		double limit;
		double unit;
		const char *name;
	} steps[] = {
		{ 90, 1, "second" },
		{ 90 * 60, 60, "minute" },
		{ 36 * 3600, 3600, "hour" },
		{ 30 * 86400.0, 86400, "day" },
	};
	double when;
	double age;

	if (is_iso_wanted || clock_parse(iso, &when, NULL) < 0) {
		add_safe(out, iso);
		return;
	}
	age = (double)clock_now() - when;
	if (age < 5) {
		str_adds(out, age < -60 ? "in the future" : "just now");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		long count = (long)(age / steps[i].unit + 0.5);

		if (age >= steps[i].limit)
			continue;
		str_addf(out, "%ld %s%s ago", count, steps[i].name, count == 1 ? "" : "s");
		return;
	}
	str_addf(out, "%.10s", iso);
}

void add_when(struct str *out, const char *iso)
{
	double ignored;

	if (is_iso_wanted || strlen(iso) < 16 || clock_parse(iso, &ignored, NULL) < 0)
		add_safe(out, iso);
	else
		str_addf(out, "%.10s %.5s", iso, iso + 11);
}

void add_metric(struct str *out, double value)
{
	double size = fabs(value);

	if (!isfinite(value))
		str_adds(out, isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
	else if (value == floor(value) && size < 1e15)
		add_count(out, (int64_t)value);
	else if (size < 0.001 || size >= 1e6)
		str_addf(out, "%.3g", value);
	else if (size < 10)
		str_addf(out, "%.3f", value);
	else
		str_addf(out, "%.2f", value);
}

void add_precise(struct str *out, double value, int precision)
{
	bool is_small = value < 0 || value > 0;

	if (!isfinite(value)) {
		add_metric(out, value);
		return;
	}
	is_small = is_small && fabs(value) < 0.5 * pow(10, -precision);
	str_addf(out, is_small ? "%.*e" : "%.*f", precision, value);
}

#define STRATEGY_ENDS 4 /* of a long one, so many steps at either end are shown */

void add_strategy(struct str *out, const char *strategy)
{
	struct strv parts = STRV_INIT;

	for (const char *at = strategy, *end; at; at = end ? end + 3 : NULL) {
		char *part;

		end = strstr(at, " > ");
		part = end ? xstrndup(at, (size_t)(end - at)) : xstrdup(at);
		strv_push(&parts, part);
		free(part);
	}
	for (size_t i = 0; i < parts.n; i++) {
		if (i)
			str_adds(out, " > ");
		if (i == STRATEGY_ENDS && parts.n > 3 * STRATEGY_ENDS) {
			str_adds(out, "... ");
			add_count(out, (int64_t)(parts.n - 2 * STRATEGY_ENDS));
			str_adds(out, " more ... > ");
			i = parts.n - STRATEGY_ENDS;
		}
		add_safe(out, parts.v[i]);
	}
	strv_release(&parts);
}

#define NARROWEST 8 /* columns that a text keeps when it is cut */

struct cell {
	char *text;
	enum tone tone;
};

struct column {
	char *title;
	enum align align;
	int width;
	int spare; /* > 0: may be left out, the highest first */
	bool is_used;
};

struct table {
	struct column *columns;
	size_t n_columns;
	struct cell *cells; /* row by row */
	size_t n_cells;
	size_t cap_cells;
	size_t n_rows;
	bool is_used;	/* it has, or had, a row */
	bool is_fitted; /* no column changes any more */
};

struct table *table_new(void)
{
	return xcalloc(1, sizeof(struct table));
}

void table_column(struct table *t, const char *title, enum align align)
{
	struct column *column;
	struct str safe = STR_INIT;

	add_safe(&safe, title);
	t->columns = xreallocarray(t->columns, t->n_columns + 1, sizeof(*t->columns));
	column = &t->columns[t->n_columns++];
	column->title = str_detach(&safe);
	column->align = align;
	column->width = display_width(column->title);
	column->spare = 0;
	column->is_used = false;
}

void table_spare(struct table *t, int rank)
{
	t->columns[t->n_columns - 1].spare = rank;
}

/* The rest of the row. */
static void end_row(struct table *t)
{
	while (t->n_cells < t->n_rows * t->n_columns)
		table_cell(t, TONE_PLAIN, "");
}

void table_row(struct table *t)
{
	end_row(t);
	t->n_rows++;
	t->is_used = true;
}

void table_cell(struct table *t, enum tone tone, const char *text)
{
	struct column *column = &t->columns[t->n_cells % t->n_columns];
	struct str safe = STR_INIT;
	int width;

	add_harmless(&safe, text, strlen(text));
	width = display_width(safe.buf);
	if (!t->is_fitted && width > column->width)
		column->width = width;
	if (!t->is_fitted && safe.len && strcmp(safe.buf, "-") != 0)
		column->is_used = true;
	if (t->n_cells == t->cap_cells) {
		t->cap_cells = t->cap_cells ? 2 * t->cap_cells : 16;
		t->cells = xreallocarray(t->cells, t->cap_cells, sizeof(*t->cells));
	}
	t->cells[t->n_cells].text = str_detach(&safe);
	t->cells[t->n_cells].tone = tone;
	t->n_cells++;
}

static void add_spaces(struct str *out, int n)
{
	for (; n > 0; n--)
		str_addch(out, ' ');
}

static void print_cell(const struct column *column, const struct cell *cell, bool is_last,
		       struct str *out)
{
	char *text = display_cut(cell->text, column->width);
	int padding = column->width - display_width(text);

	if (column->align == ALIGN_RIGHT)
		add_spaces(out, padding);
	add_tone(out, cell->tone, text);
	if (column->align == ALIGN_LEFT && !is_last)
		add_spaces(out, padding);
	free(text);
}

static void print_row(const struct table *t, const struct cell *cells, const char *indent,
		      struct str *out)
{
	size_t last = 0;
	bool first = true;

	for (size_t i = 0; i < t->n_columns; i++)
		if (t->columns[i].is_used)
			last = i;
	str_adds(out, indent);
	for (size_t i = 0; i < t->n_columns; i++) {
		if (!t->columns[i].is_used)
			continue;
		if (!first)
			str_adds(out, "  ");
		first = false;
		print_cell(&t->columns[i], &cells[i], i == last, out);
	}
	while (out->len && out->buf[out->len - 1] == ' ')
		str_truncate(out, out->len - 1);
	str_addch(out, '\n');
}

static int table_width(const struct table *t)
{
	int total = -2;

	for (size_t i = 0; i < t->n_columns; i++)
		if (t->columns[i].is_used)
			total += t->columns[i].width + 2;
	return total;
}

static struct column *most_spare(const struct table *t)
{
	struct column *most = NULL;

	for (size_t i = 0; i < t->n_columns; i++) {
		struct column *column = &t->columns[i];

		if (column->is_used && column->spare && (!most || column->spare >= most->spare))
			most = column;
	}
	return most;
}

/* The widest text column that can still give way; the first one, which names the row, only if no
 * other can. */
static struct column *most_patient(const struct table *t)
{
	struct column *widest = NULL;

	for (size_t i = 1; i < t->n_columns; i++) {
		struct column *column = &t->columns[i];

		if (column->is_used && column->align == ALIGN_LEFT && column->width > NARROWEST &&
		    (!widest || column->width > widest->width))
			widest = column;
	}
	if (!widest && t->n_columns && t->columns[0].align == ALIGN_LEFT &&
	    t->columns[0].width > NARROWEST)
		widest = &t->columns[0];
	return widest;
}

/* On a terminal no line wraps if it can be helped. */
static void fit(const struct table *t, int available)
{
	struct column *column;

	if (available <= 0)
		return;
	while (table_width(t) > available && (column = most_spare(t)))
		column->is_used = false;
	while (table_width(t) > available && (column = most_patient(t)))
		column->width--;
}

bool table_fits(const struct table *t, const char *indent)
{
	int available = render_width();

	return available <= 0 || table_width(t) + (int)strlen(indent) <= available;
}

void table_print_head(struct table *t, const char *indent, struct str *out)
{
	struct cell *titles;

	if (!t->is_used)
		return;
	fit(t, render_width() - (int)strlen(indent));
	t->is_fitted = true;
	titles = xcalloc(t->n_columns, sizeof(*titles));
	for (size_t i = 0; i < t->n_columns; i++) {
		titles[i].text = t->columns[i].title;
		titles[i].tone = TONE_DIM;
	}
	print_row(t, titles, indent, out);
	free(titles);
}

static void forget_rows(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i].text);
	t->n_cells = 0;
	t->n_rows = 0;
}

void table_measure(struct table *t)
{
	end_row(t);
	forget_rows(t);
}

static void print_rows(const struct table *t, const char *indent, struct str *out)
{
	for (size_t i = 0; i < t->n_cells; i += t->n_columns)
		print_row(t, &t->cells[i], indent, out);
}

void table_print_row(struct table *t, const char *indent, struct str *out)
{
	end_row(t);
	print_rows(t, indent, out);
	forget_rows(t);
}

void table_print(struct table *t, const char *indent, struct str *out)
{
	end_row(t);
	table_print_head(t, indent, out);
	print_rows(t, indent, out);
}

void table_free(struct table *t)
{
	for (size_t i = 0; i < t->n_columns; i++)
		free(t->columns[i].title);
	forget_rows(t);
	free(t->columns);
	free(t->cells);
	free(t);
}

/* Foreign text has been through add_harmless(); JSON holds values as they stand in the files. */
int print_to(FILE *to, const struct str *text)
{
	struct str harmless = STR_INIT;
	int result;

	json_add_harmless(&harmless, text->buf, text->len);
	result = fwrite(harmless.buf, 1, harmless.len, to) == harmless.len && fflush(to) != EOF
			 ? 0
			 : -1;
	str_release(&harmless);
	return result;
}

int print_out(const struct str *text)
{
	int result = print_to(stdout, text);

	if (result < 0)
		output_errno = errno;
	return result;
}

int print_done(const struct str *text, struct err *err)
{
	if (print_out(text) == 0 || output_errno == EPIPE)
		return 0;
	errno = output_errno;
	err_errno(err, ERR_NOT_DURABLE, "it is done, but cannot write to standard output");
	return err_hint(err, "do not repeat the command");
}

int print_errno(void)
{
	return output_errno;
}
