/*
 * order - strategies that have the same trainings in another order: A then B against B then A.
 *
 *	struct orders orders = ORDERS_INIT;
 *	orders_find(&orders, &all);
 *	orders_release(&orders);
 */
#ifndef APP_ORDER_H
#define APP_ORDER_H
#include "app/strategies.h"

/* Same stage, base model and trainings; both are borrowed from what was searched. */
struct order_pair {
	const struct strategy *first;
	const struct strategy *second;
};

struct orders {
	struct order_pair *v;
	size_t n;
	size_t cap;
};

#define ORDERS_INIT                         \
	{                                   \
		.v = NULL, .n = 0, .cap = 0 \
	}

/* Every two orders of the same trainings; none where 'all' is grouped by fields. */
void orders_find(struct orders *orders, const struct strategies *all);
void orders_release(struct orders *orders);

/* The metric of that name, or NULL. */
const struct strategy_metric *strategy_metric(const struct strategy *group, const char *name);

/* The second mean minus the first; not finite where it is too large. */
double mean_difference(const struct strategy_metric *first, const struct strategy_metric *second);

/* The standard error of that, as Welch has it: deviations may differ. NAN where one mean is of a single
 * model. */
double difference_error(const struct strategy_metric *first, const struct strategy_metric *second);

/* "better", "worse" or "same": how the second is to the first. NULL: that has no meaning. Static. */
const char *order_verdict(const struct strategy_metric *first,
			  const struct strategy_metric *second);

#endif
