/*
 * inputs - find and open what a plugin declared, so that its worker need not.
 *
 * Patterns are expanded beneath the stage directory; the worker gets descriptors.
 * There are few (SPAWN_MAX_PASSED, and what RLIMIT_NOFILE leaves): the file that
 * each input stands for comes first, then the others from the last to the first,
 * then the files of patterns that match at any depth, the shallow first.
 */
#ifndef SCRIPT_INPUTS_H
#define SCRIPT_INPUTS_H
#include "base/err.h"
#include "script/plugin.h"
#include "sys/spawn.h"

struct input_file {
	char *name;
	char mtime[40];
	int64_t mtime_ns;
	int64_t size;
	int place;	 /* in 'fds'; -1: not opened */
	const char *why; /* it was not opened, as the end of a sentence; static */
	bool is_dir;
	bool is_regular;
};

struct input {
	const char *name; /* borrowed from the plan */
	struct input_file *files;
	size_t n;
	size_t chosen;
	bool is_tree; /* its pattern matches at any depth */
};

struct inputs {
	struct input *v;
	size_t n;
	int fds[SPAWN_MAX_PASSED];
	size_t n_fds;
};

#define INPUTS_INIT                           \
	{                                     \
		.v = NULL, .n = 0, .n_fds = 0 \
	}

/* ERR_PLUGIN if a required input matches nothing. */
int inputs_open(struct inputs *inputs, const struct plugin_plan *plan,
		const struct plugin_call *call, struct err *err);
void inputs_release(struct inputs *inputs);

/* What plugin_result.seen holds; fresh memory. Their number in 'n'. */
char *inputs_seen(const struct inputs *inputs, size_t *n);

#endif
