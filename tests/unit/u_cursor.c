#include "base/base.h"

#include "unit.h"

#include "app/cursor.h"

/* [-0, +1, m] follow(columns, block...): the column after the blocks, or nil when it is not known */
static int cursor_follow_all(lua_State *L)
{
	struct cursor cursor = CURSOR_INIT;
	int columns = (int)luaL_checkinteger(L, 1);

	for (int i = 2; i <= lua_gettop(L); i++) {
		size_t len;
		const char *block = luaL_checklstring(L, i, &len);

		cursor_follow(&cursor, block, len, columns);
	}
	if (cursor.column == CURSOR_UNKNOWN)
		lua_pushnil(L);
	else
		lua_pushinteger(L, cursor.column);
	return 1;
}

/* [-0, +1, m] */
void unit_cursor(lua_State *L)
{
	static const luaL_Reg functions[] = { { "follow", cursor_follow_all }, { NULL, NULL } };

	luaL_newlib(L, functions);
}
