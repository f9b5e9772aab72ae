/*
 * contract - what a plugin's table must look like, and what it then declares.
 *
 * Everything here runs within state_call() and raises the sentence that the
 * author reads: it names the field, what it is and what it must be. Tables are
 * read by raw access: nothing of the plugin runs meanwhile.
 */
#ifndef SCRIPT_CONTRACT_H
#define SCRIPT_CONTRACT_H
#include "script/state.h"

#define CONTRACT_API 1

struct contract_plugin {
	char *kind; /* by its place */
	char *name; /* by its file */
	char *path;
};

/* The stage's plugin is number 0, the dataset's, if there is one, number 1. */
struct contract {
	struct contract_plugin plugins[2];
	int n;
	char *stage; /* NULL: look at plugin 0 alone, of whatever kind */
};

/* Check the table on top, as plugin number 'number', and keep it in the registry. [-1, +0, v] */
void contract_keep(lua_State *L, const struct contract *contract, int number);

/* Push the table of plugin number 'number'. [-0, +1, -] */
void contract_push_plugin(lua_State *L, int number);

/* Push field 'name' of plugin 0, as plugin 1 overrides it. [-0, +1, m] */
void contract_push(lua_State *L, const struct contract *contract, const char *name);

/* Push 'name' of plugin 0 alone, or of the override of plugin 1 alone; nil if absent. [-0, +1, -] */
void contract_push_own(lua_State *L, const struct contract *contract, int number, const char *name);

/* Append what is declared to 'out' as one JSON object (plan.c). [-0, +0, v] */
void contract_write_plan(lua_State *L, const struct contract *contract, struct str *out);

/* Keep the merged 'metrics' where ctx.goals finds them. [-0, +0, m] */
void contract_keep_goals(lua_State *L, const struct contract *contract);

#endif
