/*
 * ask - one statement of a stranger over the views, and its rows.
 *
 *	const struct ask what = { .sql = sql, .limits = { .seconds = 30, .memory = 512 << 20 } };
 *	struct reply reply = REPLY_INIT;
 *	if (ask(db, &what, &reply, &fault, &err) < 0) ...
 *	reply_release(&reply);
 */
#ifndef INDEX_ASK_H
#define INDEX_ASK_H
#include "base/str.h"
#include "index/db.h"
#include "index/views.h"

/* A value for ":name"; bound as a number where it is one as JSON writes it, else as a text. */
struct ask_param {
	char *name;
	const char *value; /* borrowed */
};

struct ask {
	const char *sql;
	const struct ask_param *params;
	size_t n_params;
	size_t limit;		 /* of rows; SIZE_MAX: none */
	struct db_limits limits; /* 'memory' is also that of the answer; the rest is set by us */
	char inner[VIEWS_INNER_SIZE];
};

struct reply {
	struct strv columns;
	struct db_value *values; /* row by row; their texts are owned */
	size_t n_rows;
	bool has_more; /* than 'limit' */
	int64_t bytes;
	size_t cap;
};

#define REPLY_INIT                                   \
	{                                            \
		.columns = STRV_INIT, .values = NULL \
	}
void reply_release(struct reply *reply);

/*
 * Make the views, confine 'db' (which is open for reading and nothing else) and run the statement.
 * 'what' must stay until the db is closed. ERR_USAGE: it does not compile, is not allowed, or a
 * parameter is amiss; 'fault' is then the byte that is to blame, -1 if there is none in particular.
 * ERR_INVALID: it failed over what it read; ERR_INTERRUPTED: a limit.
 */
int ask(struct db *db, struct ask *what, struct reply *out, int *fault, struct err *err);

#endif
