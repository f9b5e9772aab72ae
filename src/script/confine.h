/*
 * confine - give up, for good, what a worker does not need.
 *
 * After confine_self() this process can compute, read the descriptors it holds,
 * write to stdout and stderr, and exit; it can open, make or reach nothing.
 * no_new_privs, the resource limits and the system call filter are mandatory;
 * Landlock stands behind the filter where the kernel has it.
 */
#ifndef SCRIPT_CONFINE_H
#define SCRIPT_CONFINE_H
#include "base/err.h"
#include "base/str.h"

struct confine_limits {
	size_t memory;	 /* bytes of Lua memory; the address space gets that and some slack */
	int cpu_seconds; /* 0: no limit (the long-lived progress worker; its parent watches it) */
};

/* ERR_FAILED if a mandatory part cannot be had: then no plugin may run. */
int confine_self(const struct confine_limits *limits, struct err *err);

/* What of it this kernel has: "seccomp", "landlock abi 7", ... */
void confine_probe(struct strv *active, struct strv *missing);

#endif
