/*
 * unit - the C functions that the specs under tests/spec reach through require "unit".
 *
 * Each file u_AREA.c adds a table of small wrappers, named as the functions they
 * wrap: unit.json.check(text) and so on. Wrappers convert arguments, call, convert
 * results; expected failure is nil, message, code.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H
#include "base/err.h"

#include <lauxlib.h>
#include <lua.h>

/* [-0, +1, m] each pushes its table. */
void unit_base(lua_State *L);
void unit_json(lua_State *L);
void unit_info(lua_State *L);
void unit_file(lua_State *L);
void unit_store(lua_State *L);
void unit_proc(lua_State *L);
void unit_conf(lua_State *L);
void unit_layout(lua_State *L);
void unit_capture(lua_State *L);
void unit_cursor(lua_State *L);
void unit_filter(lua_State *L);

/* [-0, +3, m] nil, message, code word; returns 3 for "return unit_fail(L, &err)". */
int unit_fail(lua_State *L, const struct err *err);

#endif
