/*
 * batch_order - which job waits for which, and the order that comes of it.
 *
 *	struct batch_order order;
 *	batch_order_init(&order, n);
 *	batch_order_add(&order, job, on, "after");
 *	if (batch_order_sort(&order) < 0) ... order.cycle ...
 *	batch_order_release(&order);
 *
 * Numbers and words only: knows nothing of what the jobs are.
 */
#ifndef MODEL_BATCH_ORDER_H
#define MODEL_BATCH_ORDER_H
#include "base/base.h"

struct batch_need {
	size_t on;	 /* the job that comes before */
	const char *why; /* borrowed */
};

struct batch_needs {
	struct batch_need *v;
	size_t n;
	size_t cap;
};

struct batch_order {
	struct batch_needs *of; /* of each job */
	size_t n;
	size_t *sorted;	  /* batch_order_sort(): each job behind all that it waits for */
	size_t *position; /* of each job in 'sorted' */
	size_t *cycle;	  /* jobs of which each waits for the next, and the last for the first */
	size_t n_cycle;
};

void batch_order_init(struct batch_order *order, size_t n);
void batch_order_release(struct batch_order *order);

/* 'job' waits for 'on'; said again it stays as it was said first. */
void batch_order_add(struct batch_order *order, size_t job, size_t on, const char *why);

/* -1 if there is a cycle: order->cycle has it. Otherwise jobs stay in their order as far as can be. */
int batch_order_sort(struct batch_order *order);

/* Does 'job' wait, through whatever others, for 'on'? After the sort. */
bool batch_order_reaches(const struct batch_order *order, size_t job, size_t on);

#endif
