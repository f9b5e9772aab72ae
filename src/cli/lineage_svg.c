#include "base/base.h"

#include "cli/lineage_svg.h"

#include "base/mem.h"
#include "base/width.h"
#include "cli/lineage_layout.h"
#include "cli/render.h"
#include "sys/path.h"

/* Of a box and of the room between two, in the drawing's own units (CSS pixels). */
#define BOX_WIDTH ((size_t)236)
#define BOX_HEIGHT ((size_t)54)
#define GAP_ALONG ((size_t)70) /* between layers: edges bend there */
#define GAP_ACROSS ((size_t)14)
#define MARGIN ((size_t)12)

#define ROUND ((size_t)14) /* corners of what is no model: as far as its text lets them */

/* What goes into a box of that width at the sizes of the style sheet, in the widest font that is usual.
 * Wider letters are cut off at the edge. */
#define PADDING ((size_t)10)
#define NAME_COLUMNS 27
#define LINE_COLUMNS 33

/* More layers than fit on a wide screen: these go down the page, if the drawing is narrow enough. */
#define LAYERS_ACROSS 8

struct drawing {
	const struct lineage_page *page;
	struct lineage_layout layout;
	bool is_tall; /* layers from the top to the bottom, not from left to right */
	struct str *out;
};

void lineage_add_html(struct str *out, const char *text)
{
	struct str safe = STR_INIT;

	add_safe(&safe, text);
	for (size_t i = 0; i < safe.len; i++)
		switch (safe.buf[i]) {
		case '&':
			str_adds(out, "&amp;");
			break;
		case '<':
			str_adds(out, "&lt;");
			break;
		case '>':
			str_adds(out, "&gt;");
			break;
		case '"':
			str_adds(out, "&quot;");
			break;
		case '\'':
			str_adds(out, "&#39;");
			break;
		default:
			str_addch(out, safe.buf[i]);
		}
	str_release(&safe);
}

static size_t left_of(const struct drawing *d, size_t node)
{
	return MARGIN + (d->is_tall ? d->layout.slot[node] * (BOX_WIDTH + GAP_ACROSS)
				    : d->layout.layer[node] * (BOX_WIDTH + GAP_ALONG));
}

static size_t top_of(const struct drawing *d, size_t node)
{
	return MARGIN + (d->is_tall ? d->layout.layer[node] * (BOX_HEIGHT + GAP_ALONG)
				    : d->layout.slot[node] * (BOX_HEIGHT + GAP_ACROSS));
}

/* ---- edges ---- */

/* From the end of one box to the beginning of the other, straight at both. */
static void add_way(const struct drawing *d, const struct lineage_edge *edge)
{
	size_t x1 = left_of(d, edge->from) + (d->is_tall ? BOX_WIDTH / 2 : BOX_WIDTH);
	size_t y1 = top_of(d, edge->from) + (d->is_tall ? BOX_HEIGHT : BOX_HEIGHT / 2);
	size_t x2 = left_of(d, edge->to) + (d->is_tall ? BOX_WIDTH / 2 : 0);
	size_t y2 = top_of(d, edge->to) + (d->is_tall ? 0 : BOX_HEIGHT / 2);
	size_t bend = GAP_ALONG / 2;

	if (d->is_tall)
		str_addf(d->out, "M%zu %zuC%zu %zu %zu %zu %zu %zu", x1, y1, x1, y1 + bend, x2,
			 y2 > bend ? y2 - bend : 0, x2, y2);
	else
		str_addf(d->out, "M%zu %zuC%zu %zu %zu %zu %zu %zu", x1, y1, x1 + bend, y1,
			 x2 > bend ? x2 - bend : 0, y2, x2, y2);
}

static void add_edge(const struct drawing *d, const struct lineage_edge *edge)
{
	struct strv words = STRV_INIT;

	lineage_edge_words(d->page, edge, &words);
	str_addf(d->out, "<path class=\"%s\" d=\"", edge->is_declared ? "declared" : "inferred");
	add_way(d, edge);
	str_adds(d->out, "\"><title>");
	lineage_add_html(d->out, edge->relation);
	for (size_t i = 0; i < words.n; i++) {
		str_adds(d->out, i ? "; " : ", ");
		lineage_add_html(d->out, words.v[i]);
	}
	str_adds(d->out, "</title></path>\n");
	strv_release(&words);
}

/* ---- boxes ---- */

static void add_line(const struct drawing *d, size_t down, const char *class, const char *text,
		     int columns)
{
	struct str safe = STR_INIT;
	char *cut;

	add_safe(&safe, text);
	cut = display_cut(safe.buf, columns);
	str_addf(d->out, "<text class=\"%s\" x=\"0\" y=\"%zu\">", class, down);
	lineage_add_html(d->out, cut);
	str_adds(d->out, "</text>");
	free(cut);
	str_release(&safe);
}

/* Its last component, what is before it, and what is worth a word. In a drawing of its own, which ends
 * where the box does. */
static void add_text(const struct drawing *d, size_t node)
{
	const char *name = d->page->pedigree->nodes[node].name;
	const char *base = path_base(name);
	char *dir = xstrndup(name, base > name ? (size_t)(base - name) - 1 : 0);
	struct str label = STR_INIT;

	lineage_add_label(d->page, node, &label);
	str_addf(d->out, "<svg x=\"%zu\" y=\"%zu\" width=\"%zu\" height=\"%zu\">",
		 left_of(d, node) + PADDING, top_of(d, node), BOX_WIDTH - PADDING, BOX_HEIGHT);
	add_line(d, 18, "name", base, NAME_COLUMNS);
	add_line(d, 33, "dir", dir, LINE_COLUMNS);
	add_line(d, 47, "label", label.buf, LINE_COLUMNS);
	str_adds(d->out, "</svg>");
	str_release(&label);
	free(dir);
}

static void add_box(const struct drawing *d, size_t node)
{
	const struct pedigree_node *n = &d->page->pedigree->nodes[node];

	str_addf(d->out, "<a href=\"#n%zu\"><g class=\"%s%s%s\"><title>", node,
		 lineage_kind_word(n->kind),
		 lineage_is_tombstone(d->page, node) ? " tombstone" : "",
		 d->page->is_target[node] ? " asked" : "");
	lineage_add_html(d->out, n->name);
	str_addf(d->out,
		 "</title><rect x=\"%zu\" y=\"%zu\" width=\"%zu\" height=\"%zu\" rx=\"%zu\"/>",
		 left_of(d, node), top_of(d, node), BOX_WIDTH, BOX_HEIGHT,
		 n->kind == PEDIGREE_OUTSIDE || n->kind == PEDIGREE_DATASET ? ROUND : (size_t)5);
	add_text(d, node);
	str_adds(d->out, "</g></a>\n");
}

/* ---- all of it ---- */

static void begin(const struct drawing *d)
{
	size_t along = d->layout.n_layers * ((d->is_tall ? BOX_HEIGHT : BOX_WIDTH) + GAP_ALONG);
	size_t across = d->layout.n_slots * ((d->is_tall ? BOX_WIDTH : BOX_HEIGHT) + GAP_ACROSS);
	size_t width = 2 * MARGIN + (d->is_tall ? across : along);
	size_t height = 2 * MARGIN + (d->is_tall ? along : across);

	str_addf(d->out,
		 "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"lineage\" "
		 "width=\"%zu\" height=\"%zu\" viewBox=\"0 0 %zu %zu\">\n",
		 width, height, width, height);
	str_adds(d->out, "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" "
			 "markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">"
			 "<path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n");
}

void lineage_add_svg(const struct lineage_page *page, struct str *out)
{
	const struct lineage *graph = &page->pedigree->graph;
	struct drawing d = { .page = page, .out = out };

	lineage_layout_make(page, &d.layout);
	d.is_tall = d.layout.n_layers > LAYERS_ACROSS && d.layout.n_layers > d.layout.n_slots;
	begin(&d);
	for (size_t i = 0; i < graph->n_edges; i++)
		if (lineage_shows_edge(page, &graph->edges[i]))
			add_edge(&d, &graph->edges[i]);
	for (size_t i = 0; i < graph->n_nodes; i++)
		if (page->shown[i])
			add_box(&d, i);
	str_adds(out, "</svg>\n");
	lineage_layout_release(&d.layout);
}
