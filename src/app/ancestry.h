/*
 * ancestry - the lineage graph of one record after the other, each by its REF.
 *
 * For who needs a few models and what they came from; app/pedigree.h has all of several roots, and
 * looks for parents that are not where a record says.
 */
#ifndef APP_ANCESTRY_H
#define APP_ANCESTRY_H
#include "model/history.h"
#include "model/lineage.h"

/* Put one record that can be read into 'lineage', with the edges to its parents; a parent that was not
 * put in is missing. */
void ancestry_add(struct lineage *lineage, const struct history *history, struct layout *layout);

#endif
