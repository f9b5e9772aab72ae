/*
 * lineage_layout - where each node of a drawing stands: in layers.
 *
 * Every node is in a layer after those of its parents. Within the layers, nodes are in slots: a model's
 * first child in its own one, the others below, so that what hangs by its branch (cli/lineage_page.h)
 * never crosses. Edges of a cycle may lead back. Time and memory in proportion to the nodes and edges.
 */
#ifndef CLI_LINEAGE_LAYOUT_H
#define CLI_LINEAGE_LAYOUT_H
#include "cli/lineage_page.h"

struct lineage_layout {
	size_t *layer; /* of each node that is shown, from 0 */
	size_t *slot;  /* likewise; no two nodes have the same of both */
	size_t n_layers;
	size_t n_slots;
};

void lineage_layout_make(const struct lineage_page *page, struct lineage_layout *layout);
void lineage_layout_release(struct lineage_layout *layout);

#endif
