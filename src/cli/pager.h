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

/*
 * A page that is made line by line. On a terminal it is kept until its end, else it is printed in
 * pieces, so that it need not be in memory as a whole:
 *
 *	struct paged paged;
 *	paged_begin(&paged, conf);
 *	str_addf(&paged.out, "%s\n", line);
 *	paged_line(&paged);
 *	result = paged_end(&paged);
 *	paged_release(&paged);
 */
struct paged {
	struct str out;
	bool is_live; /* to be set: no line waits long for those after it */
	bool is_lost; /* what is printed gets nowhere: no need to go on */
	const struct conf *conf;
	bool is_kept;
	int64_t printed; /* when, in monotonic milliseconds; 0: nothing yet */
};

void paged_begin(struct paged *paged, const struct conf *conf);

/* A line has ended. */
void paged_line(struct paged *paged);

/* -1 if not all of it got there. */
int paged_end(struct paged *paged);
void paged_release(struct paged *paged);

#endif
