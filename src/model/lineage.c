#include "base/base.h"

#include "model/lineage.h"

#include "base/mem.h"

/* FNV-1a: spreads names that differ in their last digit only. */
static size_t hash(const char *text)
{
	uint64_t h = 14695981039346656037u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211u;
	return (size_t)(h ^ (h >> 32));
}

/* The slot that holds 'ref', or the free one where it belongs. */
static size_t slot_of(const struct lineage *lineage, const char *ref)
{
	size_t i = hash(ref) & (lineage->n_slots - 1);

	while (lineage->slots[i] && strcmp(lineage->nodes[lineage->slots[i] - 1].ref, ref) != 0)
		i = (i + 1) & (lineage->n_slots - 1);
	return i;
}

static void grow_slots(struct lineage *lineage)
{
	free(lineage->slots);
	lineage->n_slots = lineage->n_slots ? lineage->n_slots * 2 : 64;
	lineage->slots = xcalloc(lineage->n_slots, sizeof(*lineage->slots));
	for (size_t i = 0; i < lineage->n_nodes; i++)
		lineage->slots[slot_of(lineage, lineage->nodes[i].ref)] = i + 1;
}

size_t lineage_find(const struct lineage *lineage, const char *ref)
{
	size_t slot = lineage->n_slots ? lineage->slots[slot_of(lineage, ref)] : 0;

	return slot ? slot - 1 : LINEAGE_NONE;
}

size_t lineage_node(struct lineage *lineage, const char *ref)
{
	size_t i = lineage_find(lineage, ref);
	struct lineage_node *node;

	if (i != LINEAGE_NONE)
		return i;
	if (lineage->n_slots < 2 * (lineage->n_nodes + 1))
		grow_slots(lineage);
	if (lineage->n_nodes == lineage->nodes_cap) {
		lineage->nodes_cap = lineage->nodes_cap ? lineage->nodes_cap * 2 : 32;
		lineage->nodes =
			xreallocarray(lineage->nodes, lineage->nodes_cap, sizeof(*lineage->nodes));
	}
	node = &lineage->nodes[lineage->n_nodes];
	memset(node, 0, sizeof(*node));
	node->ref = xstrdup(ref);
	node->is_missing = true;
	lineage->slots[slot_of(lineage, ref)] = ++lineage->n_nodes;
	return lineage->n_nodes - 1;
}

void lineage_define(struct lineage *lineage, size_t node, const char *label, bool is_outside)
{
	struct lineage_node *n = &lineage->nodes[node];

	free(n->label);
	n->label = xstrdup_or_null(label);
	n->is_outside = is_outside;
	n->is_missing = false;
}

static void push(size_t **list, size_t *n, size_t value)
{
	*list = xreallocarray(*list, *n + 1, sizeof(**list));
	(*list)[(*n)++] = value;
}

static struct lineage_edge *find_edge(const struct lineage *lineage, size_t from, size_t to)
{
	const struct lineage_node *child = &lineage->nodes[to];

	for (size_t i = 0; i < child->n_parents; i++)
		if (lineage->edges[child->parents[i]].from == from)
			return &lineage->edges[child->parents[i]];
	return NULL;
}

void lineage_connect(struct lineage *lineage, size_t from, size_t to, const char *relation,
		     const char *checkpoint, bool is_declared)
{
	struct lineage_edge *edge;

	if (from == to)
		return;
	edge = find_edge(lineage, from, to);
	if (edge) {
		edge->is_declared = edge->is_declared || is_declared;
		return;
	}
	lineage->edges =
		xreallocarray(lineage->edges, lineage->n_edges + 1, sizeof(*lineage->edges));
	edge = &lineage->edges[lineage->n_edges];
	edge->from = from;
	edge->to = to;
	edge->relation = xstrdup(relation);
	edge->checkpoint = xstrdup_or_null(checkpoint);
	edge->is_declared = is_declared;
	push(&lineage->nodes[to].parents, &lineage->nodes[to].n_parents, lineage->n_edges);
	push(&lineage->nodes[from].children, &lineage->nodes[from].n_children, lineage->n_edges);
	lineage->n_edges++;
}

void lineage_reach(const struct lineage *lineage, size_t node, bool up, bool *seen)
{
	size_t *stack = xcalloc(lineage->n_nodes + 1, sizeof(*stack));
	size_t depth = 0;

	if (!seen[node])
		stack[depth++] = node;
	seen[node] = true;
	while (depth) {
		const struct lineage_node *n = &lineage->nodes[stack[--depth]];
		const size_t *edges = up ? n->parents : n->children;
		size_t n_edges = up ? n->n_parents : n->n_children;

		for (size_t i = 0; i < n_edges; i++) {
			const struct lineage_edge *edge = &lineage->edges[edges[i]];
			size_t next = up ? edge->from : edge->to;

			if (!seen[next])
				stack[depth++] = next;
			seen[next] = true;
		}
	}
	free(stack);
}

bool lineage_has_cycle(const struct lineage *lineage, size_t node)
{
	const struct lineage_node *n = &lineage->nodes[node];
	bool *seen = xcalloc(lineage->n_nodes, sizeof(*seen));
	bool found;

	for (size_t i = 0; i < n->n_parents; i++)
		lineage_reach(lineage, lineage->edges[n->parents[i]].from, true, seen);
	found = seen[node];
	free(seen);
	return found;
}

void lineage_release(struct lineage *lineage)
{
	for (size_t i = 0; i < lineage->n_nodes; i++) {
		free(lineage->nodes[i].ref);
		free(lineage->nodes[i].label);
		free(lineage->nodes[i].parents);
		free(lineage->nodes[i].children);
	}
	for (size_t i = 0; i < lineage->n_edges; i++) {
		free(lineage->edges[i].relation);
		free(lineage->edges[i].checkpoint);
	}
	free(lineage->nodes);
	free(lineage->edges);
	free(lineage->slots);
	memset(lineage, 0, sizeof(*lineage));
}
