#include "base/base.h"

#include "unit.h"

static const struct {
	const char *name;
	void (*push)(lua_State *L);
} areas[] = {
	{ "base", unit_base },	   { "json", unit_json },     { "info", unit_info },
	{ "file", unit_file },	   { "store", unit_store },   { "proc", unit_proc },
	{ "conf", unit_conf },	   { "layout", unit_layout }, { "capture", unit_capture },
	{ "cursor", unit_cursor }, { "filter", unit_filter },
};

/* [-0, +3, m] */
int unit_fail(lua_State *L, const struct err *err)
{
	lua_pushnil(L);
	lua_pushstring(L, err->msg);
	lua_pushstring(L, err_word(err->code));
	return 3;
}

int luaopen_unit(lua_State *L);

/* [-0, +1, m] */
int luaopen_unit(lua_State *L)
{
	lua_newtable(L);
	for (size_t i = 0; i < ARRAY_SIZE(areas); i++) {
		areas[i].push(L);
		lua_setfield(L, -2, areas[i].name);
	}
	return 1;
}
