#include "base/base.h"

#include "model/lineage.h"

#include "base/mem.h"

size_t lineage_find(const struct lineage *lineage, const char *ref)
{
	for (size_t i = 0; i < lineage->n_nodes; i++)
		if (strcmp(lineage->nodes[i].ref, ref) == 0)
			return i;
	return LINEAGE_NONE;
}

size_t lineage_node(struct lineage *lineage, const char *ref)
{
	size_t i = lineage_find(lineage, ref);

	if (i != LINEAGE_NONE)
		return i;
	lineage->nodes = xreallocarray(lineage->nodes, lineage->n_nodes + 1, sizeof(*lineage->nodes));
	memset(&lineage->nodes[lineage->n_nodes], 0, sizeof(*lineage->nodes));
	lineage->nodes[lineage->n_nodes].ref = xstrdup(ref);
	lineage->nodes[lineage->n_nodes].is_missing = true;
	return lineage->n_nodes++;
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
	lineage->edges = xreallocarray(lineage->edges, lineage->n_edges + 1, sizeof(*lineage->edges));
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
	memset(lineage, 0, sizeof(*lineage));
}
