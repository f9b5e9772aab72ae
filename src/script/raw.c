/* The part of api.h that hyperparams() gets beside ctx. */
#include "base/base.h"

#include "script/api.h"

/* A flag starts with '-' and is no negative number. */
static bool is_flag(const char *arg)
{
	return arg[0] == '-' && arg[1] && !(arg[1] >= '0' && arg[1] <= '9') && arg[1] != '.';
}

/* Push a flag's name without its dashes, '-' as '_'. [-0, +1, m] */
static void push_flag_name(lua_State *L, const char *name, size_t len)
{
	luaL_Buffer buffer;

	luaL_buffinit(L, &buffer);
	for (size_t i = 0; i < len; i++)
		luaL_addchar(&buffer, name[i] == '-' ? '_' : name[i]);
	luaL_pushresult(&buffer);
}

/* flags = { NAME = VALUE or true }; of repeated ones the last counts. [-0, +1, m] */
static void push_flags(lua_State *L, const struct strv *argv)
{
	lua_newtable(L);
	for (size_t i = 0; i < argv->n && strcmp(argv->v[i], "--") != 0; i++) {
		const char *name = argv->v[i];
		size_t len;

		if (!is_flag(name))
			continue;
		name += strspn(name, "-");
		len = strcspn(name, "=");
		push_flag_name(L, name, len);
		if (name[len])
			lua_pushstring(L, name + len + 1);
		else if (i + 1 < argv->n && !is_flag(argv->v[i + 1]))
			lua_pushstring(L, argv->v[++i]);
		else
			lua_pushboolean(L, 1);
		lua_rawset(L, -3);
	}
}

/* [-0, +1, m] */
void api_push_raw(lua_State *L, const struct api *api)
{
	lua_createtable(L, 0, 2);
	push_flags(L, &api->argv);
	lua_setfield(L, -2, "argv");
	lua_newtable(L);
	for (size_t i = 0; i < api->config_keys.n && i < api->config_values.n; i++) {
		lua_pushstring(L, api->config_values.v[i]);
		lua_setfield(L, -2, api->config_keys.v[i]);
	}
	lua_setfield(L, -2, "config");
}
