#include "base/base.h"

#include "model/lineage.h"

#include "base/mem.h"

size_t lineage_find(const struct lineage *lineage, const char *ref)
{
	return (size_t)(uintptr_t)map_get(&lineage->by_ref, ref) - 1;
}

size_t lineage_node(struct lineage *lineage, const char *ref)
{
	size_t i = lineage_find(lineage, ref);
	const char *kept;

	if (i != LINEAGE_NONE)
		return i;
	if (lineage->n_nodes == lineage->nodes_cap) {
		lineage->nodes_cap = lineage->nodes_cap ? lineage->nodes_cap * 2 : 32;
		lineage->nodes =
			xreallocarray(lineage->nodes, lineage->nodes_cap, sizeof(*lineage->nodes));
	}
	kept = pool_text(&lineage->pool, ref);
	i = lineage->n_nodes++;
	lineage->nodes[i] = (struct lineage_node){ .ref = kept, .is_missing = true };
	map_put(&lineage->by_ref, kept, (void *)(uintptr_t)(i + 1));
	return i;
}

void lineage_define(struct lineage *lineage, size_t node, bool is_outside)
{
	lineage->nodes[node].is_outside = is_outside;
	lineage->nodes[node].is_missing = false;
}

/* ---- edges ---- */

/* Full at every power of two, so that no room is wasted on the many that have one or two. */
static void push(size_t **list, size_t *n, size_t value)
{
	if ((*n & (*n - 1)) == 0)
		*list = xreallocarray(*list, *n ? *n * 2 : 1, sizeof(**list));
	(*list)[(*n)++] = value;
}

/* The slot that holds the edge between the two, or the free one where it belongs. */
static size_t slot_of(const struct lineage *lineage, size_t from, size_t to)
{
	uint64_t h = ((uint64_t)from * 0x9e3779b97f4a7c15u) ^ ((uint64_t)to * 0xc2b2ae3d27d4eb4fu);
	size_t i = (size_t)(h ^ (h >> 29)) & (lineage->n_edge_slots - 1);

	while (lineage->edge_slots[i]) {
		const struct lineage_edge *edge = &lineage->edges[lineage->edge_slots[i] - 1];

		if (edge->from == from && edge->to == to)
			break;
		i = (i + 1) & (lineage->n_edge_slots - 1);
	}
	return i;
}

static void grow_slots(struct lineage *lineage)
{
	free(lineage->edge_slots);
	lineage->n_edge_slots = lineage->n_edge_slots ? lineage->n_edge_slots * 2 : 64;
	lineage->edge_slots = xcalloc(lineage->n_edge_slots, sizeof(*lineage->edge_slots));
	for (size_t i = 0; i < lineage->n_edges; i++)
		lineage->edge_slots[slot_of(lineage, lineage->edges[i].from,
					    lineage->edges[i].to)] = i + 1;
}

static struct lineage_edge *add_edge(struct lineage *lineage, size_t from, size_t to)
{
	size_t i = lineage->n_edges;

	if (i == lineage->edges_cap) {
		lineage->edges_cap = i ? i * 2 : 32;
		lineage->edges =
			xreallocarray(lineage->edges, lineage->edges_cap, sizeof(*lineage->edges));
	}
	lineage->edges[i] = (struct lineage_edge){ .from = from, .to = to };
	lineage->edge_slots[slot_of(lineage, from, to)] = i + 1;
	push(&lineage->nodes[to].parents, &lineage->nodes[to].n_parents, i);
	push(&lineage->nodes[from].children, &lineage->nodes[from].n_children, i);
	lineage->n_edges++;
	return &lineage->edges[i];
}

struct lineage_edge *lineage_connect(struct lineage *lineage, size_t from, size_t to,
				     const char *relation, const char *checkpoint, bool is_declared)
{
	struct lineage_edge *edge;
	size_t slot;

	if (from == to)
		return NULL;
	if (lineage->n_edge_slots < 2 * (lineage->n_edges + 1))
		grow_slots(lineage);
	slot = slot_of(lineage, from, to);
	if (lineage->edge_slots[slot]) {
		edge = &lineage->edges[lineage->edge_slots[slot] - 1];
	} else {
		edge = add_edge(lineage, from, to);
		edge->relation = pool_text(&lineage->pool, relation);
	}
	if (!edge->checkpoint)
		edge->checkpoint = pool_text(&lineage->pool, checkpoint);
	edge->is_declared |= is_declared;
	return edge;
}

bool lineage_is_checkpoint(const char *text, const char *checkpoint)
{
	size_t len = strlen(checkpoint);

	return text && strncmp(text, checkpoint, len) == 0 && (!text[len] || text[len] == '/');
}

void lineage_split(struct lineage *lineage, size_t node, const char *checkpoint, size_t as)
{
	struct lineage_node *old = &lineage->nodes[node];
	struct lineage_node *new = &lineage->nodes[as];
	size_t kept = 0;

	for (size_t i = 0; i < old->n_children; i++) {
		struct lineage_edge *edge = &lineage->edges[old->children[i]];

		if (lineage_is_checkpoint(edge->checkpoint, checkpoint)) {
			edge->from = as;
			push(&new->children, &new->n_children, old->children[i]);
		} else {
			old->children[kept++] = old->children[i];
		}
	}
	old->n_children = kept;
	if (lineage->n_edge_slots) { /* everything in its place again */
		lineage->n_edge_slots /= 2;
		grow_slots(lineage);
	}
}

/* ---- ways ---- */

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

/* Tarjan's way to the strongly connected parts, with a stack of our own: a chain may be long. */
struct search {
	const struct lineage *lineage;
	size_t *order; /* from 1, as they were met; 0: not yet */
	size_t *low;   /* the earliest that is reached from there and still open */
	size_t *child; /* the next edge to follow */
	bool *is_open;
	size_t *open; /* nodes whose part is not known yet */
	size_t n_open;
	size_t *path;
	size_t n_path;
	size_t n_met;
	size_t *cycle;
	size_t n_cycles;
};

static void meet(struct search *s, size_t node)
{
	s->order[node] = s->low[node] = ++s->n_met;
	s->is_open[node] = true;
	s->open[s->n_open++] = node;
	s->path[s->n_path++] = node;
}

/* 'node' is the first of its part, and all that is open after it belongs to it. */
static void close_part(struct search *s, size_t node)
{
	bool is_alone = s->open[s->n_open - 1] == node;
	size_t number = is_alone ? 0 : ++s->n_cycles;
	size_t last;

	do {
		last = s->open[--s->n_open];
		s->is_open[last] = false;
		s->cycle[last] = number;
	} while (last != node);
}

static void lower(struct search *s, size_t node, size_t value)
{
	if (value < s->low[node])
		s->low[node] = value;
}

static void step(struct search *s)
{
	size_t node = s->path[s->n_path - 1];
	const struct lineage_node *n = &s->lineage->nodes[node];

	if (s->child[node] < n->n_children) {
		size_t next = s->lineage->edges[n->children[s->child[node]++]].to;

		if (!s->order[next])
			meet(s, next);
		else if (s->is_open[next])
			lower(s, node, s->order[next]);
		return;
	}
	s->n_path--;
	if (s->n_path)
		lower(s, s->path[s->n_path - 1], s->low[node]);
	if (s->low[node] == s->order[node])
		close_part(s, node);
}

/* In the order of the first node of each, not in that in which the search came by them. */
static void renumber(size_t *cycle, size_t n_nodes, size_t n_cycles)
{
	size_t *as = xcalloc(n_cycles + 1, sizeof(*as));
	size_t n = 0;

	for (size_t i = 0; i < n_nodes; i++) {
		if (!cycle[i])
			continue;
		if (!as[cycle[i]])
			as[cycle[i]] = ++n;
		cycle[i] = as[cycle[i]];
	}
	free(as);
}

size_t *lineage_cycles(const struct lineage *lineage)
{
	size_t n = lineage->n_nodes + 1;
	struct search s = {
		.lineage = lineage,
		.order = xcalloc(n, sizeof(size_t)),
		.low = xcalloc(n, sizeof(size_t)),
		.child = xcalloc(n, sizeof(size_t)),
		.is_open = xcalloc(n, sizeof(bool)),
		.open = xcalloc(n, sizeof(size_t)),
		.path = xcalloc(n, sizeof(size_t)),
		.cycle = xcalloc(n, sizeof(size_t)),
	};

	for (size_t i = 0; i < lineage->n_nodes; i++) {
		if (!s.order[i])
			meet(&s, i);
		while (s.n_path)
			step(&s);
	}
	renumber(s.cycle, lineage->n_nodes, s.n_cycles);
	free(s.order);
	free(s.low);
	free(s.child);
	free(s.is_open);
	free(s.open);
	free(s.path);
	return s.cycle;
}

void lineage_release(struct lineage *lineage)
{
	for (size_t i = 0; i < lineage->n_nodes; i++) {
		free(lineage->nodes[i].parents);
		free(lineage->nodes[i].children);
	}
	free(lineage->nodes);
	free(lineage->edges);
	free(lineage->edge_slots);
	map_release(&lineage->by_ref);
	pool_release(&lineage->pool);
	memset(lineage, 0, sizeof(*lineage));
}
