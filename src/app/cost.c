#include "base/base.h"

#include "app/cost.h"

#include "app/cost_parts.h"
#include "base/mem.h"

struct costs *costs_new(struct session *session, const struct strv *roots)
{
	struct costs *costs = xcalloc(1, sizeof(*costs));

	costs->session = session;
	costs->here = realpath(".", NULL);
	if (!costs->here)
		costs->here = xstrdup("");
	for (size_t i = 0; i < roots->n; i++)
		costs_add_tree(costs, roots->v[i]);
	return costs;
}

void costs_free(struct costs *costs)
{
	map_release(&costs->by_path);
	pedigree_release(&costs->pedigree);
	pool_release(&costs->pool);
	for (size_t i = 0; i < costs->n; i++) {
		free(costs->nodes[i].v);
		free(costs->nodes[i].claims);
		free(costs->nodes[i].parents);
	}
	for (size_t i = 0; i < costs->n_trees; i++) {
		layout_close(&costs->trees[i].layout);
		free(costs->trees[i].path);
	}
	free(costs->trees);
	free(costs->nodes);
	free(costs->here);
	free(costs);
}

/* "0,1" are two, "" and "-1" none. */
static int64_t count_devices(const char *list)
{
	int64_t n = 0;

	for (const char *at = list; *at; at += *at == ',') {
		size_t len = strcspn(at, ",");

		if (len == 0 || *at == '-')
			break; /* CUDA itself stops at the first that it does not know */
		n++;
		at += len;
	}
	return n;
}

int64_t entry_gpus(const struct json *doc, size_t entry)
{
	size_t environment = json_member(doc, entry, "environment");
	size_t env = json_member(doc, environment, "env");
	char *visible = json_string_copy(doc, json_member(doc, env, "CUDA_VISIBLE_DEVICES"));
	size_t gpu = json_member(doc, environment, "gpu");
	int64_t n = -1;

	if (visible)
		n = count_devices(visible);
	else if (json_int64(doc, json_member(doc, gpu, "count"), &n) < 0 || n < 0)
		n = -1;
	free(visible);
	return n;
}

/* ---- sums ---- */

static void add_spent(struct cost *cost, const struct cost_spent *spent)
{
	cost->n_entries++;
	if (spent->steps > 0 && __builtin_add_overflow(cost->steps, spent->steps, &cost->steps))
		cost->steps = INT64_MAX;
	cost->seconds += spent->seconds;
	cost->n_untimed += spent->seconds <= 0;
	if (spent->seconds > 0 && spent->gpus >= 0)
		cost->gpu_seconds += spent->seconds * (double)spent->gpus;
	else
		cost->n_gpu_untold++;
}

/* An entry that counts, and what it is known by. */
struct counted {
	const char *id;
	const struct cost_spent *spent;
};

struct pile {
	struct counted *v;
	size_t n;
	size_t cap;
};

static void pile_up(struct pile *pile, const struct cost_node *node, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (pile->n == pile->cap) {
			pile->cap = pile->cap ? pile->cap * 2 : 64;
			pile->v = xreallocarray(pile->v, pile->cap, sizeof(*pile->v));
		}
		pile->v[pile->n++] = (struct counted){ node->v[i].id, &node->v[i] };
	}
}

/* The one that a copy without a run id was made of, if the record that has it was moved since. */
static const char *id_of_original(const struct pile *pile, const struct identities *originals,
				  const struct cost_spent *copy)
{
	const struct identity_owner *owner;
	size_t n = identities_find(originals, copy->training, &owner);
	const char *id = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct cost_spent *spent = pile->v[owner[i].owner].spent;

		if (spent->place == copy->place && (!id || strcmp(spent->id, copy->id) == 0))
			id = spent->id;
	}
	return id ? id : copy->id;
}

static void know_copies(struct pile *pile)
{
	struct identities originals = IDENTITIES_INIT;

	for (size_t i = 0; i < pile->n; i++)
		if (pile->v[i].spent->is_own && !pile->v[i].spent->has_run_id)
			identities_add(&originals, pile->v[i].spent->training, i);
	identities_sort(&originals);
	for (size_t i = 0; i < pile->n; i++)
		if (!pile->v[i].spent->is_own && !pile->v[i].spent->has_run_id)
			pile->v[i].id = id_of_original(pile, &originals, pile->v[i].spent);
	identities_release(&originals);
}

static int by_id(const void *a, const void *b)
{
	const struct counted *left = a;
	const struct counted *right = b;

	return strcmp(left->id, right->id);
}

static bool has_origin(const struct pile *pile, const char *path)
{
	for (size_t i = 0; i < pile->n; i++)
		if (strcmp(pile->v[i].spent->origin, path) == 0)
			return true;
	return false;
}

/* Mark 'node' and all that it came from; the caller frees the marks. */
static bool *all_above(const struct costs *costs, size_t node)
{
	bool *above = xcalloc(costs->n, sizeof(*above));
	size_t *open = xcalloc(costs->n, sizeof(*open));
	size_t n = 0;

	above[node] = true;
	open[n++] = node;
	while (n) {
		const struct cost_node *next = &costs->nodes[open[--n]];

		for (size_t i = 0; i < next->n_parents; i++) {
			if (above[next->parents[i]])
				continue;
			above[next->parents[i]] = true;
			open[n++] = next->parents[i];
		}
	}
	free(open);
	return above;
}

/* All that 'node' came from, and 'n' entries of its own record. */
static void sum_up(const struct costs *costs, size_t node, size_t n, struct cost *total)
{
	bool *above = all_above(costs, node);
	struct pile pile = { .n = 0 };

	for (size_t i = 0; i < costs->n; i++)
		if (above[i])
			pile_up(&pile, &costs->nodes[i], i == node ? n : costs->nodes[i].n);
	know_copies(&pile);
	if (pile.n)
		qsort(pile.v, pile.n, sizeof(*pile.v), by_id);
	for (size_t i = 0; i < pile.n; i++)
		if (i == 0 || by_id(&pile.v[i - 1], &pile.v[i]) != 0)
			add_spent(total, pile.v[i].spent);
	for (size_t i = 0; i < costs->n; i++)
		total->n_gone += above[i] && !costs->nodes[i].is_read &&
				 !has_origin(&pile, costs->nodes[i].path);
	free(above);
	free(pile.v);
}

void costs_add(struct costs *costs, const struct history *history)
{
	costs_take(costs, history);
}

void costs_of(struct costs *costs, const struct history *history, size_t number, struct cost *own,
	      struct cost *total)
{
	size_t at = costs_take(costs, history);
	const struct cost_node *node;

	*own = *total = (struct cost){ .n_entries = 0 };
	costs_link(costs, at);
	node = &costs->nodes[at];
	for (size_t i = 0; i < node->n; i++)
		if (number ? i + 1 == number : strcmp(node->v[i].origin, node->path) == 0)
			add_spent(own, &node->v[i]);
	sum_up(costs, at, number ? number : node->n, total);
}
