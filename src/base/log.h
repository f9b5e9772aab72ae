/*
 * log - talk on stderr.
 *
 * stdout is data, stderr is talk. Every line starts with "thhost: " and every
 * byte of foreign origin is made harmless first: control characters, escapes and
 * direction marks come out as \xNN or \u{NNNN} (reliability.md, section 3.5).
 * This and the command table are the only global state of the program.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_QUIET = -1, LOG_NORMAL = 0, LOG_VERBOSE = 1 };

void log_set_level(enum log_level level);
enum log_level log_level(void);

/* Called before and after each message, so that a status line can step aside. */
void log_set_guard(void (*before)(void), void (*after)(void));

void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);	 /* only with -v */
void log_notice(const char *fmt, ...) PRINTF_LIKE(1, 2); /* not with -q */
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);	 /* "thhost: warning: ..." */
void log_error(const struct err *err);			 /* message, then "hint: ..." */
void log_plain(const char *fmt, ...) PRINTF_LIKE(1, 2);	 /* "thhost: ...", always */

/* Append 'len' bytes of 'text' to 'out' in a form that no terminal acts upon. */
void add_harmless(struct str *out, const char *text, size_t len);

#endif
