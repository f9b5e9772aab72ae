#include "base/base.h"

#include "base/str.h"
#include "model/conf.h"
#include "sys/yaml.h"
#include "unit.h"

#define TYPE "unit.conf"

static struct conf *check_conf(lua_State *L)
{
	return luaL_checkudata(L, 1, TYPE);
}

/* [-0, +1, m] */
static void push_strv(lua_State *L, const struct strv *v)
{
	lua_createtable(L, (int)v->n, 0);
	for (size_t i = 0; i < v->n; i++) {
		lua_pushstring(L, v->v[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

/* [-0, +1..3, v] load(start_dir, file or nil): conf | nil, message, code */
static int load(lua_State *L)
{
	const char *start = luaL_checkstring(L, 1);
	const char *file = luaL_optstring(L, 2, NULL);
	struct conf *conf = lua_newuserdatauv(L, sizeof(*conf), 0);
	struct err err = ERR_INIT;

	memset(conf, 0, sizeof(*conf));
	luaL_setmetatable(L, TYPE);
	return conf_load(conf, file, start, &err) < 0 ? unit_fail(L, &err) : 1;
}

/* [-0, +0, -] */
static int release(lua_State *L)
{
	conf_release(check_conf(L));
	return 0;
}

/* [-0, +1..3, v] */
static int set_flag(lua_State *L)
{
	struct err err = ERR_INIT;

	if (conf_set_flag(check_conf(L), luaL_checkstring(L, 2), luaL_checkstring(L, 3), &err) < 0)
		return unit_fail(L, &err);
	lua_pushboolean(L, 1);
	return 1;
}

/* [-0, +1, v] */
static int get(lua_State *L)
{
	lua_pushstring(L, conf_get(check_conf(L), luaL_checkstring(L, 2)));
	return 1;
}

/* [-0, +1, v] */
static int get_bool(lua_State *L)
{
	lua_pushboolean(L, conf_bool(check_conf(L), luaL_checkstring(L, 2)));
	return 1;
}

/* [-0, +1, v] */
static int get_int(lua_State *L)
{
	lua_pushinteger(L, conf_int(check_conf(L), luaL_checkstring(L, 2)));
	return 1;
}

/* [-0, +1, v] */
static int origin(lua_State *L)
{
	lua_pushstring(L, conf_origin(check_conf(L), luaL_checkstring(L, 2)));
	return 1;
}

/* [-0, +1, v] */
static int project_dir(lua_State *L)
{
	lua_pushstring(L, check_conf(L)->project_dir);
	return 1;
}

/* [-0, +1, v] */
static int path(lua_State *L)
{
	char *text = conf_path(check_conf(L), luaL_checkstring(L, 2));

	lua_pushstring(L, text);
	free(text);
	return 1;
}

/* [-0, +1, v] */
static int paths(lua_State *L)
{
	struct strv out = STRV_INIT;

	conf_paths(check_conf(L), luaL_checkstring(L, 2), &out);
	push_strv(L, &out);
	strv_release(&out);
	return 1;
}

/* [-0, +1, v] */
static int list(lua_State *L)
{
	struct strv out = STRV_INIT;

	conf_list(check_conf(L), luaL_checkstring(L, 2), &out);
	push_strv(L, &out);
	strv_release(&out);
	return 1;
}

/* [-0, +1, v] stage(stage, dataset or nil, key) */
static int stage(lua_State *L)
{
	lua_pushstring(L, conf_stage(check_conf(L), luaL_checkstring(L, 2),
				     luaL_optstring(L, 3, NULL), luaL_checkstring(L, 4)));
	return 1;
}

/* [-0, +1, v] stage_all(stage, dataset or nil): { key = value } */
static int stage_all(lua_State *L)
{
	struct strv keys = STRV_INIT;
	struct strv values = STRV_INIT;

	conf_stage_all(check_conf(L), luaL_checkstring(L, 2), luaL_optstring(L, 3, NULL), &keys,
		       &values);
	lua_newtable(L);
	for (size_t i = 0; i < keys.n; i++) {
		lua_pushstring(L, values.v[i]);
		lua_setfield(L, -2, keys.v[i]);
	}
	strv_release(&keys);
	strv_release(&values);
	return 1;
}

/* [-0, +1, m] the table: { { name, preset, variable }, ... } */
static int key_table(lua_State *L)
{
	size_t n;
	const struct conf_key *keys = conf_keys(&n);

	lua_newtable(L);
	for (size_t i = 0; i < n; i++) {
		lua_newtable(L);
		lua_pushfstring(L, "%s.%s", keys[i].section, keys[i].key);
		lua_setfield(L, -2, "name");
		lua_pushstring(L, keys[i].preset);
		lua_setfield(L, -2, "preset");
		lua_pushstring(L, keys[i].variable);
		lua_setfield(L, -2, "variable");
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

/* [-0, +1..3, v] */
static int split_command(lua_State *L)
{
	struct strv argv = STRV_INIT;
	struct err err = ERR_INIT;
	const char *text = luaL_checkstring(L, 1);

	if (conf_split_command(text, &argv, &err) < 0) {
		strv_release(&argv);
		return unit_fail(L, &err);
	}
	push_strv(L, &argv);
	strv_release(&argv);
	return 1;
}

/* [-0, +1..3, v] yaml(text): JSON text */
static int yaml(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	struct str out = STR_INIT;
	struct err err = ERR_INIT;

	if (yaml_to_json("f.yml", text, len, &out, &err) < 0) {
		str_release(&out);
		return unit_fail(L, &err);
	}
	lua_pushlstring(L, out.buf, out.len);
	str_release(&out);
	if (err.code != ERR_NONE)
		return luaL_error(L, "done, but an error is left: %s", err.msg);
	return 1;
}

/* [-0, +0, v] setenv(name, value or nil) */
static int set_environment(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	const char *value = luaL_optstring(L, 2, NULL);

	if (value ? setenv(name, value, 1) : unsetenv(name))
		return luaL_error(L, "cannot set '%s'", name);
	return 0;
}

/* [-0, +1, m] */
void unit_conf(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{ "set_flag", set_flag },
		{ "get", get },
		{ "bool", get_bool },
		{ "int", get_int },
		{ "origin", origin },
		{ "path", path },
		{ "paths", paths },
		{ "list", list },
		{ "stage", stage },
		{ "stage_all", stage_all },
		{ "project_dir", project_dir },
		{ NULL, NULL },
	};
	static const luaL_Reg functions[] = {
		{ "load", load }, { "keys", key_table },	 { "split_command", split_command },
		{ "yaml", yaml }, { "setenv", set_environment }, { NULL, NULL },
	};

	luaL_newmetatable(L, TYPE);
	lua_pushcfunction(L, release);
	lua_setfield(L, -2, "__gc");
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	luaL_newlib(L, functions);
}
