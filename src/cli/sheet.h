/*
 * sheet - rows and columns in the formats that programs and papers take.
 *
 *	struct sheet *sheet = sheet_new(SHEET_CSV);
 *	sheet_column(sheet, "f1");
 *	if (sheet_looks_first(sheet))
 *		sheet_cell(sheet, "0.85", true, NULL);	each cell, row by row
 *	sheet_begin(sheet, &out);
 *	sheet_cell(sheet, "0.85", true, &out);		the same cells again
 *	sheet_end(sheet, &out);
 *	sheet_free(sheet);
 *
 * No cell is kept: rows are printed as they come.
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
struct sheet *sheet_new(enum sheet_format format);
void sheet_free(struct sheet *sheet);

/* All columns come before the first cell. */
void sheet_column(struct sheet *sheet, const char *title);

/* Does this format have to know of each column whether it holds numbers only, for its alignment? */
bool sheet_looks_first(const struct sheet *sheet);
void sheet_begin(struct sheet *sheet, struct str *out);

/* Row by row; 'out' NULL: only look. */
void sheet_cell(struct sheet *sheet, const char *text, bool is_number, struct str *out);
void sheet_end(const struct sheet *sheet, struct str *out);

#endif
