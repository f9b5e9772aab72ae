/*
 * pty - a terminal for the child to talk to, of which every byte comes out as it went in.
 */
#ifndef SYS_PTY_H
#define SYS_PTY_H
#include "base/base.h"

/* A new raw pty with the window size of 'terminal'. It becomes nobody's controlling terminal.
 * -1 with errno. */
int pty_open(int terminal, int *master, int *slave);

/* Give 'master' the window size of 'terminal'; true if that changed it. */
bool pty_follow_size(int master, int terminal);

#endif
