/* unit.json: sys/json through the eyes of a spec. */
#include "base/base.h"

#include "sys/json.h"

#include "unit.h"

/* Everything that a wrapper allocates; the userdata's __gc frees it whatever is raised. */
struct arena {
	struct json doc;
	struct json other;
	struct str out;
	struct str extra;
};

/* [-1, +0, -] */
static int arena_gc(lua_State *L)
{
	struct arena *arena = lua_touserdata(L, 1);

	json_release(&arena->doc);
	json_release(&arena->other);
	str_release(&arena->out);
	str_release(&arena->extra);
	return 0;
}

/* [-0, +1, m] */
static struct arena *push_arena(lua_State *L)
{
	struct arena *arena = lua_newuserdatauv(L, sizeof(*arena), 0);

	*arena = (struct arena){
		.doc = JSON_INIT, .other = JSON_INIT, .out = STR_INIT, .extra = STR_INIT
	};
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, arena_gc);
	lua_setfield(L, -2, "__gc");
	lua_setmetatable(L, -2);
	return arena;
}

/* A string of flags: "n" non-finite accepted, "d" duplicates accepted. */
static unsigned flags_of(const char *letters)
{
	unsigned flags = JSON_STRICT;

	if (strchr(letters, 'n'))
		flags |= JSON_NONFINITE_OK;
	if (strchr(letters, 'd'))
		flags |= JSON_DUPLICATES_OK;
	return flags;
}

/* check(text [, flags]) -> number of tokens | nil, message, code. [-0, +1..3, m] */
static int check(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	const char *flags = luaL_optstring(L, 2, "");
	struct arena *arena = push_arena(L);
	struct err err = ERR_INIT;
	char *exact =
		malloc(len ? len : 1); /* without the NUL, so that ASan sees one byte too far */
	int rc;

	if (!exact)
		return luaL_error(L, "no memory");
	memcpy(exact, text, len);
	rc = json_parse(&arena->doc, "t", exact, len, flags_of(flags), &err);
	free(exact);
	if (rc < 0)
		return unit_fail(L, &err);
	lua_pushinteger(L, (lua_Integer)arena->doc.n);
	return 1;
}

/* Parse argument 1, accepting everything that a reader may; raises what does not parse. */
static struct arena *parse_argument(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	struct arena *arena = push_arena(L);
	struct err err = ERR_INIT;

	if (json_parse(&arena->doc, "t", text, len, flags_of("nd"), &err) < 0)
		luaL_error(L, "%s", err.msg);
	return arena;
}

/* The token reached from the root by the keys and indexes from argument 'first' on. */
static size_t walk(lua_State *L, const struct json *doc, int first, int last)
{
	size_t token = 0;

	for (int i = first; i <= last && token != JSON_NONE; i++) {
		if (lua_type(L, i) == LUA_TSTRING) {
			token = json_member(doc, token, lua_tostring(L, i));
		} else {
			size_t container = token;

			token = json_first(doc, container);
			for (lua_Integer n = lua_tointeger(L, i); n > 1 && token != JSON_NONE; n--)
				token = json_next(doc, container, token);
		}
	}
	return token;
}

/* get(text, key or index...) -> raw text, type, line | nil. [-0, +1..3, m] */
static int get(lua_State *L)
{
	static const char *const names[] = { "null",	  "false",  "true",  "integer", "real",
					     "nonfinite", "string", "array", "object" };
	int last = lua_gettop(L);
	struct arena *arena = parse_argument(L);
	size_t token = walk(L, &arena->doc, 2, last);
	const char *raw;
	size_t len;

	if (token == JSON_NONE)
		return 0;
	raw = json_raw(&arena->doc, token, &len);
	lua_pushlstring(L, raw, len);
	lua_pushstring(L, names[json_type(&arena->doc, token)]);
	lua_pushinteger(L, (lua_Integer)json_line(&arena->doc, token));
	return 3;
}

/* string(text) -> decoded. [-0, +1, m] */
static int string(lua_State *L)
{
	struct arena *arena = parse_argument(L);

	json_string(&arena->doc, 0, &arena->out);
	lua_pushlstring(L, arena->out.buf, arena->out.len);
	return 1;
}

/* int64(text) -> integer | nil. [-0, +1, m] */
static int int64(lua_State *L)
{
	struct arena *arena = parse_argument(L);
	int64_t value;

	if (json_int64(&arena->doc, 0, &value) < 0)
		return 0;
	lua_pushinteger(L, value);
	return 1;
}

/* real(text) -> float | nil. [-0, +1, m] */
static int real(lua_State *L)
{
	struct arena *arena = parse_argument(L);
	double value;

	if (json_real(&arena->doc, 0, &value) < 0)
		return 0;
	lua_pushnumber(L, value);
	return 1;
}

/* print_real(number) -> text. [-0, +1, m] */
static int print_real(lua_State *L)
{
	double value = luaL_checknumber(L, 1);
	struct arena *arena = push_arena(L);

	json_add_real(&arena->out, value);
	lua_pushlstring(L, arena->out.buf, arena->out.len);
	return 1;
}

/* print_string(bytes) -> text. [-0, +1, m] */
static int print_string(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	struct arena *arena = push_arena(L);

	json_add_string(&arena->out, text, len);
	lua_pushlstring(L, arena->out.buf, arena->out.len);
	return 1;
}

/* print(text, indent [, style]) -> the value laid out anew; style letters: t tabs, c CRLF,
 * b blanks on one line. [-0, +1, m] */
static int print(lua_State *L)
{
	const char *style = luaL_optstring(L, 3, "");
	lua_Integer indent = luaL_checkinteger(L, 2);
	struct arena *arena = parse_argument(L);
	struct jsonw w = jsonw_begin(&arena->out, (int)indent);

	if (strchr(style, 't'))
		w.fill = '\t';
	if (strchr(style, 'c'))
		w.newline = "\r\n";
	w.blanks = strchr(style, 'b') != NULL;
	jsonw_raw(&w, arena->doc.text, arena->doc.len);
	lua_pushlstring(L, arena->out.buf, arena->out.len);
	return 1;
}

/* sample() -> what each printer function prints, on one line. [-0, +1, m] */
static int sample(lua_State *L)
{
	struct arena *arena = push_arena(L);
	struct jsonw w = jsonw_begin(&arena->out, 0);

	jsonw_object(&w);
	jsonw_pair_string(&w, "dataset", "hrds");
	jsonw_pair_string(&w, "none", NULL);
	jsonw_pair_int(&w, "steps", INT64_MIN);
	jsonw_pair_raw(&w, "raw", "{ \"a\" : [ 1 , 2 ] }");
	jsonw_key(&w, "list");
	jsonw_array(&w);
	jsonw_bool(&w, true);
	jsonw_bool(&w, false);
	jsonw_null(&w);
	jsonw_real(&w, 0.85);
	jsonw_real(&w, strtod("nan", NULL));
	jsonw_stringn(&w, "a\0b", 3);
	jsonw_end(&w);
	jsonw_key(&w, "empty");
	jsonw_object(&w);
	jsonw_end(&w);
	jsonw_end(&w);
	lua_pushlstring(L, arena->out.buf, arena->out.len);
	return 1;
}

/* duplicate(text) -> the key token's raw text | nil. [-0, +1, m] */
static int duplicate(lua_State *L)
{
	struct arena *arena = parse_argument(L);
	size_t key = json_duplicate_key(&arena->doc, 0);
	const char *raw;
	size_t len;

	if (key == JSON_NONE)
		return 0;
	raw = json_raw(&arena->doc, key, &len);
	lua_pushlstring(L, raw, len);
	return 1;
}

/* equal(a, b) -> boolean. [-0, +1, m] */
static int equal(lua_State *L)
{
	size_t len;
	const char *other = luaL_checklstring(L, 2, &len);
	struct arena *arena = parse_argument(L);
	struct err err = ERR_INIT;

	if (json_parse(&arena->other, "t", other, len, flags_of("nd"), &err) < 0)
		return luaL_error(L, "%s", err.msg);
	lua_pushboolean(L, json_equal(&arena->doc, 0, &arena->other, 0));
	return 1;
}

/* splice(text, { {start, old_len, data}... }) -> text. [-0, +1, m] */
static int splice(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	struct arena *arena = push_arena(L);
	struct json_edit edits[8];
	size_t n = 0;

	for (; n < ARRAY_SIZE(edits) && lua_rawgeti(L, 2, (lua_Integer)n + 1) == LUA_TTABLE; n++) {
		lua_rawgeti(L, -1, 1);
		lua_rawgeti(L, -2, 2);
		lua_rawgeti(L, -3, 3); /* stays alive in the caller's table */
		edits[n].start = (size_t)lua_tointeger(L, -3);
		edits[n].old_len = (size_t)lua_tointeger(L, -2);
		edits[n].data = lua_tolstring(L, -1, &edits[n].len);
		lua_pop(L, 4);
	}
	json_splice(text, len, edits, n, &arena->out);
	lua_pushlstring(L, arena->out.buf, arena->out.len);
	return 1;
}

/* is_number(text) -> boolean, is_integer. [-0, +2, m] */
static int is_number(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	bool is_integer;

	lua_pushboolean(L, json_is_number_text(text, len, &is_integer));
	lua_pushboolean(L, is_integer);
	return 2;
}

/* [-0, +1, m] */
void unit_json(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "check", check },
		{ "get", get },
		{ "string", string },
		{ "int64", int64 },
		{ "real", real },
		{ "print_real", print_real },
		{ "print_string", print_string },
		{ "print", print },
		{ "sample", sample },
		{ "duplicate", duplicate },
		{ "equal", equal },
		{ "splice", splice },
		{ "is_number", is_number },
		{ NULL, NULL },
	};

	luaL_newlib(L, functions);
}
