#include "base/base.h"

#include "cli/sheet_rows.h"

#include "sys/json.h"

#include <math.h>

struct sheet_rows {
	struct sheet *sheet;
	struct str *out; /* NULL: the sheet only looks */
};

void row_text(struct sheet_rows *to, const char *text)
{
	sheet_cell(to->sheet, text ? text : "", false, to->out);
}

void row_number(struct sheet_rows *to, const char *text)
{
	sheet_cell(to->sheet, text ? text : "", true, to->out);
}

void row_count(struct sheet_rows *to, size_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%zu", value);
	row_number(to, text);
}

void row_real(struct sheet_rows *to, double value)
{
	struct str text = STR_INIT;

	if (isfinite(value))
		json_add_real(&text, value);
	row_number(to, text.buf);
	str_release(&text);
}

void sheet_of_rows(enum sheet_format format, const struct strv *titles,
		   void (*rows)(struct sheet_rows *to, const void *arg), const void *arg,
		   struct str *out)
{
	struct sheet_rows to = { .sheet = sheet_new(format), .out = NULL };

	for (size_t i = 0; i < titles->n; i++)
		sheet_column(to.sheet, titles->v[i]);
	if (sheet_looks_first(to.sheet))
		rows(&to, arg);
	to.out = out;
	sheet_begin(to.sheet, out);
	rows(&to, arg);
	sheet_end(to.sheet, out);
	sheet_free(to.sheet);
}
