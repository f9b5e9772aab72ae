/*
 * err - one error, as plain data.
 *
 *	struct err err = ERR_INIT;
 *	if (file_read(fd, name, limit, &text, &err) < 0)
 *		return err_prefix(&err, "cannot read the record of '%s'", ref), -1;
 *
 * It is filled once, where the cause is known; layers above may add context in
 * front. On success it is left untouched. Messages: lower case, no full stop,
 * subject in single quotes. The setters return -1 so that a caller may write
 * "return err_set(...)". The text of foreign origin in it is made harmless for a
 * terminal when it is printed (base/log.h), not here.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H
#include "base/base.h"

/* What a caller may have to tell apart; each has one exit status (product.md, section 3). */
enum err_code {
	ERR_NONE = 0,
	ERR_FAILED,	 /* 1: tried and refused by the world (I/O, permissions), nothing changed */
	ERR_USAGE,	 /* 2 */
	ERR_NOT_FOUND,	 /* 3 */
	ERR_BUSY,	 /* 4 */
	ERR_INVALID,	 /* 5: data, names, configuration that break the rules */
	ERR_PLUGIN,	 /* 6 */
	ERR_SPOOLED,	 /* 7: kept in the spool only */
	ERR_NOT_DURABLE, /* 8: in place, but not known to be durable */
	ERR_INTERNAL,	 /* 70 */
	ERR_INTERRUPTED, /* 130 */
};

struct err {
	enum err_code code;
	char msg[1536];
	char hint[768];
	char path[512];
	int number; /* errno of the cause, for err_errno(); else 0 */
};

#define ERR_INIT                                                    \
	{                                                           \
		.code = ERR_NONE, .msg = "", .hint = "", .path = "" \
	}

int err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same with ": strerror(errno) (ERRNO_NAME)" appended; errno is kept. */
int err_errno(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Put "context: " in front of the message. */
int err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* What the user may do next; one line. */
int err_hint(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The file concerned, for --json. */
void err_path(struct err *err, const char *path);

/* ERR_NONE becomes 0, and so on. */
int err_exit_status(enum err_code code);

/* "not_found", "busy", ...: the word used in --json. */
const char *err_word(enum err_code code);

/* "ENOSPC" for ENOSPC; "errno 999" is never needed: unknown numbers give "E?". */
const char *errno_name(int number);

#endif
