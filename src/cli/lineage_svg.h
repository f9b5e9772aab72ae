/*
 * lineage_svg - the drawing in the page of lineage_html.c.
 */
#ifndef CLI_LINEAGE_SVG_H
#define CLI_LINEAGE_SVG_H
#include "cli/lineage_page.h"

/* An <svg> element; each box is a link to "#nI", where the page tells about node I. */
void lineage_add_svg(const struct lineage_page *page, struct str *out);

/* 'text' as the content of an element or of a quoted attribute, harmless for terminals, too. */
void lineage_add_html(struct str *out, const char *text);

#endif
