#include "base/base.h"

#include "unit.h"

#include "base/mem.h"
#include "model/journal.h"
#include "model/store.h"
#include "sys/file.h"
#include "sys/path.h"
#include "sys/proc.h"

#include <math.h>
#include <unistd.h>

/* ---- helpers ---- */

/* [-0, +0, e] A string field of the table at 'index', kept alive by the table; or NULL. */
static const char *field(lua_State *L, int index, const char *key)
{
	const char *text = NULL;

	if (lua_getfield(L, index, key) == LUA_TSTRING)
		text = lua_tostring(L, -1);
	lua_pop(L, 1);
	return text;
}

/* [-0, +0, e] */
static lua_Integer int_field(lua_State *L, int index, const char *key, lua_Integer otherwise)
{
	lua_Integer value = otherwise;

	if (lua_getfield(L, index, key) != LUA_TNIL)
		value = luaL_checkinteger(L, -1);
	lua_pop(L, 1);
	return value;
}

/* [-0, +0, e] */
static bool bool_field(lua_State *L, int index, const char *key)
{
	bool value;

	lua_getfield(L, index, key);
	value = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return value;
}

/* [-0, +4, m] nil, message, code, hint */
static int fail_with_hint(lua_State *L, const struct err *err)
{
	unit_fail(L, err);
	lua_pushstring(L, err->hint);
	return 4;
}

/* [-0, +0, e] */
static int check_dir(lua_State *L, const char *path)
{
	struct err err = ERR_INIT;
	int fd = path_open_dir(path, &err);

	if (fd < 0)
		luaL_error(L, "%s", err.msg);
	return fd;
}

/* ---- store ---- */

/* An append as the table at an index describes it; what is absent gets a sensible value. */
struct request {
	struct entry entry;
	struct info_append append;
	struct str inherited;
	struct store_request store;
};

static const char *or_default(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

/* [-0, +0, e] */
static int fill_entry(lua_State *L, int index, struct entry *entry, struct err *err)
{
	const char *run_id = field(L, index, "run_id");

	entry->dataset = xstrdup(or_default(field(L, index, "dataset"), "hrds"));
	entry->steps = int_field(L, index, "steps", 10);
	entry->start_time = xstrdup(or_default(field(L, index, "start"), "2025-12-11T10:30:00"));
	entry->end_time = xstrdup(or_default(field(L, index, "end_time"), "2025-12-11T12:00:00"));
	if (run_id)
		entry_add_extra_string(entry, "run_id", run_id);
	return entry_set_metrics(entry, or_default(field(L, index, "metrics"), "{\"f1\": 0.85}"),
				 err);
}

/* [-0, +0, e] Strings stay those of the Lua table. */
static int fill_request(lua_State *L, int index, struct request *r, struct err *err)
{
	const char *inherited = field(L, index, "inherited");

	*r = (struct request){ .inherited = STR_INIT };
	entry_init(&r->entry);
	r->append = (struct info_append){
		.head = {
			.model_name = or_default(field(L, index, "model_name"), "parent_finder"),
			.stage = or_default(field(L, index, "stage"), "stage3"),
			.final_checkpoint = field(L, index, "final_checkpoint"),
			.base_model = field(L, index, "base_model"),
			.parents = field(L, index, "parents"),
		},
		.entries = &r->entry,
		.n = 1,
		.inherited_ref = field(L, index, "inherited_ref"),
		.additive = bool_field(L, index, "additive"),
	};
	if (inherited) {
		str_adds(&r->inherited, inherited);
		r->append.inherited = &r->inherited;
	}
	r->store = (struct store_request){
		.where = or_default(field(L, index, "where"), "exp_1/stage3_hrds"),
		.path = or_default(field(L, index, "path"), "exp_1/stage3_hrds/" RECORD_NAME),
		.append = &r->append,
		.lock_timeout_ms = (int)int_field(L, index, "timeout", 20000),
		.only_new = bool_field(L, index, "only_new"),
	};
	return fill_entry(L, index, &r->entry, err);
}

static void request_release(struct request *r)
{
	entry_release(&r->entry);
	str_release(&r->inherited);
}

/* [-0, +2..4, m] */
static int push_result(lua_State *L, enum store_result result, const struct info_summary *after,
		       const struct err *err)
{
	static const char *const words[] = { "done", "not_durable", "already", "taken" };

	if (result == STORE_UNCHANGED)
		return fail_with_hint(L, err);
	lua_pushstring(L, words[result]);
	lua_newtable(L);
	lua_pushinteger(L, (lua_Integer)after->n_entries);
	lua_setfield(L, -2, "n_entries");
	lua_pushinteger(L, after->total_steps);
	lua_setfield(L, -2, "total_steps");
	lua_pushstring(L, err->msg);
	return 3;
}

/* [-0, +2..4, e] (dir, request): "done", "already", "taken" or "not_durable", summary, message */
static int u_append(lua_State *L)
{
	struct err err = ERR_INIT;
	struct request r;
	struct info_summary after = { .n_entries = 0 };
	enum store_result result = STORE_UNCHANGED;
	int dirfd = check_dir(L, luaL_checkstring(L, 1));

	if (fill_request(L, 2, &r, &err) == 0) {
		r.store.dirfd = dirfd;
		result = store_append(&r.store, &after, &err);
	}
	request_release(&r);
	close(dirfd);
	return push_result(L, result, &after, &err);
}

/* [-0, +1..3, e] (dir, path) */
static int u_read(lua_State *L)
{
	struct err err = ERR_INIT;
	struct str text = STR_INIT;
	const char *path = luaL_checkstring(L, 2);
	int dirfd = check_dir(L, luaL_checkstring(L, 1));
	int result = store_read(dirfd, path, &text, &err);

	close(dirfd);
	if (result == 0)
		lua_pushlstring(L, text.buf, text.len);
	str_release(&text);
	return result < 0 ? unit_fail(L, &err) : 1;
}

/* [-0, +1..3, e] (dir, run_id, why, request): the path in the spool. request.no_dir: as if the
 * stage directory could not be opened. */
static int u_spool(lua_State *L)
{
	struct err err = ERR_INIT;
	struct err why = ERR_INIT;
	struct str where = STR_INIT;
	struct request r;
	const char *dir = luaL_checkstring(L, 1);
	const char *run_id = luaL_checkstring(L, 2);
	int result;

	err_set(&why, ERR_FAILED, "%s", luaL_checkstring(L, 3));
	result = fill_request(L, 4, &r, &err);
	r.store.dirfd = bool_field(L, 4, "no_dir") ? -1 : check_dir(L, dir);
	if (result == 0)
		result = store_spool(&r.store, dir, run_id, &why, &where, &err);
	if (r.store.dirfd >= 0)
		close(r.store.dirfd);
	request_release(&r);
	if (result == 0)
		lua_pushstring(L, where.buf);
	str_release(&where);
	return result < 0 ? unit_fail(L, &err) : 1;
}

/* [-0, +2..4, e] (path) */
static int u_unspool(lua_State *L)
{
	struct err err = ERR_INIT;
	struct info_summary after = { .n_entries = 0 };
	enum store_result result = store_unspool(luaL_checkstring(L, 1), 20000, &after, &err);

	return push_result(L, result, &after, &err);
}

/* [-0, +1..3, e] (dir or nil [, named as]) */
static int u_spool_list(lua_State *L)
{
	struct err err = ERR_INIT;
	struct strv paths = STRV_INIT;
	const char *dir = luaL_optstring(L, 1, NULL);
	const char *name = luaL_optstring(L, 2, dir);
	int dirfd = dir ? check_dir(L, dir) : -1;
	int result = spool_list(dirfd, name, &paths, &err);

	if (dirfd >= 0)
		close(dirfd);
	lua_newtable(L);
	for (size_t i = 0; i < paths.n; i++) {
		lua_pushstring(L, paths.v[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	strv_release(&paths);
	return result < 0 ? unit_fail(L, &err) : 1;
}

/* [-0, +1..3, e] (path) */
static int u_check_spooled(lua_State *L)
{
	struct err err = ERR_INIT;

	if (store_check_spooled(luaL_checkstring(L, 1), &err) < 0)
		return unit_fail(L, &err);
	lua_pushboolean(L, true);
	return 1;
}

/* [-0, +1, e] (dir, key): a string of the record's head, or nil */
static int u_string(lua_State *L)
{
	const char *key = luaL_checkstring(L, 2);
	int dirfd = check_dir(L, luaL_checkstring(L, 1));
	char *value = store_string(dirfd, "x", key);

	close(dirfd);
	lua_pushstring(L, value);
	free(value);
	return 1;
}

/* ---- journal ---- */

/* [-0, +0, e] */
static enum run_state check_state(lua_State *L, int index)
{
	const char *word = or_default(field(L, index, "state"), "starting");

	for (int i = RUN_STARTING; i <= RUN_INTERRUPTED; i++)
		if (strcmp(run_state_word((enum run_state)i), word) == 0)
			return (enum run_state)i;
	return (enum run_state)luaL_error(L, "no state '%s'", word);
}

/* [-0, +0, e] */
static void fill_run(lua_State *L, int index, struct run *run)
{
	run_init(run);
	run->state = check_state(L, index);
	snprintf(run->run_id, sizeof(run->run_id), "%s", or_default(field(L, index, "run_id"), ""));
	run->stage = xstrdup_or_null(field(L, index, "stage"));
	run->dataset = xstrdup_or_null(field(L, index, "dataset"));
	run->host = xstrdup_or_null(field(L, index, "host"));
	run->boot_id = xstrdup_or_null(field(L, index, "boot_id"));
	run->start_time = xstrdup_or_null(field(L, index, "start_time"));
	run->last_metrics = xstrdup_or_null(field(L, index, "last_metrics"));
	run->log = xstrdup_or_null(field(L, index, "log"));
	run->pid = int_field(L, index, "pid", 0);
	run->pid_start = (uint64_t)int_field(L, index, "pid_start", 0);
	run->child_pid = int_field(L, index, "child_pid", 0);
	run->child_start = (uint64_t)int_field(L, index, "child_start", 0);
	run->pid_ns = (uint64_t)int_field(L, index, "pid_ns", 0);
	run->exit_code = (int)int_field(L, index, "exit_code", -1);
	run->last_step = int_field(L, index, "last_step", -1);
	strv_push(&run->command, "python");
	strv_push(&run->command, "train.py --name \"x\"");
}

/* [-0, +1..3, e] (dir, run, begin) */
static int write_run(lua_State *L, int (*write)(int, const struct run *, struct err *))
{
	struct err err = ERR_INIT;
	struct run run;
	int dirfd;
	int result;

	fill_run(L, 2, &run);
	dirfd = check_dir(L, luaL_checkstring(L, 1));
	result = write(dirfd, &run, &err);
	close(dirfd);
	run_release(&run);
	if (result < 0)
		return unit_fail(L, &err);
	lua_pushboolean(L, true);
	return 1;
}

/* [-0, +1..3, e] */
static int u_begin(lua_State *L)
{
	return write_run(L, journal_begin);
}

/* [-0, +1..3, e] */
static int u_update(lua_State *L)
{
	return write_run(L, journal_update);
}

/* [-0, +1, m] The text of the run, as JSON. */
static void push_run(lua_State *L, const struct run *run)
{
	struct str text = STR_INIT;

	run_print(run, &text, 0);
	lua_pushlstring(L, text.buf, text.len);
	str_release(&text);
}

/* [-0, +2..3, e] (dir, close): texts, broken names; with 'close', the dead are closed first */
static int u_load(lua_State *L)
{
	struct err err = ERR_INIT;
	struct run_list list;
	struct strv broken = STRV_INIT;
	size_t closed = 0;
	int dirfd = check_dir(L, luaL_checkstring(L, 1));
	int result = journal_load(dirfd, &list, &broken, &err);

	if (result == 0 && lua_toboolean(L, 2))
		journal_close_dead(dirfd, &list, &closed);
	close(dirfd);
	if (result < 0)
		return unit_fail(L, &err);
	lua_newtable(L);
	for (size_t i = 0; i < list.n; i++) {
		push_run(L, &list.v[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_newtable(L);
	for (size_t i = 0; i < broken.n; i++) {
		lua_pushstring(L, broken.v[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_pushinteger(L, (lua_Integer)closed);
	run_list_release(&list);
	strv_release(&broken);
	return 3;
}

/* [-0, +0..3, e] (dir): the newest run as JSON, or nothing */
static int u_newest(lua_State *L)
{
	struct err err = ERR_INIT;
	struct run_list list;
	int dirfd = check_dir(L, luaL_checkstring(L, 1));
	int result = journal_load_newest(dirfd, &list, &err);
	int n = result == 0 && list.n > 0;

	close(dirfd);
	if (n)
		push_run(L, &list.v[0]);
	run_list_release(&list);
	return result < 0 ? unit_fail(L, &err) : n;
}

/* [-0, +1..3, e] (dir, prefix): the run as JSON */
static int u_find(lua_State *L)
{
	struct err err = ERR_INIT;
	struct run run;
	const char *prefix = luaL_checkstring(L, 2);
	int dirfd = check_dir(L, luaL_checkstring(L, 1));
	int result = journal_find(dirfd, prefix, &run, &err);

	close(dirfd);
	if (result < 0)
		return unit_fail(L, &err);
	push_run(L, &run);
	run_release(&run);
	return 1;
}

/* [-0, +1..3, e] (dir, run_id, text): writes it; the log's name */
static int u_log(lua_State *L)
{
	struct err err = ERR_INIT;
	struct str name = STR_INIT;
	const char *run_id = luaL_checkstring(L, 2);
	size_t len;
	const char *text = luaL_checklstring(L, 3, &len);
	int dirfd = check_dir(L, luaL_checkstring(L, 1));
	int fd = journal_open_log(dirfd, run_id, &name, &err);
	bool written = fd >= 0 && file_write_all(fd, text, len, &err, "log") == 0;

	close(dirfd);
	if (fd >= 0)
		close(fd);
	if (written)
		lua_pushstring(L, name.buf);
	str_release(&name);
	return written ? 1 : unit_fail(L, &err);
}

/* [-0, +1, e] */
static int u_make_id(lua_State *L)
{
	struct err err = ERR_INIT;
	char id[ID_TEXT_SIZE];

	if (id_make(id, &err) < 0)
		return luaL_error(L, "%s", err.msg);
	lua_pushstring(L, id);
	return 1;
}

/* [-0, +1, e] (pid) */
static int u_start_time(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)proc_start_time((pid_t)luaL_checkinteger(L, 1)));
	return 1;
}

/* [-0, +1, m] */
void unit_store(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "append", u_append },
		{ "read", u_read },
		{ "spool", u_spool },
		{ "unspool", u_unspool },
		{ "spool_list", u_spool_list },
		{ "check_spooled", u_check_spooled },
		{ "string", u_string },
		{ "begin", u_begin },
		{ "update", u_update },
		{ "load", u_load },
		{ "newest", u_newest },
		{ "find", u_find },
		{ "log", u_log },
		{ "make_id", u_make_id },
		{ "start_time", u_start_time },
		{ NULL, NULL },
	};

	luaL_newlib(L, functions);
}
