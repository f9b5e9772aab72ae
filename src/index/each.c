/* Histories from the index, and from the files where they are not at rest. */
#include "base/base.h"

#include "base/mem.h"
#include "index/index_part.h"
#include "index/place.h"

/* Three streams in one order. Of equals the first counts, and the others pass over what it gave. */
enum stream {
	WAITED,	 /* places that entries outside of the tree wait for */
	LIVE,	 /* other places that are to be read from the files */
	RESTING, /* records of all others */
	N_STREAMS,
};

struct each {
	struct index *index;
	struct layout *layout;
	const struct history_filter *filter;
	history_fn fn;
	void *arg;
	struct db_query *q[N_STREAMS]; /* but for WAITED; each at its next row */
	bool has_one[N_STREAMS];
	struct strv waited;
	size_t at;	       /* in 'waited' */
	struct str waited_key; /* of that */
	struct str end;	       /* what is before this key was given */
	struct err *err;
};

#define IN_RANGE "p.root = ?1 AND p.sort >= ?2 AND p.sort < ?3"

static const char *const texts[] = {
	[LIVE] = "SELECT p.path, p.sort FROM place p WHERE " IN_RANGE
		 " AND p.is_live ORDER BY p.sort",
	[RESTING] = "SELECT " ROWS_COLUMNS ", p.sort FROM place p CROSS JOIN record r"
		    " ON r.place = p.id WHERE " IN_RANGE " AND NOT p.is_live"
		    " ORDER BY p.sort, r.at",
};
static const int sort_columns[] = { [LIVE] = 1, [RESTING] = 7 };

struct range {
	int64_t root;
	struct str from;
	struct str to;
};

struct key {
	const void *bytes;
	size_t len;
};

/* ---- the streams ---- */

static int advance(struct each *e, enum stream which)
{
	int more;

	if (which == WAITED) {
		e->has_one[WAITED] = e->at < e->waited.n;
		if (e->has_one[WAITED])
			place_key(e->waited.v[e->at++], &e->waited_key);
		return 0;
	}
	more = db_step(e->q[which], e->err);
	e->has_one[which] = more > 0;
	return more < 0 ? INDEX_BROKEN : 0;
}

static int start(struct each *e, enum stream which, const struct range *range)
{
	struct db_query *q = db_prepare(e->index->db, texts[which], e->err);

	e->q[which] = q;
	if (!q)
		return INDEX_BROKEN;
	db_bind_int(q, 1, range->root);
	db_bind_blob(q, 2, range->from.buf, range->from.len);
	db_bind_blob(q, 3, range->to.buf, range->to.len);
	return advance(e, which);
}

static struct key key_of(const struct each *e, enum stream which)
{
	struct key key = { .bytes = e->waited_key.buf, .len = e->waited_key.len };

	if (which != WAITED)
		key.bytes = db_blob(e->q[which], sort_columns[which], &key.len);
	return key;
}

static int compare_keys(struct key a, struct key b)
{
	int order = memcmp(a.bytes, b.bytes, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static enum stream first_of(const struct each *e)
{
	enum stream first = N_STREAMS;

	for (enum stream i = WAITED; i < N_STREAMS; i++)
		if (e->has_one[i] &&
		    (first == N_STREAMS || compare_keys(key_of(e, i), key_of(e, first)) < 0))
			first = i;
	return first;
}

/* ---- giving ---- */

static int give_record(struct each *e)
{
	struct history history;
	int result = rows_read(e->index->rows, e->q[RESTING], e->layout, &history, e->err);

	if (result < 0)
		result = INDEX_BROKEN;
	else if (history_fits(&history, e->filter))
		result = e->fn(e->arg, &history, e->err);
	history_release(&history);
	return result;
}

static int give_part(struct each *e, const char *path)
{
	char *own = xstrdup(path);
	int result;

	place_key(own, &e->end);
	place_key_end(&e->end);
	result = histories_each_in(e->layout, own, e->filter, e->fn, e->arg, e->err);
	free(own);
	return result;
}

static int give(struct each *e, enum stream which)
{
	const struct key end = { .bytes = e->end.buf, .len = e->end.len };

	if (compare_keys(key_of(e, which), end) < 0)
		return 0;
	switch (which) {
	case WAITED:
		return give_part(e, e->waited.v[e->at - 1]);
	case LIVE:
		return give_part(e, db_text(e->q[LIVE], 0, NULL));
	case RESTING:
	case N_STREAMS:
		break;
	}
	return give_record(e);
}

static int give_all(struct each *e, const struct range *range)
{
	int result = advance(e, WAITED);
	enum stream which;

	for (enum stream i = LIVE; i < N_STREAMS && result == 0; i++)
		result = start(e, i, range);
	while (result == 0 && (which = first_of(e)) != N_STREAMS) {
		result = give(e, which);
		if (result == 0)
			result = advance(e, which);
	}
	return result;
}

/* ---- which ---- */

/* Whatever lies in the same directory of the root as what is waited for. */
static void add_waited(struct each *e)
{
	const struct strv *dirs = &e->index->waiting;
	size_t len = strlen(e->layout->root);

	for (size_t i = 0; i < dirs->n; i++) {
		const char *below = dirs->v[i] + len;
		char *top;

		if (!has_prefix(dirs->v[i], e->layout->root) || *below != '/' || !below[1])
			continue;
		top = xstrndup(below + 1, strcspn(below + 1, "/"));
		if (strv_has(&e->waited, top))
			free(top);
		else
			strv_push_take(&e->waited, top);
	}
	strv_sort(&e->waited);
}

/* Does the place hold records itself, or is it to be read from the files? Then it is no experiment like
 * others. 1, 0, or INDEX_BROKEN. */
static int is_odd(struct each *e, const struct range *range)
{
	static const char text[] = "SELECT 1 FROM place p WHERE root = ? AND sort = ? AND"
				   " (is_live OR EXISTS (SELECT 1 FROM record WHERE place = p.id))";
	struct db_query *q = db_prepare(e->index->db, text, e->err);
	int more;

	if (!q)
		return INDEX_BROKEN;
	db_bind_int(q, 1, range->root);
	db_bind_blob(q, 2, range->from.buf, range->from.len);
	more = db_step(q, e->err);
	db_finish(q);
	return more < 0 ? INDEX_BROKEN : more;
}

static int64_t root_id(const struct index *index, const char *path)
{
	char *canonical = realpath(path, NULL);
	int64_t id = 0;

	for (size_t i = 0; canonical && i < index->n_roots; i++)
		if (strcmp(index->roots[i].path, canonical) == 0)
			id = index->roots[i].id;
	free(canonical);
	return id;
}

static void set_range(struct range *range, const char *exp)
{
	if (exp) {
		place_key(exp, &range->from);
		place_key(exp, &range->to);
		place_key_end(&range->to);
		return;
	}
	/* Longer than any name: beyond all keys. */
	for (size_t i = 0; i < 300; i++)
		str_addch(&range->to, '\xff');
}

static int each_in_range(struct each *e, const char *exp, const struct range *range)
{
	int odd = 0;

	add_waited(e);
	if (exp && strv_has(&e->waited, exp))
		odd = 1;
	else if (exp)
		odd = is_odd(e, range);
	if (odd > 0)
		return histories_each(e->layout, exp, e->filter, e->fn, e->arg, e->err);
	if (exp)
		strv_release(&e->waited);
	return odd ? odd : give_all(e, range);
}

int index_each(struct index *index, struct layout *layout, const char *exp,
	       const struct history_filter *filter, history_fn fn, void *arg, struct err *err)
{
	struct range range = { .root = root_id(index, layout->root),
			       .from = STR_INIT,
			       .to = STR_INIT };
	struct each e = {
		.index = index,
		.layout = layout,
		.filter = filter,
		.fn = fn,
		.arg = arg,
		.waited_key = STR_INIT,
		.end = STR_INIT,
		.err = err,
	};
	int result;

	if (!range.root) {
		err_set(err, ERR_FAILED, "'%s': not in the index", layout->root);
		return INDEX_BROKEN;
	}
	set_range(&range, exp);
	result = each_in_range(&e, exp, &range);
	for (size_t i = 0; i < N_STREAMS; i++)
		db_finish(e.q[i]);
	if (result == INDEX_BROKEN && db_is_damaged(index->db) && index_erase(index, err) == 0)
		*err = (struct err)ERR_INIT;
	strv_release(&e.waited);
	str_release(&e.waited_key);
	str_release(&e.end);
	str_release(&range.from);
	str_release(&range.to);
	return result;
}
