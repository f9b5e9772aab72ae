/*
 * progress - the worker that evaluates progress rules while a training runs.
 *
 * Its stdin and stdout are one socket that keeps messages apart. The first
 * message is {"memory","rules":[{"find","match","set",scale}]}; each further one
 * is a block of lines. The answer to a block is "name value\n" for each value,
 * and at the end "=N\n": N bytes of lines were dealt with. The parent's side is
 * in plugin.h (plugin_progress_start() and on).
 */
#ifndef SCRIPT_PROGRESS_H
#define SCRIPT_PROGRESS_H
#include "base/err.h"

#define PROGRESS_ARG "progress"

/* A message is at most this long; longer blocks are cut by the sender. */
#define PROGRESS_BLOCK ((size_t)64 << 10)

/* The whole life of a progress worker; its exit status. */
int progress_worker(void);

#endif
