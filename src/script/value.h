/*
 * value - between Lua values and JSON.
 *
 * Out of Lua by raw access only: no metamethod of a plugin runs while its result
 * is read, and nothing here raises on the way out.
 */
#ifndef SCRIPT_VALUE_H
#define SCRIPT_VALUE_H
#include "script/state.h"

#include "sys/json.h"

#define VALUE_MAX_DEPTH 8
#define VALUE_MAX_KEYS 1024
#define VALUE_MAX_STRING ((size_t)64 << 10)
#define VALUE_MAX_TEXT ((size_t)1 << 20) /* of one value in all, as JSON */

/* A reading is shown, never recorded: it may hold what a whole record may not. */
#define VALUE_MAX_READING_DEPTH 16
#define VALUE_MAX_READING_KEYS 16384

enum value_kind {
	VALUE_ANY,     /* numbers, strings, booleans, tables of them */
	VALUE_NUMBERS, /* numbers and tables of them */
	VALUE_READING, /* VALUE_ANY with more room */
};

/*
 * Append the value at 'index' to 'out' as compact JSON, keys sorted; NaN and Infinity as Python
 * writes them. 'name' ("metrics") starts the path in the error, which is only the end of a
 * sentence: `metrics.accuracy = "0.91" (string); numbers only`. [-0, +0, -]
 */
int value_to_json(lua_State *L, int index, const char *name, enum value_kind kind, struct str *out,
		  struct err *err);

/* The same limits for a text that came out of a worker. 'what' starts the path. */
int value_check_json(const struct json *doc, size_t token, const char *what, enum value_kind kind,
		     struct err *err);

/* Push the value of 'token'; null is a light userdata NULL, the null of cjson and th.json. 'scratch'
 * must be owned by something that outlives a raise. [-0, +1, m] */
void value_push(lua_State *L, const struct json *doc, size_t token, struct str *scratch);

/* A short text of the value at 'index' for messages: `"0.91" (string)`. [-0, +0, -] */
void value_describe(lua_State *L, int index, struct str *out);

#endif
