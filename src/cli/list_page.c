#include "base/base.h"

#include "cli/list_page.h"

#include "app/packed.h"
#include "base/mem.h"
#include "cli/list_grid.h"
#include "cli/list_json.h"
#include "cli/list_models.h"

/*
 * A packed row: why it is broken, or undefined; then what the format needs.
 */
struct list_page {
	const struct list_spec *spec;
	struct grid *grid; /* of tables and sheets with columns, else NULL */
	struct jsonw json; /* the document that is being printed */
};

static bool has_grid(const struct list_spec *spec)
{
	return spec->format.kind == FORMAT_SHEET ||
	       (spec->format.kind == FORMAT_TABLE &&
		(spec->columns->n || spec->runs || spec->changed_only));
}

struct list_page *list_page_new(const struct list_spec *spec)
{
	struct list_page *page = xcalloc(1, sizeof(*page));

	page->spec = spec;
	if (has_grid(spec))
		page->grid = grid_new(spec);
	return page;
}

void list_page_free(struct list_page *page)
{
	if (page && page->grid)
		grid_free(page->grid);
	free(page);
}

bool list_page_streams(const struct list_page *page)
{
	return page->spec->format.kind == FORMAT_JSON || page->spec->format.kind == FORMAT_LINES;
}

static void pack_json(const struct list_page *page, const struct listing_row *row, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 0);

	list_json_row(page->spec, row, &w);
	str_addch(out, '\0');
}

void list_page_pack(const struct list_page *page, const struct listing_row *row, struct str *out)
{
	str_clear(out);
	packed_add_text(out, row->is_broken ? row->history->err.msg : NULL);
	if (list_page_streams(page))
		pack_json(page, row, out);
	else if (page->grid)
		grid_pack(page->grid, row, out);
	else
		list_models_pack(page->spec, row, out);
}

const char *list_page_error(const struct ranked *row)
{
	const char *text;

	packed_read_text(ranked_payload(row), &text);
	return text;
}

/* ---- JSON ---- */

void list_page_begin(struct list_page *page, struct paged *paged)
{
	struct jsonw *w = &page->json;

	*w = jsonw_begin(&paged->out, page->spec->format.kind == FORMAT_JSON ? 2 : 0);
	if (page->spec->format.kind != FORMAT_JSON)
		return;
	jsonw_object(w);
	jsonw_pair_string(w, "schema", "thhost.list/1");
	jsonw_key(w, page->spec->runs ? "runs" : "models");
	jsonw_array(w);
}

static void end_row(struct list_page *page, struct paged *paged)
{
	if (page->spec->format.kind == FORMAT_LINES)
		str_addch(&paged->out, '\n');
	paged_line(paged);
}

void list_page_row(struct list_page *page, const struct listing_row *row, struct paged *paged)
{
	list_json_row(page->spec, row, &page->json);
	end_row(page, paged);
}

void list_page_end(struct list_page *page, struct paged *paged)
{
	if (page->spec->format.kind != FORMAT_JSON)
		return;
	jsonw_end(&page->json);
	jsonw_end(&page->json);
	str_addch(&paged->out, '\n');
}

static void print_json(struct list_page *page, const struct ranking *rows, struct paged *paged)
{
	list_page_begin(page, paged);
	for (size_t i = 0; i < rows->n; i++) {
		const char *error;
		const char *text = packed_read_text(ranked_payload(rows->rows[i]), &error);

		jsonw_raw(&page->json, text, strlen(text));
		end_row(page, paged);
	}
	list_page_end(page, paged);
}

void list_page_print(struct list_page *page, struct ranking *rows, struct paged *paged)
{
	if (list_page_streams(page))
		print_json(page, rows, paged);
	else if (!page->grid)
		list_models_print(rows, paged);
	else if (page->spec->format.kind == FORMAT_TABLE)
		grid_table(page->grid, rows, paged);
	else
		grid_sheet(page->grid, rows, paged);
}
