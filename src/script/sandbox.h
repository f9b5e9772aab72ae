/*
 * sandbox - what plugins may see.
 *
 * Each plugin has an environment of its own that cannot be changed; libraries are
 * read-only; require() finds th.*, cjson and the files beside a directory plugin.
 * What is missing is listed in sandbox.c with the reason for each.
 */
#ifndef SCRIPT_SANDBOX_H
#define SCRIPT_SANDBOX_H
#include "script/state.h"

/* Open the libraries; once per state, within state_call(). [-0, +0, m] */
void sandbox_open(lua_State *L);

/* Push the chunk of 'source' with the environment of its plugin; raises a syntax error. [-0, +1, e] */
void sandbox_load(lua_State *L, const struct state_source *source);

/* As require(name) in plugin number 'plugin' (or STATE_LIBRARY). [-0, +1, e] */
void sandbox_require(lua_State *L, int plugin, const char *name);

/* Push the value at 'index' as text for a message: as tostring(), but never an address. [-0, +1, e] */
const char *sandbox_text(lua_State *L, int index);

/* Replace the table on top by one that shows its content and cannot be changed. [-1, +1, m] */
void sandbox_freeze(lua_State *L);

#endif
