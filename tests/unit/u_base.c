#include "base/base.h"

#include "unit.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/str.h"
#include "base/utf8.h"
#include "base/width.h"

/* [-0, +1, m] */
static int base_natural_compare(lua_State *L)
{
	lua_pushinteger(L, natural_compare(luaL_checkstring(L, 1), luaL_checkstring(L, 2)));
	return 1;
}

/* [-0, +1, m] nearest_word(word, { candidates }) */
static int base_nearest_word(lua_State *L)
{
	const char *candidates[64];
	size_t n = 0;
	const char *word = luaL_checkstring(L, 1);

	luaL_checktype(L, 2, LUA_TTABLE);
	while (n < ARRAY_SIZE(candidates)) {
		lua_rawgeti(L, 2, (lua_Integer)n + 1);
		if (lua_isnil(L, -1))
			break;
		candidates[n++] = luaL_checkstring(L, -1); /* stays on the stack, so alive */
		luaL_checkstack(L, 2, "too many candidates");
	}
	lua_pushstring(L, nearest_word(word, candidates, n));
	return 1;
}

/* [-0, +1, m] the text as a terminal may see it */
static int base_harmless(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	struct str out = STR_INIT;

	add_harmless(&out, text, len);
	lua_pushlstring(L, out.buf, out.len);
	str_release(&out);
	return 1;
}

/* [-0, +1, m] */
static int base_utf8_is_valid(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);

	lua_pushboolean(L, utf8_is_valid(text, len));
	return 1;
}

/* [-0, +1, m] */
static int base_width(lua_State *L)
{
	lua_pushinteger(L, display_width(luaL_checkstring(L, 1)));
	return 1;
}

/* [-0, +1, m] */
static int base_cut(lua_State *L)
{
	const char *text = luaL_checkstring(L, 1);
	char *cut = display_cut(text, (int)luaL_checkinteger(L, 2));

	lua_pushstring(L, cut);
	free(cut);
	return 1;
}

/* [-0, +1..2, m] seconds since 1970 and whether it was naive, or nil */
static int base_parse_time(lua_State *L)
{
	double seconds;
	bool naive;

	if (clock_parse(luaL_checkstring(L, 1), &seconds, &naive) < 0) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushnumber(L, seconds);
	lua_pushboolean(L, naive);
	return 2;
}

/* [-0, +1, m] */
static int base_seconds_between(lua_State *L)
{
	double seconds;

	if (clock_between(luaL_checkstring(L, 1), luaL_checkstring(L, 2), &seconds) < 0)
		lua_pushnil(L);
	else
		lua_pushnumber(L, seconds);
	return 1;
}

/* [-0, +1, m] */
static int base_format_time(lua_State *L)
{
	char text[CLOCK_TEXT_SIZE];

	clock_format((time_t)luaL_checkinteger(L, 1), text);
	lua_pushstring(L, text);
	return 1;
}

/* [-0, +1..3, m] */
static int base_make_id(lua_State *L)
{
	struct err err = ERR_INIT;
	char id[ID_TEXT_SIZE];

	if (id_make(id, &err) < 0)
		return unit_fail(L, &err);
	lua_pushstring(L, id);
	return 1;
}

/* [-0, +1, m] */
static int base_is_id(lua_State *L)
{
	lua_pushboolean(L, id_is_valid(luaL_checkstring(L, 1)));
	return 1;
}

/* [-0, +1, m] splice(text, position from 0, old length, new) */
static int base_splice(lua_State *L)
{
	size_t len;
	size_t fresh_len;
	const char *text = luaL_checklstring(L, 1, &len);
	size_t pos = (size_t)luaL_checkinteger(L, 2);
	size_t old = (size_t)luaL_checkinteger(L, 3);
	const char *fresh = luaL_checklstring(L, 4, &fresh_len);
	struct str s = STR_INIT;

	luaL_argcheck(L, pos <= len && old <= len - pos, 2, "beyond the text");
	str_add(&s, text, len);
	str_splice(&s, pos, old, fresh, fresh_len);
	lua_pushlstring(L, s.buf, s.len);
	str_release(&s);
	return 1;
}

/* [-0, +1, m] trim(text) */
static int base_trim(lua_State *L)
{
	struct str s = STR_INIT;

	str_adds(&s, luaL_checkstring(L, 1));
	str_trim(&s);
	lua_pushlstring(L, s.buf, s.len);
	str_release(&s);
	return 1;
}

/* [-0, +1, m] */
void unit_base(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "natural_compare", base_natural_compare },
		{ "nearest_word", base_nearest_word },
		{ "harmless", base_harmless },
		{ "utf8_is_valid", base_utf8_is_valid },
		{ "width", base_width },
		{ "cut", base_cut },
		{ "parse_time", base_parse_time },
		{ "seconds_between", base_seconds_between },
		{ "format_time", base_format_time },
		{ "make_id", base_make_id },
		{ "is_id", base_is_id },
		{ "splice", base_splice },
		{ "trim", base_trim },
		{ NULL, NULL },
	};

	luaL_newlib(L, functions);
}
