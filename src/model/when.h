/*
 * when - times in words: "last 3 days", "yesterday", "since 2025-12", "2025-12-01 to 2025-12-11".
 *
 * A point is "now", "today", "yesterday", "3 days ago", a year, a month (2025-12), a day
 * (2025-12-11) or a time as base/clock.h has it; without an offset it is local time. A range is a
 * point, "last [N] UNIT" (until now), "this UNIT" (from its start on), "since P", "after P",
 * "before P", "between P and P" or "P to P". Units: second to year; a week starts on Monday.
 */
#ifndef MODEL_WHEN_H
#define MODEL_WHEN_H
#include "base/err.h"

/* From 'from' until just before 'to', in seconds since 1970; where they are equal, that moment. */
struct when {
	double from;
	double to;
};

/* Read 'text' as of 'now'. ERR_USAGE, with what would be understood. */
int when_parse(const char *text, time_t now, struct when *out, struct err *err);

/* Negative: 'seconds' lies before it, 0: within, positive: after. */
int when_compare(const struct when *when, double seconds);

#endif
