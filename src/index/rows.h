/*
 * rows - what stage directories hold, in the index and back.
 *
 *	struct rows *rows = rows_open(db, &err);
 *	rows_put(rows, &where, &history, &err);
 *
 * For src/index alone. Of a history that is at rest the rows hold all that history_read() found, but
 * for runs that are in the record.
 */
#ifndef INDEX_ROWS_H
#define INDEX_ROWS_H
#include "index/db.h"
#include "model/history.h"

struct rows;

/* Statements are made when they are first needed. */
struct rows *rows_open(struct db *db);
void rows_close(struct rows *rows); /* NULL is nothing */

struct rows_where {
	int64_t root;
	int64_t place;
	int64_t at; /* its turn in the place */
};

/* 0, or -1 with 'err'. */
int rows_put(struct rows *rows, const struct rows_where *where, const struct history *history,
	     struct err *err);

/* All that is of this place. */
int rows_drop(struct rows *rows, int64_t place, struct err *err);

/*
 * The other way. 'q' stands at a row that begins with ROWS_COLUMNS of record r; paths are those of
 * 'layout'. -1 with 'err': also where the row cannot be what rows_put() put in (db_is_damaged()).
 * 'out' is released by the caller in any case.
 */
#define ROWS_COLUMNS "r.id, r.exp, r.name, r.has_record, r.text, r.runs, r.sum"
int rows_read(struct rows *rows, struct db_query *q, const struct layout *layout,
	      struct history *out, struct err *err);

#endif
