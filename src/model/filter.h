/*
 * filter - expressions that choose trainings.
 *
 *	struct filter *filter = filter_parse("metrics.f1 > 0.8 and not git.dirty", now, &err);
 *	if (filter_matches(filter, &subject)) ...
 *	filter_free(filter);
 *
 *	expression  FIELD OP VALUE | FIELD [not] contains VALUE | FIELD [not] in [VALUE, ...]
 *	            | FIELD is [not] undefined | FIELD | not E | E and E | E or E | (E)
 *	OP          = != < <= > >=
 *	VALUE       a number, true, false, or a text in quotes, '...' or "..." with \ before a quote
 *	FIELD       see model/field.h; in `...` where it has other characters than A-Za-z0-9_-./:@%#+
 *
 * Numbers compare by value, also where a file has one as a text. A text that is a time in words
 * (model/when.h) compares as one with what is a time. What is undefined compares with nothing: only
 * "is undefined" and "not" find it. FIELD alone is true if it is true, not 0 and not empty.
 * "not" binds closest, then "and", then "or".
 */
#ifndef MODEL_FILTER_H
#define MODEL_FILTER_H
#include "model/field.h"

#define FILTER_MAX_LEN 16384  /* bytes of an expression */
#define FILTER_MAX_DEPTH 64   /* of brackets and "not" */
#define FILTER_MAX_TERMS 1000 /* fields and values */

struct filter;

/* ERR_USAGE: "filter, column N: expected ...", columns counted in characters from 1. */
struct filter *filter_parse(const char *text, time_t now, struct err *err);
void filter_free(struct filter *filter);

/* Also notes which fields were there. */
bool filter_matches(struct filter *filter, const struct subject *subject);

/* The next field, at or after *position (start at 0), that nothing asked so far had; or NULL. */
const char *filter_unseen(const struct filter *filter, size_t *position);

#endif
