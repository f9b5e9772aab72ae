/*
 * embed - compile one module of the Lua library for the program that is being built.
 *
 *	embed NAME IN OUT	(embed th.lines lua/th/lines.lua build/gen/lua/th/lines.luac)
 *
 * Not luac5.4 and not string.dump() of some lua5.4: what they write may be for another liblua than
 * the one that is linked in. This is linked with the same archive as the program, so that the two
 * cannot differ. Lines and names of variables are kept: messages are those of the text.
 */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>

static int write_block(lua_State *L, const void *block, size_t len, void *file)
{
	(void)L;
	return fwrite(block, 1, len, file) != len;
}

/* The whole file as a string on the stack; 0, or -1 and errno. */
static int push_file(lua_State *L, const char *path)
{
	FILE *file = fopen(path, "rb");
	luaL_Buffer text;
	size_t n;
	int result;

	if (!file)
		return -1;
	luaL_buffinit(L, &text);
	while ((n = fread(luaL_prepbuffer(&text), 1, LUAL_BUFFERSIZE, file)) > 0)
		luaL_addsize(&text, n);
	luaL_pushresult(&text);
	result = ferror(file) ? -1 : 0;
	fclose(file);
	return result;
}

/* The same chunk name as sandbox_load() gives a text. */
static int compile(lua_State *L, const char *name, const char *in)
{
	const char *chunk = lua_pushfstring(L, "@%s", name);
	const char *text;
	size_t len;

	if (push_file(L, in) < 0) {
		perror(in);
		return -1;
	}
	text = lua_tolstring(L, -1, &len);
	if (luaL_loadbufferx(L, text, len, chunk, "t") != LUA_OK) {
		fprintf(stderr, "%s: %s\n", in, lua_tostring(L, -1));
		return -1;
	}
	return 0;
}

static int save(lua_State *L, const char *out)
{
	FILE *file = fopen(out, "wb");
	int failed = !file || lua_dump(L, write_block, file, 0) != 0;

	if ((file && fclose(file) != 0) || failed) {
		perror(out);
		remove(out);
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	lua_State *L = luaL_newstate();
	int result = -1;

	if (!L || argc != 4)
		fprintf(stderr, "usage: embed NAME IN OUT\n");
	else if (compile(L, argv[1], argv[2]) == 0)
		result = save(L, argv[3]);
	if (L)
		lua_close(L);
	return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
