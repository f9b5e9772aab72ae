/* unit.info: model/info through the eyes of a spec. Entries go in as JSON text. */
#include "base/base.h"

#include "model/info.h"

#include "unit.h"

#define MAX_ENTRIES 64

/* Everything that a wrapper allocates; the userdata's __gc frees it whatever is raised. */
struct arena {
	struct entry entries[MAX_ENTRIES];
	size_t n;
	struct info info;
	struct info_issues issues;
	struct str old;
	struct str inherited;
	struct str out;
	char *text;
};

/* [-1, +0, -] */
static int arena_gc(lua_State *L)
{
	struct arena *arena = lua_touserdata(L, 1);

	for (size_t i = 0; i < arena->n; i++)
		entry_release(&arena->entries[i]);
	info_release(&arena->info);
	info_issues_release(&arena->issues);
	str_release(&arena->old);
	str_release(&arena->inherited);
	str_release(&arena->out);
	free(arena->text);
	return 0;
}

/* [-0, +1, m] */
static struct arena *push_arena(lua_State *L)
{
	struct arena *arena = lua_newuserdatauv(L, sizeof(*arena), 0);

	memset(arena, 0, sizeof(*arena));
	arena->info = (struct info)INFO_INIT;
	str_init(&arena->old);
	str_init(&arena->inherited);
	str_init(&arena->out);
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, arena_gc);
	lua_setfield(L, -2, "__gc");
	lua_setmetatable(L, -2);
	return arena;
}

static struct entry *new_entry(struct arena *arena)
{
	struct entry *entry = &arena->entries[arena->n++];

	entry_init(entry);
	return entry;
}

/* A string field of the table at index 2; it stays alive in that table. [-0, +0, m] */
static const char *field(lua_State *L, const char *name)
{
	const char *text;

	lua_getfield(L, 2, name);
	text = lua_tostring(L, -1);
	lua_pop(L, 1);
	return text;
}

/* [-0, +1, m] */
static void push_summary(lua_State *L, const struct info_summary *summary)
{
	lua_newtable(L);
	lua_pushinteger(L, (lua_Integer)summary->n_entries);
	lua_setfield(L, -2, "entries");
	lua_pushinteger(L, summary->total_steps);
	lua_setfield(L, -2, "total_steps");
	lua_pushinteger(L, (lua_Integer)summary->n_added);
	lua_setfield(L, -2, "added");
	lua_pushboolean(L, summary->already);
	lua_setfield(L, -2, "already");
	lua_pushinteger(L, (lua_Integer)summary->n_errors);
	lua_setfield(L, -2, "errors");
	lua_pushinteger(L, (lua_Integer)summary->n_warnings);
	lua_setfield(L, -2, "warnings");
}

/* Parse the entries of the request's list "entries". [-0, +0, m] */
static int parse_entries(lua_State *L, struct arena *arena, struct err *err)
{
	int rc = 0;

	lua_getfield(L, 2, "entries");
	for (lua_Integer i = 1; rc == 0 && i <= (lua_Integer)lua_rawlen(L, -1); i++) {
		size_t len;
		const char *text;

		lua_rawgeti(L, -1, i);
		text = lua_tolstring(L, -1, &len);
		rc = entry_parse("entry", text, len, new_entry(arena), err);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return rc;
}

/* append(old or nil, request) -> text, summary | nil, message, code. The request holds model_name,
 * stage, final_checkpoint, base_model, parents, inherited, inherited_ref, additive, and a list of
 * JSON texts "entries". [-0, +2..3, m] */
static int append(lua_State *L)
{
	size_t len = 0;
	const char *old = luaL_optlstring(L, 1, NULL, &len);
	struct arena *arena = push_arena(L);
	const char *inherited = field(L, "inherited");
	struct info_append what = { .entries = arena->entries };
	struct info_summary after;
	struct err err = ERR_INIT;

	str_add(&arena->old, old ? old : "", len);
	str_adds(&arena->inherited, inherited ? inherited : "");
	what.head = (struct info_head){ field(L, "model_name"), field(L, "stage"),
					field(L, "final_checkpoint"), field(L, "base_model"),
					field(L, "parents") };
	what.inherited = inherited ? &arena->inherited : NULL;
	what.inherited_ref = field(L, "inherited_ref");
	lua_getfield(L, 2, "additive");
	what.additive = lua_toboolean(L, -1);
	if (parse_entries(L, arena, &err) < 0)
		return unit_fail(L, &err);
	what.n = arena->n;
	if (info_append("training_info.json", old ? &arena->old : NULL, &what, &arena->out, &after,
			&err) < 0)
		return unit_fail(L, &err);
	lua_pushlstring(L, arena->out.buf, arena->out.len);
	push_summary(L, &after);
	return 2;
}

/* check(text) -> list of "error|warning CODE LINE: MESSAGE", summary. [-0, +2, m] */
static int check(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	struct arena *arena = push_arena(L);
	struct info_summary summary;
	bool ok = info_check("training_info.json", text, len, &arena->issues, &summary);

	lua_newtable(L);
	for (size_t i = 0; i < arena->issues.n; i++) {
		const struct info_issue *issue = &arena->issues.v[i];

		lua_pushfstring(L, "%s %s %d: %s", issue->is_error ? "error" : "warning",
				issue->code, (int)issue->line, issue->message);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	push_summary(L, &summary);
	lua_pushboolean(L, ok);
	lua_setfield(L, -2, "ok");
	return 2;
}

/* Open argument 1; raises what cannot be opened. [-0, +1, m] */
static struct arena *open_argument(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	struct arena *arena = push_arena(L);
	struct err err = ERR_INIT;

	if (info_open(&arena->info, "training_info.json", text, len, &err) < 0)
		luaL_error(L, "%s", err.msg);
	return arena;
}

/* open(text) -> true | nil, message, code. [-0, +1..3, m] */
static int open(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	struct arena *arena = push_arena(L);
	struct err err = ERR_INIT;

	if (info_open(&arena->info, "training_info.json", text, len, &err) < 0)
		return unit_fail(L, &err);
	lua_pushboolean(L, true);
	return 1;
}

/* [-0, +0, m] set 'key' of the table on top to 'text', which the arena keeps meanwhile. */
static void set_string(lua_State *L, struct arena *arena, const char *key, char *text)
{
	free(arena->text);
	arena->text = text;
	lua_pushstring(L, text);
	lua_setfield(L, -2, key);
}

/* read(text) -> { model_name, stage, total_steps, { dataset, steps, inherited }... }.
 * [-0, +1, m] */
static int read(lua_State *L)
{
	struct arena *arena = open_argument(L);
	const struct info *info = &arena->info;
	lua_Integer n = 0;

	lua_newtable(L);
	set_string(L, arena, "model_name", info_string(info, "model_name"));
	set_string(L, arena, "stage", info_string(info, "stage"));
	lua_pushinteger(L, info_total_steps(info));
	lua_setfield(L, -2, "total_steps");
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		lua_newtable(L);
		set_string(L, arena, "dataset", info_entry_string(info, i, "dataset"));
		lua_pushinteger(L, info_entry_steps(info, i));
		lua_setfield(L, -2, "steps");
		lua_pushboolean(L, info_entry_is_inherited(info, i));
		lua_setfield(L, -2, "inherited");
		lua_rawseti(L, -2, ++n);
	}
	return 1;
}

/* The position of entry token 'entry', or nil. [-0, +1, -] */
static int push_position(lua_State *L, const struct info *info, size_t entry)
{
	lua_Integer n = 1;

	if (entry == JSON_NONE)
		return 0;
	for (size_t i = info_first_entry(info); i != entry; i = info_next_entry(info, i))
		n++;
	lua_pushinteger(L, n);
	return 1;
}

/* find(text, run_id) -> position | nil. [-0, +1, m] */
static int find(lua_State *L)
{
	const char *run_id = luaL_checkstring(L, 2);
	struct arena *arena = open_argument(L);

	return push_position(L, &arena->info, info_entry_find(&arena->info, run_id));
}

/* same(text, entry) -> position | nil. [-0, +1, m] */
static int same(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 2, &len);
	struct arena *arena = open_argument(L);
	struct entry *entry = new_entry(arena);
	struct err err = ERR_INIT;

	if (entry_parse("entry", text, len, entry, &err) < 0)
		return unit_fail(L, &err);
	return push_position(L, &arena->info, info_entry_same(&arena->info, entry));
}

/* Add the extras of the list of { key, json } at index 3. [-0, +0, m] */
static int add_extras(lua_State *L, struct entry *entry, struct err *err)
{
	int rc = 0;

	for (lua_Integer i = 1; rc == 0 && i <= (lua_Integer)lua_rawlen(L, 3); i++) {
		lua_rawgeti(L, 3, i);
		lua_rawgeti(L, -1, 1);
		lua_rawgeti(L, -2, 2);
		rc = entry_add_extra(entry, lua_tostring(L, -2), lua_tostring(L, -1), err);
		lua_pop(L, 3);
	}
	return rc;
}

/* entry(json, indent [, extras [, only_parse]]) -> text | nil, message, code. [-0, +1..3, m] */
static int entry(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	lua_Integer indent = luaL_optinteger(L, 2, 0);
	bool only_parse = lua_toboolean(L, 4);
	struct arena *arena = push_arena(L);
	struct entry *parsed = new_entry(arena);
	struct jsonw w = jsonw_begin(&arena->out, (int)indent);
	struct err err = ERR_INIT;

	if (entry_parse("entry", text, len, parsed, &err) < 0)
		return unit_fail(L, &err);
	if (lua_istable(L, 3) && add_extras(L, parsed, &err) < 0)
		return unit_fail(L, &err);
	if (!only_parse && entry_check(parsed, &err) < 0)
		return unit_fail(L, &err);
	entry_print(parsed, &w);
	lua_pushlstring(L, arena->out.buf, arena->out.len);
	return 1;
}

/* [-0, +1, m] */
void unit_info(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "append", append }, { "check", check }, { "open", open },   { "read", read },
		{ "find", find },     { "same", same },	  { "entry", entry }, { NULL, NULL },
	};

	luaL_newlib(L, functions);
}
