#include "base/base.h"

#include "script/state.h"

#include "base/clock.h"
#include "base/mem.h"

#include <unistd.h>

/* Instructions between two looks at the clock: measured, 100 to 100,000 cost the same. */
#define HOOK_COUNT 1000

#define SOFT_PERCENT 80

/* Of the memory limit: below it garbage stays. Loading a plugin never gets there, and takes 4 % less
 * without the collector. Between two looks of the hook, memory can run out all the same: Lua then
 * collects, stopped or not, before it gives up. */
#define COLLECT_PERCENT 6

/* Longer messages of plugins are cut: they end up in one line of a terminal. */
#define MESSAGE_LIMIT 1024

/* The memory of a state that is one of many begins here: nearly all of them stay within it, and it is
 * handed out and taken back for next to nothing. */
static _Alignas(16) char arena[(size_t)4 << 20];
static size_t arena_used;
static bool has_arena;

/* Its address, raised instead of a string, needs no memory. */
static const char timeout_mark;

struct state *state_of(lua_State *L)
{
	struct state *s;

	memcpy(&s, lua_getextraspace(L), sizeof(s));
	return s;
}

static bool is_in_arena(const void *ptr)
{
	return (uintptr_t)ptr - (uintptr_t)arena < sizeof(arena);
}

/* 'n' bytes where 'ptr' with its 'old' bytes is the newest there or NULL; NULL: no room. */
static void *take_from_arena(void *ptr, size_t old, size_t n)
{
	size_t at = arena_used;

	if (ptr && (char *)ptr + ((old + 15) & ~(size_t)15) == arena + arena_used)
		at = (size_t)((char *)ptr - arena);
	else if (ptr && n <= old)
		return ptr;
	if (n > sizeof(arena) - at - 15)
		return NULL;
	arena_used = at + ((n + 15) & ~(size_t)15);
	if (ptr && arena + at != (char *)ptr)
		memcpy(arena + at, ptr, old < n ? old : n);
	return arena + at;
}

/* As realloc(), but 'old' is known. What is not the newest comes free with the whole arena. */
static void *resize(void *ptr, size_t old, size_t n)
{
	void *fresh;

	if (!has_arena || (ptr && !is_in_arena(ptr)))
		return realloc(ptr, n);
	fresh = take_from_arena(ptr, old, n);
	if (fresh)
		return fresh;
	fresh = malloc(n);
	if (fresh && ptr)
		memcpy(fresh, ptr, old < n ? old : n);
	return fresh;
}

static void drop(void *ptr, size_t old)
{
	if (!is_in_arena(ptr))
		free(ptr);
	else if ((char *)ptr + ((old + 15) & ~(size_t)15) == arena + arena_used)
		arena_used = (size_t)((char *)ptr - arena);
}

/* Counts bytes. When 'ptr' is NULL, 'osize' is a type tag and no size. */
static void *limited_alloc(void *ud, void *ptr, size_t osize, size_t nsize)
{
	struct state *s = ud;
	size_t old = ptr ? osize : 0;
	void *fresh;

	if (nsize == 0) {
		drop(ptr, old);
		s->used -= old;
		return NULL;
	}
	if (nsize > old && nsize - old > s->limit - s->used)
		return NULL;
	fresh = resize(ptr, old, nsize);
	if (fresh)
		s->used = s->used - old + nsize;
	else
		s->starved = true; /* not reached by tests: the kernel gives less than the limits */
	return fresh;
}

/* The plugin's source (never the library's) that Lua calls 'name' ("@" + path), or NULL. */
static const struct state_source *plugin_source(const struct state *s, const char *name)
{
	for (size_t i = 0; i < s->n_sources; i++)
		if (s->sources[i].plugin != STATE_LIBRARY && name[0] == '@' &&
		    strcmp(s->sources[i].path, name + 1) == 0)
			return &s->sources[i];
	return NULL;
}

/* Note the innermost line of a plugin that is running. [-0, +0, -] */
static void note_where(struct state *s, lua_State *L)
{
	lua_Debug ar;

	for (int level = 0; lua_getstack(L, level, &ar); level++) {
		const struct state_source *source;

		lua_getinfo(L, "Sl", &ar);
		source = plugin_source(s, ar.source);
		if (!source || ar.currentline <= 0)
			continue;
		s->where_path = source->path;
		s->where_line = ar.currentline;
		return;
	}
}

/* [-0, +0, -] */
static void collect_if_much(struct state *s)
{
	if (s->collects || s->used < s->limit / 100 * COLLECT_PERCENT)
		return;
	s->collects = true;
	lua_gc(s->L, LUA_GCRESTART);
}

/*
 * Re-armed at every instruction before the raise: a pcall() in the plugin then catches this error
 * only to meet it again at its next step.
 */
/* [-0, +0, v] */
static void on_count(lua_State *L, lua_Debug *ar UNUSED)
{
	struct state *s = state_of(L);

	collect_if_much(s);
	if (!s->soft_deadline || clock_monotonic_ms() < s->soft_deadline)
		return;
	if (!s->timed_out) {
		s->timed_out = true;
		note_where(s, L);
	}
	lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
	lua_pushlightuserdata(L, (void *)(uintptr_t)&timeout_mark);
	lua_error(L);
}

/* If 'text' starts as Lua's messages do ("short_name:LINE: "), note the place; the rest of it. */
static const char *strip_where(struct state *s, const char *text)
{
	for (size_t i = 0; i < s->n_sources; i++) {
		const struct state_source *source = &s->sources[i];
		size_t len = strlen(source->short_name);
		char *end;
		long line;

		if (source->plugin == STATE_LIBRARY ||
		    strncmp(text, source->short_name, len) != 0 || text[len] != ':')
			continue;
		line = strtol(text + len + 1, &end, 10);
		if (end == text + len + 1 || end[0] != ':' || end[1] != ' ')
			continue;
		s->where_path = source->path;
		s->where_line = (int)line;
		return end + 2;
	}
	return text;
}

/* A string member of the table on top, by raw access; NULL if absent. [-0, +1, m] */
static const char *raw_member(lua_State *L, const char *key)
{
	lua_pushstring(L, key);
	lua_rawget(L, -2);
	return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

/*
 * What was raised, as text. Any value can be, nil too; its metamethods are not run, since hooks may
 * be off here.
 */
/* [-0, +1, m] leaves the value on top */
static int on_raise(lua_State *L)
{
	struct state *s = state_of(L);
	const char *text = NULL;

	if (!s->timed_out)
		note_where(s, L);
	if (lua_type(L, 1) == LUA_TSTRING)
		text = strip_where(s, lua_tostring(L, 1));
	else if (lua_type(L, 1) == LUA_TNUMBER)
		text = "raised a number";
	else if (lua_istable(L, 1))
		text = raw_member(L, "message");
	str_clear(&s->raised);
	if (text)
		str_adds(&s->raised, text);
	else
		str_addf(&s->raised, "raised %s%s, not a message", lua_isnil(L, 1) ? "" : "a ",
			 luaL_typename(L, 1));
	lua_settop(L, 1);
	return 1;
}

/* not reached by tests: only a bug of ours gets here, everything runs inside state_call() */
static int on_panic(lua_State *L UNUSED)
{
	static const char text[] = "lua panic outside of a protected call\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	abort();
	return (int)n;
}

static void no_warnings(void *ud UNUSED, const char *text UNUSED, int to_be_continued UNUSED)
{
}

int state_open(struct state *s, size_t limit, struct err *err)
{
	memset(s, 0, sizeof(*s));
	s->limit = limit;
	s->keeps_code = has_arena;
	str_init(&s->raised);
	str_init(&s->hint);
	s->L = lua_newstate(limited_alloc, s);
	if (!s->L)
		return err_set(err, ERR_PLUGIN, "cannot start Lua within %zu bytes of memory",
			       limit);
	memcpy(lua_getextraspace(s->L), &s, sizeof(s));
	lua_atpanic(s->L, on_panic);
	lua_setwarnf(s->L, no_warnings, NULL);
	return 0;
}

void state_will_renew(void)
{
	has_arena = true;
}

/* No code of a plugin runs meanwhile: there are no finalizers (sandbox.c), and state_call() has left
 * nothing to be closed. */
int state_renew(struct state *s, struct err *err)
{
	struct state_source *sources = s->sources;
	size_t n = s->n_sources;

	lua_close(s->L);
	arena_used = 0;
	str_release(&s->raised);
	str_release(&s->hint);
	if (state_open(s, s->limit, err) < 0)
		return -1; /* not reached by tests: the first one had the same memory */
	s->sources = sources;
	s->n_sources = n;
	return 0;
}

/* As luaO_chunkid() shortens "@path". */
static void shorten(const char *path, char out[LUA_IDSIZE])
{
	size_t len = strlen(path);

	if (len < LUA_IDSIZE)
		snprintf(out, LUA_IDSIZE, "%s", path);
	else
		snprintf(out, LUA_IDSIZE, "...%s", path + len - (LUA_IDSIZE - 4));
}

void state_add_source(struct state *s, const struct state_source *source)
{
	struct state_source *fresh;

	s->sources = xreallocarray(s->sources, s->n_sources + 1, sizeof(*s->sources));
	fresh = &s->sources[s->n_sources++];
	*fresh = *source;
	shorten(fresh->path, fresh->short_name);
	fresh->code = xcalloc(1, sizeof(*fresh->code));
	str_init(fresh->code);
}

const struct state_source *state_find_source(const struct state *s, int plugin, const char *module)
{
	for (size_t i = 0; i < s->n_sources; i++)
		if (s->sources[i].plugin == plugin && strcmp(s->sources[i].module, module) == 0)
			return &s->sources[i];
	return NULL;
}

void state_begin(struct state *s, const struct state_subject *subject, int limit_ms)
{
	s->subject = *subject;
	s->limit_ms = limit_ms;
	s->soft_deadline = clock_monotonic_ms() + (int64_t)limit_ms * SOFT_PERCENT / 100;
	s->timed_out = false;
	s->starved = false;
	if (!s->collects)
		lua_gc(s->L, LUA_GCSTOP);
	lua_sethook(s->L, on_count, LUA_MASKCOUNT, HOOK_COUNT);
}

void state_unwatch(struct state *s)
{
	lua_sethook(s->L, NULL, 0, 0);
}

void state_duration(int ms, char out[32])
{
	if (ms < 1000)
		snprintf(out, 32, "%d ms", ms);
	else
		snprintf(out, 32, "%g s", ms / 1000.0);
}

/* "plugin 'x' (path:line): function" */
static void add_subject(const struct state *s, const char *path, int line, struct str *out)
{
	str_addf(out, "plugin '%s' (%s", s->subject.plugin, path ? path : s->subject.path);
	if (line > 0)
		str_addf(out, ":%d", line);
	str_addf(out, "): %s", s->subject.function);
}

int state_fail(const struct state *s, struct err *err, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list args;

	add_subject(s, NULL, s->subject.line, &text);
	va_start(args, fmt);
	str_vaddf(&text, fmt, args);
	va_end(args);
	err_set(err, ERR_PLUGIN, "%s", text.buf);
	str_release(&text);
	return -1;
}

static int report(struct state *s, int status, struct err *err)
{
	struct str text = STR_INIT;
	char duration[32];

	state_duration(s->limit_ms, duration);
	add_subject(s, s->where_path, s->where_path ? s->where_line : s->subject.line, &text);
	if (s->timed_out)
		str_addf(&text, " took longer than %s", duration);
	else if (status == LUA_ERRMEM && s->starved) /* not reached by tests: as above */
		str_adds(&text, ": out of memory");
	else if (status == LUA_ERRMEM)
		str_addf(&text, " needed more than %zu MiB of memory", s->limit >> 20);
	else if (status == LUA_ERRERR) /* not reached by tests: our handler does not raise */
		str_adds(&text, ": error in error handling");
	else
		str_addf(&text, ": %.*s", MESSAGE_LIMIT, s->raised.buf);
	err_set(err, ERR_PLUGIN, "%s", text.buf);
	str_release(&text);
	return -1;
}

int state_call(struct state *s, lua_CFunction body, void *arg, struct err *err)
{
	int status;

	s->where_path = NULL;
	lua_settop(s->L, 0); /* room for the three below is always there (LUA_MINSTACK) */
	lua_pushcfunction(s->L, on_raise);
	lua_pushcfunction(s->L, body);
	lua_pushlightuserdata(s->L, arg);
	status = lua_pcall(s->L, 1, 0, 1);
	lua_settop(s->L, 0);
	return status == LUA_OK && !s->timed_out ? 0 : report(s, status, err);
}
