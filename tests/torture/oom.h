/*
 * oom - what the program, its preloaded shim and the spec agree on.
 *
 * Beside the program lies its plan, PROGRAM.plan, a struct oom_plan that all its processes share: a
 * plugin worker starts with an empty environment, but is the same program. The spec writes and reads
 * it with string.pack("<i8i8i8i8i8i8i8").
 */
#ifndef TORTURE_OOM_H
#define TORTURE_OOM_H
#include <stdint.h>

/* Which process of the program; LUA: a worker fails Lua's own allocations one after the other. */
enum oom_role { OOM_MAIN, OOM_WORKER, OOM_FORKED, OOM_LUA };

struct oom_plan {
	int64_t role;
	int64_t fail_at; /* the first allocation is 1; 0: none fails. OOM_LUA: every n-th is tried */
	int64_t for_ever; /* and all after it */
	int64_t counts[OOM_LUA];
	int64_t failed;
};

/* NULL: this program has none. */
extern struct oom_plan *oom_plan;

#endif
