/*
 * ancestry - the lineage graph of the records below a root.
 *
 * Edges come from "parents" of records and entries, from inherited entries, and, for a record
 * that has neither, from its base model: in the tree (inferred) or outside.
 */
#ifndef APP_ANCESTRY_H
#define APP_ANCESTRY_H
#include "model/history.h"
#include "model/lineage.h"

/* Put all readable records into 'lineage' (zeroed). 'label_of' gives fresh text for a node. */
void ancestry_build(struct lineage *lineage, const struct histories *all, struct layout *layout,
		    char *(*label_of)(const struct info *info));

/* Put one record that can be read into 'lineage', with the edges to its parents; a parent that was not
 * put in is missing. */
void ancestry_add(struct lineage *lineage, const struct history *history, struct layout *layout);

/* For each node whether it has an ancestor in common with 'target' (LINEAGE_NONE: true for all);
 * the caller frees it. */
bool *ancestry_relatives(const struct lineage *lineage, size_t target);

#endif
