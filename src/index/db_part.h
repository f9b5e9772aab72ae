/*
 * db_part - what the parts of db share. For db.c and db_*.c alone.
 */
#ifndef INDEX_DB_PART_H
#define INDEX_DB_PART_H
#include "index/db.h"

#include <sqlite3.h>

struct db {
	sqlite3 *handle;
	char *path;
	bool is_damaged;
	const struct db_limits *limits;
	sqlite3_blob *blob; /* of db_read_value(), for the next one; or NULL */
	int64_t started_ms; /* when the first statement under limits began; -1: none has */
	bool is_over_time;
	char denied[160]; /* what the statement asked for that is not allowed; "" */
};

struct db_query {
	struct db *db;
	sqlite3_stmt *stmt;
	const char *rest;
};

/* -1 with 'err': result 'rc' of a call, under 'code' where nothing better is known. */
int db_fail(struct db *db, int rc, enum err_code code, struct err *err);

#endif
