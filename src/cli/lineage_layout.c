#include "base/base.h"

#include "cli/lineage_layout.h"

#include "base/mem.h"

/* Edges within a cycle do not count: there is no order that would suit them. */
static bool counts(const struct lineage_page *page, const struct lineage_edge *edge)
{
	size_t cycle = page->pedigree->nodes[edge->to].cycle;

	return lineage_shows_edge(page, edge) &&
	       !(cycle && cycle == page->pedigree->nodes[edge->from].cycle);
}

static size_t count_parents(const struct lineage_page *page, size_t node)
{
	const struct lineage *graph = &page->pedigree->graph;
	const struct lineage_node *n = &graph->nodes[node];
	size_t count = 0;

	for (size_t i = 0; i < n->n_parents; i++)
		count += counts(page, &graph->edges[n->parents[i]]);
	return count;
}

/* The longest way from a node without parents. */
static void set_layers(const struct lineage_page *page, struct lineage_layout *layout)
{
	const struct lineage *graph = &page->pedigree->graph;
	size_t *waits_for = xcalloc(graph->n_nodes + 1, sizeof(size_t));
	size_t *queue = xcalloc(graph->n_nodes + 1, sizeof(size_t));
	size_t n = 0;

	for (size_t i = 0; i < graph->n_nodes; i++) {
		waits_for[i] = count_parents(page, i);
		if (page->shown[i] && !waits_for[i])
			queue[n++] = i;
	}
	for (size_t i = 0; i < n; i++) {
		const struct lineage_node *node = &graph->nodes[queue[i]];
		size_t next_layer = layout->layer[queue[i]] + 1;

		for (size_t k = 0; k < node->n_children; k++) {
			const struct lineage_edge *edge = &graph->edges[node->children[k]];

			if (!counts(page, edge))
				continue;
			if (layout->layer[edge->to] < next_layer)
				layout->layer[edge->to] = next_layer;
			if (!--waits_for[edge->to])
				queue[n++] = edge->to;
		}
	}
	free(waits_for);
	free(queue);
}

/* Models of one cycle have no layers among themselves: each goes after the one that it hangs by. */
static bool hangs_by(const struct lineage_page *page, size_t node, size_t *parent)
{
	size_t branch = page->branch[node];

	if (branch == LINEAGE_NONE)
		return false;
	*parent = page->pedigree->graph.edges[branch].from;
	return true;
}

struct placing {
	const struct lineage_page *page;
	struct lineage_layout *layout;
	bool *is_placed;
	size_t *stack;
	size_t n;
};

/* What hangs by 'root': its first child stays in the slot, each other one opens the next. */
static void place_tree(struct placing *placing, size_t root)
{
	const struct lineage_page *page = placing->page;
	struct lineage_layout *layout = placing->layout;
	const struct lineage *graph = &page->pedigree->graph;
	bool opens = true; /* a slot of its own */

	placing->stack[placing->n++] = root;
	while (placing->n) {
		size_t node = placing->stack[--placing->n];
		const struct lineage_node *n = &graph->nodes[node];
		size_t before = placing->n;
		size_t parent;

		layout->n_slots += opens;
		layout->slot[node] = layout->n_slots - 1;
		if (hangs_by(page, node, &parent) && layout->layer[node] <= layout->layer[parent])
			layout->layer[node] = layout->layer[parent] + 1;
		if (layout->layer[node] >= layout->n_layers)
			layout->n_layers = layout->layer[node] + 1;
		for (size_t i = n->n_children; i-- > 0;) {
			size_t child = graph->edges[n->children[i]].to;

			if (page->branch[child] != n->children[i] || placing->is_placed[child])
				continue;
			placing->is_placed[child] = true;
			placing->stack[placing->n++] = child;
		}
		opens = placing->n == before;
	}
}

static void set_slots(const struct lineage_page *page, struct lineage_layout *layout)
{
	size_t n_nodes = page->pedigree->graph.n_nodes;
	struct placing placing = {
		.page = page,
		.layout = layout,
		.is_placed = xcalloc(n_nodes + 1, sizeof(bool)),
		.stack = xcalloc(n_nodes + 1, sizeof(size_t)),
	};

	for (size_t i = 0; i < n_nodes; i++)
		if (page->shown[i] && page->branch[i] == LINEAGE_NONE) {
			placing.is_placed[i] = true;
			place_tree(&placing, i);
		}
	for (size_t i = 0; i < n_nodes; i++)
		if (page->shown[i] && !placing.is_placed[i] && page->pedigree->nodes[i].cycle) {
			placing.is_placed[i] = true;
			page->branch[i] = LINEAGE_NONE;
			place_tree(&placing, i);
		}
	free(placing.is_placed);
	free(placing.stack);
}

/* A dataset, or a model that only went into a late one, stands beside what came of it. */
static void move_sources(const struct lineage_page *page, struct lineage_layout *layout)
{
	const struct lineage *graph = &page->pedigree->graph;

	for (size_t i = 0; i < graph->n_nodes; i++) {
		const struct lineage_node *n = &graph->nodes[i];
		size_t nearest = SIZE_MAX;

		if (!page->shown[i] || count_parents(page, i) || page->pedigree->nodes[i].cycle)
			continue;
		for (size_t k = 0; k < n->n_children; k++) {
			const struct lineage_edge *edge = &graph->edges[n->children[k]];

			if (counts(page, edge) && layout->layer[edge->to] < nearest)
				nearest = layout->layer[edge->to];
		}
		if (nearest != SIZE_MAX && nearest > 0)
			layout->layer[i] = nearest - 1;
	}
}

void lineage_layout_make(const struct lineage_page *page, struct lineage_layout *layout)
{
	size_t n_nodes = page->pedigree->graph.n_nodes;

	*layout = (struct lineage_layout){
		.layer = xcalloc(n_nodes + 1, sizeof(size_t)),
		.slot = xcalloc(n_nodes + 1, sizeof(size_t)),
	};
	set_layers(page, layout);
	set_slots(page, layout);
	move_sources(page, layout);
}

void lineage_layout_release(struct lineage_layout *layout)
{
	free(layout->layer);
	free(layout->slot);
}
