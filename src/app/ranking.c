#include "base/base.h"

#include "app/ranking.h"

#include "app/packed.h"
#include "base/mem.h"

void ranking_init(struct ranking *ranking, const struct column_list *keys, size_t limit)
{
	*ranking = (struct ranking){ .keys = keys, .limit = limit };
}

static void release(struct ranked **rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(rows[i]);
	free(rows);
}

void ranking_release(struct ranking *ranking)
{
	release(ranking->rows, ranking->n);
	release(ranking->broken, ranking->n_broken);
	*ranking = (struct ranking){ .keys = NULL };
}

/* ---- order ---- */

static bool is_last(const struct value *value)
{
	return value->type == VALUE_UNDEFINED ||
	       (value->type == VALUE_NUMBER && value->number != value->number);
}

static int compare_keys(const struct column_list *keys, const char *left, const char *right)
{
	for (size_t i = 0; i < keys->n; i++) {
		struct value x;
		struct value y;
		int order;

		left = packed_read(left, &x);
		right = packed_read(right, &y);
		order = value_compare(&x, &y);
		if (order && keys->v[i].is_descending && !is_last(&x) && !is_last(&y))
			order = -order;
		if (order)
			return order;
	}
	return 0;
}

static int compare(const struct column_list *keys, const struct ranked *left,
		   const struct ranked *right)
{
	int order;

	if (keys->n && left->is_broken != right->is_broken)
		return left->is_broken ? 1 : -1;
	order = compare_keys(keys, left->data, right->data);
	if (order)
		return order;
	return left->at < right->at ? -1 : left->at > right->at;
}

static int compare_rows(const void *a, const void *b, void *keys)
{
	return compare(keys, *(struct ranked *const *)a, *(struct ranked *const *)b);
}

/* ---- a heap whose top is the last by order ---- */

static bool is_before(const struct ranking *ranking, size_t a, size_t b)
{
	return compare(ranking->keys, ranking->rows[a], ranking->rows[b]) < 0;
}

static void swap(struct ranking *ranking, size_t a, size_t b)
{
	struct ranked *row = ranking->rows[a];

	ranking->rows[a] = ranking->rows[b];
	ranking->rows[b] = row;
}

static void sift_up(struct ranking *ranking, size_t at)
{
	for (size_t parent; at && is_before(ranking, parent = (at - 1) / 2, at); at = parent)
		swap(ranking, parent, at);
}

static void sift_down(struct ranking *ranking)
{
	size_t at = 0;

	for (size_t child; (child = 2 * at + 1) < ranking->n; at = child) {
		if (child + 1 < ranking->n && is_before(ranking, child, child + 1))
			child++;
		if (!is_before(ranking, at, child))
			break;
		swap(ranking, at, child);
	}
}

/* ---- rows ---- */

static struct ranked *make(size_t at, bool is_broken, const char *keys, size_t keys_len,
			   const struct str *payload)
{
	struct ranked *row = xmalloc(sizeof(*row) + keys_len + payload->len);

	row->at = at;
	row->is_broken = is_broken;
	row->payload = (uint32_t)keys_len;
	memcpy(row->data, keys, keys_len);
	memcpy(row->data + keys_len, payload->buf, payload->len);
	return row;
}

static void push(struct ranked ***rows, size_t *n, size_t *cap, struct ranked *row)
{
	if (*n == *cap) {
		*cap = *cap ? *cap + *cap / 2 : 64;
		*rows = xreallocarray(*rows, *cap, sizeof(struct ranked *));
	}
	(*rows)[(*n)++] = row;
}

bool ranking_takes(struct ranking *ranking, const struct str *keys, bool is_broken)
{
	ranking->n_came++;
	if (is_broken || ranking->n < ranking->limit)
		return true;
	/* of equals the one that came before stays */
	return ranking->limit && compare_keys(ranking->keys, keys->buf, ranking->rows[0]->data) < 0;
}

void ranking_put(struct ranking *ranking, const struct str *keys, const struct str *payload,
		 bool is_broken)
{
	struct ranked *row = make(ranking->n_came - 1, is_broken, keys->buf, keys->len, payload);

	if (is_broken) {
		push(&ranking->broken, &ranking->n_broken, &ranking->cap_broken, row);
	} else if (ranking->n < ranking->limit) {
		push(&ranking->rows, &ranking->n, &ranking->cap, row);
		if (ranking->limit != SIZE_MAX)
			sift_up(ranking, ranking->n - 1);
	} else {
		free(ranking->rows[0]);
		ranking->rows[0] = row;
		sift_down(ranking);
	}
}

void ranking_sort(struct ranking *ranking)
{
	for (size_t i = 0; i < ranking->n_broken; i++)
		push(&ranking->rows, &ranking->n, &ranking->cap, ranking->broken[i]);
	ranking->n_broken = 0;
	if (ranking->n)
		qsort_r(ranking->rows, ranking->n, sizeof(struct ranked *), compare_rows,
			(void *)(uintptr_t)ranking->keys);
}

const char *ranked_payload(const struct ranked *row)
{
	return row->data + row->payload;
}

void ranked_replace(struct ranked **row, const struct str *payload)
{
	struct ranked *next = make((*row)->at, (*row)->is_broken, "", 0, payload);

	free(*row);
	*row = next;
}
