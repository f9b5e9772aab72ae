/*
 * answer - the rows of a listing that are to be shown, in their order.
 *
 *	struct answer answer;
 *	answer_init(&answer, &request);
 *	if (answer_offer(&answer, row))		for each row of listing_each()
 *		answer_put(&answer, &payload);
 *	answer_end(&answer, session, &err);
 *	... answer.first->rows[i] ...
 *	answer_release(&answer);
 *
 * Nothing is kept of a row but what orders it and the payload, and with a limit no more rows than
 * that. Which direction of a metric is better is known only when all stages that have it have been
 * met: until then the first rows of both are kept.
 */
#ifndef APP_ANSWER_H
#define APP_ANSWER_H
#include "app/listing.h"
#include "app/ranking.h"

struct answer_request {
	const struct column_list *keys; /* the order; borrowed, may be empty */
	const struct column_spec *best; /* or NULL: rows without it are left out, the best comes
					 * first, of equals the first by REF; 'keys' do not count */
	size_t limit;			/* SIZE_MAX: none */
};

struct answer {
	struct answer_request request;
	struct column_spec by_best[2][2]; /* keys of 'best': from the lowest, from the highest */
	struct column_list orders[2];
	struct ranking rankings[2];
	bool takes[2];
	size_t n_rankings;
	struct ranking *first; /* after answer_end() */
	size_t n_found;	       /* of all rows, before the limit */
	bool is_broken;	       /* the row that was offered last */
	struct str keys;       /* of that row */
	struct strv stages;    /* that have the metric, as they were met */
	struct strv datasets;  /* of the first row of each; "" for none */
};

void answer_init(struct answer *answer, const struct answer_request *request);
void answer_release(struct answer *answer);

/* False: the row is not to be shown. Else its payload is put next. */
bool answer_offer(struct answer *answer, const struct listing_row *row);
void answer_put(struct answer *answer, const struct str *payload);

/*
 * Put the rows in order. The best ones are those that the plugins of the stages declare so, else what
 * the metric's name tells; ERR_INVALID where they do not agree. A plugin that cannot be asked is
 * warned of.
 */
int answer_end(struct answer *answer, struct session *session, struct err *err);

#endif
