/*
 * sheet - rows and columns in the formats that programs and papers take.
 *
 *	struct sheet *sheet = sheet_new();
 *	sheet_column(sheet, "f1");
 *	sheet_cell(sheet, "0.85", true);
 *	sheet_print(sheet, SHEET_CSV, &out);
 *	sheet_free(sheet);
 *
 * Each format escapes what has a meaning in it. In all of them a control character comes out as in a
 * table (\x1b), so that a row is a line and no terminal acts upon it. CSV and TSV: a text that begins
 * with = + - or @ and is no number gets an apostrophe in front, or a spreadsheet would compute it.
 */
#ifndef CLI_SHEET_H
#define CLI_SHEET_H
#include "base/str.h"

enum sheet_format { SHEET_CSV, SHEET_TSV, SHEET_MARKDOWN, SHEET_LATEX };

struct sheet;
struct sheet *sheet_new(void);
/* All columns come before the first cell. */
void sheet_column(struct sheet *sheet, const char *title);
/* Row by row; a column that holds numbers only is set to the right where a format can. */
void sheet_cell(struct sheet *sheet, const char *text, bool is_number);
void sheet_print(const struct sheet *sheet, enum sheet_format format, struct str *out);
void sheet_free(struct sheet *sheet);

#endif
