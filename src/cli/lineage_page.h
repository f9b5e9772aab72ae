/*
 * lineage_page - a lineage, as people and programs want to see it.
 *
 *	struct lineage_page page;
 *	lineage_page_begin(&page, &pedigree, shown, targets, n);
 *	lineage_page_tree(&page, &out);
 *	lineage_page_end(&page);
 *
 * One file for each form: lineage_tree.c, lineage_json.c, lineage_dot.c, lineage_mermaid.c,
 * lineage_html.c. Whatever a record says is escaped for the form that it goes into, and harmless
 * for a terminal besides.
 */
#ifndef CLI_LINEAGE_PAGE_H
#define CLI_LINEAGE_PAGE_H
#include "app/lineage_diff.h"
#include "app/pedigree.h"
#include "sys/json.h"

struct lineage_page {
	const struct pedigree *pedigree;
	const bool *shown;
	bool *is_target;
	/* For each node the edge that it hangs by where only one can be: from the one that it
	 * continues, else from what it starts from. LINEAGE_NONE: from no one that is shown. */
	size_t *branch;
};

void lineage_page_begin(struct lineage_page *page, const struct pedigree *pedigree,
			const bool *shown, const size_t *targets, size_t n);
void lineage_page_end(struct lineage_page *page);

void lineage_page_tree(struct lineage_page *page, struct str *out);
void lineage_page_json(const struct lineage_page *page, struct str *out);
void lineage_page_dot(const struct lineage_page *page, struct str *out);
void lineage_page_mermaid(const struct lineage_page *page, struct str *out);
void lineage_page_html(const struct lineage_page *page, struct str *out);

/* What two models have in common, and where they part. */
void lineage_diff_text(const struct lineage_page *page, const struct lineage_diff *diff,
		       struct str *out);
void lineage_diff_json(const struct lineage_page *page, const struct lineage_diff *diff,
		       struct str *out);

/* ---- what the forms share ---- */

/* "model", "outside", ... */
const char *lineage_kind_word(enum pedigree_kind kind);
const char *lineage_trouble_word(enum pedigree_trouble kind);

/* Is it only known of: a missing model, a checkpoint that is not there? */
bool lineage_is_tombstone(const struct lineage_page *page, size_t node);

/* "checkpoint-10000 (gone)  f1 0.850": what is worth a word beside the name; as the records have it. */
void lineage_add_label(const struct lineage_page *page, size_t node, struct str *out);

/* What is worth a word at the edge: "inferred", "from checkpoint-5, which is gone", "moved from X". */
void lineage_edge_words(const struct lineage_page *page, const struct lineage_edge *edge,
			struct strv *words);

/* Is the edge part of the answer? */
bool lineage_shows_edge(const struct lineage_page *page, const struct lineage_edge *edge);

/* Does this problem belong to the answer? A record that cannot be read may be anybody's. */
bool lineage_shows_problem(const struct lineage_page *page, const struct pedigree_problem *problem);

/* One sentence, as the records have it. */
void lineage_add_problem(const struct lineage_page *page, const struct pedigree_problem *problem,
			 struct str *out);

/* One object for an edge. */
void lineage_json_edge(struct jsonw *w, const struct lineage_page *page,
		       const struct lineage_edge *edge);

#endif
