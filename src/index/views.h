/*
 * views - what 'thhost query' shows of the index: promised to users, documented in thhost-query(1).
 *
 * They are made anew for each connection, in memory, so that the file is no matter of theirs.
 */
#ifndef INDEX_VIEWS_H
#define INDEX_VIEWS_H
#include "index/db.h"

#define VIEWS_INNER_SIZE 32

/* Make them, and the functions that they call. What reads the tables are views behind these, whose
 * names begin with 'inner', another one each time. */
int views_make(struct db *db, char inner[VIEWS_INNER_SIZE], struct err *err);

/* Their names, and what else a statement may read ("json_each", "json_tree"); ended by NULL. */
extern const char *const view_names[];

struct view_column {
	const char *name;
	const char *help; /* a few words */
};

struct view {
	const char *name;
	const char *help;
	const char *sql; /* the SELECT that it is */
	const struct view_column *columns;
	size_t n_columns;
	bool is_made_once; /* per statement: a way down the tree would else look through all records
			    * at each step */
};

extern const struct view views[];
extern const size_t n_views;

#endif
