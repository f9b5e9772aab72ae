#include "base/base.h"

#include "cli/sheet.h"

#include "base/log.h"
#include "base/mem.h"

struct sheet {
	enum sheet_format format;
	struct strv titles;
	bool *is_text; /* of each column: it has a cell that is no number and not empty */
	size_t next;   /* the column of the next cell */
};

struct sheet *sheet_new(enum sheet_format format)
{
	struct sheet *sheet = xcalloc(1, sizeof(*sheet));

	sheet->format = format;
	return sheet;
}

void sheet_free(struct sheet *sheet)
{
	strv_release(&sheet->titles);
	free(sheet->is_text);
	free(sheet);
}

void sheet_column(struct sheet *sheet, const char *title)
{
	struct str safe = STR_INIT;

	add_harmless(&safe, title, strlen(title));
	strv_push_take(&sheet->titles, str_detach(&safe));
	sheet->is_text = xreallocarray(sheet->is_text, sheet->titles.n, sizeof(*sheet->is_text));
	sheet->is_text[sheet->titles.n - 1] = false;
}

bool sheet_looks_first(const struct sheet *sheet)
{
	return sheet->format == SHEET_MARKDOWN || sheet->format == SHEET_LATEX;
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

/* ---- Markdown ---- */

static void add_markdown(struct str *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("\\`*_{}[]<>#|~$&", *text))
			str_addch(out, '\\');
		str_addch(out, *text);
	}
}

static void add_markdown_rule(const struct sheet *sheet, struct str *out)
{
	for (size_t i = 0; i < sheet->titles.n; i++)
		str_adds(out, sheet->is_text[i] ? i ? " --- |" : "| --- |"
			      : i		? " ---: |"
						: "| ---: |");
	str_addch(out, '\n');
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

static void begin_latex(const struct sheet *sheet, struct str *out)
{
	str_adds(out, "\\begin{tabular}{");
	for (size_t i = 0; i < sheet->titles.n; i++)
		str_addch(out, sheet->is_text[i] ? 'l' : 'r');
	str_adds(out, "}\n\\hline\n");
}

/* ---- any ---- */

/* Cell 'i' of a row, made harmless, with what stands before and after it. */
static void add_cell(const struct sheet *sheet, size_t i, const char *text, struct str *out)
{
	bool is_last = i + 1 == sheet->titles.n;
	char separator = sheet->format == SHEET_CSV ? ',' : '\t';

	switch (sheet->format) {
	case SHEET_CSV:
	case SHEET_TSV:
		add_separated(out, text, separator);
		str_addch(out, is_last ? '\n' : separator);
		break;
	case SHEET_MARKDOWN:
		str_adds(out, i ? " " : "| ");
		add_markdown(out, text);
		str_adds(out, is_last ? " |\n" : " |");
		break;
	case SHEET_LATEX:
		add_latex(out, text);
		str_adds(out, is_last ? " \\\\\n" : " & ");
		break;
	}
}

void sheet_begin(struct sheet *sheet, struct str *out)
{
	if (sheet->format == SHEET_LATEX)
		begin_latex(sheet, out);
	for (size_t i = 0; i < sheet->titles.n; i++)
		add_cell(sheet, i, sheet->titles.v[i], out);
	if (sheet->format == SHEET_LATEX)
		str_adds(out, "\\hline\n");
	if (sheet->format == SHEET_MARKDOWN)
		add_markdown_rule(sheet, out);
}

void sheet_cell(struct sheet *sheet, const char *text, bool is_number, struct str *out)
{
	struct str safe = STR_INIT;
	size_t column = sheet->next;

	sheet->next = (column + 1) % sheet->titles.n;
	if (!out) {
		sheet->is_text[column] |= *text && !is_number;
		return;
	}
	add_harmless(&safe, text, strlen(text));
	add_cell(sheet, column, safe.buf, out);
	str_release(&safe);
}

void sheet_end(const struct sheet *sheet, struct str *out)
{
	if (sheet->format == SHEET_LATEX)
		str_adds(out, "\\hline\n\\end{tabular}\n");
}
