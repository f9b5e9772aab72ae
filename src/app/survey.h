/*
 * survey - every stage directory below one or more roots, one after the other.
 *
 *	const struct survey_query query = { .roots = &roots, .exp = exp, .filter = &filter };
 *	result = survey(session, &query, look, &mine, err);
 *
 * The one way in which commands that ask the history come by it: what each directory holds, in
 * natural order, root by root, from an index of them where that is quicker (index/index.h) - with the
 * same answer as from the files. Runs of the journal that are in the record are left out. Only one
 * history is in memory at a time, unless 'look' keeps some.
 */
#ifndef APP_SURVEY_H
#define APP_SURVEY_H
#include "app/session.h"
#include "model/history.h"

struct survey_query {
	const struct strv *roots; /* NULL or empty: the configured one; one named twice is one */
	const char *exp;	  /* NULL: all */
	const struct history_filter *filter; /* or NULL */
};

/*
 * 'root' is absolute, and there during the call alone. The history is released afterwards, unless
 * history_move() took it. -1 with 'err' set ends the survey with -1, another value but 0 with 0.
 */
typedef int (*survey_fn)(void *arg, const char *root, struct history *history, struct err *err);

/* ERR_NOT_FOUND where no root has the experiment. */
int survey(struct session *session, const struct survey_query *query, survey_fn fn, void *arg,
	   struct err *err);

#endif
