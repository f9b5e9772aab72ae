/*
 * render - what people read: tables, numbers, durations, colour.
 *
 * Everything that comes from a file is made harmless for the terminal here
 * (base/log.h). Colour only carries meaning, only on a terminal, never with
 * NO_COLOR or TERM=dumb.
 */
#ifndef CLI_RENDER_H
#define CLI_RENDER_H
#include "base/err.h"
#include "base/str.h"

enum tone { TONE_PLAIN, TONE_DIM, TONE_BOLD, TONE_GOOD, TONE_BAD, TONE_RUNNING };

/* "auto", "always" or "never" (conf ui.color); decides for stdout. */
void render_set_color(const char *when);

/* "relative" or "iso" (conf ui.time); decides for add_age() and add_when(). */
void render_set_time(const char *how);

/* Append 'text' of foreign origin so that no terminal acts upon it. */
void add_safe(struct str *out, const char *text);

/* Append 'text' in 'tone', or plainly. */
void add_tone(struct str *out, enum tone tone, const char *text);

/* A word of a command as a person would type it for a shell. */
void add_shell_word(struct str *out, const char *word);

/* Columns of the terminal behind stdout; 0 if it is none. */
int render_width(void);

/* 10000 as "10,000". */
void add_count(struct str *out, int64_t value);

/* Seconds as "1h30m", "18m12s", "4.2s". */
void add_duration(struct str *out, double seconds);

/* "3 hours ago", "just now", "2025-12-11" beyond a month; the text itself if it is no time, or if
 * times are wanted as they are. */
void add_age(struct str *out, const char *iso);

/* An ISO time as "2025-12-11 10:30", or as it is. */
void add_when(struct str *out, const char *iso);

/* A metric: at least three decimals, no more than its text has meaning ("0.850", "12.3", "1.2e-05"). */
void add_metric(struct str *out, double value);

/* A real number with so many digits after the point, or so many that count where that would be 0. */
void add_precise(struct str *out, double value, int precision);

/* What history_strategy() gives; of a long one both ends: "base > hrds:10 > ... 9,992 more ... >
 * hrdh:10". */
void add_strategy(struct str *out, const char *strategy);

enum align { ALIGN_LEFT, ALIGN_RIGHT };

/*
 * A table with one line per row:
 *
 *	struct table *t = table_new();
 *	table_column(t, "steps", ALIGN_RIGHT);
 *	table_row(t);
 *	table_cell(t, TONE_PLAIN, "10,000");
 *	table_print(t, stdout);
 *	table_free(t);
 *
 * Columns without any content are left out. Where lines are too long for the terminal, the spare
 * columns go first, then the widest left-aligned one is cut, the first column last of all.
 */
struct table;
struct table *table_new(void);
void table_column(struct table *t, const char *title, enum align align);
/* The column added last may be left out on a narrow terminal, those with a higher 'rank' first. */
void table_spare(struct table *t, int rank);
void table_row(struct table *t);
void table_cell(struct table *t, enum tone tone, const char *text);
/* Would every line be as long as it is, with nothing left out or cut? */
bool table_fits(const struct table *t, const char *indent);
void table_print(struct table *t, const char *indent, struct str *out);

/*
 * For many rows, in the memory of one: fill in each row and measure it, print the head, then fill in
 * each row again, with the same cells, and print it.
 */
void table_measure(struct table *t);
void table_print_head(struct table *t, const char *indent, struct str *out);
void table_print_row(struct table *t, const char *indent, struct str *out);
void table_free(struct table *t);

/* Write all of 'text', in a form that no terminal acts upon; -1 (with errno) if it did not get
 * there. */
int print_to(FILE *to, const struct str *text);

/* The same to stdout; -1 (with errno) if it did not get there. */
int print_out(const struct str *text);

/* The same after something was changed: that it is done stays true, so a lost output is
 * ERR_NOT_DURABLE, which asks nobody to repeat the command. A reader that went away is no error. */
int print_done(const struct str *text, struct err *err);

/* Why print_out() failed, 0 if it never did. */
int print_errno(void);

#endif
