#include "base/base.h"

#include "app/lineage_diff.h"

#include "base/mem.h"
#include "model/store.h"
#include "sys/path.h"

#include <unistd.h>

/* The history of one model. */
struct past {
	bool *above; /* it and its ancestors */
	struct lineage_training *v;
	size_t n;
	size_t cap;
	struct identities all; /* owner: its place in 'v' */
};

/* ---- order ---- */

static bool is_between(const struct pedigree *p, const struct lineage_edge *edge, const bool *in)
{
	size_t cycle = p->nodes[edge->to].cycle;

	return in[edge->from] && in[edge->to] && !(cycle && cycle == p->nodes[edge->from].cycle);
}

/* Those that are 'in', each after its parents; in a cycle anyhow. Fresh memory. */
static size_t *parents_first(const struct pedigree *p, const bool *in, size_t *n_out)
{
	const struct lineage *graph = &p->graph;
	size_t *waits_for = xcalloc(graph->n_nodes + 1, sizeof(size_t));
	size_t *list = xcalloc(graph->n_nodes + 1, sizeof(size_t));
	size_t n = 0;

	for (size_t i = 0; i < graph->n_edges; i++)
		waits_for[graph->edges[i].to] += is_between(p, &graph->edges[i], in);
	for (size_t i = 0; i < graph->n_nodes; i++)
		if (in[i] && !waits_for[i])
			list[n++] = i;
	for (size_t i = 0; i < n; i++) {
		const struct lineage_node *node = &graph->nodes[list[i]];

		for (size_t k = 0; k < node->n_children; k++) {
			const struct lineage_edge *edge = &graph->edges[node->children[k]];

			if (is_between(p, edge, in) && !--waits_for[edge->to])
				list[n++] = edge->to;
		}
	}
	free(waits_for);
	*n_out = n;
	return list;
}

/* ---- trainings ---- */

static const char *text_at(struct pedigree *p, const struct info *info, size_t entry,
			   const char *key)
{
	char *text = info_entry_string(info, entry, key);
	const char *kept = pool_text(&p->graph.pool, text);

	free(text);
	return kept;
}

static void add_entries(struct past *past, struct pedigree *p, size_t node, const struct info *info)
{
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		if (past->n == past->cap) {
			past->cap = past->cap ? past->cap * 2 : 16;
			past->v = xreallocarray(past->v, past->cap, sizeof(*past->v));
		}
		past->v[past->n] = (struct lineage_training){
			.dataset = text_at(p, info, i, "dataset"),
			.digest = text_at(p, info, i, "dataset_digest"),
			.end_time = text_at(p, info, i, "end_time"),
			.steps = info_entry_steps(info, i),
			.node = node,
			.identity = identity_of_entry(info, i),
		};
		identities_add(&past->all, past->v[past->n].identity, past->n);
		past->n++;
	}
}

static void read_entries(struct past *past, struct pedigree *p, size_t node)
{
	const char *dir = p->graph.nodes[node].ref;
	struct str text = STR_INIT;
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;
	int fd = path_open_dir(dir, &ignored);

	if (fd >= 0 && store_read(fd, dir, &text, &ignored) == 0 &&
	    info_open(&info, dir, text.buf, text.len, &ignored) == 0)
		add_entries(past, p, node, &info);
	info_release(&info);
	str_release(&text);
	if (fd >= 0)
		close(fd);
}

/* Does something above 'self' need this one's own record, or is all that counts of it inherited? */
static bool is_source(const struct pedigree *p, const bool *above, size_t node, size_t self)
{
	const struct lineage_node *n = &p->graph.nodes[node];

	if (node == self)
		return true;
	for (size_t i = 0; i < n->n_children; i++) {
		const struct lineage_edge *edge = &p->graph.edges[n->children[i]];

		if (above[edge->to] &&
		    !(p->nodes[edge->to].is_heir && strcmp(edge->relation, "continues") == 0))
			return true;
	}
	return false;
}

static struct past past_of(struct pedigree *p, size_t node)
{
	struct past past = {
		.above = xcalloc(p->graph.n_nodes + 1, sizeof(bool)),
	};
	size_t n;
	size_t *order;

	lineage_reach(&p->graph, node, true, past.above);
	order = parents_first(p, past.above, &n);
	for (size_t i = 0; i < n; i++)
		if (p->nodes[order[i]].kind == PEDIGREE_MODEL &&
		    is_source(p, past.above, order[i], node))
			read_entries(&past, p, order[i]);
	identities_sort(&past.all);
	free(order);
	return past;
}

static void past_release(struct past *past)
{
	free(past->above);
	free(past->v);
	identities_release(&past->all);
}

/* ---- the two of them ---- */

static void add_training(struct lineage_side *side, const struct lineage_training *training)
{
	if ((side->n_trainings & (side->n_trainings - 1)) == 0)
		side->trainings = xreallocarray(side->trainings,
						side->n_trainings ? side->n_trainings * 2 : 1,
						sizeof(*side->trainings));
	side->trainings[side->n_trainings++] = *training;
	if (training->steps > 0 &&
	    __builtin_add_overflow(side->steps, training->steps, &side->steps))
		side->steps = INT64_MAX;
}

/* Each training once: the first of its copies. */
static void share_out(const struct past *own, const struct past *other, struct lineage_side *alone,
		      struct lineage_side *common)
{
	for (size_t i = 0; i < own->n; i++) {
		const struct identity_owner *first;

		identities_find(&own->all, own->v[i].identity, &first);
		if (first->owner != i)
			continue;
		if (!identities_find(&other->all, own->v[i].identity, &first))
			add_training(alone, &own->v[i]);
		else if (common)
			add_training(common, &own->v[i]);
	}
}

static void find_last(const struct pedigree *p, const bool *common, struct lineage_diff *diff)
{
	diff->last = xcalloc(diff->common.n_models + 1, sizeof(size_t));
	for (size_t i = 0; i < diff->common.n_models; i++) {
		const struct lineage_node *n = &p->graph.nodes[diff->common.models[i]];
		bool is_last = true;

		for (size_t k = 0; k < n->n_children && is_last; k++) {
			const struct lineage_edge *edge = &p->graph.edges[n->children[k]];

			is_last = !is_between(p, edge, common);
		}
		if (is_last)
			diff->last[diff->n_last++] = diff->common.models[i];
	}
}

static void set_models(const struct pedigree *p, const bool *in, const bool *but,
		       struct lineage_side *side)
{
	bool *those = xcalloc(p->graph.n_nodes + 1, sizeof(bool));

	for (size_t i = 0; i < p->graph.n_nodes; i++)
		those[i] = in[i] && !(but && but[i]);
	side->models = parents_first(p, those, &side->n_models);
	free(those);
}

void lineage_diff_make(struct pedigree *pedigree, size_t a, size_t b, struct lineage_diff *diff)
{
	struct past pasts[2] = { past_of(pedigree, a), past_of(pedigree, b) };
	bool *common = xcalloc(pedigree->graph.n_nodes + 1, sizeof(bool));

	*diff = (struct lineage_diff){ .nodes = { a, b } };
	for (size_t i = 0; i < pedigree->graph.n_nodes; i++)
		common[i] = pasts[0].above[i] && pasts[1].above[i];
	set_models(pedigree, common, NULL, &diff->common);
	find_last(pedigree, common, diff);
	for (size_t i = 0; i < 2; i++) {
		set_models(pedigree, pasts[i].above, common, &diff->sides[i]);
		share_out(&pasts[i], &pasts[1 - i], &diff->sides[i], i ? NULL : &diff->common);
	}
	free(common);
	past_release(&pasts[0]);
	past_release(&pasts[1]);
}

static void side_release(struct lineage_side *side)
{
	free(side->models);
	free(side->trainings);
}

void lineage_diff_release(struct lineage_diff *diff)
{
	side_release(&diff->common);
	side_release(&diff->sides[0]);
	side_release(&diff->sides[1]);
	free(diff->last);
}
