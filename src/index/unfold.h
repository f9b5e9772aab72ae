/*
 * unfold - what the views read out of the text of a record: functions for SQL.
 *
 *	th_value(id, n, 'git.commit')     one value of the n-th training; n = 0: of the record itself;
 *	                                  '': all of it, as JSON
 *	th_values(id, 'metrics')          n, name, value: what each training has there; what is nested
 *	                                  by its dotted path
 *	th_parents(id, ref, exp, root)    what it began from, see unfold_parents.c
 *
 * 'id' is that of a row of the table "record": its text never passes through SQLite, which would keep
 * it for each row that it sorts. Trainings count from 1. A string is TEXT, a truth 1 or 0, a whole
 * number INTEGER (its digits as TEXT where 64 bits do not hold it), another REAL, exactly what it was;
 * null, NaN and Infinity are NULL; a list, and an object that is not taken apart, is its JSON. Of a
 * text that is no record there is nothing.
 */
#ifndef INDEX_UNFOLD_H
#define INDEX_UNFOLD_H
#include "index/db.h"
#include "model/info.h"

int unfold_add(struct db *db, struct err *err);

extern const struct db_table unfold_parents; /* th_parents() */

/* The record 'id', read into 'text', which must stay; info_release() in any case. */
bool unfold_open(struct db *db, const struct db_value *id, struct str *text, struct info *info);

/* The value of a token, for SQL; 'text' holds what is TEXT. */
void unfold_token(const struct json *doc, size_t token, struct str *text, struct db_value *out);

#endif
