/*
 * ctx:lines() with blocks of a few bytes, beside a plain reader of the same text: every line is there
 * once, with its number. The iterator's source is compiled into this file for its block sizes.
 */
#define LINES_BLOCK ((size_t)24)
#define LINES_SEGMENT ((size_t)96)
#define pread read_input /* no file: the text itself, where a descriptor would lead */
#include "base/base.h"

static ssize_t read_input(int fd, void *buf, size_t size, off_t offset);

#include "script/lines.c" /* NOLINT */

#include "fuzz.h"
#include "script/sandbox.h"

struct run {
	const char *text;
	size_t size;
	bool with_needles;
};

static struct state state;
static const struct run *current;

static ssize_t read_input(int fd UNUSED, void *buf, size_t size, off_t offset)
{
	size_t left = (size_t)offset < current->size ? current->size - (size_t)offset : 0;
	size_t n = left < size ? left : size;

	if (n)
		memcpy(buf, current->text + offset, n);
	return (ssize_t)n;
}

/* [-0, +0, e] */
static int open_body(lua_State *L)
{
	sandbox_open(L);
	return 0;
}

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
	static const struct state_subject subject = { .plugin = "fuzz",
						      .path = "lines",
						      .function = "lines" };
	struct err err = ERR_INIT;

	CHECK(state_open(&state, (size_t)64 << 20, &err) == 0);
	state.collects = true;
	state.subject = subject;
	CHECK(state_call(&state, open_body, NULL, &err) == 0);
	return 0;
}

/* The end of the line that starts at 'at', and where the next one starts. */
static size_t line_end(const char *text, size_t size, size_t at, size_t *next)
{
	size_t end = at;

	while (end < size && text[end] != '\n' && text[end] != '\r')
		end++;
	*next = end + 1;
	if (end + 1 < size && text[end] == '\r' && text[end + 1] == '\n')
		*next = end + 2;
	return end;
}

static bool has_word(const char *text, size_t len)
{
	return memmem(text, len, "ab", 2) || memmem(text, len, "x", 1);
}

/* Call the iterator; the line it gave, NULL at the end. [-0, +2, e] */
static const char *next_line(lua_State *L, size_t *len, lua_Integer *number)
{
	lua_settop(L, 1);
	lua_pushvalue(L, 1);
	lua_call(L, 0, 2);
	*number = lua_tointeger(L, 3);
	return lua_tolstring(L, 2, len);
}

/* [-0, +0, e] */
static int compare_body(lua_State *L)
{
	struct run *run = lua_touserdata(L, 1);
	lua_Integer want = 0;
	lua_Integer number;
	size_t len;

	lua_settop(L, 0);
	lua_pushliteral(L, "ab");
	lua_pushliteral(L, "x");
	lines_push(L, 0, 1, run->with_needles ? 2 : 0);
	lua_replace(L, 1);
	for (size_t at = 0, next; at < run->size; at = next) {
		size_t end = line_end(run->text, run->size, at, &next);
		size_t stop =
			end - at > LINES_SEGMENT ? at + LINES_SEGMENT : end; /* long ones are cut */
		char line[LINES_SEGMENT];
		size_t plain;
		const char *got;

		want++;
		memcpy(line, run->text + at, stop - at);
		plain = lines_strip_ansi(line, stop - at);
		if (stop == at || (run->with_needles && !has_word(line, plain)))
			continue;
		got = next_line(L, &len, &number);
		CHECK(got && len == plain && memcmp(got, line, len) == 0);
		CHECK(number == want);
	}
	CHECK(!next_line(L, &len, &number));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run = { .text = (const char *)data, .size = size };
	struct err err = ERR_INIT;

	current = &run;
	CHECK(state_call(&state, compare_body, &run, &err) == 0);
	run.with_needles = true;
	CHECK(state_call(&state, compare_body, &run, &err) == 0);
	return 0;
}
