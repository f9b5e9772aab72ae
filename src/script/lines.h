/*
 * lines - the iterator behind ctx:lines().
 *
 * A segment is what lies between two line ends; "\r\n" is one, a lone "\r" too,
 * since progress bars redraw themselves so. Blocks are searched in C and only
 * segments with one of the needles reach Lua, their ANSI escapes removed. Memory
 * is bounded by the longest segment, at most about 1.3 MiB; the file is read,
 * not mapped, so that one which shrinks meanwhile is short instead of a SIGBUS.
 */
#ifndef SCRIPT_LINES_H
#define SCRIPT_LINES_H
#include "script/state.h"

/* Push the iterator function over descriptor 'fd' (-1: nothing to read). The needles are the strings
 * at 'first' to 'last' of the stack. [-0, +1, e] */
void lines_push(lua_State *L, int fd, int first, int last);

/* Remove ANSI escapes in place; the new length. */
size_t lines_strip_ansi(char *text, size_t len);

#endif
