/*
 * spawn - start one program, and tell exactly why it did not start.
 *
 * The mechanics under proc.h: descriptors put in their places, signals as a
 * program expects to find them, PATH searched as execvp() does (but a file that
 * the kernel cannot execute is an error, never handed to a shell). A child is
 * made by vfork(): fork() takes twice as long (0.17 ms with 8 MB in use).
 */
#ifndef SYS_SPAWN_H
#define SYS_SPAWN_H
#include "base/base.h"

#include <signal.h>

#define SPAWN_FIRST_PASSED 10

/* What fits under the usual soft limit of 1024 beside our own. */
#define SPAWN_MAX_PASSED 900

struct spawn {
	char *const *argv;
	char *const *env;    /* NULL: ours */
	const char *exe;     /* NULL: look argv[0] up in PATH */
	const char *cwd;     /* NULL: ours */
	int std[3];	     /* become 0, 1 and 2; -1: ours stays */
	const int *pass_fds; /* become 10, 11, ... */
	size_t n_pass_fds;
	bool own_group;	      /* a process group of its own: the terminal's signals pass it by */
	bool close_others;    /* else what we inherited goes on, as through env(1) */
	const sigset_t *mask; /* the child's signal mask */
};

enum spawn_step { SPAWN_PREPARE, SPAWN_CHDIR, SPAWN_EXEC };

struct spawn_failure {
	int step;   /* enum spawn_step: what failed ... */
	int number; /* ... with this errno */
};

/* 0 and the pid of a program that runs; -1 and the reason, with nothing left behind. */
int spawn_start(const struct spawn *spawn, pid_t *pid, struct spawn_failure *failure);

#endif
