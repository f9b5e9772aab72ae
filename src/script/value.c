#include "base/base.h"

#include "script/value.h"

#include "base/mem.h"
#include "base/sort.h"
#include "base/utf8.h"

#include <math.h>

/* A value on its way out of Lua. */
struct writer {
	lua_State *L;
	struct str *out;
	struct str path; /* "metrics.per_class.title" */
	size_t start;	 /* of the value in 'out' */
	size_t keys;
	enum value_kind kind;
	struct err *err;
};

struct key {
	const char *name; /* of the Lua string at 'slot' */
	size_t len;
	int slot;
};

static int max_depth(enum value_kind kind)
{
	return kind == VALUE_READING ? VALUE_MAX_READING_DEPTH : VALUE_MAX_DEPTH;
}

static size_t max_keys(enum value_kind kind)
{
	return kind == VALUE_READING ? VALUE_MAX_READING_KEYS : VALUE_MAX_KEYS;
}

/* [-0, +0, -] */
void value_describe(lua_State *L, int index, struct str *out)
{
	switch (lua_type(L, index)) {
	case LUA_TSTRING:
		str_addf(out, "\"%.40s\" (string)", lua_tostring(L, index));
		break;
	case LUA_TNUMBER:
		if (lua_isinteger(L, index))
			str_addf(out, "%lld", lua_tointeger(L, index));
		else
			str_addf(out, "%.14g", lua_tonumber(L, index));
		break;
	case LUA_TBOOLEAN:
		str_adds(out, lua_toboolean(L, index) ? "true (boolean)" : "false (boolean)");
		break;
	case LUA_TNIL:
		str_adds(out, "nil");
		break;
	default:
		str_addf(out, "a %s", lua_typename(L, lua_type(L, index)));
	}
}

/* "PATH = VALUE; WHAT" */
static int refuse(struct writer *w, int index, const char *what)
{
	struct str text = STR_INIT;

	value_describe(w->L, index, &text);
	err_set(w->err, ERR_PLUGIN, "%s = %s; %s", w->path.buf, text.buf, what);
	str_release(&text);
	return -1;
}

static int refuse_path(struct writer *w, const char *what)
{
	return err_set(w->err, ERR_PLUGIN, "%.300s, %s", w->path.buf, what);
}

/* One key or element more; -1 if it is one too many. */
static int count_key(struct writer *w)
{
	if (++w->keys <= max_keys(w->kind))
		return 0;
	return err_set(w->err, ERR_PLUGIN, "%.300s, more than %zu keys in all", w->path.buf,
		       max_keys(w->kind));
}

static void add_number(struct writer *w, int index)
{
	double value = lua_tonumber(w->L, index);

	if (lua_isinteger(w->L, index))
		str_addf(w->out, "%lld", lua_tointeger(w->L, index));
	else if (isnan(value))
		str_adds(w->out, "NaN");
	else if (isinf(value))
		str_adds(w->out, value > 0 ? "Infinity" : "-Infinity");
	else
		json_add_real(w->out, value);
}

static int add_string(struct writer *w, int index)
{
	size_t len;
	const char *text = lua_tolstring(w->L, index, &len);

	if (len > VALUE_MAX_STRING)
		return refuse_path(w, "a string of more than 64 KiB");
	if (!utf8_is_valid(text, len))
		return refuse_path(w, "a string that is not valid UTF-8");
	if (memchr(text, '\0', len))
		return refuse_path(w, "a string with a zero byte in it");
	json_add_string(w->out, text, len);
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct key *x = a;
	const struct key *y = b;
	size_t len = x->len < y->len ? x->len : y->len;
	int order = memcmp(x->name, y->name, len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Push a copy of each key of the table at 'table'; -1 if one is no proper string. The count. */
/* [-0, +n, -] */
static int push_keys(struct writer *w, int table)
{
	int n = 0;

	lua_pushnil(w->L);
	while (lua_next(w->L, table)) {
		lua_pop(w->L, 1);
		if (lua_type(w->L, -1) != LUA_TSTRING)
			return refuse_path(w, "a table with keys that are neither all names nor 1, "
					      "2, 3, ...");
		if (count_key(w) < 0)
			return -1;
		if (!lua_checkstack(w->L, 8))
			/* not reached by tests: memory that ends within a few slots */
			return refuse_path(w, "too large for the memory that is left");
		lua_pushvalue(w->L, -1); /* one stays, one is for lua_next() */
		n++;
	}
	return n;
}

static int add_value(struct writer *w, int index, int depth);

static int add_member(struct writer *w, int table, const struct key *key, int depth)
{
	size_t path_len = w->path.len;
	int result;

	str_addf(&w->path, "%s%.100s", w->path.len ? "." : "", key->name);
	if (key->len > VALUE_MAX_STRING || !utf8_is_valid(key->name, key->len))
		return refuse_path(w, "a key that is too long or not valid UTF-8");
	if (utf8_has_control(key->name, key->len))
		return refuse_path(w, "a key with a control character in it");
	json_add_string(w->out, key->name, key->len);
	str_addch(w->out, ':');
	lua_pushvalue(w->L, key->slot);
	lua_rawget(w->L, table);
	result = add_value(w, lua_gettop(w->L), depth);
	lua_pop(w->L, 1);
	if (result == 0)
		str_truncate(&w->path, path_len);
	return result;
}

/* Nothing from here to the free() raises. [-0, +0, -] */
static int add_object(struct writer *w, int table, int depth)
{
	int base = lua_gettop(w->L);
	int n = push_keys(w, table);
	struct key *keys;
	int result = n < 0 ? -1 : 0;

	if (n > 0) {
		keys = xcalloc((size_t)n, sizeof(*keys));
		for (int i = 0; i < n; i++) {
			keys[i].slot = base + 1 + i;
			keys[i].name = lua_tolstring(w->L, keys[i].slot, &keys[i].len);
		}
		sort_array(keys, (size_t)n, sizeof(*keys), compare_keys);
		str_addch(w->out, '{');
		for (int i = 0; i < n && result == 0; i++) {
			if (i)
				str_addch(w->out, ',');
			result = add_member(w, table, &keys[i], depth);
		}
		str_addch(w->out, '}');
		free(keys);
	} else if (n == 0) {
		str_adds(w->out, "{}");
	}
	lua_settop(w->L, base);
	return result;
}

/* [-0, +0, -] */
static int add_array(struct writer *w, int table, size_t n, int depth)
{
	size_t path_len = w->path.len;

	str_addch(w->out, '[');
	for (size_t i = 1; i <= n; i++) {
		int result;

		if (count_key(w) < 0)
			return -1;
		str_addf(&w->path, "[%zu]", i);
		if (i > 1)
			str_addch(w->out, ',');
		lua_rawgeti(w->L, table, (lua_Integer)i);
		result = add_value(w, lua_gettop(w->L), depth);
		lua_pop(w->L, 1);
		if (result < 0)
			return -1;
		str_truncate(&w->path, path_len);
	}
	str_addch(w->out, ']');
	return 0;
}

/* True if the keys of the table are exactly 1 to n. [-0, +0, -] */
static bool is_array(lua_State *L, int table, size_t n)
{
	size_t count = 0;

	if (n == 0)
		return false;
	lua_pushnil(L);
	while (lua_next(L, table)) {
		lua_pop(L, 1);
		if (!lua_isinteger(L, -1) || ++count > n) {
			lua_pop(L, 1);
			return false;
		}
	}
	return count == n;
}

static int add_table(struct writer *w, int index, int depth)
{
	size_t n = (size_t)lua_rawlen(w->L, index);

	if (depth >= max_depth(w->kind))
		return err_set(w->err, ERR_PLUGIN,
			       "%.300s, nested deeper than %d (does the table contain itself?)",
			       w->path.buf, max_depth(w->kind));
	if (!lua_checkstack(w->L, 16))
		/* not reached by tests: memory that ends within a few slots */
		return refuse_path(w, "too large for the memory that is left");
	if (is_array(w->L, index, n))
		return add_array(w, index, n, depth + 1);
	return add_object(w, index, depth + 1);
}

static int add_value(struct writer *w, int index, int depth)
{
	bool any = w->kind != VALUE_NUMBERS;

	if (w->out->len - w->start > VALUE_MAX_TEXT)
		return refuse_path(w, "more than 1 MiB in all");
	switch (lua_type(w->L, index)) {
	case LUA_TNUMBER:
		add_number(w, index);
		return 0;
	case LUA_TTABLE:
		return add_table(w, index, depth);
	case LUA_TSTRING:
		return any ? add_string(w, index) : refuse(w, index, "numbers only");
	case LUA_TBOOLEAN:
		if (!any)
			return refuse(w, index, "numbers only");
		str_adds(w->out, lua_toboolean(w->L, index) ? "true" : "false");
		return 0;
	case LUA_TLIGHTUSERDATA:
		if (!any || lua_touserdata(w->L, index))
			return refuse_path(w, any ? "not a plain value" : "a null; numbers only");
		str_adds(w->out, "null");
		return 0;
	default:
		return refuse(w, index, any ? "plain values only" : "numbers only");
	}
}

/* [-0, +0, -] */
int value_to_json(lua_State *L, int index, const char *name, enum value_kind kind, struct str *out,
		  struct err *err)
{
	struct writer w = {
		.L = L, .out = out, .path = STR_INIT, .start = out->len, .kind = kind, .err = err
	};
	int result;

	str_adds(&w.path, name);
	result = lua_checkstack(L, 8) ? add_value(&w, lua_absindex(L, index), 0)
				      : refuse_path(&w, "too large for the memory that is left");
	str_release(&w.path);
	return result;
}

/* ---- what came out of a worker ---- */

struct reader {
	const struct json *doc;
	const char *what;
	enum value_kind kind;
	size_t keys;
	struct err *err;
};

static bool has_control(const struct json *doc, size_t token)
{
	struct str text = STR_INIT;
	bool found;

	json_string(doc, token, &text);
	found = utf8_has_control(text.buf, text.len);
	str_release(&text);
	return found;
}

static int check_token(struct reader *r, size_t token, int depth);

static int check_container(struct reader *r, size_t token, int depth)
{
	bool is_object = json_type(r->doc, token) == JSON_OBJECT;

	if (depth >= max_depth(r->kind))
		return err_set(r->err, ERR_PLUGIN, "%s: nested too deep", r->what);
	for (size_t i = json_first(r->doc, token); i != JSON_NONE;
	     i = json_next(r->doc, token, i)) {
		if (++r->keys > max_keys(r->kind))
			return err_set(r->err, ERR_PLUGIN, "%s: too many keys", r->what);
		if (is_object && has_control(r->doc, i))
			return err_set(r->err, ERR_PLUGIN, "%s: a key with a control character",
				       r->what);
		if (check_token(r, is_object ? i + 1 : i, depth + 1) < 0)
			return -1;
	}
	return 0;
}

static int check_token(struct reader *r, size_t token, int depth)
{
	size_t len;

	switch ((int)json_type(r->doc, token)) {
	case JSON_INTEGER:
	case JSON_REAL:
	case JSON_NONFINITE:
		return 0;
	case JSON_ARRAY:
	case JSON_OBJECT:
		return check_container(r, token, depth);
	default:
		break;
	}
	json_raw(r->doc, token, &len);
	if (r->kind == VALUE_NUMBERS)
		return err_set(r->err, ERR_PLUGIN, "%s: numbers only", r->what);
	if (len > 6 * VALUE_MAX_STRING + 2) /* each byte may be escaped as six */
		return err_set(r->err, ERR_PLUGIN, "%s: a string is too long", r->what);
	return 0;
}

int value_check_json(const struct json *doc, size_t token, const char *what, enum value_kind kind,
		     struct err *err)
{
	struct reader r = { .doc = doc, .what = what, .kind = kind, .err = err };

	return check_token(&r, token, 0);
}

/* ---- into Lua ---- */

/* [-0, +1, m] */
static void push_string(lua_State *L, const struct json *doc, size_t token, struct str *scratch)
{
	size_t len;
	const char *raw = json_raw(doc, token, &len);

	if (!memchr(raw, '\\', len)) {
		lua_pushlstring(L, raw + 1, len - 2);
		return;
	}
	json_string(doc, token, scratch);
	lua_pushlstring(L, scratch->buf, scratch->len);
}

/* [-0, +1, m] */
static void push_number(lua_State *L, const struct json *doc, size_t token)
{
	double real = 0;
	int64_t integer;

	if (json_type(doc, token) == JSON_INTEGER && json_int64(doc, token, &integer) == 0) {
		lua_pushinteger(L, integer);
		return;
	}
	json_real(doc, token, &real);
	lua_pushnumber(L, real);
}

/* [-0, +1, m] */
static void push_container(lua_State *L, const struct json *doc, size_t token, struct str *scratch)
{
	bool is_object = json_type(doc, token) == JSON_OBJECT;
	int size = (int)doc->tokens[token].size;
	lua_Integer n = 0;

	luaL_checkstack(L, 8, "JSON nested too deep");
	lua_createtable(L, is_object ? 0 : size, is_object ? size : 0);
	for (size_t i = json_first(doc, token); i != JSON_NONE; i = json_next(doc, token, i)) {
		if (is_object)
			push_string(L, doc, i, scratch);
		value_push(L, doc, is_object ? i + 1 : i, scratch);
		if (is_object)
			lua_rawset(L, -3);
		else
			lua_rawseti(L, -2, ++n);
	}
}

/* [-0, +1, m] */
void value_push(lua_State *L, const struct json *doc, size_t token, struct str *scratch)
{
	switch ((int)json_type(doc, token)) {
	case JSON_NULL:
		lua_pushlightuserdata(L, NULL);
		break;
	case JSON_FALSE:
	case JSON_TRUE:
		lua_pushboolean(L, json_type(doc, token) == JSON_TRUE);
		break;
	case JSON_STRING:
		push_string(L, doc, token, scratch);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		push_container(L, doc, token, scratch);
		break;
	default:
		push_number(L, doc, token);
	}
}
