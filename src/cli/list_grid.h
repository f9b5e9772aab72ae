/*
 * list_grid - rows of a listing with any columns, as a table or a sheet.
 *
 *	struct grid *grid = grid_new(&spec);
 *	grid_pack(grid, row, &out);		for each row
 *	grid_table(grid, rows, &paged);
 *	grid_free(grid);
 *
 * Where no columns were asked for, the metrics that the rows have are columns, too, and which these
 * are is known only at the end. So a row keeps all of its metrics until then.
 */
#ifndef CLI_LIST_GRID_H
#define CLI_LIST_GRID_H
#include "cli/list_page.h"

struct grid;

struct grid *grid_new(const struct list_spec *spec);
void grid_free(struct grid *grid);

/* The cells of a row, after what 'out' has already. */
void grid_pack(const struct grid *grid, const struct listing_row *row, struct str *out);

/* The rows are packed anew, with the metrics as cells. */
void grid_table(struct grid *grid, struct ranking *rows, struct paged *paged);
void grid_sheet(struct grid *grid, struct ranking *rows, struct paged *paged);

#endif
