#include "base/base.h"

#include "unit.h"

#include "base/clock.h"
#include "sys/aside.h"
#include "sys/file.h"
#include "sys/lock.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCK_TYPE "unit.lock"
#define DEFAULT_LIMIT (1 << 20)

/* ---- helpers ---- */

/* [-0, +1, m] */
static int push_strv(lua_State *L, struct strv *v)
{
	lua_newtable(L);
	for (size_t i = 0; i < v->n; i++) {
		lua_pushstring(L, v->v[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	strv_release(v);
	return 1;
}

/* [-0, +1, m] 'text' is freed. */
static int push_text(lua_State *L, char *text)
{
	lua_pushstring(L, text);
	free(text);
	return 1;
}

/* [-0, +1..3, m] */
static int push_done(lua_State *L, int result, const struct err *err)
{
	if (result < 0)
		return unit_fail(L, err);
	lua_pushboolean(L, true);
	return 1;
}

/* [-0, +0, e] */
static int check_dir(lua_State *L, int arg)
{
	struct err err = ERR_INIT;
	int fd = path_open_dir(luaL_checkstring(L, arg), &err);

	if (fd < 0)
		luaL_error(L, "%s", err.msg);
	return fd;
}

/* ---- path ---- */

/* [-0, +1..3, m] (what, name) */
static int u_check_name(lua_State *L)
{
	struct err err = ERR_INIT;
	const char *what = luaL_checkstring(L, 1);

	return push_done(L, path_check_name(what, luaL_checkstring(L, 2), &err), &err);
}

/* [-0, +1..3, m] (what, relative) */
static int u_check_relative(lua_State *L)
{
	struct err err = ERR_INIT;
	const char *what = luaL_checkstring(L, 1);

	return push_done(L, path_check_relative(what, luaL_checkstring(L, 2), &err), &err);
}

/* [-0, +1, m] */
static int u_join(lua_State *L)
{
	return push_text(L, path_join(luaL_checkstring(L, 1), luaL_checkstring(L, 2)));
}

/* [-0, +1, m] */
static int u_base(lua_State *L)
{
	lua_pushstring(L, path_base(luaL_checkstring(L, 1)));
	return 1;
}

/* [-0, +1, m] */
static int u_dir(lua_State *L)
{
	return push_text(L, path_dir(luaL_checkstring(L, 1)));
}

/* [-0, +1, m] */
static int u_absolute(lua_State *L)
{
	return push_text(L, path_absolute(luaL_checkstring(L, 1)));
}

/* [-0, +1, m] */
static int u_relative_to(lua_State *L)
{
	return push_text(L, path_relative_to(luaL_checkstring(L, 1), luaL_checkstring(L, 2)));
}

/* [-0, +1..3, m] (path) */
static int u_open_dir(lua_State *L)
{
	struct err err = ERR_INIT;
	int fd = path_open_dir(luaL_checkstring(L, 1), &err);

	if (fd >= 0)
		close(fd);
	return push_done(L, fd, &err);
}

/* [-0, +1..3, m] (dir, relative): the inode number of what was opened */
static int u_open_beneath(lua_State *L)
{
	struct err err = ERR_INIT;
	const char *relative = luaL_checkstring(L, 2);
	int dirfd = check_dir(L, 1);
	int fd = path_open_beneath(dirfd, relative, O_RDONLY | O_NONBLOCK, &err);
	struct stat st = { .st_ino = 0 };

	close(dirfd);
	if (fd < 0)
		return unit_fail(L, &err);
	fstat(fd, &st);
	close(fd);
	lua_pushinteger(L, (lua_Integer)st.st_ino);
	return 1;
}

/* [-0, +1..3, m] (dir, name): whether it was made */
static int u_make_dir(lua_State *L)
{
	struct err err = ERR_INIT;
	const char *name = luaL_checkstring(L, 2);
	int dirfd = check_dir(L, 1);
	bool made = false;
	int result = path_make_dir(dirfd, name, &made, &err);

	close(dirfd);
	if (result < 0)
		return unit_fail(L, &err);
	lua_pushboolean(L, made);
	return 1;
}

/* [-0, +1..3, m] (dir) */
static int u_list(lua_State *L)
{
	struct err err = ERR_INIT;
	struct strv names = STRV_INIT;
	int dirfd = check_dir(L, 1);
	int result = path_list(dirfd, &names, &err);

	close(dirfd);
	return result < 0 ? unit_fail(L, &err) : push_strv(L, &names);
}

/* [-0, +1..3, m] (dir, pattern [, limit]) */
static int u_glob(lua_State *L)
{
	struct err err = ERR_INIT;
	struct strv names = STRV_INIT;
	const char *pattern = luaL_checkstring(L, 2);
	size_t limit = (size_t)luaL_optinteger(L, 3, 1000);
	int dirfd = check_dir(L, 1);
	int result = path_glob(dirfd, pattern, limit, &names, &err);

	close(dirfd);
	if (result == 0)
		return push_strv(L, &names);
	strv_release(&names);
	return unit_fail(L, &err);
}

/* ---- file ---- */

/* [-0, +0, m] Sets an integer in the table on top. */
static void set_integer(lua_State *L, const char *key, int64_t value)
{
	lua_pushinteger(L, value);
	lua_setfield(L, -2, key);
}

/* [-0, +1, m] */
static void push_version(lua_State *L, const struct file_version *v)
{
	lua_newtable(L);
	lua_pushboolean(L, v->exists);
	lua_setfield(L, -2, "exists");
	set_integer(L, "dev", (int64_t)v->dev);
	set_integer(L, "ino", (int64_t)v->ino);
	set_integer(L, "size", v->size);
	set_integer(L, "mtime_ns", v->mtime_ns);
	set_integer(L, "ctime_ns", v->ctime_ns);
	set_integer(L, "mode", v->mode & 07777);
	set_integer(L, "uid", v->uid);
	set_integer(L, "gid", v->gid);
}

/* [-0, +0, e] */
static int64_t get_integer(lua_State *L, int table, const char *key)
{
	int64_t value;

	lua_getfield(L, table, key);
	value = lua_tointeger(L, -1);
	lua_pop(L, 1);
	return value;
}

/* [-0, +0, e] What file_version_equal() looks at, from a table made by push_version(). */
static struct file_version to_version(lua_State *L, int table)
{
	struct file_version v = {
		.dev = (uint64_t)get_integer(L, table, "dev"),
		.ino = (uint64_t)get_integer(L, table, "ino"),
		.size = get_integer(L, table, "size"),
		.mtime_ns = get_integer(L, table, "mtime_ns"),
		.ctime_ns = get_integer(L, table, "ctime_ns"),
	};

	lua_getfield(L, table, "exists");
	v.exists = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return v;
}

/* [-0, +2..3, m] (dir, name [, limit]): text, version */
static int u_read(lua_State *L)
{
	struct err err = ERR_INIT;
	struct str text = STR_INIT;
	struct file_version version;
	const char *name = luaL_checkstring(L, 2);
	size_t limit = (size_t)luaL_optinteger(L, 3, DEFAULT_LIMIT);
	int dirfd = check_dir(L, 1);
	int result = file_read(dirfd, name, limit, &text, &version, &err);

	close(dirfd);
	if (result < 0) {
		str_release(&text);
		return unit_fail(L, &err);
	}
	lua_pushlstring(L, text.buf, text.len);
	str_release(&text);
	push_version(L, &version);
	return 2;
}

/* [-0, +1..3, m] (path [, limit]) */
static int u_read_path(lua_State *L)
{
	struct err err = ERR_INIT;
	struct str text = STR_INIT;
	const char *path = luaL_checkstring(L, 1);
	size_t limit = (size_t)luaL_optinteger(L, 2, DEFAULT_LIMIT);
	int result = file_read_path(path, limit, &text, &err);

	if (result == 0)
		lua_pushlstring(L, text.buf, text.len);
	str_release(&text);
	return result < 0 ? unit_fail(L, &err) : 1;
}

/* [-0, +1..3, m] (dir, name) */
static int u_version(lua_State *L)
{
	struct err err = ERR_INIT;
	struct file_version version;
	const char *name = luaL_checkstring(L, 2);
	int dirfd = check_dir(L, 1);
	int result = file_version(dirfd, name, &version, &err);

	close(dirfd);
	if (result < 0)
		return unit_fail(L, &err);
	push_version(L, &version);
	return 1;
}

/* [-0, +0, -] The fence of a test: the function at index 5, false to stop. */
static int call_fence(void *arg, struct err *err)
{
	lua_State *L = arg;
	bool passed;

	lua_pushvalue(L, 5);
	passed = lua_pcall(L, 0, 1, 0) == LUA_OK && lua_toboolean(L, -1);
	lua_pop(L, 1);
	return passed ? 0 : err_set(err, ERR_BUSY, "the fence says no");
}

/* [-0, +1..3, m] (dir, name, data [, options [, fence]]): "done", "not_durable" or failure.
 * options: expected = version, text, backup, must_be_new */
static int u_replace(lua_State *L)
{
	struct err err = ERR_INIT;
	struct file_replace_options options = { .expected = NULL };
	struct file_version expected;
	struct str text = STR_INIT;
	enum file_result result;
	const char *name = luaL_checkstring(L, 2);
	size_t len;
	const char *data = luaL_checklstring(L, 3, &len);
	int dirfd;

	lua_settop(L, 5);
	if (lua_istable(L, 4)) {
		if (lua_getfield(L, 4, "expected") == LUA_TTABLE) {
			expected = to_version(L, lua_gettop(L));
			options.expected = &expected;
		}
		if (lua_getfield(L, 4, "text") == LUA_TSTRING) {
			text.buf =
				(char *)(uintptr_t)lua_tolstring(L, -1, &text.len); /* borrowed */
			options.expected_text = &text;
		}
		lua_getfield(L, 4, "backup");
		options.backup = lua_tostring(L, -1);
		lua_getfield(L, 4, "must_be_new");
		options.must_be_new = lua_toboolean(L, -1);
	}
	if (lua_isfunction(L, 5)) {
		options.fence = call_fence;
		options.fence_arg = L;
	}
	dirfd = check_dir(L, 1);
	result = file_replace(dirfd, name, data, len, &options, &err);
	close(dirfd);
	if (result == FILE_UNCHANGED)
		return unit_fail(L, &err);
	lua_pushstring(L, result == FILE_DONE ? "done" : "not_durable");
	lua_pushstring(L, err.msg);
	return 2;
}

/* [-0, +1, m] (dir, name, age_s [, backup]) */
static int u_sweep(lua_State *L)
{
	const char *name = luaL_checkstring(L, 2);
	int age = (int)luaL_checkinteger(L, 3);
	const char *backup = luaL_optstring(L, 4, NULL);
	int dirfd = check_dir(L, 1);

	lua_pushinteger(L, file_sweep(dirfd, name, backup, age));
	close(dirfd);
	return 1;
}

/* [-0, +1..3, m] (dir, name) */
static int u_remove(lua_State *L)
{
	struct err err = ERR_INIT;
	const char *name = luaL_checkstring(L, 2);
	int dirfd = check_dir(L, 1);
	int result = file_remove(dirfd, name, &err);

	close(dirfd);
	return push_done(L, result, &err);
}

/* [-0, +1..3, m] (dir, name, target) */
static int u_replace_link(lua_State *L)
{
	struct err err = ERR_INIT;
	const char *name = luaL_checkstring(L, 2);
	const char *target = luaL_checkstring(L, 3);
	int dirfd = check_dir(L, 1);
	int result = file_replace_link(dirfd, name, target, &err);

	close(dirfd);
	return push_done(L, result, &err);
}

/* [-0, +1..3, m] (dir, name, to, "move" or "link"): its name in 'to' */
static int u_aside(lua_State *L)
{
	struct err err = ERR_INIT;
	struct str kept = STR_INIT;
	const char *name = luaL_checkstring(L, 2);
	bool is_move = strcmp(luaL_checkstring(L, 4), "move") == 0;
	int dirfd = check_dir(L, 1);
	int to = path_open_dir(luaL_checkstring(L, 3), &err);
	int result = to;

	if (to >= 0)
		result = (is_move ? aside_move : aside_link)(dirfd, name, to, &kept, &err);
	close(dirfd);
	if (to >= 0)
		close(to);
	if (result == 0)
		lua_pushstring(L, kept.buf);
	str_release(&kept);
	return result < 0 ? unit_fail(L, &err) : 1;
}

/* ---- lock ---- */

/* [-0, +1..3, m] (dir, name, where, timeout_ms): a lock that collecting gives back */
static int u_lock(lua_State *L)
{
	struct err err = ERR_INIT;
	const char *name = luaL_checkstring(L, 2);
	const char *where = luaL_checkstring(L, 3);
	int timeout = (int)luaL_checkinteger(L, 4);
	struct lock *lock = lua_newuserdata(L, sizeof(*lock));
	int dirfd;
	int result;

	*lock = (struct lock)LOCK_INIT;
	luaL_setmetatable(L, LOCK_TYPE);
	dirfd = check_dir(L, 1);
	result = lock_acquire(lock, dirfd, name, where, timeout, &err);
	close(dirfd);
	return result < 0 ? unit_fail(L, &err) : 1;
}

/* [-0, +1..3, m] (lock) */
static int u_lock_check(lua_State *L)
{
	struct err err = ERR_INIT;

	return push_done(L, lock_check(luaL_checkudata(L, 1, LOCK_TYPE), &err), &err);
}

/* [-0, +0, -] (lock) */
static int u_unlock(lua_State *L)
{
	lock_release(luaL_checkudata(L, 1, LOCK_TYPE));
	return 0;
}

/* [-0, +1, e] (dir, name) */
static int u_lock_is_held(lua_State *L)
{
	const char *name = luaL_checkstring(L, 2);
	int dirfd = check_dir(L, 1);

	lua_pushboolean(L, lock_is_held(dirfd, name));
	close(dirfd);
	return 1;
}

/* [-0, +1, e] (mountinfo, major, minor) */
static int u_lock_is_local(lua_State *L)
{
	const char *text = luaL_checkstring(L, 1);

	lua_pushboolean(L, lock_is_local(text, (unsigned)luaL_checkinteger(L, 2),
					 (unsigned)luaL_checkinteger(L, 3)));
	return 1;
}

/* ---- processes, for tests that need more than one ---- */

/* [-0, +1, e] (argv): the pid; its stdout and stderr go to files argv.out and argv.err, if named.
 * It leads a process group of its own, which kill(-pid) reaches. */
static int u_spawn(lua_State *L)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	lua_Integer n = luaL_len(L, 1);
	char **argv = lua_newuserdata(L, ((size_t)n + 1) * sizeof(*argv));
	const int flags = O_WRONLY | O_CREAT | O_TRUNC;
	const char *out;
	const char *errors;
	pid_t pid;
	int result;

	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, 1, i);
		argv[i - 1] = (char *)(uintptr_t)luaL_checkstring(L, -1); /* the table keeps it */
		lua_pop(L, 1);
	}
	argv[n] = NULL;
	lua_getfield(L, 1, "out");
	out = lua_tostring(L, -1);
	lua_getfield(L, 1, "err");
	errors = lua_tostring(L, -1);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
	if (out)
		posix_spawn_file_actions_addopen(&actions, 1, out, flags, 0600);
	if (errors)
		posix_spawn_file_actions_addopen(&actions, 2, errors, flags, 0600);
	result = posix_spawnp(&pid, argv[0], &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (result != 0)
		return luaL_error(L, "cannot start %s: %s", argv[0], strerrordesc_np(result));
	lua_pushinteger(L, pid);
	return 1;
}

/* [-0, +1, e] (pid, signal) */
static int u_kill(lua_State *L)
{
	pid_t pid = (pid_t)luaL_checkinteger(L, 1);

	lua_pushboolean(L, kill(pid, (int)luaL_checkinteger(L, 2)) == 0);
	return 1;
}

/* [-0, +2, e] (pid [, deadline_ms]): "exit", status or "signal", number; nil at the deadline */
static int u_wait(lua_State *L)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	pid_t pid = (pid_t)luaL_checkinteger(L, 1);
	lua_Integer left = luaL_optinteger(L, 2, 60000);
	int status;

	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
		if (left-- <= 0)
			return 0;
		nanosleep(&nap, NULL);
	}
	lua_pushstring(L, WIFSIGNALED(status) ? "signal" : "exit");
	lua_pushinteger(L, WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return 2;
}

/* [-0, +0, e] (us): between two looks of a loop that has a deadline */
static int u_now_ms(lua_State *L)
{
	lua_pushinteger(L, clock_monotonic_ms());
	return 1;
}

static int u_nap(lua_State *L)
{
	lua_Integer us = luaL_checkinteger(L, 1);
	const struct timespec nap = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	nanosleep(&nap, NULL);
	return 0;
}

/* [-0, +1, -] */
static int u_pid(lua_State *L)
{
	lua_pushinteger(L, getpid());
	return 1;
}

/* [-0, +1, m] */
void unit_file(lua_State *L)
{
	static const luaL_Reg lock_methods[] = {
		{ "__gc", u_unlock },
		{ "__close", u_unlock },
		{ NULL, NULL },
	};
	static const luaL_Reg functions[] = {
		{ "check_name", u_check_name },
		{ "check_relative", u_check_relative },
		{ "join", u_join },
		{ "base", u_base },
		{ "dir", u_dir },
		{ "absolute", u_absolute },
		{ "relative_to", u_relative_to },
		{ "open_dir", u_open_dir },
		{ "open_beneath", u_open_beneath },
		{ "make_dir", u_make_dir },
		{ "list", u_list },
		{ "glob", u_glob },
		{ "read", u_read },
		{ "read_path", u_read_path },
		{ "version", u_version },
		{ "replace", u_replace },
		{ "sweep", u_sweep },
		{ "remove", u_remove },
		{ "replace_link", u_replace_link },
		{ "aside", u_aside },
		{ "lock", u_lock },
		{ "lock_check", u_lock_check },
		{ "unlock", u_unlock },
		{ "lock_is_held", u_lock_is_held },
		{ "lock_is_local", u_lock_is_local },
		{ "spawn", u_spawn },
		{ "kill", u_kill },
		{ "wait", u_wait },
		{ "nap", u_nap },
		{ "now_ms", u_now_ms },
		{ "pid", u_pid },
		{ NULL, NULL },
	};

	luaL_newmetatable(L, LOCK_TYPE);
	luaL_setfuncs(L, lock_methods, 0);
	lua_pop(L, 1);
	luaL_newlib(L, functions);
}
