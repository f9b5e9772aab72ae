/*
 * sheet_rows - a whole sheet from its titles and one function that gives its rows.
 *
 *	static void rows(struct sheet_rows *to, const void *arg)
 *	{
 *		row_text(to, "f1");
 *		row_real(to, 0.85);
 *	}
 *	sheet_of_rows(format, &titles, rows, &mine, &out);
 */
#ifndef CLI_SHEET_ROWS_H
#define CLI_SHEET_ROWS_H
#include "cli/sheet.h"

struct sheet_rows;

/* The next cell. NULL is an empty one. */
void row_text(struct sheet_rows *to, const char *text);
/* A number in its own digits, or NULL. */
void row_number(struct sheet_rows *to, const char *text);
void row_count(struct sheet_rows *to, size_t value);
/* With all digits; empty where it is not finite. */
void row_real(struct sheet_rows *to, double value);

/* 'rows' is called twice where the format has to look first. */
void sheet_of_rows(enum sheet_format format, const struct strv *titles,
		   void (*rows)(struct sheet_rows *to, const void *arg), const void *arg,
		   struct str *out);

#endif
