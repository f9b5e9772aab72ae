#include "base/base.h"

#include "cli/lineage_page.h"

#include "base/mem.h"
#include "cli/render.h"

/* The model that it is comes first, then what went into it. */
static int rank(const struct lineage_edge *edge)
{
	static const char *const order[] = { "continues", "saved", "starts_from", "uses",
					     "trained_on" };
	size_t i = 0;

	while (i < ARRAY_SIZE(order) && strcmp(order[i], edge->relation) != 0)
		i++;
	/* A word that is not ours is one of a base. */
	return i == ARRAY_SIZE(order) ? 2 : (int)i;
}

static size_t branch_of(const struct lineage_page *page, size_t node)
{
	const struct lineage *graph = &page->pedigree->graph;
	const struct lineage_node *n = &graph->nodes[node];
	size_t best = LINEAGE_NONE;

	for (size_t i = 0; i < n->n_parents; i++) {
		const struct lineage_edge *edge = &graph->edges[n->parents[i]];

		if (page->shown[edge->from] &&
		    (best == LINEAGE_NONE || rank(edge) < rank(&graph->edges[best])))
			best = n->parents[i];
	}
	return best;
}

void lineage_page_begin(struct lineage_page *page, const struct pedigree *pedigree,
			const bool *shown, const size_t *targets, size_t n)
{
	size_t n_nodes = pedigree->graph.n_nodes;

	*page = (struct lineage_page){
		.pedigree = pedigree,
		.shown = shown,
		.is_target = xcalloc(n_nodes + 1, sizeof(bool)),
		.branch = xcalloc(n_nodes + 1, sizeof(size_t)),
	};
	for (size_t i = 0; i < n; i++)
		page->is_target[targets[i]] = true;
	for (size_t i = 0; i < n_nodes; i++)
		page->branch[i] = shown[i] ? branch_of(page, i) : LINEAGE_NONE;
}

void lineage_page_end(struct lineage_page *page)
{
	free(page->is_target);
	free(page->branch);
}

const char *lineage_kind_word(enum pedigree_kind kind)
{
	static const char *const words[] = {
		[PEDIGREE_MISSING] = "missing",	  [PEDIGREE_MODEL] = "model",
		[PEDIGREE_BROKEN] = "unreadable", [PEDIGREE_OUTSIDE] = "outside",
		[PEDIGREE_DATASET] = "dataset",	  [PEDIGREE_CHECKPOINT] = "checkpoint",
	};

	return words[kind];
}

const char *lineage_trouble_word(enum pedigree_trouble kind)
{
	static const char *const words[] = {
		[TROUBLE_MISSING] = "missing_parent",
		[TROUBLE_AMBIGUOUS] = "ambiguous_parent",
		[TROUBLE_CYCLE] = "cycle",
		[TROUBLE_BROKEN] = "unreadable_record",
	};

	return words[kind];
}

/* The model that a checkpoint is of, which is the node above it. */
static bool has_checkpoint(const struct pedigree *p, size_t node)
{
	const struct lineage_node *n = &p->graph.nodes[node];

	return !n->n_parents || pedigree_has_checkpoint(p, p->graph.edges[n->parents[0]].from,
							p->nodes[node].checkpoint);
}

bool lineage_is_tombstone(const struct lineage_page *page, size_t node)
{
	const struct pedigree *p = page->pedigree;

	return p->nodes[node].kind == PEDIGREE_MISSING ||
	       (p->nodes[node].kind == PEDIGREE_CHECKPOINT && !has_checkpoint(p, node));
}

static void add_model_label(const struct pedigree *p, size_t node, struct str *out)
{
	const struct pedigree_node *n = &p->nodes[node];

	if (n->checkpoint)
		str_addf(out, "%s%s", n->checkpoint,
			 pedigree_has_checkpoint(p, node, n->checkpoint) ? "" : " (gone)");
	if (n->metric) {
		str_addf(out, "%s%s ", out->len ? "  " : "", n->metric);
		add_metric(out, n->metric_value);
	}
}

/* "dataset  2 digests" */
static void add_dataset_label(const struct pedigree *p, size_t node, struct str *out)
{
	size_t n;
	const char **digests = pedigree_digests(p, node, &n);

	str_adds(out, "dataset");
	if (n == 1)
		str_addf(out, "  %s", digests[0]);
	else if (n)
		str_addf(out, "  %zu digests", n);
	free(digests);
}

void lineage_add_label(const struct lineage_page *page, size_t node, struct str *out)
{
	const struct pedigree *p = page->pedigree;
	struct str text = STR_INIT;

	switch (p->nodes[node].kind) {
	case PEDIGREE_MISSING:
		str_adds(&text, "missing");
		if (pedigree_has_directory(p, node))
			str_adds(&text, ", its directory is there");
		break;
	case PEDIGREE_MODEL:
		add_model_label(p, node, &text);
		break;
	case PEDIGREE_BROKEN:
		str_adds(&text, "cannot be read");
		break;
	case PEDIGREE_OUTSIDE:
		str_adds(&text, "pretrained");
		break;
	case PEDIGREE_DATASET:
		add_dataset_label(p, node, &text);
		break;
	case PEDIGREE_CHECKPOINT:
		str_addf(&text, "checkpoint%s", has_checkpoint(p, node) ? "" : " (gone)");
		break;
	}
	str_add(out, text.buf, text.len);
	str_release(&text);
}

void lineage_edge_words(const struct lineage_page *page, const struct lineage_edge *edge,
			struct strv *words)
{
	const struct pedigree *p = page->pedigree;
	const struct pedigree_node *from = &p->nodes[edge->from];
	bool is_final = from->checkpoint && edge->checkpoint &&
			strcmp(from->checkpoint, edge->checkpoint) == 0;

	if (!edge->is_declared)
		strv_push(words, "inferred");
	if (edge->checkpoint && !is_final && from->kind != PEDIGREE_CHECKPOINT)
		strv_pushf(words, "from %s%s", edge->checkpoint,
			   from->kind == PEDIGREE_MISSING ||
					   pedigree_has_checkpoint(p, edge->from, edge->checkpoint)
				   ? ""
				   : ", which is gone");
	if (edge->named)
		strv_pushf(words, "moved from %s", edge->named);
}

bool lineage_shows_edge(const struct lineage_page *page, const struct lineage_edge *edge)
{
	return page->shown[edge->from] && page->shown[edge->to];
}

bool lineage_shows_problem(const struct lineage_page *page, const struct pedigree_problem *problem)
{
	return problem->kind == TROUBLE_BROKEN || page->shown[problem->node];
}

void lineage_add_problem(const struct lineage_page *page, const struct pedigree_problem *problem,
			 struct str *out)
{
	const struct pedigree *p = page->pedigree;
	const char *name = p->nodes[problem->node].name;

	switch (problem->kind) {
	case TROUBLE_MISSING:
		str_addf(out, "the parent '%s' of '%s' is nowhere", problem->text, name);
		break;
	case TROUBLE_AMBIGUOUS:
		str_addf(out, "the parent '%s' of '%s' may be '%s' or '%s'%s", problem->text, name,
			 p->nodes[problem->others[0]].name, p->nodes[problem->others[1]].name,
			 problem->n_others > 2 ? " or others" : "");
		break;
	case TROUBLE_CYCLE:
		str_addf(out, "'%s' is its own ancestor", name);
		break;
	case TROUBLE_BROKEN:
		str_adds(out, problem->text);
		break;
	}
}
