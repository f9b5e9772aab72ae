#include "base/base.h"

#include "model/batch_order.h"

#include "base/mem.h"

void batch_order_init(struct batch_order *order, size_t n)
{
	*order = (struct batch_order){ .n = n };
	order->of = xcalloc(n ? n : 1, sizeof(*order->of));
}

void batch_order_release(struct batch_order *order)
{
	for (size_t i = 0; i < order->n; i++)
		free(order->of[i].v);
	free(order->of);
	free(order->sorted);
	free(order->position);
	free(order->cycle);
	*order = (struct batch_order){ .n = 0 };
}

void batch_order_add(struct batch_order *order, size_t job, size_t on, const char *why)
{
	struct batch_needs *needs = &order->of[job];

	for (size_t i = 0; i < needs->n; i++)
		if (needs->v[i].on == on)
			return;
	if (needs->n == needs->cap) {
		needs->cap = needs->cap ? needs->cap * 2 : 4;
		needs->v = xreallocarray(needs->v, needs->cap, sizeof(*needs->v));
	}
	needs->v[needs->n++] = (struct batch_need){ .on = on, .why = why };
}

/* A walk in depth, with a stack of its own: a chain of jobs may be as long as there are jobs. */
struct walk {
	struct batch_order *order;
	size_t *stack; /* the jobs from the first to the one that is looked at */
	size_t depth;
	size_t *next; /* of each job: which need is looked at next */
	unsigned char *state;
	size_t n_sorted;
};

enum { UNSEEN, OPEN, DONE };

static void keep_cycle(struct walk *w, size_t job)
{
	size_t start = w->depth;

	while (w->stack[start - 1] != job)
		start--;
	w->order->n_cycle = w->depth - (start - 1);
	w->order->cycle = xcalloc(w->order->n_cycle, sizeof(*w->order->cycle));
	for (size_t i = 0; i < w->order->n_cycle; i++)
		w->order->cycle[i] = w->stack[start - 1 + i];
}

static void enter(struct walk *w, size_t job)
{
	w->state[job] = OPEN;
	w->stack[w->depth++] = job;
}

/* One step: enter the next job that the last one waits for, or leave it. -1: a cycle. */
static int step(struct walk *w)
{
	size_t job = w->stack[w->depth - 1];
	const struct batch_needs *needs = &w->order->of[job];

	if (w->next[job] < needs->n) {
		size_t on = needs->v[w->next[job]++].on;

		if (w->state[on] == OPEN) {
			keep_cycle(w, on);
			return -1;
		}
		if (w->state[on] == UNSEEN)
			enter(w, on);
		return 0;
	}
	w->state[job] = DONE;
	w->order->position[job] = w->n_sorted;
	w->order->sorted[w->n_sorted++] = job;
	w->depth--;
	return 0;
}

int batch_order_sort(struct batch_order *order)
{
	size_t room = order->n ? order->n : 1;
	struct walk w = { .order = order };
	int result = 0;

	order->sorted = xcalloc(room, sizeof(*order->sorted));
	order->position = xcalloc(room, sizeof(*order->position));
	w.stack = xcalloc(room, sizeof(*w.stack));
	w.next = xcalloc(room, sizeof(*w.next));
	w.state = xcalloc(room, 1);
	for (size_t i = 0; i < order->n && result == 0; i++) {
		if (w.state[i] == UNSEEN)
			enter(&w, i);
		while (w.depth && result == 0)
			result = step(&w);
	}
	free(w.stack);
	free(w.next);
	free(w.state);
	return result;
}

bool batch_order_reaches(const struct batch_order *order, size_t job, size_t on)
{
	bool *seen = xcalloc(order->n ? order->n : 1, sizeof(*seen));
	size_t *queue = xcalloc(order->n ? order->n : 1, sizeof(*queue));
	size_t n = 0;

	queue[n++] = job;
	seen[job] = true;
	for (size_t at = 0; at < n && !seen[on]; at++)
		for (size_t i = 0; i < order->of[queue[at]].n; i++) {
			size_t next = order->of[queue[at]].v[i].on;

			/* What comes before 'on' does not wait for it. */
			if (seen[next] || order->position[next] < order->position[on])
				continue;
			seen[next] = true;
			queue[n++] = next;
		}
	n = seen[on] && job != on;
	free(seen);
	free(queue);
	return n;
}
