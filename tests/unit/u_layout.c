#include "base/base.h"

#include "base/str.h"
#include "model/layout.h"
#include "unit.h"

#define TYPE "unit.layout"
#define STAGES_MAX 16

/* The map's strings belong to the table that is the userdata's user value. */
struct unit_layout {
	struct layout layout;
	struct stage_name names[STAGES_MAX];
};

static struct layout *check_layout(lua_State *L)
{
	struct unit_layout *self = luaL_checkudata(L, 1, TYPE);

	luaL_argcheck(L, self->layout.root, 1, "closed");
	return &self->layout;
}

/* [-0, +0, v] { { "stage3", "parent_finder" }, ... } at 'index' */
static size_t read_map(lua_State *L, int index, struct stage_name *names)
{
	size_t n = 0;

	if (lua_isnoneornil(L, index))
		return 0;
	luaL_argcheck(L, lua_rawlen(L, index) <= STAGES_MAX, index, "too many stages");
	for (; n < lua_rawlen(L, index); n++) {
		lua_rawgeti(L, index, (lua_Integer)n + 1);
		lua_rawgeti(L, -1, 1);
		lua_rawgeti(L, -2, 2);
		names[n].stage = luaL_checkstring(L, -2);
		names[n].dir = luaL_checkstring(L, -1);
		lua_pop(L, 3);
	}
	return n;
}

/* [-0, +1..3, v] open(root, map or nil): layout | nil, message, code */
static int open_layout(lua_State *L)
{
	const char *root = luaL_checkstring(L, 1);
	struct unit_layout *self;
	struct stage_map map;
	struct err err = ERR_INIT;

	lua_settop(L, 2);
	self = lua_newuserdatauv(L, sizeof(*self), 1);
	memset(self, 0, sizeof(*self));
	self->layout.rootfd = -1;
	map.v = self->names;
	luaL_setmetatable(L, TYPE);
	lua_pushvalue(L, 2);
	lua_setiuservalue(L, -2, 1);
	map.n = read_map(L, 2, self->names);
	return layout_open(&self->layout, root, &map, &err) < 0 ? unit_fail(L, &err) : 1;
}

/* [-0, +1..3, v] plan(root): true; the root is not made */
static int plan_root(lua_State *L)
{
	static const struct stage_map nothing = { .v = NULL, .n = 0 };
	struct layout layout;
	struct err err = ERR_INIT;

	if (layout_plan(&layout, luaL_checkstring(L, 1), &nothing, &err) < 0)
		return unit_fail(L, &err);
	layout_close(&layout);
	lua_pushboolean(L, true);
	return 1;
}

/* [-0, +0, -] */
static int close_layout(lua_State *L)
{
	struct unit_layout *self = luaL_checkudata(L, 1, TYPE);

	if (self->layout.root)
		layout_close(&self->layout);
	return 0;
}

/* [-0, +1..3, v] */
static int make_root(lua_State *L)
{
	struct err err = ERR_INIT;

	if (layout_make_root(luaL_checkstring(L, 1), &err) < 0)
		return unit_fail(L, &err);
	lua_pushboolean(L, 1);
	return 1;
}

/* [-0, +1..3, m] The text, or the error. */
static int push_result(lua_State *L, int rc, struct str *text, const struct err *err)
{
	if (rc < 0) {
		str_release(text);
		return unit_fail(L, err);
	}
	lua_pushlstring(L, text->buf, text->len);
	str_release(text);
	return 1;
}

/* [-0, +1..3, v] */
static int new_experiment(lua_State *L)
{
	struct layout *layout = check_layout(L);
	const char *name = luaL_optstring(L, 2, NULL);
	struct str made = STR_INIT;
	struct err err = ERR_INIT;
	int rc = layout_new_experiment(layout, name, &made, &err);

	return push_result(L, rc, &made, &err);
}

/* [-0, +1..3, v] */
static int find_experiment(lua_State *L)
{
	struct layout *layout = check_layout(L);
	const char *exp = luaL_optstring(L, 2, NULL);
	struct str name = STR_INIT;
	struct err err = ERR_INIT;
	int rc = layout_find_experiment(layout, exp, &name, &err);

	return push_result(L, rc, &name, &err);
}

/* [-0, +1, v] The hint of a failed find. */
static int find_hint(lua_State *L)
{
	struct layout *layout = check_layout(L);
	const char *exp = luaL_optstring(L, 2, NULL);
	struct str name = STR_INIT;
	struct err err = ERR_INIT;

	layout_find_experiment(layout, exp, &name, &err);
	str_release(&name);
	lua_pushstring(L, err.hint);
	return 1;
}

/* [-0, +1..3, v] */
static int use_experiment(lua_State *L)
{
	struct err err = ERR_INIT;

	if (layout_use_experiment(check_layout(L), luaL_checkstring(L, 2), &err) < 0)
		return unit_fail(L, &err);
	lua_pushboolean(L, 1);
	return 1;
}

/* [-0, +1..3, v] */
static int read_config(lua_State *L)
{
	struct layout *layout = check_layout(L);
	const char *exp = luaL_optstring(L, 2, NULL);
	struct str text = STR_INIT;
	struct err err = ERR_INIT;
	int rc = layout_read_config(layout, exp, &text, &err);

	return push_result(L, rc, &text, &err);
}

/* [-0, +0, m] Set field 'key' of the table on top. */
static void set_text(lua_State *L, const char *key, const char *text)
{
	lua_pushstring(L, text);
	lua_setfield(L, -2, key);
}

/* [-0, +1..3, v] */
static int list_experiments(lua_State *L)
{
	struct experiment *list;
	struct err err = ERR_INIT;
	size_t n;

	if (layout_list_experiments(check_layout(L), &list, &n, &err) < 0)
		return unit_fail(L, &err);
	lua_newtable(L);
	for (size_t i = 0; i < n; i++) {
		lua_newtable(L);
		set_text(L, "name", list[i].name);
		set_text(L, "title", list[i].title);
		set_text(L, "created", list[i].created);
		lua_pushinteger(L, list[i].id);
		lua_setfield(L, -2, "id");
		lua_pushinteger(L, (lua_Integer)list[i].n_stages);
		lua_setfield(L, -2, "n_stages");
		lua_pushboolean(L, list[i].is_current);
		lua_setfield(L, -2, "is_current");
		lua_pushboolean(L, list[i].has_config);
		lua_setfield(L, -2, "has_config");
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	experiment_list_release(list, n);
	return 1;
}

/* [-0, +1..3, v] */
static int list_states(lua_State *L)
{
	struct layout *layout = check_layout(L);
	const char *exp = luaL_optstring(L, 2, NULL);
	struct stage_state *list;
	struct err err = ERR_INIT;
	size_t n;

	if (layout_list_states(layout, exp, &list, &n, &err) < 0)
		return unit_fail(L, &err);
	lua_newtable(L);
	for (size_t i = 0; i < n; i++) {
		lua_newtable(L);
		set_text(L, "key", list[i].key);
		set_text(L, "dir", list[i].dir);
		set_text(L, "status", list[i].status);
		set_text(L, "best_checkpoint", list[i].best_checkpoint);
		set_text(L, "started_at", list[i].started_at);
		set_text(L, "completed_at", list[i].completed_at);
		set_text(L, "metrics", list[i].metrics);
		lua_pushinteger(L, list[i].current_step);
		lua_setfield(L, -2, "current_step");
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	stage_state_list_release(list, n);
	return 1;
}

/* [-0, +1, v] */
static int stage_dir_name(lua_State *L)
{
	char *name = layout_stage_dir_name(check_layout(L), luaL_checkstring(L, 2),
					   luaL_optstring(L, 3, NULL));

	lua_pushstring(L, name);
	free(name);
	return 1;
}

/* [-0, +2, v] */
static int split_name(lua_State *L)
{
	char *stage;
	char *dataset;

	layout_split_name(check_layout(L), luaL_checkstring(L, 2), &stage, &dataset);
	lua_pushstring(L, stage);
	lua_pushstring(L, dataset);
	free(stage);
	free(dataset);
	return 2;
}

/* [-0, +1, m] */
static void push_dir(lua_State *L, const struct stage_dir *dir)
{
	lua_newtable(L);
	set_text(L, "exp", dir->exp);
	set_text(L, "name", dir->name);
	set_text(L, "ref", dir->ref);
	set_text(L, "path", dir->path);
	set_text(L, "stage", dir->stage);
	set_text(L, "dataset", dir->dataset);
	lua_pushboolean(L, dir->fd >= 0);
	lua_setfield(L, -2, "is_open");
}

/* [-0, +1..3, m] The directory, or the error (its hint behind the code). */
static int push_dir_result(lua_State *L, int rc, struct stage_dir *dir, const struct err *err)
{
	if (rc < 0) {
		unit_fail(L, err);
		lua_pushstring(L, err->hint);
		return 4;
	}
	push_dir(L, dir);
	stage_dir_release(dir);
	return 1;
}

/* [-0, +1..3, v] open_stage(exp, stage, dataset, create) */
static int open_stage(lua_State *L)
{
	struct stage_dir dir = STAGE_DIR_INIT;
	struct err err = ERR_INIT;
	int rc = layout_open_stage(check_layout(L), luaL_optstring(L, 2, NULL),
				   luaL_checkstring(L, 3), luaL_optstring(L, 4, NULL),
				   lua_toboolean(L, 5), &dir, &err);

	return push_dir_result(L, rc, &dir, &err);
}

/* [-0, +1..3, v] resolve(ref, exp) */
static int resolve(lua_State *L)
{
	struct stage_dir dir = STAGE_DIR_INIT;
	struct err err = ERR_INIT;
	int rc = layout_resolve(check_layout(L), luaL_optstring(L, 3, NULL), luaL_checkstring(L, 2),
				&dir, &err);

	return push_dir_result(L, rc, &dir, &err);
}

/* [-0, +1..3, v] resolve_recorded(ref, exp) */
static int resolve_recorded(lua_State *L)
{
	struct stage_dir dir = STAGE_DIR_INIT;
	struct err err = ERR_INIT;
	int rc = layout_resolve_recorded(check_layout(L), luaL_optstring(L, 3, NULL),
					 luaL_checkstring(L, 2), &dir, &err);

	return push_dir_result(L, rc, &dir, &err);
}

struct visit {
	lua_State *L;
	lua_Integer limit;
};

/* [-0, +0, m] Append to the table on top. */
static int visit(void *arg, struct stage_dir *dir, struct err *err)
{
	struct visit *v = arg;
	lua_Integer n = (lua_Integer)lua_rawlen(v->L, -1);

	if (n >= v->limit)
		return err_set(err, ERR_FAILED, "stopped");
	push_dir(v->L, dir);
	if (dir->fd < 0)
		set_text(v->L, "trouble", err->msg);
	lua_rawseti(v->L, -2, n + 1);
	return 0;
}

/* [-0, +1..3, v] walk(exp, limit) */
static int walk(lua_State *L)
{
	struct layout *layout = check_layout(L);
	const char *exp = luaL_optstring(L, 2, NULL);
	struct visit v = { .L = L, .limit = luaL_optinteger(L, 3, 1000) };
	struct err err = ERR_INIT;

	lua_newtable(L);
	return layout_walk(layout, exp, visit, &v, &err) < 0 ? unit_fail(L, &err) : 1;
}

/* [-0, +1, m] */
void unit_layout(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{ "new", new_experiment },
		{ "find", find_experiment },
		{ "find_hint", find_hint },
		{ "use", use_experiment },
		{ "list", list_experiments },
		{ "config", read_config },
		{ "states", list_states },
		{ "stage_dir_name", stage_dir_name },
		{ "split_name", split_name },
		{ "open_stage", open_stage },
		{ "resolve", resolve },
		{ "resolve_recorded", resolve_recorded },
		{ "walk", walk },
		{ "close", close_layout },
		{ NULL, NULL },
	};
	static const luaL_Reg functions[] = {
		{ "open", open_layout },
		{ "make_root", make_root },
		{ "plan", plan_root },
		{ NULL, NULL },
	};

	luaL_newmetatable(L, TYPE);
	lua_pushcfunction(L, close_layout);
	lua_setfield(L, -2, "__gc");
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	luaL_newlib(L, functions);
}
