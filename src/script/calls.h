/*
 * calls - inside a worker: load the plugins, call their functions, take what they return.
 *
 * Each step has its own limits and its own subject for messages; the first that
 * fails ends the worker's work. What is returned is text: compact JSON.
 */
#ifndef SCRIPT_CALLS_H
#define SCRIPT_CALLS_H
#include "script/api.h"
#include "script/contract.h"
#include "script/state.h"

#include "sys/json.h"

struct calls {
	struct state state;
	struct api api;
	struct contract contract;
	int load_ms;
	int call_ms;
	bool is_loaded;
	bool was_loaded;	    /* in a state before */
	bool ran_plugin;	    /* a function of it, since it was loaded */
	const struct json *request; /* 'entry' is a token of it, or JSON_NONE */
	size_t entry;
	struct str plan;
	struct str result;
	struct str hyperparams;
	struct str issues;
	struct str scratch;
	struct err *err; /* of the step under way */
	bool failed;
	char noted[64]; /* who is at work, as the parent knows it */
};

/*
 * Forget all of one entry before the next. Where validate() is a plugin's, in a new state, so that
 * nothing can pass from one entry to another; where there is none, no code of a plugin has run since
 * loading, and what is loaded stays.
 */
int calls_renew(struct calls *c, struct err *err);

/* Open the libraries and load every plugin of the contract, if they are not loaded. */
int calls_load(struct calls *c, struct err *err);

/* Fill 'plan'. */
int calls_describe(struct calls *c, struct err *err);

/* Fill 'result' and 'hyperparams'; a function that no plugin has leaves its text empty. */
int calls_extract(struct calls *c, struct err *err);
int calls_hyperparams(struct calls *c, struct err *err);

/* Fill 'issues' for the request's entry, or for what was extracted. */
int calls_validate(struct calls *c, struct err *err);

#endif
