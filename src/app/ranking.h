/*
 * ranking - the first rows by some columns, in the memory of those alone.
 *
 *	ranking_init(&ranking, &keys, limit);
 *	if (ranking_takes(&ranking, key_values, false))
 *		ranking_put(&ranking, key_values, n, payload, n, false);
 *	ranking_sort(&ranking);
 *	... ranking.rows[i]->is_broken, ranked_payload(ranking.rows[i]) ...
 *	ranking_release(&ranking);
 *
 * By the first key, then by the next; what is undefined comes last in either direction, broken records
 * at the very end. Equal rows keep the order in which they came; without keys that is the order. Rows
 * beyond the limit go as soon as better ones come; broken ones stay and do not count.
 */
#ifndef APP_RANKING_H
#define APP_RANKING_H
#include "app/column.h"

struct ranked {
	size_t at; /* which of all rows that came */
	uint32_t payload;
	bool is_broken;
	char data[]; /* packed keys (app/packed.h), then the payload */
};

struct ranking {
	const struct column_list *keys; /* borrowed; the direction alone counts here */
	size_t limit;			/* SIZE_MAX: none */
	size_t n_came;
	struct ranked *
		*rows; /* with a limit, the last of them by order is [0] until they are sorted */
	size_t n;
	size_t cap;
	struct ranked **broken; /* until they are sorted */
	size_t n_broken;
	size_t cap_broken;
};

void ranking_init(struct ranking *ranking, const struct column_list *keys, size_t limit);
void ranking_release(struct ranking *ranking);

/* One more row has come, with these packed keys. True if it is among the first so far: put it. */
bool ranking_takes(struct ranking *ranking, const struct str *keys, bool is_broken);
void ranking_put(struct ranking *ranking, const struct str *keys, const struct str *payload,
		 bool is_broken);

/* All rows into their order, the broken ones among them. Nothing more is put. */
void ranking_sort(struct ranking *ranking);

const char *ranked_payload(const struct ranked *row);

/* In the place of '*row' the same one with another payload, and without its keys. */
void ranked_replace(struct ranked **row, const struct str *payload);

#endif
