/*
 * cursor - where the terminal's cursor stands in its line, from what was printed.
 *
 * A status line below a half-finished line (a progress bar) has to lead the cursor
 * back to its column. Only what was printed since the last newline matters, and
 * only as long as it is text, '\r' and colours: after anything else the column is
 * unknown until the next newline. Never looks at more than CURSOR_LIMIT bytes of a
 * block, so output passes as fast as before.
 */
#ifndef APP_CURSOR_H
#define APP_CURSOR_H
#include "base/base.h"

#define CURSOR_LIMIT ((size_t)4 << 10)
#define CURSOR_UNKNOWN (-1)

struct cursor {
	int column;	  /* from 0; CURSOR_UNKNOWN */
	char partial[16]; /* the start of a character or an escape that the block cut off */
	size_t n_partial;
};

#define CURSOR_INIT                                        \
	{                                                  \
		.column = 0, .partial = "", .n_partial = 0 \
	}

/* Take in a block that went to a terminal of 'columns' columns. */
void cursor_follow(struct cursor *cursor, const char *data, size_t len, int columns);

#endif
