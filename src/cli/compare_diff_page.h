/*
 * compare_diff_page - what git says in a comparison, as people and as programs read it.
 */
#ifndef CLI_COMPARE_DIFF_PAGE_H
#define CLI_COMPARE_DIFF_PAGE_H
#include "app/compare.h"
#include "sys/json.h"

/* "3 files, +10 -2" of a side, fresh memory; "" where there is no diff. */
char *diff_summary(const struct comparison *cmp, size_t side);

/* The files of each diff, or why there is none; nothing where no commits differ. */
void diffs_as_page(const struct comparison *cmp, struct str *out);

/* An array: from, to, and repository, files, insertions, deletions, changed, or error. */
void diffs_as_json(const struct comparison *cmp, struct jsonw *w);

#endif
