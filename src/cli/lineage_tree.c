#include "base/base.h"

#include "base/mem.h"
#include "base/width.h"
#include "cli/lineage_page.h"
#include "cli/render.h"

/* Beyond so many levels a line would begin in the middle of the terminal: what is deeper is a block
 * of its own, which begins at the left again. */
#define LEVELS 16

/* Where the labels begin, if the name is not longer. */
#define LABEL_COLUMN 46

struct tree {
	struct lineage_page *page;
	bool *printed;
	struct str *out;
	struct str prefix;
	size_t *later; /* whose children are yet to be printed, from 'next_later' on */
	size_t n_later;
	size_t next_later;
	bool has_blocks;
};

static const struct lineage_edge *edge_at(const struct tree *tree, size_t i)
{
	return &tree->page->pedigree->graph.edges[i];
}

static const char *name_of(const struct tree *tree, size_t node)
{
	return tree->page->pedigree->nodes[node].name;
}

static bool is_branch(const struct tree *tree, size_t edge)
{
	return tree->page->branch[edge_at(tree, edge)->to] == edge;
}

/* The last child that hangs here, or LINEAGE_NONE. */
static size_t last_branch(const struct tree *tree, size_t node)
{
	const struct lineage_node *n = &tree->page->pedigree->graph.nodes[node];

	for (size_t i = n->n_children; i-- > 0;)
		if (is_branch(tree, n->children[i]))
			return n->children[i];
	return LINEAGE_NONE;
}

static void add_words(const struct tree *tree, const char *before, const struct lineage_edge *edge,
		      bool with_name)
{
	struct strv words = STRV_INIT;
	struct str text = STR_INIT;

	if (with_name)
		strv_pushf(&words, "%s%s %s", before, edge->relation, name_of(tree, edge->from));
	lineage_edge_words(tree->page, edge, &words);
	for (size_t i = 0; i < words.n; i++)
		str_addf(&text, "%s%s", i ? "; " : "", words.v[i]);
	if (words.n) {
		str_adds(tree->out, "  (");
		add_safe(tree->out, text.buf);
		str_addch(tree->out, ')');
	}
	str_release(&text);
	strv_release(&words);
}

static void add_parents(const struct tree *tree, size_t node)
{
	const struct lineage_node *n = &tree->page->pedigree->graph.nodes[node];
	size_t branch = tree->page->branch[node];

	if (branch != LINEAGE_NONE)
		add_words(tree, "", edge_at(tree, branch), false);
	for (size_t i = 0; i < n->n_parents; i++)
		if (n->parents[i] != branch)
			add_words(tree, "also ", edge_at(tree, n->parents[i]), true);
}

static void add_label(const struct tree *tree, size_t node, const char *line)
{
	struct str label = STR_INIT;
	int gap = LABEL_COLUMN - display_width(line);

	lineage_add_label(tree->page, node, &label);
	if (label.len) {
		str_addf(tree->out, "%*s", gap > 2 ? gap : 2, "");
		add_safe(tree->out, label.buf);
	}
	str_release(&label);
}

static void print_node(const struct tree *tree, size_t node, const char *glyph, bool goes_on)
{
	struct str line = STR_INIT;

	str_addf(&line, "%s%s", tree->prefix.buf, glyph);
	add_safe(&line, name_of(tree, node));
	str_adds(tree->out, line.buf);
	add_label(tree, node, line.buf);
	add_parents(tree, node);
	if (goes_on)
		str_adds(tree->out, "  (goes on below)");
	if (tree->page->is_target[node])
		str_adds(tree->out, "  <-");
	str_addch(tree->out, '\n');
	str_release(&line);
}

static void print_children(struct tree *tree, size_t node, int level);

static void print_child(struct tree *tree, size_t edge, bool is_last, int level)
{
	static const char *const glyphs[2][2] = { { "├╌ ", "└╌ " }, { "├─ ", "└─ " } };
	size_t child = edge_at(tree, edge)->to;
	size_t len = tree->prefix.len;
	bool goes_on = level == LEVELS && last_branch(tree, child) != LINEAGE_NONE;

	tree->printed[child] = true;
	print_node(tree, child, glyphs[edge_at(tree, edge)->is_declared][is_last], goes_on);
	if (goes_on) {
		tree->later[tree->n_later++] = child;
		return;
	}
	str_adds(&tree->prefix, is_last ? "   " : "│  ");
	print_children(tree, child, level + 1);
	str_truncate(&tree->prefix, len);
}

static void print_children(struct tree *tree, size_t node, int level)
{
	const struct lineage_node *n = &tree->page->pedigree->graph.nodes[node];
	size_t last = last_branch(tree, node);

	for (size_t i = 0; i < n->n_children; i++)
		if (is_branch(tree, n->children[i]))
			print_child(tree, n->children[i], n->children[i] == last, level);
}

static void print_blocks(struct tree *tree)
{
	for (; tree->next_later < tree->n_later; tree->next_later++) {
		size_t node = tree->later[tree->next_later];

		str_addch(tree->out, '\n');
		add_safe(tree->out, name_of(tree, node));
		str_adds(tree->out, "  (from above)\n");
		print_children(tree, node, 1);
		tree->has_blocks = true;
	}
}

static void print_root(struct tree *tree, size_t node)
{
	if (tree->has_blocks)
		str_addch(tree->out, '\n');
	tree->has_blocks = false;
	tree->printed[node] = true;
	print_node(tree, node, "", false);
	print_children(tree, node, 1);
	print_blocks(tree);
}

void lineage_page_tree(struct lineage_page *page, struct str *out)
{
	const struct pedigree *p = page->pedigree;
	struct tree tree = {
		.page = page,
		.printed = xcalloc(p->graph.n_nodes + 1, sizeof(bool)),
		.out = out,
		.prefix = STR_INIT,
		.later = xcalloc(p->graph.n_nodes + 1, sizeof(size_t)),
	};

	for (size_t i = 0; i < p->graph.n_nodes; i++)
		if (page->shown[i] && page->branch[i] == LINEAGE_NONE)
			print_root(&tree, i);
	/* What is left hangs in a cycle, or below one: it begins with a model of the cycle. */
	for (size_t i = 0; i < p->graph.n_nodes; i++)
		if (page->shown[i] && !tree.printed[i] && p->nodes[i].cycle) {
			page->branch[i] = LINEAGE_NONE;
			print_root(&tree, i);
		}
	str_release(&tree.prefix);
	free(tree.later);
	free(tree.printed);
}
