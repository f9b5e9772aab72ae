/*
 * listing - the models of one or more roots, or every attempt at one, narrowed and put in order.
 *
 *	struct listing listing = LISTING_INIT;
 *	listing_load(&listing, session, &query, &err);
 *	listing_sort(&listing, &keys);
 *	listing_release(&listing);
 *
 * A row is a model as its last training left it; with query->runs it is one training: what the
 * record has of it (not what it inherited), or a run of the journal that is in no record. A record
 * that cannot be read is a row, whatever was asked for but another REF or experiment.
 */
#ifndef APP_LISTING_H
#define APP_LISTING_H
#include "app/column.h"
#include "model/history.h"
#include "app/session.h"
#include "model/filter.h"
#include "model/when.h"

struct listing_query {
	struct strv roots; /* none: the configured one */
	struct strv
		patterns; /* of REFs, as in a shell; they may leave out what stands before a '/' */
	const char *exp;  /* NULL: all */
	const char *stage;
	const char *dataset;	 /* any training on it; with 'runs' this one */
	struct filter **filters; /* all hold; listing_query_release() frees them */
	size_t n_filters;
	bool has_started;
	struct when started;
	bool runs;
};

void listing_query_release(struct listing_query *query);

struct listing_row {
	const struct history *history;
	struct subject subject;
	const struct run *run; /* NULL: the record has it */
};

struct listing {
	struct histories *roots;
	size_t n_roots;
	struct listing_row *rows;
	size_t n;
	size_t cap;
	struct json **runs; /* documents that rows of the journal are read from */
	size_t n_runs;
};

#define LISTING_INIT                                                                       \
	{                                                                                  \
		.roots = NULL, .n_roots = 0, .rows = NULL, .n = 0, .cap = 0, .runs = NULL, \
		.n_runs = 0                                                                \
	}

int listing_load(struct listing *listing, struct session *session, struct listing_query *query,
		 struct err *err);
void listing_release(struct listing *listing);

/* By the first key, then by the next; what is undefined comes last in either direction, broken
 * records at the very end. Equal rows keep their order. */
void listing_sort(struct listing *listing, const struct column_list *keys);

/* Drop rows that have no finite number there. */
void listing_keep_numbers(struct listing *listing, const struct column_spec *column);

/* Drop all rows but the first 'n' and what is broken. */
void listing_limit(struct listing *listing, size_t n);

/*
 * '+' or '-' for the metric that a column is about: as the plugins of the stages that have it
 * declare it, else guessed from its name. ERR_INVALID where they do not agree. A plugin that cannot
 * be asked is warned of.
 */
int listing_goal(const struct listing *listing, struct session *session,
		 const struct column_spec *column, char *goal, struct err *err);

#endif
