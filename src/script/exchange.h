/*
 * exchange - one question to a worker and its answer, seen from the parent.
 *
 * The protocol stands in worker.c. Whatever happens to the worker, the error that
 * comes out names the plugin and the function that was at work.
 */
#ifndef SCRIPT_EXCHANGE_H
#define SCRIPT_EXCHANGE_H
#include "base/err.h"
#include "script/inputs.h"
#include "script/plugin.h"
#include "script/source.h"
#include "sys/json.h"
#include "sys/proc.h"

struct exchange {
	bool is_call; /* else: describe */
	const struct plugin_limits *limits;
	const struct plugin_file *plugins[2]; /* the stage's, the dataset's */
	int n_plugins;
	const char *stage; /* NULL: plugin 0 alone, of whatever kind */
	const char *dataset;
	const char *entry;    /* JSON text or NULL */
	char *const *entries; /* JSON texts or NULL, for one answer each: exchange_next() */
	size_t n_entries;
	const struct plugin_call *call; /* NULL for describe */
	const struct inputs *inputs;

	struct sources sources;
	struct proc_answer answer;
	struct json doc; /* of the answer: an object */
	size_t at;	 /* of the next answer */
	double ms;
};

#define EXCHANGE_INIT                                        \
	{                                                    \
		.answer = PROC_ANSWER_INIT, .doc = JSON_INIT \
	}

/* 0: 'doc' holds an answer without an error. */
int exchange_run(struct exchange *x, struct err *err);

/* The same with 'entries', whose answers are then taken one by one. -1 only if nothing was asked. */
int exchange_ask(struct exchange *x, struct err *err);

/* The next answer into 'doc', in the order of the entries; false: there is none, for the worker ended,
 * or it is none that could be read. 'result': 0, or -1 and the error that it tells. */
bool exchange_next(struct exchange *x, int *result, struct err *err);

/* What confines a worker here, as a worker that ran nothing tells it; the names are confine.c's.
 * ERR_FAILED: a mandatory part cannot be had, so that no plugin can run. */
int exchange_probe(struct strv *active, struct strv *missing, struct err *err);

void exchange_release(struct exchange *x);

#endif
