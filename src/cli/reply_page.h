/*
 * reply_page - the rows of 'thhost query' as people, programs and papers take them: line by line, so
 * that they are in memory once.
 */
#ifndef CLI_REPLY_PAGE_H
#define CLI_REPLY_PAGE_H
#include "cli/pager.h"
#include "cli/sheet.h"
#include "index/ask.h"

void reply_as_table(const struct reply *reply, struct paged *page);

/* {"schema": "thhost.query/1", "columns": [...], "rows": [[...], ...], "has_more": false} */
void reply_as_json(const struct reply *reply, struct paged *page);

/* One object on a line; a column whose name was there already is "NAME:1". */
void reply_as_lines(const struct reply *reply, struct paged *page);

void reply_as_sheet(const struct reply *reply, enum sheet_format format, struct paged *page);

#endif
