/* Which nodes are ancestors, descendants or relatives of those that were asked for. */
#include "base/base.h"

#include "app/pedigree.h"
#include "base/mem.h"

/* Nodes in the order of their distance. */
struct front {
	size_t *v;
	size_t n;
	int64_t *steps; /* for each node of the graph; -1: not reached */
};

static struct front front_new(const struct pedigree *p)
{
	struct front front = {
		.v = xcalloc(p->graph.n_nodes + 1, sizeof(size_t)),
		.steps = xcalloc(p->graph.n_nodes + 1, sizeof(int64_t)),
	};

	memset(front.steps, -1, (p->graph.n_nodes + 1) * sizeof(int64_t));
	return front;
}

static void front_free(struct front *front)
{
	free(front->v);
	free(front->steps);
}

static void reach(struct front *front, size_t node, int64_t steps)
{
	if (front->steps[node] >= 0)
		return;
	front->steps[node] = steps;
	front->v[front->n++] = node;
}

static bool is_too_far(int64_t steps, int64_t depth)
{
	return depth >= 0 && steps >= depth;
}

static void go_up(const struct lineage *graph, struct front *front, int64_t depth)
{
	for (size_t i = 0; i < front->n; i++) {
		size_t node = front->v[i];
		const struct lineage_node *n = &graph->nodes[node];

		if (is_too_far(front->steps[node], depth))
			continue;
		for (size_t k = 0; k < n->n_parents; k++)
			reach(front, graph->edges[n->parents[k]].from, front->steps[node] + 1);
	}
}

/* From every node of 'starts', each from as many steps on as it took to get there. */
static void go_down(const struct lineage *graph, const struct front *starts, struct front *front,
		    int64_t depth)
{
	size_t next = 0;
	size_t done = 0;

	for (int64_t steps = 0; next < starts->n || done < front->n; steps++) {
		size_t end;

		while (next < starts->n && starts->steps[starts->v[next]] <= steps)
			reach(front, starts->v[next++], steps);
		end = front->n; /* what is reached from here on is a step farther */
		for (; done < end && !is_too_far(steps, depth); done++) {
			const struct lineage_node *n = &graph->nodes[front->v[done]];

			for (size_t k = 0; k < n->n_children; k++)
				reach(front, graph->edges[n->children[k]].to, steps + 1);
		}
		if (is_too_far(steps, depth))
			break;
	}
}

/* Those of 'above' whose descendants are relatives, too. */
static struct front ancestors_to_descend(const struct pedigree *p, const struct front *above)
{
	struct front starts = front_new(p);

	for (size_t i = 0; i < above->n; i++) {
		size_t node = above->v[i];

		if (above->steps[node] == 0 || !p->graph.nodes[node].is_outside)
			reach(&starts, node, above->steps[node]);
	}
	return starts;
}

/* Where lines begin: what has no parents, and the first of each cycle. */
static struct front beginnings(const struct pedigree *p)
{
	struct front starts = front_new(p);
	size_t n_cycles = 0;

	for (size_t i = 0; i < p->graph.n_nodes; i++)
		if (!p->graph.nodes[i].n_parents || p->nodes[i].cycle > n_cycles) {
			reach(&starts, i, 0);
			if (p->nodes[i].cycle > n_cycles)
				n_cycles = p->nodes[i].cycle;
		}
	return starts;
}

static void select_all(const struct pedigree *p, int64_t depth, bool *shown)
{
	struct front starts = beginnings(p);
	struct front below = front_new(p);

	go_down(&p->graph, &starts, &below, depth);
	for (size_t i = 0; i < p->graph.n_nodes; i++)
		shown[i] = depth < 0 || below.steps[i] >= 0;
	front_free(&below);
	front_free(&starts);
}

bool *pedigree_select(const struct pedigree *pedigree, const size_t *targets, size_t n,
		      const struct pedigree_reach *reach_to)
{
	const struct lineage *graph = &pedigree->graph;
	bool *shown = xcalloc(graph->n_nodes + 1, sizeof(*shown));
	bool all = !reach_to->up && !reach_to->down;
	struct front asked = front_new(pedigree);
	struct front above = front_new(pedigree);
	struct front below = front_new(pedigree);
	struct front starts;

	for (size_t i = 0; i < n; i++) {
		reach(&asked, targets[i], 0);
		reach(&above, targets[i], 0);
	}
	if (reach_to->up || all)
		go_up(graph, &above, reach_to->depth);
	starts = ancestors_to_descend(pedigree, all ? &above : &asked);
	if (reach_to->down || all)
		go_down(graph, &starts, &below, reach_to->depth);
	if (!n)
		select_all(pedigree, reach_to->depth, shown);
	for (size_t i = 0; i < graph->n_nodes; i++)
		shown[i] |= above.steps[i] >= 0 || below.steps[i] >= 0;
	front_free(&asked);
	front_free(&above);
	front_free(&below);
	front_free(&starts);
	return shown;
}
