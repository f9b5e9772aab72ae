/*
 * list_page - a listing as a table, as JSON and in the formats of cli/sheet.h.
 */
#ifndef CLI_LIST_PAGE_H
#define CLI_LIST_PAGE_H
#include "app/listing.h"
#include "cli/sheet.h"

struct list_page {
	const struct listing *listing;
	const struct column_list *columns; /* none: what is usual for the format */
	const struct column_spec *best;	   /* the metric that was asked for, or NULL */
	bool runs;
	bool changed_only; /* leave out columns that say the same in each row, but not the REF */
	int precision;	   /* digits after the point of real numbers; -1: as many as they need */
};

/* For people; the terminal's width is that of render_width(). */
void list_page_table(const struct list_page *page, struct str *out);
void list_page_sheet(const struct list_page *page, enum sheet_format format, struct str *out);

/* {"schema": "thhost.list/1", "models": [...]}, with 'runs' "runs"; as lines, one object each. */
void list_page_json(const struct list_page *page, struct str *out);
void list_page_lines(const struct list_page *page, struct str *out);

#endif
