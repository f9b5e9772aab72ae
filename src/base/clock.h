/*
 * clock - times as people and files write them.
 *
 * What thhost makes is ISO 8601 with an offset, to the second:
 * "2025-12-11T10:30:00+08:00". What a user gives is kept to the letter and only
 * compared here. THHOST_TEST_NOW (seconds since 1970) replaces the wall clock in
 * tests; it has no effect on the monotonic clock.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
#include "base/err.h"

#define CLOCK_TEXT_SIZE 40

/* Seconds since 1970. */
time_t clock_now(void);

/* Milliseconds since 1970, for ids. */
int64_t clock_now_ms(void);

/* Milliseconds of a clock that never jumps back. */
int64_t clock_monotonic_ms(void);

/* 'when' in the local zone, with its offset. */
void clock_format(time_t when, char out[CLOCK_TEXT_SIZE]);

/* 'when' in the local zone for names of files: "20251210_201220". */
void clock_format_name(time_t when, char out[CLOCK_TEXT_SIZE]);

/* The machine's boot id, or "" where there is none. */
void clock_boot_id(char out[64]);

/*
 * A time as a user may write it: "YYYY-MM-DDTHH:MM[:SS[.frac]]", a blank instead
 * of the T, an offset "+HH:MM", "+HHMM" or "Z", or none (naive: local time).
 * 'naive' may be NULL. Returns -1 if it is not such a time or no such day.
 */
int clock_parse(const char *text, double *seconds, bool *naive);

/* Seconds from 'a' to 'b' in 'out'; -1 if either does not parse. A naive time is
 * read in the zone of the other one where that has an offset. */
int clock_between(const char *a, const char *b, double *out);

#endif
