/*
 * listing - the models of one or more roots, or every attempt at one, narrowed.
 *
 *	result = listing_each(session, &query, look, &mine, &err);
 *
 * A row is a model as its last training left it; with query->runs it is one training: what the
 * record has of it (not what it inherited), or a run of the journal that is in no record. A record
 * that cannot be read is a row, whatever was asked for but another REF or experiment.
 */
#ifndef APP_LISTING_H
#define APP_LISTING_H
#include "app/session.h"
#include "model/filter.h"
#include "model/history.h"
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
	bool is_broken;	       /* the record cannot be read: history->err says why */
};

/* The row lasts during the call. -1 with 'err' set ends it all with -1, another value but 0 with 0. */
typedef int (*listing_fn)(void *arg, const struct listing_row *row, struct err *err);

/* Each row, root by root and in natural order; one history is in memory at a time. Where a root is
 * missing, that is said before the first row. */
int listing_each(struct session *session, struct listing_query *query, listing_fn fn, void *arg,
		 struct err *err);

#endif
