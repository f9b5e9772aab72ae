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
 * Only db.c and its parts (db_*.c) include sqlite3.h. Parameters count from 1, columns from 0, as in
 * SQLite. All that is opened here can be made again from the files, so a fault is told in 'err' and
 * nothing more is at stake: ERR_BUSY where another process holds it for too long, ERR_INVALID for a
 * statement that does not compile or is not allowed, ERR_FAILED else (ERR_INTERRUPTED: a limit was
 * reached). Messages name the file. A db and its queries belong to one thread.
 */
#ifndef INDEX_DB_H
#define INDEX_DB_H
#include "base/err.h"
#include "base/str.h"

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

/* Was there nothing but blanks and comments? Such a query cannot be run. */
bool db_is_empty(const struct db_query *q);

/* Does it leave the file as it is? Transactions count as that, VACUUM does not. */
bool db_only_reads(const struct db_query *q);

int db_parameter_count(const struct db_query *q);
/* ":NAME" with what introduces it; NULL for a bare "?". */
const char *db_parameter_name(const struct db_query *q, int at);

/* Which byte of the text that did not compile is to blame; -1: none in particular. */
int db_error_offset(const struct db *db);

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

/* The bytes of 'column' in row 'id' of a table, into 'out' (cleared first), past all fences: for
 * functions of ours. False for NULL, or where there is no such row. */
bool db_read_value(struct db *db, const char *table, const char *column, int64_t id,
		   struct str *out);

/* The path it was opened by. */
const char *db_path(const struct db *db);

/* How many rows the last statement changed; the id of the row put in last. */
int64_t db_changes(const struct db *db);
int64_t db_last_id(const struct db *db);

/* ---- statements of a stranger ---- */

struct db_limits {
	const char *const *views; /* what may be read, ended by NULL; and nothing else */
	const char *inner;	  /* how the names of the views begin that may read the tables */
	double seconds;		  /* of wall time for all; 0: none */
	int64_t memory;		  /* bytes that SQLite may hold; 0: no limit */
};

/*
 * From now on only SELECTs over 'limits->views' compile, with functions that do no more than compute,
 * and they end with ERR_INTERRUPTED when a limit is reached. Time is looked at between two steps of
 * SQLite's machine: one call of instr() over long texts may go on for long, the caller must see to
 * that. There is no way back. 'limits' must stay.
 */
int db_confine(struct db *db, const struct db_limits *limits, struct err *err);

/* ---- functions of ours, for views ---- */

struct db_value {
	enum db_type type;
	int64_t integer;
	double real;	  /* NaN is NULL */
	const char *text; /* of a text or a blob */
	size_t len;
};

/* 'out' is NULL beforehand; its text must stay until the next call. */
typedef void (*db_function_fn)(void *arg, const struct db_value *args, struct db_value *out);
struct db_function {
	const char *name;
	int n_args;
	db_function_fn fn;
	void *arg;
	void (*release)(void *arg); /* called in any case */
};
int db_add_function(struct db *db, const struct db_function *function, struct err *err);

/* A table that is made of its arguments: "FROM name(a, b)". */
struct db_rows;
struct db_table {
	const char *name;
	const char *columns; /* "n, name, value" */
	int n_columns;
	int n_args;
	void (*fill)(struct db *db, const struct db_value *args, struct db_rows *rows);
};
/* Column by column, row by row; copied. */
void db_rows_add(struct db_rows *rows, const struct db_value *value);
/* 'table' must stay. */
int db_add_table(struct db *db, const struct db_table *table, struct err *err);

/* What follows the first statement of 'sql', without blanks and comments: "" if that is all. */
const char *db_rest(const struct db_query *q);

#endif
