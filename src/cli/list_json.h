/*
 * list_json - a row of a listing as JSON: the whole record, or the attempt.
 */
#ifndef CLI_LIST_JSON_H
#define CLI_LIST_JSON_H
#include "cli/list_page.h"

void list_json_row(const struct list_spec *spec, const struct listing_row *row, struct jsonw *w);

#endif
