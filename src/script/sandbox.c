/*
 * What is absent, and why:
 *
 *   load loadfile dofile     code that no reader of the plugin sees; files
 *   xpcall                   its handler runs inside the hook's error, hooks off: a loop there hangs
 *   coroutine                the count hook is per thread; nested ones never reach it; their
 *                            closing overflows the C stack (5.4.4)
 *   collectgarbage           "stop" defeats the memory limit
 *   io os package debug      files, processes, exit, environment, C modules, the hook itself;
 *                            never opened, since "opened and hidden" has leaked before (CVE-2022-0543)
 *   print warn               a plugin answers by returning; ctx.log is for people
 *   rawset                   would write through the read-only proxies
 *   _G                       globals are no table to be listed or handed around
 *   string.dump              bytecode; nothing may load it anyway
 *   math.random(seed)        the same input must give the same record
 *   %p, addresses in text    the same, and they tell where memory is
 *   cjson.*_max_depth, new   its depth is bounded by the C stack: with another limit it crashes
 *   __gc                     finalizers run with hooks off: a loop there hangs
 *   string metatable         shared by all strings: sealed, with a copy of its own (CVE-2025-46818)
 */
#include "base/base.h"

#include "script/sandbox.h"

#include "script/embedded.h"

#include <lua-cjson.h>
#include <lualib.h>

/* Keys of the registry: their addresses count. */
static const char base_key, libraries_key, loaded_key, loading_key, environments_key;

#define KEY(key) ((void *)(uintptr_t) & (key))

static const char *const unbounded_cjson[] = { "decode_max_depth", "encode_max_depth", "new",
					       NULL };

static const char *const base_names[] = {
	"_VERSION", "assert",	"error",  "getmetatable", "ipairs", "next",	"pairs",
	"pcall",    "rawequal", "rawget", "rawlen",	  "select", "tonumber", "type",
};

/* [-2, +0, v] (table, key, value) */
static int refuse_write(lua_State *L)
{
	return luaL_error(L, "cannot change field '%s': it is read-only", sandbox_text(L, 2));
}

/* [-0, +0, v] */
static int refuse_global_write(lua_State *L)
{
	return luaL_error(L, "assignment to undeclared variable '%s'; declare it with 'local'",
			  sandbox_text(L, 2));
}

/* [-0, +0, v] */
static int refuse_global_read(lua_State *L)
{
	return luaL_error(L, "undefined variable '%s'", sandbox_text(L, 2));
}

/* proxy = setmetatable({}, { __index = TABLE, __newindex = refuse, __metatable = false }) */
/* [-1, +1, m] */
static void freeze_with(lua_State *L, lua_CFunction on_write)
{
	lua_newtable(L);
	lua_createtable(L, 0, 3);
	lua_rotate(L, -3, -1); /* proxy, metatable, table */
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, on_write);
	lua_setfield(L, -2, "__newindex");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
}

/* [-1, +1, m] */
void sandbox_freeze(lua_State *L)
{
	freeze_with(L, refuse_write);
}

/* ---- replacements ---- */

/* As tostring(), but what has no text of its own gives its type and no address. */
/* [-0, +1, e] */
static int safe_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	switch (lua_type(L, 1)) {
	case LUA_TTABLE:
	case LUA_TUSERDATA:
		if (luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL)
			break;
		/* fallthrough */
	case LUA_TFUNCTION:
	case LUA_TTHREAD:
		lua_pushstring(L, luaL_typename(L, 1));
		return 1;
	case LUA_TLIGHTUSERDATA: /* the only one is JSON null */
		lua_pushliteral(L, "null");
		return 1;
	default:
		break;
	}
	luaL_tolstring(L, 1, NULL);
	return 1;
}

/* [-0, +1, e] */
const char *sandbox_text(lua_State *L, int index)
{
	index = lua_absindex(L, index);
	lua_pushcfunction(L, safe_tostring);
	lua_pushvalue(L, index);
	lua_call(L, 1, 1);
	return lua_tostring(L, -1);
}

/* Check the conversions of the format at 1, and give each %s an argument without an address. */
/* [-0, +0, e] */
static void mend_format_arguments(lua_State *L)
{
	size_t len;
	const char *format = luaL_checklstring(L, 1, &len);
	const char *end = format + len; /* a NUL does not end it */
	int arg = 1;

	while ((format = memchr(format, '%', (size_t)(end - format)))) {
		format++;
		if (*format == '%') {
			format++;
			continue;
		}
		format += strspn(format, "-+ #0123456789.");
		arg++;
		if (*format == 'p')
			luaL_error(L, "invalid conversion '%%p' to 'format'");
		if (*format != 's' || arg > lua_gettop(L) || lua_type(L, arg) == LUA_TSTRING)
			continue;
		sandbox_text(L, arg);
		lua_replace(L, arg);
	}
}

/* [-0, +1, e] upvalue 1: the original */
static int safe_format(lua_State *L)
{
	mend_format_arguments(L);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, 1);
	return 1;
}

/* [-0, +1, e] */
static int safe_setmetatable(lua_State *L)
{
	int type = lua_type(L, 2);

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return luaL_error(L, "cannot change a protected metatable");
	if (type == LUA_TTABLE) {
		lua_pushliteral(L, "__gc");
		if (lua_rawget(L, 2) != LUA_TNIL)
			return luaL_error(L, "finalizers (__gc) are not available to plugins");
	}
	lua_settop(L, 2);
	lua_setmetatable(L, 1);
	return 1;
}

/* ---- require ---- */

/* The source that 'name' means in plugin number 'plugin', in 'out'; false if there is none. */
static bool find_module(const struct state *s, int plugin, const char *name,
			struct state_source *out)
{
	const struct state_source *found;
	const struct embedded_file *file;

	if (plugin != STATE_LIBRARY && (found = state_find_source(s, plugin, name))) {
		*out = *found;
		return true;
	}
	if (!has_prefix(name, "th.")) /* "new.stage" and the like are texts, not modules */
		return false;
	found = state_find_source(s, STATE_LIBRARY, name);
	file = found ? NULL : embedded_find(name);
	if (found)
		*out = *found;
	else if (file)
		*out = (struct state_source){ .plugin = STATE_LIBRARY,
					      .module = name,
					      .path = name,
					      .text = file->start,
					      .len = (size_t)(file->end - file->start),
					      .is_compiled = file->is_compiled };
	return found || file;
}

/* Does the function on top run at this moment? [-0, +0, -] */
static bool is_running(lua_State *L)
{
	bool same = false;
	lua_Debug ar;

	for (int level = 0; !same && lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "f", &ar);
		same = lua_rawequal(L, -1, -2);
		lua_pop(L, 1);
	}
	return same;
}

/* A chunk that raised stands in registry[loading] too, but it does not run. [-0, +0, e] */
static void refuse_circle(lua_State *L, const char *name, const char *key)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, KEY(loading_key));
	lua_getfield(L, -1, key);
	if (lua_isfunction(L, -1) && is_running(L))
		luaL_error(L, "module '%s' requires itself", name);
	lua_pop(L, 2);
}

/* Call the chunk on top. [-1, +1, e] */
static void run_chunk(lua_State *L, const char *name, const char *key)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, KEY(loading_key));
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, key);
	lua_pop(L, 1);
	lua_pushstring(L, name);
	lua_call(L, 1, 1);
}

/* nil for each field of the table on top that is named. [-0, +0, m] */
static void drop_fields(lua_State *L, const char *const *names)
{
	for (; *names; names++) {
		lua_pushnil(L);
		lua_setfield(L, -2, *names);
	}
}

/* Push the module's value: what its chunk returns, or true. [-0, +1, e] */
static void load_module(lua_State *L, int plugin, const char *name, const char *key)
{
	struct state_source source = { .plugin = plugin };

	if (strcmp(name, "cjson") == 0) {
		lua_pushcfunction(L, luaopen_cjson);
		lua_call(L, 0, 1);
		drop_fields(L, unbounded_cjson);
		sandbox_freeze(L);
		return;
	}
	if (!name[0] || !find_module(state_of(L), plugin, name, &source))
		luaL_error(L,
			   "module '%s' is not available to plugins: only th.*, cjson and the "
			   "files beside a directory plugin are",
			   name);
	sandbox_load(L, &source);
	run_chunk(L, name, key);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_pushboolean(L, 1);
	}
	if (source.plugin == STATE_LIBRARY && lua_istable(L, -1))
		sandbox_freeze(L);
}

/* registry[loaded][key], loaded if it is not there. [-0, +1, e] */
void sandbox_require(lua_State *L, int plugin, const char *name)
{
	bool shared = strcmp(name, "cjson") == 0 || has_prefix(name, "th.");
	const char *key;

	luaL_checkstack(L, 8, "too many nested modules");
	lua_rawgetp(L, LUA_REGISTRYINDEX, KEY(loaded_key));
	key = lua_pushfstring(L, "%d:%s", shared ? STATE_LIBRARY : plugin, name);
	if (lua_getfield(L, -2, key) == LUA_TNIL) {
		lua_pop(L, 1);
		refuse_circle(L, name, key);
		load_module(L, plugin, name, key);
		lua_pushvalue(L, -1);
		lua_setfield(L, -4, key);
	}
	lua_replace(L, -3);
	lua_pop(L, 1);
}

/* [-0, +1, e] upvalue 1: the plugin's number */
static int plugin_require(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	sandbox_require(L, (int)lua_tointeger(L, lua_upvalueindex(1)), name);
	return 1;
}

/* ---- environments ---- */

/* The frozen table of library 'name', kept in the registry; its functions go in as they are, but
 * for the 'dropped'. [-0, +0, m] */
static void open_library(lua_State *L, const char *name, lua_CFunction opener,
			 const char *const *dropped)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, KEY(libraries_key));
	lua_pushcfunction(L, opener);
	lua_call(L, 0, 1);
	drop_fields(L, dropped);
	if (strcmp(name, "string") == 0) {
		lua_getfield(L, -1, "format");
		lua_pushcclosure(L, safe_format, 1);
		lua_setfield(L, -2, "format");
	}
	sandbox_freeze(L);
	lua_setfield(L, -2, name);
	lua_pop(L, 1);
}

/* ("").__index becomes a copy that nobody else holds, and getmetatable("") gives false. */
/* [-0, +0, m] */
static void seal_strings(lua_State *L)
{
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_newtable(L);
	lua_getfield(L, -2, "__index");
	for (lua_pushnil(L); lua_next(L, -2);) {
		lua_pushvalue(L, -2);
		lua_rotate(L, -2, 1); /* key, key, value */
		lua_rawset(L, -5);
	}
	lua_pop(L, 1);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 2);
}

/*
 * Lua makes the metatable of its buffers when it first needs it. Should memory run out half-way, it
 * would take the half for the whole ever after.
 */
/* [-0, +0, m] */
static void make_buffer_metatable(lua_State *L)
{
	luaL_Buffer buffer;

	luaL_buffinitsize(L, &buffer, LUAL_BUFFERSIZE + 1);
	luaL_pushresultsize(&buffer, 0);
	lua_pop(L, 1);
}

/* [-0, +0, m] */
void sandbox_open(lua_State *L)
{
	static const char *const no_string[] = { "dump", NULL };
	static const char *const no_math[] = { "random", "randomseed", NULL };
	static const char *const nothing[] = { NULL };
	static const char *const keys[] = { &libraries_key, &loaded_key, &loading_key,
					    &environments_key };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		lua_newtable(L);
		lua_rawsetp(L, LUA_REGISTRYINDEX, keys[i]);
	}
	make_buffer_metatable(L);
	lua_pushcfunction(L, luaopen_base);
	lua_call(L, 0, 1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, KEY(base_key));
	open_library(L, "string", luaopen_string, no_string);
	open_library(L, "table", luaopen_table, nothing);
	open_library(L, "math", luaopen_math, no_math);
	open_library(L, "utf8", luaopen_utf8, nothing);
	seal_strings(L);
	lua_newtable(
		L); /* nobody reaches the full one again, whatever C function asks for globals */
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

/* Fill the table on top with all that a plugin may name. [-0, +0, m] */
static void fill_globals(lua_State *L, int plugin)
{
	static const char *const libraries[] = { "string", "table", "math", "utf8" };

	lua_rawgetp(L, LUA_REGISTRYINDEX, KEY(base_key));
	for (size_t i = 0; i < ARRAY_SIZE(base_names); i++) {
		lua_getfield(L, -1, base_names[i]);
		lua_setfield(L, -3, base_names[i]);
	}
	lua_pop(L, 1);
	lua_rawgetp(L, LUA_REGISTRYINDEX, KEY(libraries_key));
	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++) {
		lua_getfield(L, -1, libraries[i]);
		lua_setfield(L, -3, libraries[i]);
	}
	lua_pop(L, 1);
	lua_pushcfunction(L, safe_tostring);
	lua_setfield(L, -2, "tostring");
	lua_pushcfunction(L, safe_setmetatable);
	lua_setfield(L, -2, "setmetatable");
	lua_pushinteger(L, plugin);
	lua_pushcclosure(L, plugin_require, 1);
	lua_setfield(L, -2, "require");
}

/* Push the environment of plugin number 'plugin', made at the first call. [-0, +1, m] */
static void push_environment(lua_State *L, int plugin)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, KEY(environments_key));
	if (lua_rawgeti(L, -1, plugin) == LUA_TNIL) {
		lua_pop(L, 1);
		lua_newtable(L);
		fill_globals(L, plugin);
		lua_createtable(L, 0, 1);
		lua_pushcfunction(L, refuse_global_read);
		lua_setfield(L, -2, "__index");
		lua_setmetatable(L, -2);
		freeze_with(L, refuse_global_write);
		lua_pushvalue(L, -1);
		lua_rawseti(L, -3, plugin);
	}
	lua_remove(L, -2);
}

static int add_code(lua_State *L UNUSED, const void *part, size_t len, void *code)
{
	str_add(code, part, len);
	return 0;
}

/* Push the chunk; what was compiled from a text in this process is loaded as that. [-0, +1, e] */
static void push_chunk(lua_State *L, const struct state_source *source, const char *name)
{
	const struct str *code = source->code;

	/* Text only: bytecode is not verified, and damaged bytecode crashes the interpreter. But our
	 * own is no less to be trusted than this function (embedded.h), and lua_load() refuses it
	 * by its header should it be of another Lua. */
	if (source->is_compiled || (code && code->len)) {
		const char *text = source->is_compiled ? source->text : code->buf;

		if (luaL_loadbufferx(L, text, source->is_compiled ? source->len : code->len, name,
				     "b") != LUA_OK)
			lua_error(L);
		return;
	}
	if (luaL_loadbufferx(L, source->text, source->len, name, "t") != LUA_OK)
		lua_error(L);
	if (code && state_of(L)->keeps_code)
		lua_dump(L, add_code, source->code, 0);
}

/* [-0, +1, e] */
void sandbox_load(lua_State *L, const struct state_source *source)
{
	const char *name = lua_pushfstring(L, "@%s", source->path);

	push_chunk(L, source, name);
	push_environment(L, source->plugin);
	lua_setupvalue(L, -2, 1);
	lua_remove(L, -2);
}
