#include "base/base.h"

#include "base/str.h"
#include "capture/digest.h"
#include "capture/environment.h"
#include "capture/git.h"
#include "capture/gpu.h"
#include "capture/python.h"
#include "capture/secrets.h"
#include "unit.h"

/* [-0, +0, v] The strings of the list at 'index' (none for nil). */
static void read_list(lua_State *L, int index, struct strv *out)
{
	if (lua_isnoneornil(L, index))
		return;
	for (lua_Integer i = 1; lua_rawgeti(L, index, i) == LUA_TSTRING; i++) {
		strv_push(out, lua_tostring(L, -1));
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

/* [-0, +1, m] Releases 'v'. */
static void push_strv(lua_State *L, struct strv *v)
{
	lua_createtable(L, (int)v->n, 0);
	for (size_t i = 0; i < v->n; i++) {
		lua_pushstring(L, v->v[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	strv_release(v);
}

/* [-0, +2, m] JSON text or nil, notes; releases both. */
static int push_captured(lua_State *L, struct str *json, struct strv *notes)
{
	if (json->len)
		lua_pushlstring(L, json->buf, json->len);
	else
		lua_pushnil(L);
	str_release(json);
	push_strv(L, notes);
	return 2;
}

/* [-0, +2, v] git(cwd) */
static int git(lua_State *L)
{
	const char *cwd = luaL_optstring(L, 1, NULL);
	struct str json = STR_INIT;
	struct strv notes = STRV_INIT;

	capture_git(cwd, &json, &notes);
	return push_captured(L, &json, &notes);
}

/* [-0, +2, m] gpu() */
static int gpu(lua_State *L)
{
	struct str json = STR_INIT;
	struct strv notes = STRV_INIT;

	capture_gpu(&json, &notes);
	return push_captured(L, &json, &notes);
}

/* [-0, +2, v] python(argv) */
static int python(lua_State *L)
{
	struct strv argv = STRV_INIT;
	struct str json = STR_INIT;
	struct strv notes = STRV_INIT;

	read_list(L, 1, &argv);
	capture_python(argv.v, &json, &notes);
	strv_release(&argv);
	return push_captured(L, &json, &notes);
}

/* [-0, +2, v] environment(argv or nil, env or nil, allow, mask, with_gpu) */
static int environment(lua_State *L)
{
	struct strv argv = STRV_INIT;
	struct strv env = STRV_INIT;
	struct strv allow = STRV_INIT;
	struct strv mask = STRV_INIT;
	struct capture_options o = { .allow = &allow,
				     .mask = &mask,
				     .with_gpu = lua_toboolean(L, 5) };
	struct str json = STR_INIT;
	struct strv notes = STRV_INIT;

	read_list(L, 1, &argv);
	read_list(L, 2, &env);
	read_list(L, 3, &allow);
	read_list(L, 4, &mask);
	o.argv = argv.v;
	o.env = env.v;
	capture_environment(&json, &notes, &o);
	strv_release(&argv);
	strv_release(&env);
	strv_release(&allow);
	strv_release(&mask);
	return push_captured(L, &json, &notes);
}

/* [-0, +1, v] mask_argv(argv, patterns) */
static int mask_argv(lua_State *L)
{
	struct strv argv = STRV_INIT;
	struct strv patterns = STRV_INIT;
	struct strv out = STRV_INIT;

	read_list(L, 1, &argv);
	read_list(L, 2, &patterns);
	secrets_mask_argv(argv.v, &patterns, &out);
	strv_release(&argv);
	strv_release(&patterns);
	push_strv(L, &out);
	return 1;
}

/* [-0, +1, v] mask_value(name, value, patterns) */
static int mask_value(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	const char *value = luaL_checkstring(L, 2);
	struct strv patterns = STRV_INIT;
	struct str out = STR_INIT;

	read_list(L, 3, &patterns);
	secrets_mask_value(name, value, &patterns, &out);
	lua_pushlstring(L, out.buf, out.len);
	strv_release(&patterns);
	str_release(&out);
	return 1;
}

/* [-0, +1..3, v] digest(path, limit, is_model): { sha256, size, files } */
static int digest(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	lua_Integer limit = luaL_optinteger(L, 2, 1 << 30);
	struct digest d;
	struct err err = ERR_INIT;

	if ((lua_toboolean(L, 3) ? digest_model : digest_path)(path, (uint64_t)limit, &d, &err) < 0)
		return unit_fail(L, &err);
	lua_newtable(L);
	lua_pushstring(L, d.sha256);
	lua_setfield(L, -2, "sha256");
	lua_pushinteger(L, (lua_Integer)d.size);
	lua_setfield(L, -2, "size");
	lua_pushinteger(L, (lua_Integer)d.files);
	lua_setfield(L, -2, "files");
	return 1;
}

/* [-0, +1, m] */
void unit_capture(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "git", git },
		{ "gpu", gpu },
		{ "python", python },
		{ "environment", environment },
		{ "mask_argv", mask_argv },
		{ "mask_value", mask_value },
		{ "digest", digest },
		{ NULL, NULL },
	};

	luaL_newlib(L, functions);
}
