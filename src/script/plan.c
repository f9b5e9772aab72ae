/* The part of contract.h that writes down what a plugin declares. */
#include "base/base.h"

#include "script/contract.h"

#include "sys/json.h"

/* Push member 'name' of the table on top, by raw access. [-0, +1, m] */
static void push_member(lua_State *L, const char *name)
{
	lua_pushstring(L, name);
	lua_rawget(L, -2);
}

/* Push a list of the keys of the table at 'table', sorted; their count. [-0, +1, m] */
static int push_sorted_keys(lua_State *L, int table)
{
	int n = 0;

	lua_newtable(L);
	for (lua_pushnil(L); lua_next(L, table);) {
		int at = n++;

		lua_pop(L, 1);
		while (at > 0) { /* insertion: there are a dozen */
			lua_rawgeti(L, -2, at);
			if (lua_compare(L, -1, -2, LUA_OPLT)) {
				lua_pop(L, 1);
				break;
			}
			lua_rawseti(L, -3, at + 1);
			at--;
		}
		lua_pushvalue(L, -1);
		lua_rawseti(L, -3, at + 1);
	}
	return n;
}

/* [-0, +0, m] */
static void write_string(lua_State *L, struct jsonw *w, const char *name)
{
	size_t len;
	const char *text = lua_tolstring(L, -1, &len);

	jsonw_key(w, name);
	jsonw_stringn(w, text ? text : "", text ? len : 0);
}

/* Write string field 'name' of the table on top, if it is there. [-0, +0, m] */
static void write_member(lua_State *L, struct jsonw *w, const char *name)
{
	push_member(L, name);
	if (lua_type(L, -1) == LUA_TSTRING)
		write_string(L, w, name);
	else if (lua_type(L, -1) == LUA_TNUMBER)
		jsonw_key(w, name), jsonw_real(w, lua_tonumber(L, -1));
	else if (lua_isboolean(L, -1))
		jsonw_key(w, name), jsonw_bool(w, lua_toboolean(L, -1));
	lua_pop(L, 1);
}

/* Write the list of strings on top. [-0, +0, m] */
static void write_strings(lua_State *L, struct jsonw *w, const char *name)
{
	lua_Integer n = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;

	jsonw_key(w, name);
	jsonw_array(w);
	for (lua_Integer i = 1; i <= n; i++) {
		size_t len;
		const char *text;

		lua_rawgeti(L, -1, i);
		text = lua_tolstring(L, -1, &len);
		jsonw_stringn(w, text, len);
		lua_pop(L, 1);
	}
	jsonw_end(w);
}

/* "inputs": [{ "name", "pattern", "optional" }], the '?' taken off. [-0, +0, m] */
static void write_inputs(lua_State *L, struct jsonw *w, const struct contract *contract)
{
	int table = lua_gettop(L) + 1;
	int n;

	contract_push(L, contract, "inputs");
	n = push_sorted_keys(L, table);
	jsonw_key(w, "inputs");
	jsonw_array(w);
	for (int i = 1; i <= n; i++) {
		size_t len;
		const char *pattern;
		bool is_optional;

		jsonw_object(w);
		lua_rawgeti(L, table + 1, i);
		write_string(L, w, "name");
		lua_rawget(L, table);
		pattern = lua_tolstring(L, -1, &len);
		is_optional = len > 0 && pattern[len - 1] == '?';
		jsonw_key(w, "pattern");
		jsonw_stringn(w, pattern, len - is_optional);
		jsonw_key(w, "optional");
		jsonw_bool(w, is_optional);
		jsonw_end(w);
		lua_pop(L, 1);
	}
	jsonw_end(w);
	lua_settop(L, table - 1);
}

/* [-0, +0, m] */
static void write_metrics(lua_State *L, struct jsonw *w, const struct contract *contract)
{
	static const char *const members[] = { "goal", "required", "primary", "unit" };
	int table = lua_gettop(L) + 1;
	int n;

	contract_push(L, contract, "metrics");
	n = push_sorted_keys(L, table);
	jsonw_key(w, "metrics");
	jsonw_array(w);
	for (int i = 1; i <= n; i++) {
		jsonw_object(w);
		lua_rawgeti(L, table + 1, i);
		write_string(L, w, "name");
		lua_rawget(L, table);
		for (size_t k = 0; k < ARRAY_SIZE(members); k++)
			write_member(L, w, members[k]);
		jsonw_end(w);
		lua_pop(L, 1);
	}
	jsonw_end(w);
	lua_settop(L, table - 1);
}

/* [-0, +0, m] */
static void write_rules(lua_State *L, struct jsonw *w, const struct contract *contract)
{
	lua_Integer n;

	contract_push(L, contract, "progress");
	n = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
	jsonw_key(w, "rules");
	jsonw_array(w);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, -1, i);
		jsonw_object(w);
		write_member(L, w, "find");
		write_member(L, w, "match");
		write_member(L, w, "scale");
		push_member(L, "set");
		write_strings(L, w, "set");
		jsonw_end(w);
		lua_pop(L, 2);
	}
	jsonw_end(w);
	lua_pop(L, 1);
}

/* [-0, +0, m] */
void contract_write_plan(lua_State *L, const struct contract *contract, struct str *out)
{
	static const char *const texts[] = { "dir", "model_name" };
	static const char *const lists[] = { "requires", "produces", "command" };
	struct jsonw w = jsonw_begin(out, 0);

	jsonw_object(&w);
	contract_push_plugin(L, 0);
	write_member(L, &w, "version");
	write_member(L, &w, "summary");
	lua_pop(L, 1);
	if (contract->n > 1) {
		contract_push_plugin(L, 1);
		push_member(L, "version");
		write_string(L, &w, "dataset_version");
		lua_pop(L, 2);
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		contract_push(L, contract, texts[i]);
		write_string(L, &w, texts[i]);
		lua_pop(L, 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		contract_push(L, contract, lists[i]);
		write_strings(L, &w, lists[i]);
		lua_pop(L, 1);
	}
	write_inputs(L, &w, contract);
	write_metrics(L, &w, contract);
	write_rules(L, &w, contract);
	contract_push(L, contract, "extract");
	jsonw_key(&w, "has_extract");
	jsonw_bool(&w, lua_isfunction(L, -1));
	lua_pop(L, 1);
	jsonw_end(&w);
}
