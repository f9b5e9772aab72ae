#include "base/base.h"

#include "script/calls.h"

#include "base/mem.h"
#include "script/sandbox.h"
#include "script/value.h"

#include <errno.h>
#include <math.h>
#include <sys/time.h>
#include <unistd.h>

#define MAX_ISSUES 100

/* Registry slots for what the steps hand on. */
static const char result_key, hyperparams_key;

/* Tell the parent who is at work, in case it has to kill us; once, for each note wakes it up. */
static bool note(struct calls *c, int plugin, const char *function)
{
	char text[sizeof(c->noted)];

	snprintf(text, sizeof(text), "@%d %s\n", plugin, function);
	if (strcmp(text, c->noted) == 0)
		return true;
	snprintf(c->noted, sizeof(c->noted), "%s", text);
	return write(STDERR_FILENO, text, strlen(text)) >= 0;
}

/*
 * A step begins: set the timer that ends what no hook reaches (SIGALRM, default action: the kernel
 * does it).
 */
static void begin(struct calls *c, int plugin, const char *function, int limit_ms)
{
	const struct contract_plugin *p = &c->contract.plugins[plugin];
	struct state_subject subject = { .plugin = p->name, .path = p->path, .function = function };
	struct itimerval timer = { .it_value = { .tv_sec = limit_ms / 1000,
						 .tv_usec = limit_ms % 1000 * 1000 } };

	if (!note(c, plugin, function))
		return; /* not reached by tests: the parent is gone, and so are we soon */
	setitimer(ITIMER_REAL, &timer, NULL);
	c->failed = false;
	state_begin(&c->state, &subject, limit_ms);
	if (c->was_loaded && !c->is_loaded)
		state_unwatch(&c->state);
}

static int finish(struct calls *c, lua_CFunction body, struct err *err)
{
	static const struct itimerval off;

	c->err = err;
	if (state_call(&c->state, body, c, err) < 0)
		return -1;
	setitimer(ITIMER_REAL, &off, NULL);
	return c->failed ? -1 : 0;
}

/* ---- loading ---- */

/* [-0, +0, e] */
static int open_body(lua_State *L)
{
	sandbox_open(L);
	return 0;
}

/* Loads the plugin whose number is in subject: the one that 'loading' is about. */
static int loading_number(const struct calls *c)
{
	return c->state.subject.path == c->contract.plugins[0].path ? 0 : 1;
}

/* [-0, +0, e] */
static int load_body(lua_State *L)
{
	struct calls *c = lua_touserdata(L, 1);
	int number = loading_number(c);
	const struct state_source *source = state_find_source(&c->state, number, "");

	if (!source)
		return luaL_error(L, "has no text");
	sandbox_load(L, source);
	lua_call(L, 0, 1);
	contract_keep(L, &c->contract, number);
	return 0;
}

/* Declared inputs that the parent sent no files for exist, but are empty. [-0, +0, m] */
static int finish_body(lua_State *L)
{
	struct calls *c = lua_touserdata(L, 1);

	contract_keep_goals(L, &c->contract);
	if (c->api.n_inputs)
		return 0;
	contract_push(L, &c->contract, "inputs");
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		struct api_input *input;

		c->api.inputs =
			xreallocarray(c->api.inputs, c->api.n_inputs + 1, sizeof(*c->api.inputs));
		input = &c->api.inputs[c->api.n_inputs++];
		*input = (struct api_input){ .name = xstrdup(lua_tostring(L, -2)) };
	}
	return 0;
}

int calls_load(struct calls *c, struct err *err)
{
	if (c->is_loaded)
		return 0;
	c->state.api = &c->api;
	begin(c, 0, "loading", c->load_ms);
	if (finish(c, open_body, err) < 0)
		return -1;
	for (int i = 0; i < c->contract.n; i++) {
		begin(c, i, "loading", c->load_ms);
		if (finish(c, load_body, err) < 0)
			return -1;
	}
	if (finish(c, finish_body, err) < 0)
		return -1;
	c->is_loaded = true;
	c->was_loaded = true;
	return 0;
}

/* [-0, +0, v] */
static int describe_body(lua_State *L)
{
	struct calls *c = lua_touserdata(L, 1);

	contract_write_plan(L, &c->contract, &c->plan);
	return 0;
}

int calls_describe(struct calls *c, struct err *err)
{
	if (c->plan.len)
		return 0;
	begin(c, 0, "loading", c->load_ms);
	return finish(c, describe_body, err);
}

/* ---- calling ---- */

/* Which plugin's function is called: the override's, else the stage's; -1: neither has it. */
/* [-0, +0, m] */
static int owner_of(lua_State *L, const struct calls *c, const char *function)
{
	for (int i = c->contract.n - 1; i >= 0; i--) {
		bool found;

		contract_push_own(L, &c->contract, i, function);
		found = lua_isfunction(L, -1);
		lua_pop(L, 1);
		if (found)
			return i;
	}
	return -1;
}

/* Push the function and its ctx; note where it begins. [-0, +2, m] */
static void push_call(lua_State *L, struct calls *c, int owner, const char *function)
{
	int base = lua_gettop(L) + 1;
	lua_Debug ar;

	c->ran_plugin = true;
	contract_push_own(L, &c->contract, owner, function);
	lua_pushvalue(L, -1);
	lua_getinfo(L, ">S", &ar);
	c->state.subject.line = ar.linedefined;
	if (owner == 0) {
		api_push_ctx(L, &c->api, 0, 0);
		return;
	}
	contract_push_own(L, &c->contract, 0, function);
	api_push_ctx(L, &c->api, 0, 0);
	api_push_ctx(L, &c->api, lua_isfunction(L, base + 1) ? base + 1 : 0, base + 2);
	lua_replace(L, base + 1);
	lua_settop(L, base + 1);
}

static void clear_api(struct api *api)
{
	for (size_t i = 0; i < api->n_inputs; i++)
		free(api->inputs[i]
			     .name); /* of files there are none: only 'describe' has many entries */
	free(api->inputs);
	api->inputs = NULL;
	api->n_inputs = 0;
}

int calls_renew(struct calls *c, struct err *err)
{
	strv_release(&c->api.infos);
	strv_release(&c->api.warnings);
	str_clear(&c->issues);
	str_clear(&c->scratch);
	if (c->is_loaded && !c->ran_plugin)
		return 0;
	c->is_loaded = false;
	c->ran_plugin = false;
	str_clear(&c->plan);
	clear_api(&c->api);
	return state_renew(&c->state, err);
}

static int fail(struct calls *c, const char *text)
{
	c->failed = true;
	return state_fail(&c->state, c->err, " returned %s", text);
}

/* Push raw member 'name' of the table at 'index'; its text if it is a string. [-0, +1, m] */
static const char *push_member(lua_State *L, int index, const char *name)
{
	lua_pushstring(L, name);
	lua_rawget(L, lua_absindex(L, index < 0 ? index - 1 : index));
	return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

/* Does this code of an error mean that there is nothing of a training, and no fault in it? */
static bool says_nothing(const char *code)
{
	return strcmp(code, "no_data") == 0 || strcmp(code, "not_recognised") == 0 ||
	       strcmp(code, "not_a_training_record") == 0;
}

/* "nil, err": the plugin's own message becomes ours. [-0, +0, m] */
static void take_failure(lua_State *L, struct calls *c, int index)
{
	const char *message = NULL;
	const char *hint = NULL;
	const char *code = "";

	if (lua_type(L, index) == LUA_TSTRING)
		message = lua_tostring(L, index);
	if (lua_istable(L, index)) {
		message = push_member(L, index, "message");
		hint = push_member(L, index, "hint");
		code = push_member(L, index, "code");
	}
	if (!message) {
		fail(c, "nil without an error { code = ..., message = ... }");
		return;
	}
	c->failed = true;
	state_fail(&c->state, c->err, ": %.1000s", message);
	if (code && says_nothing(code))
		c->err->number = ENODATA;
	if (hint)
		err_hint(c->err, "%.500s", hint);
}

/* ---- extract ---- */

enum shape { NUMBERS, TABLE, READING, COUNT, NUMBER, STRING, OUTCOME };

static const struct {
	const char *name;
	enum shape shape;
} result_fields[] = {
	{ "metrics", NUMBERS },		{ "steps", COUNT },	  { "epochs", NUMBER },
	{ "final_checkpoint", STRING }, { "base_model", STRING }, { "planned", TABLE },
	{ "sources", TABLE },		{ "outcome", OUTCOME },	  { "error", STRING },
	{ "start_time", STRING },	{ "end_time", STRING },	  { "resumed_from", COUNT },
	{ "raw_hyperparams", TABLE },	{ "best", TABLE },	  { "evidence", TABLE },
	{ "dataset", STRING },		{ "reading", READING },
};

static bool is_outcome(const char *text)
{
	static const char *const words[] = { "completed", "completed_early", "failed",
					     "interrupted", "unknown" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i], text) == 0)
			return true;
	return false;
}

/* Does the value on top have the shape? "" if so, else what it must be. [-0, +0, -] */
static const char *misshapen(lua_State *L, enum shape shape)
{
	int type = lua_type(L, -1);
	int is_count = 0;

	switch (shape) {
	case NUMBERS:
	case TABLE:
	case READING:
		return type == LUA_TTABLE && lua_rawlen(L, -1) == 0 ? ""
								    : "must be a table of names";
	case COUNT:
		return type == LUA_TNUMBER && lua_tointegerx(L, -1, &is_count) >= 0 && is_count
			       ? ""
			       : "must be a whole number, 0 or more";
	case NUMBER:
		return type == LUA_TNUMBER && isfinite(lua_tonumber(L, -1))
			       ? ""
			       : "must be a finite number";
	case STRING:
		return type == LUA_TSTRING ? "" : "must be a string";
	case OUTCOME:
		return type == LUA_TSTRING && is_outcome(lua_tostring(L, -1))
			       ? ""
			       : "must be completed, completed_early, failed, interrupted or "
				 "unknown";
	}
	return ""; /* not reached by tests: each shape has its case */
}

/* "returned NAME = VALUE; WHAT" for the value on top. [-0, +0, -] */
static int refuse(lua_State *L, struct calls *c, const char *name, const char *what)
{
	struct str text = STR_INIT;
	int result;

	str_addf(&text, "%.100s = ", name);
	value_describe(L, -1, &text);
	str_addf(&text, "; %s", what);
	result = fail(c, text.buf);
	str_release(&text);
	return result;
}

/* Append "NAME":VALUE of the field on top. [-0, +0, -] */
static int add_field(lua_State *L, struct calls *c, const char *name, enum shape shape)
{
	enum value_kind kind = shape == NUMBERS	  ? VALUE_NUMBERS
			       : shape == READING ? VALUE_READING
						  : VALUE_ANY;
	struct err err = ERR_INIT;
	const char *what = misshapen(L, shape);

	if (what[0])
		return refuse(L, c, name, what);
	str_addf(&c->result, "%s\"%s\":", c->result.len > 1 ? "," : "", name);
	if (shape == COUNT) {
		str_addf(&c->result, "%lld", lua_tointeger(L, -1));
		return 0;
	}
	if (value_to_json(L, -1, name, kind, &c->result, &err) < 0)
		return fail(c, err.msg);
	return 0;
}

/* A field that extract() does not know: most often a slip of the pen. [-0, +0, -] */
static int check_known(lua_State *L, struct calls *c, int table)
{
	const char *names[ARRAY_SIZE(result_fields)];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		names[i] = result_fields[i].name;
	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[1]";
		const char *near = nearest_word(key, names, ARRAY_SIZE(names));
		char text[256];

		if (near && strcmp(near, key) == 0)
			continue;
		snprintf(text, sizeof(text), "an unknown field '%.100s'%s%s%s", key,
			 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
		return fail(c, text);
	}
	return 0;
}

/* [-0, +0, m] */
static void take_result(lua_State *L, struct calls *c, int table)
{
	if (check_known(L, c, table) < 0)
		return;
	str_addch(&c->result, '{');
	for (size_t i = 0; i < ARRAY_SIZE(result_fields); i++) {
		push_member(L, table, result_fields[i].name);
		/* false and null say "none", as in "outcome ~= 'failed' and nil or problem" */
		if (lua_toboolean(L, -1) && !lua_islightuserdata(L, -1) &&
		    add_field(L, c, result_fields[i].name, result_fields[i].shape) < 0)
			return;
		lua_pop(L, 1);
	}
	str_addch(&c->result, '}');
	lua_pushvalue(L, table);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &result_key);
}

/* [-0, +0, e] */
static int extract_body(lua_State *L)
{
	struct calls *c = lua_touserdata(L, 1);
	int owner = owner_of(L, c, "extract");

	if (owner < 0)
		return 0;
	push_call(L, c, owner, "extract");
	lua_call(L, 1, 2);
	if (lua_istable(L, 2))
		take_result(L, c, 2);
	else if (!lua_toboolean(L, 2))
		take_failure(L, c, 3);
	else
		lua_settop(L, 2), refuse(L, c, "a result", "must be a table");
	return 0;
}

/* ---- hyperparams ---- */

/* [-0, +0, e] */
static int hyperparams_body(lua_State *L)
{
	struct calls *c = lua_touserdata(L, 1);
	int owner = owner_of(L, c, "hyperparams");
	struct err err = ERR_INIT;

	if (owner < 0)
		return 0;
	push_call(L, c, owner, "hyperparams");
	api_push_raw(L, &c->api);
	lua_call(L, 2, 2);
	if (!lua_toboolean(L, 2)) {
		take_failure(L, c, 3);
		return 0;
	}
	lua_settop(L, 2);
	if (!lua_istable(L, 2) || lua_rawlen(L, 2))
		refuse(L, c, "a result", "must be a table of names");
	else if (value_to_json(L, 2, "hyperparams", VALUE_ANY, &c->hyperparams, &err) < 0)
		fail(c, err.msg);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &hyperparams_key);
	return 0;
}

/* ---- validate ---- */

/* Push the entry as it would be recorded: { dataset, steps, epochs, metrics, ... }. [-0, +1, m] */
static void push_entry(lua_State *L, struct calls *c)
{
	static const char *const taken[] = {
		"steps",   "epochs",	 "metrics",  "outcome", "final_checkpoint", "base_model",
		"planned", "start_time", "end_time", "best",	"raw_hyperparams",
	};

	if (c->entry != JSON_NONE) {
		value_push(L, c->request, c->entry, &c->scratch);
		return;
	}
	lua_newtable(L);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &result_key);
	for (size_t i = 0; i < ARRAY_SIZE(taken) && lua_istable(L, -1); i++) {
		push_member(L, -1, taken[i]);
		lua_setfield(L, -3, taken[i]);
	}
	lua_pop(L, 1);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &hyperparams_key);
	lua_setfield(L, -2, "hyperparams");
	lua_pushstring(L, c->api.dataset);
	lua_setfield(L, -2, "dataset");
}

static void add_issue(struct calls *c, const char *path, const char *code, const char *message,
		      const char *level)
{
	struct jsonw w;

	if (c->issues.len > 1)
		str_addch(&c->issues, ',');
	w = jsonw_begin(&c->issues, 0);
	jsonw_object(&w);
	jsonw_pair_string(&w, "path", path);
	jsonw_pair_string(&w, "code", code);
	jsonw_pair_string(&w, "message", message);
	jsonw_pair_string(&w, "level", level);
	jsonw_end(&w);
}

/* The issue on top, as validate() returned it. [-0, +0, m] */
static int take_issue(lua_State *L, struct calls *c)
{
	const char *path, *code, *message, *level;
	int issue = lua_gettop(L);

	if (!lua_istable(L, issue))
		return refuse(L, c, "an issue", "must be { path, code, message, level }");
	path = push_member(L, issue, "path");
	code = push_member(L, issue, "code");
	message = push_member(L, issue, "message");
	level = push_member(L, issue, "level");
	if (!message || (level && strcmp(level, "error") != 0 && strcmp(level, "warning") != 0))
		return fail(c, "an issue without a message, or with a level that is neither "
			       "\"error\" nor \"warning\"");
	add_issue(c, path ? path : "entry", code ? code : "invalid", message,
		  level ? level : "error");
	lua_settop(L, issue);
	return 0;
}

/* [-0, +0, m] */
static int take_issues(lua_State *L, struct calls *c, int index)
{
	lua_Integer n = lua_istable(L, index) ? (lua_Integer)lua_rawlen(L, index) : 0;

	for (lua_Integer i = 1; i <= n && i <= MAX_ISSUES; i++) {
		lua_rawgeti(L, index, i);
		if (take_issue(L, c) < 0)
			return -1;
		lua_pop(L, 1);
	}
	return (int)(n <= MAX_ISSUES ? n : MAX_ISSUES);
}

/* One declared metric against its value: goal table at 'goal', value on top. [-0, +0, m] */
static void check_metric(lua_State *L, struct calls *c, const char *name, int goal)
{
	const char *path = lua_pushfstring(L, "entry.metrics.%s", name);
	int value = lua_gettop(L) - 1;
	bool is_required;

	push_member(L, goal, "required");
	is_required = lua_toboolean(L, -1);
	push_member(L, goal, "min");
	push_member(L, goal, "max");
	if (lua_isnil(L, value) && is_required)
		add_issue(c, path, "missing",
			  lua_pushfstring(L, "the metric '%s' is required, but there is none",
					  name),
			  "error");
	if (lua_type(L, value) != LUA_TNUMBER)
		return;
	if (lua_type(L, value + 3) == LUA_TNUMBER &&
	    lua_tonumber(L, value) < lua_tonumber(L, value + 3))
		add_issue(c, path, "range",
			  lua_pushfstring(L, "%f is less than the minimum %f",
					  lua_tonumber(L, value), lua_tonumber(L, value + 3)),
			  "warning");
	if (lua_type(L, value + 4) == LUA_TNUMBER &&
	    lua_tonumber(L, value) > lua_tonumber(L, value + 4))
		add_issue(c, path, "range",
			  lua_pushfstring(L, "%f is greater than the maximum %f",
					  lua_tonumber(L, value), lua_tonumber(L, value + 4)),
			  "warning");
}

/* The declared metrics of the entry at 'entry'. [-0, +0, m] */
static void check_metrics(lua_State *L, struct calls *c, int entry)
{
	int goals = lua_gettop(L) + 1;

	contract_push(L, &c->contract, "metrics");
	if (lua_istable(L, entry))
		push_member(L, entry, "metrics");
	else
		lua_pushnil(L);
	for (lua_pushnil(L); lua_next(L, goals);) { /* key, goal */
		int goal = lua_gettop(L);
		const char *name = lua_tostring(L, goal - 1);

		if (lua_istable(L, goals + 1))
			push_member(L, goals + 1, name);
		else
			lua_pushnil(L);
		check_metric(L, c, name, goal);
		lua_settop(L, goal - 1);
	}
}

/* [-0, +0, e] */
static int validate_body(lua_State *L)
{
	struct calls *c = lua_touserdata(L, 1);
	int owner = owner_of(L, c, "validate");

	push_entry(L, c); /* 2 */
	if (owner >= 0) {
		int n;

		push_call(L, c, owner, "validate");
		lua_pushvalue(L, 2);
		lua_call(L, 2, 2); /* 3, 4 */
		n = take_issues(L, c, 4);
		if (n == 0 && !lua_toboolean(L, 3))
			fail(c, "nil without a list of issues");
		if (c->failed)
			return 0;
	}
	check_metrics(L, c, 2);
	return 0;
}

/* ---- steps ---- */

/* [-0, +0, m] note who is called, for the messages */
static int owner_body(lua_State *L)
{
	struct calls *c = lua_touserdata(L, 1);
	int owner = owner_of(L, c, c->state.subject.function);

	if (owner > 0) {
		c->state.subject.plugin = c->contract.plugins[owner].name;
		c->state.subject.path = c->contract.plugins[owner].path;
	}
	return 0;
}

static int step(struct calls *c, const char *function, lua_CFunction body, struct err *err)
{
	int owner;

	begin(c, 0, function, c->call_ms);
	if (finish(c, owner_body, err) < 0)
		return -1; /* not reached by tests: memory that ends within a lookup */
	owner = c->state.subject.path == c->contract.plugins[0].path ? 0 : 1;
	begin(c, owner, function, c->call_ms);
	return finish(c, body, err);
}

int calls_extract(struct calls *c, struct err *err)
{
	return step(c, "extract", extract_body, err);
}

int calls_hyperparams(struct calls *c, struct err *err)
{
	return step(c, "hyperparams", hyperparams_body, err);
}

int calls_validate(struct calls *c, struct err *err)
{
	int result;

	str_sets(&c->issues, "[");
	result = step(c, "validate", validate_body, err);
	str_addch(&c->issues, ']');
	return result;
}
