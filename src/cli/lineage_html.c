/*
 * One file that needs nothing else: no script, no network, readable in any browser and with the colours
 * that the reader's system is set to.
 */
#include "base/base.h"

#include "base/mem.h"
#include "cli/lineage_page.h"
#include "cli/lineage_svg.h"
#include "cli/render.h"

/* The policy keeps a browser from fetching or running anything, should a text get past the escapes. */
static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	"style-src 'unsafe-inline'\">\n"
	"<meta name=\"viewport\" content=\"width=device-width\">\n"
	"<meta name=\"color-scheme\" content=\"light dark\">\n";

static const char style[] =
	"<style>\n"
	":root{--ground:#fff;--ink:#1b1f24;--soft:#57606a;--line:#8c959f;--box:#f6f8fa;"
	"--blue:#0550ae;--red:#b3261e;--asked:#fff3c4}\n"
	"@media (prefers-color-scheme:dark){:root{--ground:#14171c;--ink:#e6e9ee;--soft:#9aa4b2;"
	"--line:#6b7584;--box:#1f242c;--blue:#79b8ff;--red:#ff8a80;--asked:#4a3d0f}}\n"
	"body{margin:1.5rem;background:var(--ground);color:var(--ink);"
	"font:15px/1.45 system-ui,sans-serif}\n"
	"h1{font-size:1.3rem}h2{font-size:1.1rem;margin-top:2rem}"
	"h3{font-size:1rem;margin:0;overflow-wrap:anywhere}\n"
	"a{color:var(--blue)}p.soft,dt{color:var(--soft)}\n"
	".drawing{overflow:auto;max-height:85vh;border:1px solid var(--line);border-radius:6px}\n"
	"svg{display:block}svg a{text-decoration:none}\n"
	"svg text{fill:var(--ink);font:12px system-ui,sans-serif}"
	"svg text.name{font-size:13px;font-weight:600}svg text.dir{fill:var(--soft)}\n"
	"svg rect{fill:var(--box);stroke:var(--line)}"
	"svg path{fill:none;stroke:var(--line);stroke-width:1.5;marker-end:url(#tip)}"
	"svg path.inferred{stroke-dasharray:6 5}"
	"svg path.tip{fill:var(--line);stroke:none;marker-end:none}\n"
	"svg .tombstone rect{stroke-dasharray:2 4}svg .tombstone text{fill:var(--soft)}"
	"svg .unreadable rect{stroke:var(--red)}"
	"svg .asked rect{fill:var(--asked);stroke:var(--ink);stroke-width:2}\n"
	"svg a:hover rect,svg a:focus rect{stroke:var(--blue);stroke-width:2}\n"
	"section{border-top:1px solid var(--line);padding:.6rem 0}"
	"section:target{background:var(--asked)}\n"
	"dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.3rem 0}"
	"dd{margin:0;overflow-wrap:anywhere}ul{margin:.2rem 0}\n"
	"</style>\n";

static void add_link(const struct lineage_page *page, size_t node, struct str *out)
{
	str_addf(out, "<a href=\"#n%zu\">", node);
	lineage_add_html(out, page->pedigree->nodes[node].name);
	str_adds(out, "</a>");
}

static void add_row(struct str *out, const char *title, const char *text)
{
	if (!text || !*text)
		return;
	str_addf(out, "<dt>%s</dt><dd>", title);
	lineage_add_html(out, text);
	str_adds(out, "</dd>");
}

static void add_number(struct str *out, const char *title, int64_t value)
{
	struct str text = STR_INIT;

	add_count(&text, value);
	if (value >= 0)
		add_row(out, title, text.buf);
	str_release(&text);
}

/* ---- a node ---- */

static void add_uses(const struct pedigree *p, size_t node, struct str *out)
{
	size_t n;
	const struct pedigree_use *uses = pedigree_uses(p, node, &n);

	for (size_t i = 0; i < n; i++) {
		struct str text = STR_INIT;

		str_addf(&text, "%s, ", uses[i].dataset);
		add_count(&text, uses[i].steps);
		str_addf(&text, " steps%s%s%s", uses[i].is_declared ? "" : " (inferred)",
			 uses[i].digest ? ", " : "", uses[i].digest ? uses[i].digest : "");
		add_row(out, "trained on", text.buf);
		str_release(&text);
	}
}

static void add_facts(const struct lineage_page *page, size_t node, struct str *out)
{
	const struct pedigree *p = page->pedigree;
	const struct pedigree_node *n = &p->nodes[node];
	struct str label = STR_INIT;

	lineage_add_label(page, node, &label);
	str_adds(out, "<dl>");
	add_row(out, "what", lineage_kind_word(n->kind));
	add_row(out, "label", label.buf);
	if (n->kind == PEDIGREE_MODEL) {
		add_row(out, "model", n->model_name);
		add_row(out, "stage", n->stage);
		add_number(out, "trainings", (int64_t)n->n_entries);
		add_number(out, "steps", n->steps);
		add_row(out, "updated", n->updated);
		add_uses(p, node, out);
	}
	add_row(out, "path", pedigree_path(p, node));
	str_adds(out, "</dl>");
	str_release(&label);
}

static void add_edge(const struct lineage_page *page, const struct lineage_edge *edge,
		     bool is_parent, struct str *out)
{
	struct strv words = STRV_INIT;

	lineage_edge_words(page, edge, &words);
	str_adds(out, "<li>");
	if (!is_parent)
		add_link(page, edge->to, out);
	str_addf(out, "%s ", is_parent ? "" : ":");
	lineage_add_html(out, edge->relation);
	str_addch(out, ' ');
	if (is_parent)
		add_link(page, edge->from, out);
	else
		str_adds(out, "this");
	str_adds(out, edge->is_declared ? " (declared" : " (");
	for (size_t i = 0; i < words.n; i++) {
		str_adds(out, i || edge->is_declared ? "; " : "");
		lineage_add_html(out, words.v[i]);
	}
	str_adds(out, ")</li>");
	strv_release(&words);
}

static void add_edges(const struct lineage_page *page, const size_t *edges, size_t n,
		      bool is_parent, struct str *out)
{
	const struct lineage *graph = &page->pedigree->graph;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (!lineage_shows_edge(page, &graph->edges[edges[i]]))
			continue;
		if (!any)
			str_adds(out, is_parent ? "<p class=\"soft\">Comes from</p><ul>"
						: "<p class=\"soft\">Went into</p><ul>");
		any = true;
		add_edge(page, &graph->edges[edges[i]], is_parent, out);
	}
	if (any)
		str_adds(out, "</ul>");
}

static void add_section(const struct lineage_page *page, size_t node, struct str *out)
{
	const struct lineage_node *n = &page->pedigree->graph.nodes[node];

	str_addf(out, "<section id=\"n%zu\"><h3>", node);
	lineage_add_html(out, page->pedigree->nodes[node].name);
	str_adds(out, "</h3>");
	add_facts(page, node, out);
	add_edges(page, n->parents, n->n_parents, true, out);
	add_edges(page, n->children, n->n_children, false, out);
	str_adds(out, "</section>\n");
}

/* ---- the page ---- */

static void add_title(const struct lineage_page *page, struct str *out)
{
	bool any = false;

	str_adds(out, "Lineage");
	for (size_t i = 0; i < page->pedigree->graph.n_nodes; i++) {
		if (!page->is_target[i])
			continue;
		str_adds(out, any ? ", " : " of ");
		lineage_add_html(out, page->pedigree->nodes[i].name);
		any = true;
	}
}

static void add_problems(const struct lineage_page *page, struct str *out)
{
	const struct pedigree *p = page->pedigree;
	bool any = false;

	for (size_t i = 0; i < p->n_problems; i++) {
		struct str text = STR_INIT;

		if (!lineage_shows_problem(page, &p->problems[i]))
			continue;
		if (!any)
			str_adds(out, "<h2>Problems</h2>\n<ul>\n");
		any = true;
		lineage_add_problem(page, &p->problems[i], &text);
		str_adds(out, "<li>");
		lineage_add_html(out, text.buf);
		str_adds(out, "</li>\n");
		str_release(&text);
	}
	if (any)
		str_adds(out, "</ul>\n");
}

void lineage_page_html(const struct lineage_page *page, struct str *out)
{
	size_t n = page->pedigree->graph.n_nodes;

	str_adds(out, head);
	str_adds(out, "<title>");
	add_title(page, out);
	str_adds(out, "</title>\n");
	str_adds(out, style);
	str_adds(out, "</head>\n<body>\n<h1>");
	add_title(page, out);
	str_adds(out,
		 "</h1>\n<p class=\"soft\">What came from what, in the direction of the arrows. "
		 "Solid: declared. Dashed: inferred. Dotted boxes: gone. "
		 "Each box leads to its details below.</p>\n<div class=\"drawing\">\n");
	lineage_add_svg(page, out);
	str_adds(out, "</div>\n");
	add_problems(page, out);
	str_adds(out, "<h2>Details</h2>\n");
	for (size_t i = 0; i < n; i++)
		if (page->shown[i])
			add_section(page, i, out);
	str_adds(out, "</body>\n</html>\n");
}
