/*
 * confine - give up, for good, what a worker does not need.
 *
 * After confine_self() this process can compute, read the descriptors it was
 * given, write to stdout and stderr, and exit; it can open, make or reach nothing.
 * An empty environment, no other descriptors, no_new_privs, the resource limits
 * and the system call filter are mandatory; Landlock stands behind the filter
 * where the kernel has it.
 */
#ifndef SCRIPT_CONFINE_H
#define SCRIPT_CONFINE_H
#include "base/err.h"
#include "base/str.h"

struct confine_limits {
	size_t memory;	 /* bytes of Lua memory; the address space gets that and some slack */
	int cpu_seconds; /* 0: no limit (the long-lived progress worker; its parent watches it) */
	int n_inputs;	 /* descriptors SPAWN_FIRST_PASSED, ... that stay open */
};

/* ERR_FAILED if a mandatory part cannot be had: then no plugin may run. The parts in force are added
 * to 'active' by name, those that this kernel has not to 'missing'. */
int confine_self(const struct confine_limits *limits, struct strv *active, struct strv *missing,
		 struct err *err);

#endif
