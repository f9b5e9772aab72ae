#include "base/base.h"

#include "cli/lineage_page.h"

static void add_known(struct jsonw *w, const char *key, const char *text)
{
	if (text)
		jsonw_pair_string(w, key, text);
}

static void add_truth(struct jsonw *w, const char *key, bool value)
{
	jsonw_key(w, key);
	jsonw_bool(w, value);
}

/* ---- datasets ---- */

static void add_digests(struct jsonw *w, const struct pedigree *p, size_t node)
{
	size_t n;
	const char **digests = pedigree_digests(p, node, &n);

	jsonw_key(w, "digests");
	jsonw_array(w);
	for (size_t i = 0; i < n; i++)
		jsonw_string(w, digests[i]);
	jsonw_end(w);
	free(digests);
}

static void add_use(struct jsonw *w, const struct pedigree *p, const struct lineage_edge *edge)
{
	const char *dataset = p->nodes[edge->from].dataset;
	size_t n;
	const struct pedigree_use *uses = pedigree_uses(p, edge->to, &n);
	int64_t steps = 0;

	jsonw_key(w, "digests");
	jsonw_array(w);
	for (size_t i = 0; i < n; i++) {
		if (uses[i].dataset != dataset)
			continue;
		if (uses[i].digest)
			jsonw_string(w, uses[i].digest);
		if (__builtin_add_overflow(steps, uses[i].steps, &steps))
			steps = INT64_MAX;
	}
	jsonw_end(w);
	jsonw_pair_int(w, "steps", steps);
}

/* ---- nodes ---- */

static void add_checkpoint(struct jsonw *w, const struct pedigree *p, size_t node)
{
	const char *checkpoint = p->nodes[node].checkpoint;

	jsonw_key(w, "checkpoint");
	if (!checkpoint) {
		jsonw_null(w);
		return;
	}
	jsonw_object(w);
	jsonw_pair_string(w, "name", checkpoint);
	add_truth(w, "is_there", pedigree_has_checkpoint(p, node, checkpoint));
	jsonw_end(w);
}

static void add_model(struct jsonw *w, const struct pedigree *p, size_t node)
{
	const struct pedigree_node *n = &p->nodes[node];

	add_known(w, "model_name", n->model_name);
	add_known(w, "stage", n->stage);
	add_known(w, "last_dataset", n->dataset);
	if (n->steps >= 0)
		jsonw_pair_int(w, "total_steps", n->steps);
	jsonw_pair_int(w, "trainings", (int64_t)n->n_entries);
	add_known(w, "last_updated", n->updated);
	add_checkpoint(w, p, node);
	jsonw_key(w, "metric");
	if (n->metric) {
		jsonw_object(w);
		jsonw_pair_string(w, "name", n->metric);
		jsonw_key(w, "value");
		jsonw_real(w, n->metric_value);
		jsonw_end(w);
	} else {
		jsonw_null(w);
	}
}

static void add_node(struct jsonw *w, const struct lineage_page *page, size_t node)
{
	const struct pedigree *p = page->pedigree;
	const struct pedigree_node *n = &p->nodes[node];
	struct str label = STR_INIT;

	lineage_add_label(page, node, &label);
	jsonw_object(w);
	jsonw_pair_string(w, "ref", n->name);
	jsonw_pair_string(w, "kind", lineage_kind_word(n->kind));
	jsonw_pair_string(w, "label", label.buf);
	add_truth(w, "is_asked", page->is_target[node]);
	add_truth(w, "is_tombstone", lineage_is_tombstone(page, node));
	if (n->root != LINEAGE_NONE)
		jsonw_pair_string(w, "root", p->roots[n->root].path);
	add_known(w, "path", pedigree_path(p, node));
	if (n->kind == PEDIGREE_MODEL)
		add_model(w, p, node);
	if (n->kind == PEDIGREE_DATASET)
		add_digests(w, p, node);
	jsonw_end(w);
	str_release(&label);
}

/* ---- edges ---- */

void lineage_json_edge(struct jsonw *w, const struct lineage_page *page,
		       const struct lineage_edge *edge)
{
	const struct pedigree *p = page->pedigree;

	jsonw_object(w);
	jsonw_pair_string(w, "from", p->nodes[edge->from].name);
	jsonw_pair_string(w, "to", p->nodes[edge->to].name);
	jsonw_pair_string(w, "relation", edge->relation);
	jsonw_pair_string(w, "how", edge->is_declared ? "declared" : "inferred");
	jsonw_pair_string(w, "checkpoint", edge->checkpoint);
	if (edge->checkpoint && p->nodes[edge->from].kind == PEDIGREE_MODEL)
		add_truth(w, "checkpoint_is_there",
			  pedigree_has_checkpoint(p, edge->from, edge->checkpoint));
	add_known(w, "found_by", edge->found_by);
	add_known(w, "moved_from", edge->named);
	if (p->nodes[edge->from].kind == PEDIGREE_DATASET)
		add_use(w, p, edge);
	jsonw_end(w);
}

/* ---- problems ---- */

static void add_problem(struct jsonw *w, const struct lineage_page *page,
			const struct pedigree_problem *problem)
{
	const struct pedigree *p = page->pedigree;
	struct str message = STR_INIT;

	lineage_add_problem(page, problem, &message);
	jsonw_object(w);
	jsonw_pair_string(w, "kind", lineage_trouble_word(problem->kind));
	jsonw_pair_string(w, "ref", p->nodes[problem->node].name);
	if (problem->kind == TROUBLE_MISSING || problem->kind == TROUBLE_AMBIGUOUS)
		jsonw_pair_string(w, "parent", problem->text);
	if (problem->n_others) {
		jsonw_key(w, problem->kind == TROUBLE_CYCLE ? "cycle" : "candidates");
		jsonw_array(w);
		for (size_t i = 0; i < problem->n_others; i++)
			jsonw_string(w, p->nodes[problem->others[i]].name);
		jsonw_end(w);
	}
	jsonw_pair_string(w, "message", message.buf);
	jsonw_end(w);
	str_release(&message);
}

void lineage_page_json(const struct lineage_page *page, struct str *out)
{
	const struct pedigree *p = page->pedigree;
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.lineage/1");
	jsonw_key(&w, "nodes");
	jsonw_array(&w);
	for (size_t i = 0; i < p->graph.n_nodes; i++)
		if (page->shown[i])
			add_node(&w, page, i);
	jsonw_end(&w);
	jsonw_key(&w, "edges");
	jsonw_array(&w);
	for (size_t i = 0; i < p->graph.n_edges; i++)
		if (lineage_shows_edge(page, &p->graph.edges[i]))
			lineage_json_edge(&w, page, &p->graph.edges[i]);
	jsonw_end(&w);
	jsonw_key(&w, "problems");
	jsonw_array(&w);
	for (size_t i = 0; i < p->n_problems; i++)
		if (lineage_shows_problem(page, &p->problems[i]))
			add_problem(&w, page, &p->problems[i]);
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}
