/*
 * list_models - the page of models that nobody asked columns of.
 */
#ifndef CLI_LIST_MODELS_H
#define CLI_LIST_MODELS_H
#include "cli/list_page.h"

/* The cells of a row, after what 'out' has already. */
void list_models_pack(const struct list_spec *spec, const struct listing_row *row, struct str *out);
void list_models_print(const struct ranking *rows, struct paged *paged);

#endif
