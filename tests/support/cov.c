/*
 * cov - what MODE=cov links in, so that processes which never come to exit() are measured too.
 * Such a build is for `make cov` alone and is never shipped: nothing under src/ knows of it.
 *
 * At the end of a process a child of it puts the counters into their files, so that who watches or
 * fails the system calls of the process meets none of that. _exit() and raise() are wrapped by the
 * linker; the counters are cleared, for a child of vfork() counts in the memory of its parent.
 *
 * A plugin worker may open and write no file, and often ends by a signal. Before it confines itself
 * a keeper is started that shares its memory, holds none of its descriptors and has none of its
 * limits. It waits until the worker is dead, then writes down what that one counted to its last
 * instruction. The confinement is measured as it is.
 */
#define _GNU_SOURCE
#include "script/worker.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE ((size_t)256 << 10)

void __gcov_dump(void);
void __gcov_reset(void);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);
int __real_raise(int number);
int __wrap_raise(int number);

static int is_kept;

static void write_down(void)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	long child;

	if (is_kept)
		return;
	child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (child == 0) {
		setrlimit(RLIMIT_FSIZE, &none); /* that of what is measured, as far as we may */
		__gcov_dump();
		__real__exit(0);
	}
	if (child < 0)
		__gcov_dump(); /* a limit on processes */
	else
		while (waitpid((pid_t)child, NULL, 0) < 0 && errno == EINTR)
			;
	__gcov_reset();
}

/* Before gcov's own handler, which would write the files in this process. */
static void on_end(int status, void *arg)
{
	(void)arg;
	fflush(NULL);
	__wrap__exit(status);
}

_Noreturn void __wrap__exit(int status)
{
	write_down();
	__real__exit(status);
}

int __wrap_raise(int number)
{
	write_down();
	return __real_raise(number);
}

/* errno is the worker's as well: while that lives, only calls that cannot fail here. */
static int keep(void *arg)
{
	int worker = (int)(intptr_t)arg;
	struct pollfd ended = { .fd = worker, .events = POLLIN };

	syscall(SYS_setsid);
	if (worker > 0)
		syscall(SYS_close_range, 0U, (unsigned)worker - 1, 0U);
	syscall(SYS_close_range, (unsigned)worker + 1, ~0U, 0U);
	syscall(SYS_poll, &ended, 1, -1);
	__gcov_dump();
	__real__exit(0);
}

/* The keeper inherits that all signals are blocked. */
static void start_keeper(void)
{
	static char stack[STACK_SIZE] __attribute__((aligned(16)));
	sigset_t all, old;
	int worker;

	worker = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (worker < 0)
		return;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	is_kept = clone(keep, stack + STACK_SIZE, CLONE_VM, (void *)(intptr_t)worker) > 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(worker);
}

__attribute__((constructor)) static void begin(int argc, char **argv)
{
	on_exit(on_end, NULL);
	if (argc > 1 && strcmp(argv[1], WORKER_VERB) == 0)
		start_keeper();
}
