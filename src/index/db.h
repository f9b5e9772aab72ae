/*
 * db - SQLite, as the rest of the house sees it.
 *
 *	struct db *db = db_open(path, DB_WRITE, &err);
 *	struct db_query *q = db_prepare(db, "SELECT ref FROM records WHERE id = ?", &err);
 *	db_bind_int(q, 1, id);
 *	while ((more = db_step(q, &err)) > 0)
 *		ref = db_text(q, 0);
 *	db_reset(q);
 *
 * The one file that includes sqlite3.h. Parameters count from 1, columns from 0, as in SQLite. All
 * that is opened here can be made again from the files, so a fault is told in 'err' and nothing more
 * is at stake: ERR_BUSY where another process holds it for too long, ERR_INVALID for a statement that
 * does not compile or is not allowed, ERR_FAILED else (ERR_INTERRUPTED: a limit was reached). Messages
 * name the file. A db and its queries belong to one thread.
 */
#ifndef INDEX_DB_H
#define INDEX_DB_H
#include "base/err.h"

struct db;
struct db_query;

enum db_mode {
	DB_WRITE, /* made if it is not there, for its owner alone */
	DB_READ,  /* it must be there; nothing can be written, attached or loaded through it */
};

struct db *db_open(const char *path, enum db_mode mode, struct err *err);
void db_close(struct db *db); /* its queries must be closed; NULL is nothing */

/* Is this the fault of what the file holds: no database, torn? It can be thrown away. */
bool db_is_damaged(const struct db *db);

/* What was read from it cannot be what was put in. */
void db_set_damaged(struct db *db);

/*
 * Make of it an empty database, whatever it held, under the locks of SQLite: others may have it open.
 * Nothing may be under way in it.
 */
int db_erase(struct db *db, struct err *err);

/* One or more statements without parameters, whose rows are of no interest. */
int db_exec(struct db *db, const char *sql, struct err *err);

/* The first statement of 'sql'. NULL with 'err'. */
struct db_query *db_prepare(struct db *db, const char *sql, struct err *err);
void db_finish(struct db_query *q); /* NULL is nothing */

/* Bind for the next run. Texts and blobs must stay until it is reset. NULL text is SQL's NULL. */
void db_bind_int(struct db_query *q, int at, int64_t value);
void db_bind_real(struct db_query *q, int at, double value); /* NaN is NULL */
void db_bind_text(struct db_query *q, int at, const char *text);
void db_bind_text_n(struct db_query *q, int at, const char *text, size_t len);
void db_bind_blob(struct db_query *q, int at, const void *bytes, size_t len);
void db_bind_null(struct db_query *q, int at);

/* 1: a row is there; 0: no more; -1 with 'err'. */
int db_step(struct db_query *q, struct err *err);

/* Ready for another run; what was bound is forgotten. */
void db_reset(struct db_query *q);

/* Run to the end and reset: for what gives no rows. */
int db_run(struct db_query *q, struct err *err);

enum db_type { DB_NULL, DB_INTEGER, DB_REAL, DB_TEXT, DB_BLOB };

int db_column_count(const struct db_query *q);
const char *db_column_name(const struct db_query *q, int column);
enum db_type db_type(struct db_query *q, int column);
int64_t db_int(struct db_query *q, int column);
double db_real(struct db_query *q, int column);
/* There until the next step; NULL for NULL. Terminated; 'len' may be NULL. */
const char *db_text(struct db_query *q, int column, size_t *len);
const void *db_blob(struct db_query *q, int column, size_t *len);

/* How many rows the last statement changed; the id of the row put in last. */
int64_t db_changes(const struct db *db);
int64_t db_last_id(const struct db *db);

/* ---- statements of a stranger ---- */

struct db_limits {
	const char *const *views; /* what may be read, ended by NULL; and nothing else */
	double seconds;		  /* of wall time for all; 0: none */
	int64_t memory;		  /* bytes that SQLite may hold; 0: no limit */
};

/*
 * From now on only SELECTs over 'limits->views' compile, with pure functions, and they end with
 * ERR_INTERRUPTED when a limit is reached. There is no way back. 'limits' must stay.
 */
int db_confine(struct db *db, const struct db_limits *limits, struct err *err);

/* What follows the first statement of 'sql', without blanks and comments: "" if that is all. */
const char *db_rest(const struct db_query *q);

#endif
