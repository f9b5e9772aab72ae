#include "base/base.h"

#include "script/contract.h"

#include "base/utf8.h"
#include "script/api.h"
#include "script/value.h"

#define STAGE (1u << 0)
#define DATASET (1u << 1)
#define EXPORT (1u << 2)
#define IMPORT (1u << 3)
#define OVERRIDE (1u << 4) /* in the 'stages' of a dataset */
#define ALL (STAGE | DATASET | EXPORT | IMPORT)

#define MAX_FIELDS 32

static const char plugins_key = 0;

/* Checks the value on top; 'path' is its name in messages. */
typedef void check_fn(lua_State *L, const char *path);

struct field {
	const char *name;
	unsigned kinds;
	unsigned required; /* by these kinds */
	check_fn *check;
};

/* ---- the types of fields ---- */

/* [-0, +0, v] */
static void expect(lua_State *L, const char *path, bool holds, const char *what)
{
	struct str text = STR_INIT;
	char is[128];

	if (holds)
		return;
	value_describe(L, -1, &text);
	snprintf(is, sizeof(is), "%s", text.buf);
	str_release(&text);
	luaL_error(L, "field '%s' must be %s, but is %s", path, what, is);
}

/* [-0, +0, v] */
static void check_string(lua_State *L, const char *path)
{
	expect(L, path, lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0,
	       "a string that is not empty");
	expect(L, path, lua_rawlen(L, -1) <= 4096, "a string of at most 4096 bytes");
	expect(L, path, strlen(lua_tostring(L, -1)) == lua_rawlen(L, -1),
	       "a string without a zero byte");
}

/* What is recorded or shown. [-0, +0, v] */
static void check_text(lua_State *L, const char *path)
{
	check_string(L, path);
	expect(L, path, !utf8_has_control(lua_tostring(L, -1), lua_rawlen(L, -1)),
	       "UTF-8 text without control characters");
}

/* [-0, +0, v] */
static void check_function(lua_State *L, const char *path)
{
	expect(L, path, lua_isfunction(L, -1), "a function");
}

/* [-0, +0, v] */
static void check_number(lua_State *L, const char *path)
{
	expect(L, path, lua_type(L, -1) == LUA_TNUMBER, "a number");
}

/* [-0, +0, v] */
static void check_boolean(lua_State *L, const char *path)
{
	expect(L, path, lua_isboolean(L, -1), "true or false");
}

/* [-0, +0, v] */
static void check_api(lua_State *L, const char *path)
{
	expect(L, path, lua_type(L, -1) == LUA_TNUMBER, "the number 1");
	if (lua_tonumber(L, -1) != CONTRACT_API)
		luaL_error(L, "api %d is not known here; this thhost speaks api %d",
			   (int)lua_tonumber(L, -1), CONTRACT_API);
}

/* 'check' for each element of the list on top. [-0, +0, v] */
static void check_list(lua_State *L, const char *path, check_fn *check)
{
	lua_Integer n;
	lua_Integer keys = 0;

	expect(L, path, lua_istable(L, -1), "a list");
	n = (lua_Integer)lua_rawlen(L, -1);
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		keys++;
	if (keys != n || n > VALUE_MAX_KEYS)
		luaL_error(L, "field '%s' must be a list { ... } without names or gaps", path);
	for (lua_Integer i = 1; i <= n; i++) {
		const char *item = lua_pushfstring(L, "%s[%I]", path, (LUAI_UACINT)i);

		lua_rawgeti(L, -2, i);
		check(L, item);
		lua_pop(L, 2);
	}
}

/* 'check' for each value of the map on top. [-0, +0, v] */
static void check_map(lua_State *L, const char *path, check_fn *check)
{
	int n = 0;

	expect(L, path, lua_istable(L, -1), "a table");
	luaL_checkstack(L, 10, path);
	for (lua_pushnil(L); lua_next(L, -2);) {
		const char *item;

		if (lua_type(L, -2) != LUA_TSTRING || ++n > VALUE_MAX_KEYS)
			luaL_error(L, "field '%s' must be a table with names as keys", path);
		if (utf8_has_control(lua_tostring(L, -2), lua_rawlen(L, -2)))
			luaL_error(L, "field '%s' has a name with a control character in it", path);
		item = lua_pushfstring(L, "%s.%s", path, lua_tostring(L, -2));
		lua_insert(L, -2); /* key, item, value */
		check(L, item);
		lua_pop(L, 2);
	}
}

/* [-0, +0, v] */
static void check_strings(lua_State *L, const char *path)
{
	check_list(L, path, check_string);
}

/* [-0, +0, v] */
static void check_texts(lua_State *L, const char *path)
{
	check_list(L, path, check_text);
}

/* The field called 'name' that 'kind' may have, or an error that suggests one. [-0, +0, v] */
static const struct field *find_field(lua_State *L, const struct field *fields, size_t n,
				      unsigned kind, const char *path, const char *name)
{
	const char *names[MAX_FIELDS];
	size_t n_names = 0;
	const char *near;

	for (size_t i = 0; i < n; i++) {
		if (!(fields[i].kinds & kind))
			continue;
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
		names[n_names++] = fields[i].name;
	}
	near = nearest_word(name, names, n_names);
	luaL_error(L, "unknown field '%s%s%s'%s%s%s", path, path[0] ? "." : "", name,
		   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL; /* not reached by tests: luaL_error() does not return */
}

/* Check the table on top against 'fields'. [-0, +0, v] */
static void check_fields(lua_State *L, const char *path, const struct field *fields, size_t n,
			 unsigned kind)
{
	luaL_checkstack(L, 10, path);
	for (lua_pushnil(L); lua_next(L, -2);) {
		const struct field *field;
		const char *item;

		if (lua_type(L, -2) != LUA_TSTRING)
			luaL_error(L, "'%s' must have names as keys",
				   path[0] ? path : "the plugin");
		field = find_field(L, fields, n, kind, path, lua_tostring(L, -2));
		item = lua_pushfstring(L, "%s%s%s", path, path[0] ? "." : "", field->name);
		lua_insert(L, -2); /* key, item, value */
		field->check(L, item);
		lua_pop(L, 2);
	}
	for (size_t i = 0; i < n; i++) {
		if (!(fields[i].required & kind))
			continue;
		lua_pushstring(L, fields[i].name);
		if (lua_rawget(L, -2) == LUA_TNIL)
			luaL_error(L, "field '%s%s%s' is missing", path, path[0] ? "." : "",
				   fields[i].name);
		lua_pop(L, 1);
	}
}

/* ---- inputs, metrics, progress, stages ---- */

/* [-0, +0, v] */
static void check_pattern(lua_State *L, const char *path)
{
	const char *pattern;

	check_string(L, path);
	pattern = lua_tostring(L, -1);
	if (pattern[0] == '/' || strcmp(pattern, "..") == 0 || has_prefix(pattern, "../") ||
	    strstr(pattern, "/../") || has_suffix(pattern, "/.."))
		luaL_error(L, "field '%s' must stay below the stage directory, but is '%s'", path,
			   pattern);
	if (pattern[0] == '@' && strcmp(pattern, "@log") != 0 && strcmp(pattern, "@log?") != 0)
		luaL_error(L, "field '%s' is '%s'; the only such name is '@log'", path, pattern);
}

/* [-0, +0, v] */
static void check_inputs(lua_State *L, const char *path)
{
	check_map(L, path, check_pattern);
}

/* [-0, +0, v] */
static void check_goal(lua_State *L, const char *path)
{
	check_string(L, path);
	if (strcmp(lua_tostring(L, -1), "max") != 0 && strcmp(lua_tostring(L, -1), "min") != 0)
		luaL_error(L, "field '%s' must be \"max\" or \"min\", but is \"%s\"", path,
			   lua_tostring(L, -1));
}

/* [-0, +0, v] */
static void check_metric(lua_State *L, const char *path)
{
	static const struct field fields[] = {
		{ "goal", ALL, 0, check_goal },	 { "min", ALL, 0, check_number },
		{ "max", ALL, 0, check_number }, { "required", ALL, 0, check_boolean },
		{ "unit", ALL, 0, check_text },	 { "primary", ALL, 0, check_boolean },
	};

	expect(L, path, lua_istable(L, -1), "a table like { goal = \"max\" }");
	check_fields(L, path, fields, ARRAY_SIZE(fields), STAGE);
}

/* [-0, +0, v] */
static void check_metrics(lua_State *L, const char *path)
{
	check_map(L, path, check_metric);
}

/* The end of the set "[...]" that starts at 'p', or NULL. */
static const char *set_end(const char *p)
{
	p++;
	if (*p == '^')
		p++;
	do { /* a ']' that comes first is one of the characters */
		if (*p == '\0' || (*p == '%' && !*++p))
			return NULL;
		p++;
	} while (*p != ']');
	return p + 1;
}

/*
 * What is wrong with a Lua pattern, or NULL; its captures in 'captures'. Lua itself finds out only
 * when a text gets that far.
 */
static const char *pattern_fault(const char *p, int *captures)
{
	int open = 0;

	*captures = 0;
	while (*p) {
		switch (*p++) {
		case '%':
			if (!*p++)
				return "it ends with '%'";
			break;
		case '[':
			p = set_end(p - 1);
			if (!p)
				return "a '[' without its ']'";
			break;
		case '(':
			open++;
			++*captures;
			break;
		case ')':
			if (--open < 0)
				return "a ')' without its '('";
			break;
		default:
			break;
		}
	}
	return open ? "a '(' without its ')'" : NULL;
}

/* [-0, +0, v] */
static void check_match(lua_State *L, const char *path)
{
	const char *fault;
	int captures;

	check_string(L, path);
	fault = pattern_fault(lua_tostring(L, -1), &captures);
	if (fault)
		luaL_error(L, "field '%s' is no Lua pattern: %s", path, fault);
}

/* [-0, +0, v] */
static void check_rule(lua_State *L, const char *path)
{
	static const struct field fields[] = {
		{ "find", ALL, ALL, check_string },
		{ "match", ALL, ALL, check_match },
		{ "set", ALL, ALL, check_texts },
		{ "scale", ALL, 0, check_number },
	};

	int captures, names;

	expect(L, path, lua_istable(L, -1), "a table { find = ..., match = ..., set = ... }");
	check_fields(L, path, fields, ARRAY_SIZE(fields), STAGE);
	lua_pushliteral(L, "match");
	lua_rawget(L, -2);
	pattern_fault(lua_tostring(L, -1), &captures);
	lua_pushliteral(L, "set");
	lua_rawget(L, -3);
	names = (int)lua_rawlen(L, -1);
	if (names != (captures ? captures : 1))
		luaL_error(L, "field '%s' sets %d names, but its pattern captures %d", path, names,
			   captures ? captures : 1);
	lua_pop(L, 2);
}

/* [-0, +0, v] */
static void check_progress(lua_State *L, const char *path)
{
	check_list(L, path, check_rule);
}

static void check_stages(lua_State *L, const char *path);

static const struct field plugin_fields[] = {
	{ "api", ALL, ALL, check_api },
	{ "kind", ALL, ALL, check_string },
	{ "name", ALL, ALL, check_string },
	{ "version", ALL, ALL, check_text },
	{ "summary", ALL, 0, check_text },
	{ "dir", STAGE | OVERRIDE, STAGE, check_text },
	{ "model_name", STAGE | OVERRIDE, STAGE, check_text },
	{ "inputs", STAGE | OVERRIDE | IMPORT, 0, check_inputs },
	{ "metrics", STAGE | OVERRIDE, 0, check_metrics },
	{ "progress", STAGE | OVERRIDE, 0, check_progress },
	{ "requires", STAGE | OVERRIDE, 0, check_texts },
	{ "produces", STAGE, 0, check_texts },
	{ "command", STAGE | OVERRIDE, 0, check_strings },
	{ "extract", STAGE | OVERRIDE, 0, check_function },
	{ "hyperparams", STAGE | OVERRIDE, 0, check_function },
	{ "validate", STAGE | OVERRIDE, 0, check_function },
	{ "stages", DATASET, DATASET, check_stages },
	{ "extension", EXPORT, 0, check_text },
	{ "media_type", EXPORT, 0, check_text },
	{ "export", EXPORT, EXPORT, check_function },
	{ "import", IMPORT, IMPORT, check_function },
};

/* [-0, +0, v] */
static void check_override(lua_State *L, const char *path)
{
	expect(L, path, lua_istable(L, -1), "a table");
	check_fields(L, path, plugin_fields, ARRAY_SIZE(plugin_fields), OVERRIDE);
}

/* [-0, +0, v] */
static void check_stages(lua_State *L, const char *path)
{
	check_map(L, path, check_override);
}

/* ---- keeping and reading ---- */

static unsigned kind_bit(const char *kind)
{
	static const struct {
		const char *name;
		unsigned bit;
	} kinds[] = {
		{ "stage", STAGE },
		{ "dataset", DATASET },
		{ "export", EXPORT },
		{ "import", IMPORT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].name, kind) == 0)
			return kinds[i].bit;
	return 0;
}

/* Push string field 'name' of the table on top, nil if it is none. [-0, +1, m] */
static const char *push_member(lua_State *L, const char *name)
{
	lua_pushstring(L, name);
	lua_rawget(L, -2);
	return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
}

/* [-1, +0, v] */
void contract_keep(lua_State *L, const struct contract *contract, int number)
{
	const struct contract_plugin *plugin = &contract->plugins[number];

	if (!lua_istable(L, -1))
		luaL_error(L,
			   "a plugin must return a table (is 'return M' missing?), but this one "
			   "returned %s",
			   luaL_typename(L, -1));
	if (strcmp(push_member(L, "kind"), plugin->kind) != 0 && lua_type(L, -1) == LUA_TSTRING)
		luaL_error(L, "kind is '%s', but by its place this is a plugin of kind '%s'",
			   lua_tostring(L, -1), plugin->kind);
	lua_pop(L, 1);
	check_fields(L, "", plugin_fields, ARRAY_SIZE(plugin_fields), kind_bit(plugin->kind));
	if (strcmp(push_member(L, "name"), plugin->name) != 0)
		luaL_error(L, "name is '%s', but the file says '%s'", lua_tostring(L, -1),
			   plugin->name);
	lua_pop(L, 1);
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &plugins_key) != LUA_TTABLE) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, -1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &plugins_key);
	}
	lua_insert(L, -2);
	lua_rawseti(L, -2, number);
	lua_pop(L, 1);
}

/* [-1, +1, m] of a table: t[name]; of anything else nil */
static void descend(lua_State *L, const char *name)
{
	if (lua_istable(L, -1)) {
		lua_pushstring(L, name);
		lua_rawget(L, -2);
	} else {
		lua_pushnil(L);
	}
	lua_remove(L, -2);
}

/* [-0, +1, m] */
void contract_push_plugin(lua_State *L, int number)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &plugins_key);
	lua_rawgeti(L, -1, number);
	lua_remove(L, -2);
}

/* [-0, +1, m] */
void contract_push_own(lua_State *L, const struct contract *contract, int number, const char *name)
{
	contract_push_plugin(L, number);
	if (number == 1) {
		descend(L, "stages");
		descend(L, contract->stage);
	}
	descend(L, name);
}

/* Copy the pairs of the table on top into the one below it, and drop it. [-1, +0, m] */
static void overlay(lua_State *L)
{
	if (lua_istable(L, -1)) {
		for (lua_pushnil(L); lua_next(L, -2);) {
			lua_pushvalue(L, -2);
			lua_rotate(L, -2, 1); /* key, key, value */
			lua_rawset(L, -5);
		}
	}
	lua_pop(L, 1);
}

/* 'inputs' and 'metrics' are laid over each other key by key. [-0, +1, m] */
void contract_push(lua_State *L, const struct contract *contract, const char *name)
{
	luaL_checkstack(L, 10, name);
	if (strcmp(name, "inputs") == 0 || strcmp(name, "metrics") == 0) {
		lua_newtable(L);
		for (int i = 0; i < contract->n; i++) {
			contract_push_own(L, contract, i, name);
			overlay(L);
		}
		return;
	}
	for (int i = contract->n - 1; i >= 0; i--) {
		contract_push_own(L, contract, i, name);
		if (i == 0 || !lua_isnil(L, -1))
			return;
		lua_pop(L, 1);
	}
}

/* [-0, +0, m] */
void contract_keep_goals(lua_State *L, const struct contract *contract)
{
	contract_push(L, contract, "metrics");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &api_goals_key);
}
