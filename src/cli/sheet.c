#include "base/base.h"

#include "cli/sheet.h"

#include "base/log.h"
#include "base/mem.h"

struct sheet {
	struct strv titles;
	struct strv cells;
	bool *is_text; /* of each column: it has a cell that is no number and not empty */
};

struct sheet *sheet_new(void)
{
	return xcalloc(1, sizeof(struct sheet));
}

void sheet_free(struct sheet *sheet)
{
	strv_release(&sheet->titles);
	strv_release(&sheet->cells);
	free(sheet->is_text);
	free(sheet);
}

static void push_harmless(struct strv *list, const char *text)
{
	struct str safe = STR_INIT;

	add_harmless(&safe, text, strlen(text));
	strv_push_take(list, str_detach(&safe));
}

void sheet_column(struct sheet *sheet, const char *title)
{
	push_harmless(&sheet->titles, title);
	sheet->is_text = xreallocarray(sheet->is_text, sheet->titles.n, sizeof(*sheet->is_text));
	sheet->is_text[sheet->titles.n - 1] = false;
}

void sheet_cell(struct sheet *sheet, const char *text, bool is_number)
{
	size_t column = sheet->cells.n % sheet->titles.n;

	if (*text && !is_number)
		sheet->is_text[column] = true;
	push_harmless(&sheet->cells, text);
}

/* ---- CSV, TSV ---- */

static bool is_plain_number(const char *text)
{
	char *end;

	text += *text == '-' || *text == '+';
	if (*text < '0' || *text > '9')
		return false;
	strtod(text, &end);
	return !*end && !strpbrk(text, "xX");
}

static void add_separated(struct str *out, const char *text, char separator)
{
	bool is_formula = *text && strchr("=+-@", *text) && !is_plain_number(text) &&
			  strcmp(text, "-Infinity") != 0 && strcmp(text, "-") != 0;
	bool is_quoted = separator == ',' && strpbrk(text, ",\"");

	if (is_quoted)
		str_addch(out, '"');
	if (is_formula)
		str_addch(out, '\'');
	for (; *text; text++) {
		if (is_quoted && *text == '"')
			str_addch(out, '"');
		str_addch(out, *text);
	}
	if (is_quoted)
		str_addch(out, '"');
}

static void print_separated(const struct sheet *sheet, char separator, struct str *out)
{
	size_t n = sheet->titles.n;

	for (size_t i = 0; i < n; i++) {
		add_separated(out, sheet->titles.v[i], separator);
		str_addch(out, i + 1 < n ? separator : '\n');
	}
	for (size_t i = 0; i < sheet->cells.n; i++) {
		add_separated(out, sheet->cells.v[i], separator);
		str_addch(out, (i + 1) % n ? separator : '\n');
	}
}

/* ---- Markdown ---- */

static void add_markdown(struct str *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("\\`*_{}[]<>#|~$&", *text))
			str_addch(out, '\\');
		str_addch(out, *text);
	}
}

static void add_markdown_row(struct str *out, char *const *cells, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		str_adds(out, i ? " " : "| ");
		add_markdown(out, cells[i]);
		str_adds(out, " |");
	}
	str_addch(out, '\n');
}

static void print_markdown(const struct sheet *sheet, struct str *out)
{
	size_t n = sheet->titles.n;

	add_markdown_row(out, sheet->titles.v, n);
	for (size_t i = 0; i < n; i++)
		str_adds(out, sheet->is_text[i] ? i ? " --- |" : "| --- |"
			      : i		? " ---: |"
						: "| ---: |");
	str_addch(out, '\n');
	for (size_t i = 0; i < sheet->cells.n; i += n)
		add_markdown_row(out, sheet->cells.v + i, n);
}

/* ---- LaTeX ---- */

static void add_latex(struct str *out, const char *text)
{
	static const struct {
		char c;
		const char *latex;
	} words[] = {
		{ '\\', "\\textbackslash{}" },
		{ '^', "\\textasciicircum{}" },
		{ '~', "\\textasciitilde{}" },
		{ '<', "\\textless{}" },
		{ '>', "\\textgreater{}" },
		{ '|', "\\textbar{}" },
		{ '"', "\\char34{}" },
		{ '`', "\\char96{}" },
		{ '{', "\\{" },
		{ '}', "\\}" },
		{ '$', "\\$" },
		{ '&', "\\&" },
		{ '#', "\\#" },
		{ '_', "\\_" },
		{ '%', "\\%" },
		{ '[', "{[}" }, /* after "\\" these would be arguments */
		{ ']', "{]}" },
		{ '*', "{*}" },
		{ '-', "-{}" }, /* or two of them are a dash */
	};

	for (; *text; text++) {
		const char *latex = NULL;

		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			if (words[i].c == *text && (*text != '-' || text[1] == '-'))
				latex = words[i].latex;
		if (latex)
			str_adds(out, latex);
		else
			str_addch(out, *text);
	}
}

static void add_latex_row(struct str *out, char *const *cells, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			str_adds(out, " & ");
		add_latex(out, cells[i]);
	}
	str_adds(out, " \\\\\n");
}

static void print_latex(const struct sheet *sheet, struct str *out)
{
	size_t n = sheet->titles.n;

	str_adds(out, "\\begin{tabular}{");
	for (size_t i = 0; i < n; i++)
		str_addch(out, sheet->is_text[i] ? 'l' : 'r');
	str_adds(out, "}\n\\hline\n");
	add_latex_row(out, sheet->titles.v, n);
	str_adds(out, "\\hline\n");
	for (size_t i = 0; i < sheet->cells.n; i += n)
		add_latex_row(out, sheet->cells.v + i, n);
	str_adds(out, "\\hline\n\\end{tabular}\n");
}

void sheet_print(const struct sheet *sheet, enum sheet_format format, struct str *out)
{
	switch (format) {
	case SHEET_CSV:
	case SHEET_TSV:
		print_separated(sheet, format == SHEET_CSV ? ',' : '\t', out);
		break;
	case SHEET_MARKDOWN:
		print_markdown(sheet, out);
		break;
	case SHEET_LATEX:
		print_latex(sheet, out);
		break;
	}
}
