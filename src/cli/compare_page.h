/*
 * compare_page - a comparison as people and as programs read it.
 */
#ifndef CLI_COMPARE_PAGE_H
#define CLI_COMPARE_PAGE_H
#include "app/compare.h"

/* One table, or, where the terminal is too narrow for it, a block for each model. Without 'all', rows
 * that are equal on every side are only counted. */
void compare_as_page(const struct comparison *cmp, bool all, struct str *out);

/* {"schema": "thhost.compare/1", ...}; the same rows. */
void compare_as_json(const struct comparison *cmp, bool all, struct str *out);

#endif
