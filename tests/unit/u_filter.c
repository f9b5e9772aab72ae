/* unit.filter: model/filter, model/field and model/when, asked about a record that is given as text. */
#include "base/base.h"

#include "model/filter.h"
#include "model/goal.h"
#include "model/when.h"

#include "unit.h"

struct arena {
	struct info info;
	struct value value;
	struct str text;
	struct filter *filter;
};

/* [-0, +0, -] */
static int arena_gc(lua_State *L)
{
	struct arena *arena = lua_touserdata(L, 1);

	info_release(&arena->info);
	value_release(&arena->value);
	str_release(&arena->text);
	filter_free(arena->filter);
	return 0;
}

/* [-0, +1, m] */
static struct arena *push_arena(lua_State *L)
{
	struct arena *arena = lua_newuserdatauv(L, sizeof(*arena), 0);

	memset(arena, 0, sizeof(*arena));
	arena->info = (struct info)INFO_INIT;
	str_init(&arena->text);
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, arena_gc);
	lua_setfield(L, -2, "__gc");
	lua_setmetatable(L, -2);
	return arena;
}

/* The record at index 1, asked about its last training; nil: a directory without one. */
static int open_subject(lua_State *L, struct arena *arena, struct subject *subject, struct err *err)
{
	size_t len = 0;
	const char *text = luaL_optlstring(L, 1, NULL, &len);
	struct info *info = &arena->info;

	if (!text) {
		*subject = (struct subject){ .entry = JSON_NONE, .ref = "exp_1/stage1_hrds" };
		return 0;
	}
	if (info_open(info, "record", text, len, err) < 0)
		return -1;
	*subject = (struct subject){ .info = info,
				     .doc = &info->doc,
				     .entry = JSON_NONE,
				     .ref = "exp_1/stage1_hrds",
				     .exp = "exp_1",
				     .path = "/root/exp_1/stage1_hrds/training_info.json" };
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i))
		subject->entry = i;
	return 0;
}

/* [-0, +1..3, m] parse(expression): true, or nil, message, code */
static int filter_check(lua_State *L)
{
	const char *text = luaL_checkstring(L, 1);
	struct err err = ERR_INIT;
	struct filter *filter = filter_parse(text, 0, &err);

	if (!filter)
		return unit_fail(L, &err);
	filter_free(filter);
	lua_pushboolean(L, true);
	return 1;
}

/* [-0, +1..3, m] matches(record, expression, now): boolean, and the first field that was not there */
static int filter_ask(lua_State *L)
{
	const char *text = luaL_checkstring(L, 2);
	time_t now = (time_t)luaL_optinteger(L, 3, 0);
	struct arena *arena = push_arena(L);
	struct subject subject;
	struct err err = ERR_INIT;
	size_t position = 0;

	if (open_subject(L, arena, &subject, &err) < 0)
		return unit_fail(L, &err);
	arena->filter = filter_parse(text, now, &err);
	if (!arena->filter)
		return unit_fail(L, &err);
	lua_pushboolean(L, filter_matches(arena->filter, &subject));
	lua_pushstring(L, filter_unseen(arena->filter, &position));
	return 2;
}

/* [-0, +1..3, m] field(record, name): its text, or nil where it is undefined */
static int filter_field(lua_State *L)
{
	const char *name = luaL_checkstring(L, 2);
	struct arena *arena = push_arena(L);
	struct subject subject;
	struct err err = ERR_INIT;

	if (open_subject(L, arena, &subject, &err) < 0)
		return unit_fail(L, &err);
	field_read(&subject, name, &arena->value);
	value_add_text(&arena->value, &arena->text);
	if (arena->value.type == VALUE_UNDEFINED)
		lua_pushnil(L);
	else
		lua_pushlstring(L, arena->text.buf, arena->text.len);
	return 1;
}

/* [-0, +1..3, m] compare(record, name, other): -1, 0 or 1, the order of the two fields' values */
static int filter_compare(lua_State *L)
{
	struct arena *arena = push_arena(L);
	struct arena *other = push_arena(L);
	struct subject subject;
	struct err err = ERR_INIT;
	int order;

	if (open_subject(L, arena, &subject, &err) < 0)
		return unit_fail(L, &err);
	field_read(&subject, luaL_checkstring(L, 2), &arena->value);
	field_read(&subject, luaL_checkstring(L, 3), &other->value);
	order = value_compare(&arena->value, &other->value);
	lua_pushinteger(L, (order > 0) - (order < 0));
	return 1;
}

/* [-0, +2..3, m] when(text, now): from, to; or nil, message, code */
static int filter_when(lua_State *L)
{
	const char *text = luaL_checkstring(L, 1);
	time_t now = (time_t)luaL_checkinteger(L, 2);
	struct err err = ERR_INIT;
	struct when when;

	if (when_parse(text, now, &when, &err) < 0)
		return unit_fail(L, &err);
	lua_pushnumber(L, when.from);
	lua_pushnumber(L, when.to);
	return 2;
}

/* [-0, +1, m] goal(metric): "+" or "-" */
static int filter_goal(lua_State *L)
{
	const char goal = goal_guess(luaL_checkstring(L, 1));

	lua_pushlstring(L, &goal, 1);
	return 1;
}

/* [-0, +1, m] */
void unit_filter(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "parse", filter_check },
		{ "matches", filter_ask },
		{ "field", filter_field },
		{ "compare", filter_compare },
		{ "when", filter_when },
		{ "goal", filter_goal },
		{ NULL, NULL },
	};

	luaL_newlib(L, functions);
}
