/*
 * The Lua readers of lua/th and the plugins that use them, in a state as a worker has it. Compiled once
 * for each reader of readers.lua, with its name as READER. Which lines of Lua ran after which tells
 * libFuzzer what is new, as its own counters do for C.
 */
#include "base/base.h"

#include "fuzz.h"
#include "base/mem.h"
#include "script/sandbox.h"
#include "script/state.h"
#include "script/value.h"
#include "sys/json.h"

#define MEMORY ((size_t)64 << 20)
#define COUNTERS ((size_t)1 << 14)

/* So many inputs between two looks at what Lua still holds. */
#define LOOK_EVERY 10000
#define HELD_LIMIT ((size_t)8 << 20)

__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t counters[COUNTERS];

struct text {
	const char *data;
	size_t size;
};

static struct state state;
static const char reader_key;

static void on_line(lua_State *L UNUSED, lua_Debug *ar)
{
	static uint32_t before;
	uint32_t line = (uint32_t)ar->currentline * 2654435761u;

	counters[((before >> 1) ^ line) >> 18]++;
	before = line;
}

static char *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	char *text = xmalloc(1 << 20);

	CHECK(file);
	*len = fread(text, 1, 1 << 20, file);
	fclose(file);
	return text;
}

/* [-0, +0, e] */
static int open_body(lua_State *L)
{
	sandbox_open(L);
	sandbox_load(L, state_find_source(&state, 0, ""));
	lua_call(L, 0, 1);
	lua_getfield(L, -1, READER);
	luaL_argcheck(L, lua_isfunction(L, -1), 1, "no reader " READER);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &reader_key);
	return 0;
}

static void add_source(const char *module, const char *path)
{
	struct state_source source = { .plugin = 0, .module = module, .path = path };

	source.text = read_file(path, &source.len);
	state_add_source(&state, &source);
}

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
	static const struct state_subject subject = { .plugin = "fuzz",
						      .path = "readers.lua",
						      .function = READER };
	struct err err = ERR_INIT;

	CHECK(state_open(&state, MEMORY, &err) == 0);
	state.collects = true;
	add_source("", FUZZ_DIR "/readers.lua");
	add_source("stage1", FUZZ_DIR "/../../plugins/stage1.lua");
	add_source("stage2", FUZZ_DIR "/../../plugins/stage2.lua");
	add_source("stage3", FUZZ_DIR "/../../plugins/stage3.lua");
	add_source("stage4", FUZZ_DIR "/../../plugins/stage4.lua");
	state.subject = subject;
	if (state_call(&state, open_body, NULL, &err) < 0)
		fprintf(stderr, "%s\n", err.msg);
	CHECK(err.code == ERR_NONE);
	lua_sethook(state.L, on_line, LUA_MASKLINE, 0);
	return 0;
}

static void check_json(const struct str *text)
{
	struct json doc = JSON_INIT;
	struct err err = ERR_INIT;

	if (json_parse(&doc, "value", text->buf, text->len, JSON_NONFINITE_OK, &err) < 0)
		fprintf(stderr, "%s\n", err.msg);
	CHECK(err.code == ERR_NONE);
	json_release(&doc);
}

/* reader(text) -> value: what it gives goes out as a plugin's result does. [-0, +0, e] */
static int read_body(lua_State *L)
{
	static struct str out = STR_INIT;
	struct text *text = lua_touserdata(L, 1);
	struct err err = ERR_INIT;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &reader_key);
	lua_pushlstring(L, text->data, text->size);
	lua_call(L, 1, 1);
	str_clear(&out);
	if (value_to_json(L, -1, "value", VALUE_ANY, &out, &err) == 0)
		check_json(&out);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static size_t runs;
	struct text text = { (const char *)data, size };
	struct err err = ERR_INIT;

	if (state_call(&state, read_body, &text, &err) < 0)
		fprintf(stderr, "%s\n", err.msg);
	CHECK(err.code == ERR_NONE);
	if (++runs % LOOK_EVERY == 0) {
		lua_gc(state.L, LUA_GCCOLLECT);
		CHECK(state.used < HELD_LIMIT); /* no reader keeps what it has read */
	}
	return 0;
}
