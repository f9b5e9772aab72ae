/*
 * strategies_page - groups of models, and what the order of trainings does, as people and programs read
 * them.
 */
#ifndef CLI_STRATEGIES_PAGE_H
#define CLI_STRATEGIES_PAGE_H
#include "app/order.h"
#include "cli/sheet.h"

struct strategies_page {
	const struct strategies *all;
	const struct orders *orders;
	const struct strv *fields;  /* that the groups are made by, or NULL */
	const struct strv *metrics; /* only these; none: all */
	bool with_nested;	    /* of those that nobody named also "per_class.title" */
	bool only_orders;
};

void strategies_as_page(const struct strategies_page *page, struct str *out);

/* A row for each metric of each group or, with 'only_orders', of each pair. */
void strategies_as_sheet(const struct strategies_page *page, enum sheet_format format,
			 struct str *out);

/* {"schema": "thhost.strategies/1", ...}; as lines the groups or the pairs, one object each. */
void strategies_as_json(const struct strategies_page *page, struct str *out);
void strategies_as_lines(const struct strategies_page *page, struct str *out);

/* Is the metric one to show? Nested ones only if asked for. */
bool strategies_want(const struct strategies_page *page, bool with_nested, const char *name);

/* ---- what forgetting_page has in common with it ---- */

/* A member with a number; null where it is not finite. */
void pair_real(struct jsonw *w, const char *key, double value);

/* {"n", "mean", "deviation"} or null for n = 0. */
void moments_as_json(struct jsonw *w, const char *key, const struct moments *moments);

/* A number in so many digits that count; "-" where it is not finite. Fresh memory. */
char *short_real(double value, int digits);

/* "max", "min" or NULL */
const char *goal_word(char goal);

#endif
