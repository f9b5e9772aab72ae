/*
 * forgetting_page - matrices of app/forgetting.h as people and programs read them.
 */
#ifndef CLI_FORGETTING_PAGE_H
#define CLI_FORGETTING_PAGE_H
#include "app/forgetting.h"
#include "cli/sheet.h"

/* A table for each strategy: a row for each data set, a column for each training. */
void forgetting_as_page(const struct forgettings *all, const char *metric, struct str *out);

/* A row for each cell that has a value. */
void forgetting_as_sheet(const struct forgettings *all, const char *metric,
			 enum sheet_format format, struct str *out);

/* {"schema": "thhost.forgetting/1", ...}; as lines one object for each strategy. */
void forgetting_as_json(const struct forgettings *all, const char *metric, struct str *out);
void forgetting_as_lines(const struct forgettings *all, struct str *out);

#endif
