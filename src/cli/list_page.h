/*
 * list_page - an answer as a table, as JSON or in the formats of cli/sheet.h.
 *
 *	struct list_page *page = list_page_new(&spec);
 *	list_page_pack(page, row, &payload);	for each row, for answer_put()
 *	list_page_print(page, answer.first, &paged);
 *	list_page_free(page);
 *
 * Or, where rows come in the order in which they are shown, nothing is kept (JSON alone):
 *
 *	list_page_begin(page, &paged);
 *	list_page_row(page, row, &paged);	for each row
 *	list_page_end(page, &paged);
 */
#ifndef CLI_LIST_PAGE_H
#define CLI_LIST_PAGE_H
#include "app/listing.h"
#include "app/ranking.h"
#include "cli/pager.h"
#include "cli/format.h"

struct list_spec {
	struct format format;
	const struct column_list *columns; /* none: what is usual for the format */
	const struct column_spec *best;	   /* the metric that was asked for, or NULL */
	bool runs;
	bool changed_only; /* leave out columns that say the same in each row, but not the REF */
	int precision;	   /* digits after the point of real numbers; -1: as many as they need */
};

struct list_page;

/* 'spec' is borrowed. */
struct list_page *list_page_new(const struct list_spec *spec);
void list_page_free(struct list_page *page);

/* Can a row be printed before the next one is known? */
bool list_page_streams(const struct list_page *page);

/* What the page needs of a row, into 'out' (cleared first). */
void list_page_pack(const struct list_page *page, const struct listing_row *row, struct str *out);

/* Why the record of that row is broken, or NULL. */
const char *list_page_error(const struct ranked *row);

/* All of it. Rows may be packed anew: nothing else can be done with them afterwards. */
void list_page_print(struct list_page *page, struct ranking *rows, struct paged *paged);

void list_page_begin(struct list_page *page, struct paged *paged);
void list_page_row(struct list_page *page, const struct listing_row *row, struct paged *paged);
void list_page_end(struct list_page *page, struct paged *paged);

#endif
