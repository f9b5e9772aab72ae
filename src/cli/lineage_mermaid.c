/* The language of Mermaid, which Markdown pages of many hosts draw. */
#include "base/base.h"

#include "cli/lineage_page.h"
#include "cli/render.h"

#include <ctype.h>

/* Whatever could have a meaning there, in Markdown or in HTML, is written as its number: "#34;". What
 * stands before a blank could begin a list. */
static void add_quoted(struct str *out, const char *text)
{
	struct str safe = STR_INIT;

	add_safe(&safe, text);
	for (size_t i = 0; i < safe.len; i++) {
		unsigned char c = (unsigned char)safe.buf[i];

		if (c >= 0x80 || isalnum(c) || (strchr(" .,:/-", c) && safe.buf[i + 1] != ' '))
			str_addch(out, (char)c);
		else
			str_addf(out, "#%d;", c);
	}
	str_release(&safe);
}

static void add_node(const struct lineage_page *page, size_t node, struct str *out)
{
	static const char *const shapes[][2] = {
		[PEDIGREE_MISSING] = { "[", "]" },   [PEDIGREE_MODEL] = { "[", "]" },
		[PEDIGREE_BROKEN] = { "[", "]" },    [PEDIGREE_OUTSIDE] = { "([", "])" },
		[PEDIGREE_DATASET] = { "[(", ")]" }, [PEDIGREE_CHECKPOINT] = { "[/", "/]" },
	};
	const struct pedigree_node *n = &page->pedigree->nodes[node];
	struct str label = STR_INIT;

	lineage_add_label(page, node, &label);
	str_addf(out, "  n%zu%s\"", node, shapes[n->kind][0]);
	add_quoted(out, n->name);
	if (label.len) {
		str_adds(out, "<br/>");
		add_quoted(out, label.buf);
	}
	str_addf(out, "\"%s\n", shapes[n->kind][1]);
	if (lineage_is_tombstone(page, node))
		str_addf(out, "  class n%zu gone\n", node);
	if (page->is_target[node])
		str_addf(out, "  class n%zu asked\n", node);
	str_release(&label);
}

static void add_edge(const struct lineage_page *page, const struct lineage_edge *edge,
		     struct str *out)
{
	struct strv words = STRV_INIT;

	lineage_edge_words(page, edge, &words);
	str_addf(out, "  n%zu %s|\"", edge->from, edge->is_declared ? "-->" : "-.->");
	add_quoted(out, edge->relation);
	for (size_t i = 0; i < words.n; i++) {
		str_adds(out, "<br/>");
		add_quoted(out, words.v[i]);
	}
	str_addf(out, "\"| n%zu\n", edge->to);
	strv_release(&words);
}

void lineage_page_mermaid(const struct lineage_page *page, struct str *out)
{
	const struct pedigree *p = page->pedigree;

	str_adds(out, "flowchart LR\n  classDef gone stroke-dasharray:2 4,opacity:0.6\n"
		      "  classDef asked stroke-width:4px\n");
	for (size_t i = 0; i < p->graph.n_nodes; i++)
		if (page->shown[i])
			add_node(page, i, out);
	for (size_t i = 0; i < p->graph.n_edges; i++)
		if (lineage_shows_edge(page, &p->graph.edges[i]))
			add_edge(page, &p->graph.edges[i], out);
}
