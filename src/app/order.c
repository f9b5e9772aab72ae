#include "base/base.h"

#include "app/order.h"

#include "base/mem.h"

#include <math.h>

/* A strategy by what it has in common with its other orders. */
struct member {
	char *key;
	size_t at; /* in strategies.v */
};

/* Stage, base model, and the trainings in an order of their own. */
static char *key_of(const struct strategy *group)
{
	struct strv trainings = STRV_INIT;
	struct str key = STR_INIT;

	strv_copy(&trainings, group->parts.v + 1);
	strv_sort(&trainings);
	str_addf(&key, "%zu:%s\n%s", strlen(group->stage), group->stage, group->parts.v[0]);
	for (size_t i = 0; i < trainings.n; i++)
		str_addf(&key, "\n%zu:%s", strlen(trainings.v[i]), trainings.v[i]);
	strv_release(&trainings);
	return str_detach(&key);
}

static int by_key(const void *a, const void *b)
{
	const struct member *left = a;
	const struct member *right = b;
	int result = strcmp(left->key, right->key);

	return result ? result : left->at < right->at ? -1 : 1;
}

static void add_pair(struct orders *orders, const struct strategy *first,
		     const struct strategy *second)
{
	if (orders->n == orders->cap) {
		orders->cap = orders->cap ? orders->cap * 2 : 16;
		orders->v = xreallocarray(orders->v, orders->cap, sizeof(*orders->v));
	}
	orders->v[orders->n++] = (struct order_pair){ first, second };
}

void orders_find(struct orders *orders, const struct strategies *all)
{
	struct member *members = xcalloc(all->n + 1, sizeof(*members));
	size_t *rank = xcalloc(all->n + 1, sizeof(*rank));
	size_t n = all->n_fields ? 0 : all->n;

	for (size_t i = 0; i < n; i++)
		members[i] = (struct member){ key_of(all->v[i]), i };
	if (n)
		qsort(members, n, sizeof(*members), by_key);
	for (size_t i = 0; i < n; i++)
		rank[members[i].at] = i;
	for (size_t i = 0; i < n; i++)
		for (size_t k = rank[i] + 1;
		     k < n && strcmp(members[k].key, members[rank[i]].key) == 0; k++)
			add_pair(orders, all->v[i], all->v[members[k].at]);
	for (size_t i = 0; i < n; i++)
		free(members[i].key);
	free(members);
	free(rank);
}

void orders_release(struct orders *orders)
{
	free(orders->v);
	*orders = (struct orders)ORDERS_INIT;
}

const struct strategy_metric *strategy_metric(const struct strategy *group, const char *name)
{
	return map_get(&group->by_name, name);
}

double mean_difference(const struct strategy_metric *first, const struct strategy_metric *second)
{
	return second->moments.mean - first->moments.mean;
}

/* The variance of a mean. */
static double uncertainty(const struct moments *moments)
{
	double deviation = moments_deviation(moments);

	return deviation * deviation / (double)moments->n;
}

double difference_error(const struct strategy_metric *first, const struct strategy_metric *second)
{
	return sqrt(uncertainty(&first->moments) + uncertainty(&second->moments));
}

const char *order_verdict(const struct strategy_metric *first, const struct strategy_metric *second)
{
	double delta = mean_difference(first, second);

	if (!first->goal || !isfinite(delta))
		return NULL;
	if (delta < 0 || delta > 0)
		return (delta > 0) == (first->goal == '+') ? "better" : "worse";
	return "same";
}
