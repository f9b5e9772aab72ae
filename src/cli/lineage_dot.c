/* The language of Graphviz. */
#include "base/base.h"

#include "cli/lineage_page.h"
#include "cli/render.h"

/* In quotes only '"' and '\' have a meaning there. */
static void add_quoted(struct str *out, const char *text)
{
	struct str safe = STR_INIT;

	add_safe(&safe, text);
	for (size_t i = 0; i < safe.len; i++) {
		if (strchr("\"\\", safe.buf[i]))
			str_addch(out, '\\');
		str_addch(out, safe.buf[i]);
	}
	str_release(&safe);
}

static void add_shape(const struct lineage_page *page, size_t node, struct str *out)
{
	static const char *const shapes[] = {
		[PEDIGREE_MISSING] = "box",	 [PEDIGREE_MODEL] = "box",
		[PEDIGREE_BROKEN] = "octagon",	 [PEDIGREE_OUTSIDE] = "ellipse",
		[PEDIGREE_DATASET] = "cylinder", [PEDIGREE_CHECKPOINT] = "note",
	};

	str_addf(out, ", shape=%s", shapes[page->pedigree->nodes[node].kind]);
	if (lineage_is_tombstone(page, node))
		str_adds(out, ", style=dotted, fontcolor=gray40");
	if (page->is_target[node])
		str_adds(out, ", penwidth=3");
}

static void add_node(const struct lineage_page *page, size_t node, struct str *out)
{
	struct str label = STR_INIT;

	lineage_add_label(page, node, &label);
	str_addf(out, "  n%zu [label=\"", node);
	add_quoted(out, page->pedigree->nodes[node].name);
	if (label.len) {
		str_adds(out, "\\n");
		add_quoted(out, label.buf);
	}
	str_addch(out, '"');
	add_shape(page, node, out);
	str_adds(out, "];\n");
	str_release(&label);
}

static void add_edge(const struct lineage_page *page, const struct lineage_edge *edge,
		     struct str *out)
{
	struct strv words = STRV_INIT;

	lineage_edge_words(page, edge, &words);
	str_addf(out, "  n%zu -> n%zu [style=%s, label=\"", edge->from, edge->to,
		 edge->is_declared ? "solid" : "dashed");
	add_quoted(out, edge->relation);
	for (size_t i = 0; i < words.n; i++) {
		str_adds(out, "\\n");
		add_quoted(out, words.v[i]);
	}
	str_adds(out, "\"];\n");
	strv_release(&words);
}

void lineage_page_dot(const struct lineage_page *page, struct str *out)
{
	const struct pedigree *p = page->pedigree;

	str_adds(out, "digraph lineage {\n  rankdir=LR;\n");
	for (size_t i = 0; i < p->graph.n_nodes; i++)
		if (page->shown[i])
			add_node(page, i, out);
	for (size_t i = 0; i < p->graph.n_edges; i++)
		if (lineage_shows_edge(page, &p->graph.edges[i]))
			add_edge(page, &p->graph.edges[i], out);
	str_adds(out, "}\n");
}
