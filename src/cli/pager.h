/*
 * pager - long pages, on a terminal.
 */
#ifndef CLI_PAGER_H
#define CLI_PAGER_H
#include "base/str.h"
#include "model/conf.h"

/*
 * Print 'text' to stdout; on a terminal that is too low for it through the pager (ui.pager: "auto" is
 * $PAGER, else less; "never" none). -1 if it did not get there.
 */
int print_paged(const struct str *text, const struct conf *conf);

#endif
