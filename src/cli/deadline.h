/*
 * deadline - the last resort against what no polite limit ends.
 *
 *	deadline_set(31, 130, &text);
 *	... something that may go on for ever, and leaves nothing behind ...
 *	deadline_clear();
 *
 * When the time is over, 'text' goes to stderr and the process ends with 'status', whatever it is at.
 * One at a time.
 */
#ifndef CLI_DEADLINE_H
#define CLI_DEADLINE_H
#include "base/str.h"

/* Takes over the text. */
void deadline_set(double seconds, int status, struct str *text);
void deadline_clear(void);

#endif
