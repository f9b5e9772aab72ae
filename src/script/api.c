#include "base/base.h"

#include "script/api.h"

#include "base/err.h"
#include "base/mem.h"
#include "script/lines.h"
#include "script/sandbox.h"
#include "script/value.h"
#include "sys/yaml.h"

#include <errno.h>
#include <unistd.h>

#define READ_LIMIT ((int64_t)64 << 20)

/* What a plugin may say in one call: enough for a person, too little to flood a log. */
#define MAX_MESSAGES 100
#define MAX_MESSAGE ((size_t)4 << 10)

/* A git-LFS pointer is a text of some 130 bytes. */
#define LFS_HEAD "version https://git-lfs"
#define LFS_LIMIT 1024

#define SCRATCH "thhost.scratch"

const char api_goals_key = 0;

/* Memory outside of Lua that must not leak when something raises. */
struct scratch {
	struct str text;
	struct str decoded;
	struct json doc;
};

static struct api *api_of(lua_State *L)
{
	return state_of(L)->api;
}

/* ---- arguments ---- */

/* [-0, +0, v] */
static const char *check_input_name(lua_State *L, const char *method)
{
	if (!lua_istable(L, 1))
		luaL_error(L, "call it with a colon: ctx:%s(...)", method);
	if (lua_type(L, 2) != LUA_TSTRING)
		luaL_error(L, "ctx:%s: expected the name of an input, got %s", method,
			   luaL_typename(L, 2));
	return lua_tostring(L, 2);
}

/* The declared input named at index 2. [-0, +0, v] */
static const struct api_input *check_input(lua_State *L, const char *method)
{
	const char *name = check_input_name(L, method);
	const struct api *api = api_of(L);
	const char *names[64];
	size_t n = 0;
	const char *near;

	for (size_t i = 0; i < api->n_inputs; i++) {
		if (strcmp(api->inputs[i].name, name) == 0)
			return &api->inputs[i];
		if (n < ARRAY_SIZE(names))
			names[n++] = api->inputs[i].name;
	}
	near = nearest_word(name, names, n);
	luaL_error(L, "ctx:%s: no input '%s' is declared%s%s%s", method, name,
		   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL; /* not reached by tests: luaL_error() does not return */
}

/* Push nil and { code, message, input, path }; 2. [-0, +2, m] */
static int push_failure(lua_State *L, const char *code, const char *input, const char *path,
			const char *message)
{
	lua_pushnil(L);
	lua_createtable(L, 0, 4);
	lua_pushstring(L, code);
	lua_setfield(L, -2, "code");
	lua_pushstring(L, message);
	lua_setfield(L, -2, "message");
	lua_pushstring(L, input);
	lua_setfield(L, -2, "input");
	if (path) {
		lua_pushstring(L, path);
		lua_setfield(L, -2, "path");
	}
	return 2;
}

/* Why there is no descriptor, as the end of a sentence. */
static const char *why_not(const struct api_file *file)
{
	if (file->is_dir)
		return "is a directory";
	return file->why ? file->why : "cannot be read";
}

/* The file called 'name', or the one that the input stands for; NULL: there is none. */
static const struct api_file *look_up(const struct api_input *input, const char *name)
{
	if (!name)
		return input->n ? &input->files[input->chosen] : NULL;
	for (size_t i = 0; i < input->n; i++)
		if (strcmp(input->files[i].name, name) == 0)
			return &input->files[i];
	return NULL;
}

/* The file meant by the arguments (input, [name]), or NULL with nil and an error pushed. */
/* [-0, +0|2, e] */
static const struct api_file *find_file(lua_State *L, const struct api_input *input)
{
	const char *name = luaL_optstring(L, 3, NULL);
	const struct api_file *file = look_up(input, name);
	const char *message;

	if (file && file->fd >= 0)
		return file;
	if (!file) {
		message =
			name ? lua_pushfstring(L, "input '%s' has no file '%s'", input->name, name)
			     : lua_pushfstring(L, "no file for input '%s'", input->name);
		push_failure(L, "no_data", input->name, name, message);
	} else if (file->is_dir) {
		message = lua_pushfstring(L, "'%s' is a directory", file->name);
		push_failure(L, "is_directory", input->name, file->name, message);
	} else {
		message = lua_pushfstring(L, "'%s' %s", file->name, why_not(file));
		push_failure(L, "not_opened", input->name, file->name, message);
	}
	return NULL;
}

/* Push nil and an error if 'len' bytes are too much at a time. [-0, +0|2, m] */
static bool is_too_large(lua_State *L, const struct api_input *input, const struct api_file *file,
			 int64_t len)
{
	if (len <= READ_LIMIT)
		return false;
	push_failure(L, "too_large", input->name, file->name,
		     lua_pushfstring(L, "'%s' is larger than 64 MiB", file->name));
	return true;
}

/* ---- ctx:has, list, lines, read ---- */

/* [-0, +1, e] */
static int ctx_has(lua_State *L)
{
	lua_pushboolean(L, check_input(L, "has")->n > 0);
	return 1;
}

/* [-0, +1, e] */
static int ctx_list(lua_State *L)
{
	const struct api_input *input = check_input(L, "list");

	lua_createtable(L, (int)input->n, 0);
	for (size_t i = 0; i < input->n; i++) {
		const struct api_file *file = &input->files[i];

		lua_createtable(L, 0, 4);
		lua_pushstring(L, file->name);
		lua_setfield(L, -2, "name");
		lua_pushinteger(L, file->size);
		lua_setfield(L, -2, "size");
		lua_pushstring(L, file->mtime);
		lua_setfield(L, -2, "mtime");
		lua_pushboolean(L, file->is_dir);
		lua_setfield(L, -2, "dir");
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

/* The iterator over the file called 'name'; the needles begin at 'first'. [-0, +1, e] */
static int push_lines(lua_State *L, const char *method, const char *name, int first)
{
	const struct api_input *input = check_input(L, method);
	const struct api_file *file = look_up(input, name);

	if (!file && name)
		luaL_error(L, "ctx:%s: input '%s' has no file '%s'", method, input->name, name);
	if (!file)
		luaL_error(L, "ctx:%s: input '%s' matches no file; ask ctx:has first", method,
			   input->name);
	if (file->fd < 0)
		luaL_error(L, "ctx:%s: '%s' %s", method, file->name, why_not(file));
	lines_push(L, file->fd, first, lua_gettop(L));
	return 1;
}

/* [-0, +1, e] */
static int ctx_lines(lua_State *L)
{
	return push_lines(L, "lines", NULL, 3);
}

/* [-0, +1, e] */
static int ctx_lines_of(lua_State *L)
{
	check_input_name(L, "lines_of");
	return push_lines(L, "lines_of", luaL_optstring(L, 3, NULL), 4);
}

/* Up to 'len' bytes of the file from 'offset' on to 'out'; how many there were. [-0, +0, v] */
static size_t read_part(lua_State *L, const struct api_file *file, int64_t offset, char *out,
			size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(file->fd, out + got, len - got, (off_t)(offset + (int64_t)got));

		if (n < 0 && errno == EINTR)
			continue; /* not reached by tests: a worker has no handler of signals */
		if (n < 0) /* not reached by tests: no fault can be put under the worker's filter */
			luaL_error(L, "cannot read '%s': %s", file->name, strerrordesc_np(errno));
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return got;
}

/* Push a part of a file: fewer bytes than 'len' if it has shrunk meanwhile. [-0, +1, e] */
static void push_part(lua_State *L, const struct api_file *file, int64_t offset, size_t len)
{
	luaL_Buffer buffer;
	char *out = luaL_buffinitsize(L, &buffer, len);

	luaL_pushresultsize(&buffer, read_part(L, file, offset, out, len));
}

/* An optional count of bytes at 'index'; 'absent' stands for none. [-0, +0, v] */
static int64_t check_bytes(lua_State *L, int index, const char *what, int64_t absent)
{
	lua_Integer value = luaL_optinteger(L, index, absent);

	if (value < 0)
		luaL_error(L, "ctx:read: %s %I is less than 0", what, (LUAI_UACINT)value);
	return value;
}

/* [-0, +1..2, e] */
static int ctx_read(lua_State *L)
{
	const struct api_input *input = check_input(L, "read");
	int64_t offset = check_bytes(L, 4, "offset", 0);
	int64_t len = check_bytes(L, 5, "length", INT64_MAX);
	const struct api_file *file = find_file(L, input);
	int64_t left;

	if (!file)
		return 2;
	left = offset < file->size ? file->size - offset : 0;
	if (len > left)
		len = left;
	if (is_too_large(L, input, file, len))
		return 2;
	push_part(L, file, offset, (size_t)len);
	return 1;
}

/* ---- ctx:json, yaml, csv ---- */

/* [-0, +0, -] __gc and __close */
static int scratch_release(lua_State *L)
{
	struct scratch *scratch = lua_touserdata(L, 1);

	str_release(&scratch->text);
	str_release(&scratch->decoded);
	json_release(&scratch->doc);
	return 0;
}

/* [-0, +1, m] to be closed when the calling C function returns */
static struct scratch *push_scratch(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{ "__gc", scratch_release },
		{ "__close", scratch_release },
		{ NULL, NULL },
	};
	struct scratch *scratch = lua_newuserdatauv(L, sizeof(*scratch), 0);

	*scratch = (struct scratch){ .text = STR_INIT, .decoded = STR_INIT, .doc = JSON_INIT };
	if (luaL_getmetatable(L, SCRATCH) == LUA_TNIL) {
		lua_pop(L, 1);
		luaL_newlib(L, methods); /* whole before it is kept: memory may run out here */
		lua_pushvalue(L, -1);
		lua_setfield(L, LUA_REGISTRYINDEX, SCRATCH);
	}
	lua_setmetatable(L, -2);
	lua_toclose(L, -1);
	return scratch;
}

static bool is_lfs_pointer(const char *text, size_t len)
{
	return len < LFS_LIMIT && len >= sizeof(LFS_HEAD) - 1 &&
	       memcmp(text, LFS_HEAD, sizeof(LFS_HEAD) - 1) == 0;
}

/* Push the failure that 'err' tells. [-0, +2, m] */
static int push_err(lua_State *L, const char *code, const struct api_input *input,
		    const struct api_file *file, const struct err *err)
{
	return push_failure(L, code, input->name, file->name, err->msg);
}

/* The value of a JSON text in 'text', or nil and an error. [-0, +1..2, e] */
static int push_document(lua_State *L, struct scratch *scratch, const char *text, size_t len,
			 const struct api_input *input, const struct api_file *file)
{
	struct err err = ERR_INIT;

	if (json_parse(&scratch->doc, file->name, text, len, JSON_NONFINITE_OK | JSON_DUPLICATES_OK,
		       &err) < 0)
		return push_err(L, "bad_json", input, file, &err);
	value_push(L, &scratch->doc, 0, &scratch->decoded);
	return 1;
}

/* Push the text of the file meant; NULL with nil and an error pushed if there is none. */
/* [-0, +1..2, e] */
static const char *push_text(lua_State *L, const struct api_input *input,
			     const struct api_file **file, size_t *len)
{
	const char *text;

	*file = find_file(L, input);
	if (!*file || is_too_large(L, input, *file, (*file)->size))
		return NULL;
	push_part(L, *file, 0, (size_t)(*file)->size);
	text = lua_tolstring(L, -1, len);
	if (!is_lfs_pointer(text, *len))
		return text;
	push_failure(L, "lfs_pointer", input->name, (*file)->name,
		     lua_pushfstring(L, "'%s' is a git-LFS pointer, not the file itself",
				     (*file)->name));
	lua_pushliteral(L, "run 'git lfs pull' in that repository");
	lua_setfield(L, -2, "hint");
	return NULL;
}

/* [-0, +1..2, e] */
static int ctx_json(lua_State *L)
{
	const struct api_input *input = check_input(L, "json");
	const struct api_file *file;
	size_t len;
	const char *text = push_text(L, input, &file, &len);

	if (!text)
		return 2;
	return push_document(L, push_scratch(L), text, len, input, file);
}

/* [-0, +1..2, e] */
static int ctx_yaml(lua_State *L)
{
	const struct api_input *input = check_input(L, "yaml");
	const struct api_file *file;
	struct err err = ERR_INIT;
	struct scratch *scratch;
	size_t len;
	const char *text = push_text(L, input, &file, &len);

	if (!text)
		return 2;
	scratch = push_scratch(L);
	if (yaml_to_json(file->name, text, len, &scratch->text, &err) < 0)
		return push_err(L, "bad_yaml", input, file, &err);
	return push_document(L, scratch, scratch->text.buf, scratch->text.len, input, file);
}

/* [-0, +1..2, e] */
static int ctx_csv(lua_State *L)
{
	const struct api_input *input = check_input(L, "csv");
	const struct api_file *file;
	size_t len;

	if (!push_text(L, input, &file, &len))
		return 2;
	sandbox_require(L, STATE_LIBRARY, "th.csv");
	lua_getfield(L, -1, "decode");
	lua_pushvalue(L, -3);
	lua_call(L, 1, 2);
	if (!lua_isnil(L, -2) || !lua_istable(L, -1))
		return 2;
	lua_getfield(L, -1, "message");
	lua_pushfstring(L, "%s: %s", file->name, luaL_tolstring(L, -1, NULL));
	lua_setfield(L, -4, "message");
	lua_pop(L, 2);
	lua_pushstring(L, input->name);
	lua_setfield(L, -2, "input");
	lua_pushstring(L, file->name);
	lua_setfield(L, -2, "path");
	return 2;
}

/* ---- ctx.log ---- */

static void keep_message(struct strv *messages, const char *text, size_t len)
{
	if (messages->n < MAX_MESSAGES)
		strv_pushn(messages, text, len < MAX_MESSAGE ? len : MAX_MESSAGE);
	else if (messages->n == MAX_MESSAGES)
		strv_push(messages, "(further messages of this plugin were dropped)");
}

/* [-0, +0, v] */
static int log_message(lua_State *L, struct strv *messages, const char *name)
{
	size_t len;
	const char *text;

	if (lua_type(L, 1) != LUA_TSTRING)
		return luaL_error(L, "ctx.log.%s: expected a string, got %s (call it with a dot)",
				  name, luaL_typename(L, 1));
	text = lua_tolstring(L, 1, &len);
	keep_message(messages, text, len);
	return 0;
}

/* [-0, +0, v] */
static int ctx_log_info(lua_State *L)
{
	return log_message(L, &api_of(L)->infos, "info");
}

/* [-0, +0, v] */
static int ctx_log_warn(lua_State *L)
{
	return log_message(L, &api_of(L)->warnings, "warn");
}

/* ---- ctx itself ---- */

static const char *const optional_fields[] = { "dataset", "exp", "stage_dir_name", "stage", "now" };

/* A field that is nil here is nil; what no ctx has is a slip. [-0, +1, v] */
static int ctx_unknown(lua_State *L)
{
	const char *name = sandbox_text(L, 2);

	for (size_t i = 0; i < ARRAY_SIZE(optional_fields); i++)
		if (strcmp(name, optional_fields[i]) == 0)
			return 0;
	if (strcmp(name, "base") == 0)
		return luaL_error(L, "ctx:base is only there in a dataset plugin's function that "
				     "replaces one of the stage");
	return luaL_error(L, "ctx has no field '%s'", name);
}

/* [-n, +n, e] upvalues: the function that was replaced, its ctx */
static int ctx_base(lua_State *L)
{
	if (!lua_istable(L, 1))
		return luaL_error(L, "call it with a colon: ctx:base(...)");
	lua_pushvalue(L, lua_upvalueindex(2));
	lua_replace(L, 1);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

/* [-0, +0, m] */
static void set_text(lua_State *L, const char *name, const char *text)
{
	if (!text)
		return;
	lua_pushstring(L, text);
	lua_setfield(L, -2, name);
}

/* [-0, +1, m] */
static void push_strings(lua_State *L, const struct strv *v)
{
	lua_createtable(L, (int)v->n, 0);
	for (size_t i = 0; i < v->n; i++) {
		lua_pushstring(L, v->v[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

/* A copy of the table on top, two levels deep: a ctx must not lend what others hold. [-1, +1, m] */
static void copy_table(lua_State *L, int depth)
{
	int from = lua_gettop(L);

	luaL_checkstack(L, 8, "tables nested too deep");
	lua_newtable(L);
	for (lua_pushnil(L); lua_next(L, from);) {
		if (depth > 1 && lua_istable(L, -1))
			copy_table(L, depth - 1);
		lua_pushvalue(L, -2);
		lua_rotate(L, -2, 1); /* key, key, value */
		lua_rawset(L, from + 1);
	}
	lua_remove(L, from);
}

/* [-0, +0, m] */
static void set_log(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "info", ctx_log_info },
		{ "warn", ctx_log_warn },
		{ NULL, NULL },
	};

	luaL_newlib(L, functions);
	sandbox_freeze(L);
	lua_setfield(L, -2, "log");
}

/* [-0, +1, m] */
void api_push_ctx(lua_State *L, const struct api *api, int base_index, int base_ctx_index)
{
	static const luaL_Reg methods[] = {
		{ "has", ctx_has },	      { "list", ctx_list }, { "lines", ctx_lines },
		{ "lines_of", ctx_lines_of }, { "read", ctx_read }, { "json", ctx_json },
		{ "yaml", ctx_yaml },	      { "csv", ctx_csv },   { NULL, NULL },
	};

	luaL_newlib(L, methods);
	set_text(L, "stage", api->stage);
	set_text(L, "dataset", api->dataset);
	set_text(L, "exp", api->exp);
	set_text(L, "now", api->now);
	set_text(L, "stage_dir_name", api->dir_name);
	push_strings(L, &api->argv);
	lua_setfield(L, -2, "argv");
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &api_goals_key) == LUA_TTABLE)
		copy_table(L, 2);
	lua_setfield(L, -2, "goals");
	set_log(L);
	if (base_index) {
		lua_pushvalue(L, base_index);
		lua_pushvalue(L, base_ctx_index);
		lua_pushcclosure(L, ctx_base, 2);
		lua_setfield(L, -2, "base");
	}
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, ctx_unknown);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
	sandbox_freeze(L);
}
