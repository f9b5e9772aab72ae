#include "base/base.h"

#include "unit.h"

#include "app/progress.h"
#include "app/sample.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/proc.h"
#include "sys/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- reading the argument table (at index 1) ---- */

/* [-0, +1, e] The strings of table field 'name' as a vector that lives as long as the userdata
 * pushed; NULL if there is no such field (then nil is pushed). */
static char **opt_vector(lua_State *L, const char *name)
{
	char **v;
	lua_Integer n;

	if (lua_getfield(L, 1, name) == LUA_TNIL)
		return NULL;
	n = luaL_len(L, -1);
	v = lua_newuserdata(L, ((size_t)n + 1) * sizeof(*v));
	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, -2, i);
		v[i - 1] = (char *)(uintptr_t)luaL_checkstring(L, -1); /* the table keeps it */
		lua_pop(L, 1);
	}
	v[n] = NULL;
	lua_remove(L, -2);
	return v;
}

/* [-0, +1, e] The field stays on the stack, so the string stays valid. */
static const char *opt_string(lua_State *L, const char *name, size_t *len)
{
	if (lua_getfield(L, 1, name) == LUA_TNIL)
		return NULL;
	return luaL_checklstring(L, -1, len);
}

/* [-0, +0, e] */
static lua_Integer opt_integer(lua_State *L, const char *name, lua_Integer otherwise)
{
	lua_Integer value = otherwise;

	if (lua_getfield(L, 1, name) != LUA_TNIL)
		value = luaL_checkinteger(L, -1);
	lua_pop(L, 1);
	return value;
}

/* [-0, +0, e] */
static bool opt_boolean(lua_State *L, const char *name)
{
	bool value;

	lua_getfield(L, 1, name);
	value = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return value;
}

/* ---- capture ---- */

/* [-0, +0, m] Sets 'code' or 'signal' in the table on top. */
static void set_status(lua_State *L, int status)
{
	lua_pushinteger(L, WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	lua_setfield(L, -2, WIFSIGNALED(status) ? "signal" : "code");
}

/* [-0, +0, m] */
static void set_integer(lua_State *L, const char *name, lua_Integer value)
{
	lua_pushinteger(L, value);
	lua_setfield(L, -2, name);
}

/* [-0, +0, m] */
static void set_boolean(lua_State *L, const char *name, bool value)
{
	lua_pushboolean(L, value);
	lua_setfield(L, -2, name);
}

/* [-0, +1, m] */
static void push_answer(lua_State *L, const struct proc_answer *answer)
{
	lua_newtable(L);
	lua_pushlstring(L, answer->out.buf, answer->out.len);
	lua_setfield(L, -2, "out");
	lua_pushlstring(L, answer->errors.buf, answer->errors.len);
	lua_setfield(L, -2, "errors");
	set_status(L, answer->status);
	set_boolean(L, "timed_out", answer->timed_out);
	set_boolean(L, "too_much", answer->too_much);
	set_boolean(L, "stopped", answer->stopped);
	set_boolean(L, "succeeded", proc_succeeded(answer));
	set_integer(L, "cpu_us",
		    answer->usage.ru_utime.tv_sec * 1000000L + answer->usage.ru_utime.tv_usec);
}

struct passed {
	size_t n;
	int fds[SPAWN_MAX_PASSED];
	int aside[SPAWN_MAX_PASSED]; /* what was there before; -1: nothing */
};

/* Have descriptor 'fd' at 'place' instead, whatever is there. */
static int pass_at(int fd, int place, int *aside)
{
	if (fd == place || place <= 0)
		return fd;
	*aside = fcntl(place, F_DUPFD_CLOEXEC, SPAWN_MAX_PASSED);
	dup3(fd, place, O_CLOEXEC);
	close(fd);
	return place;
}

/* Open the files to be passed, each at the place that 'pass_at' names, if it names one. [-0, +0, e] */
static void open_passed(lua_State *L, struct passed *passed)
{
	char **files = opt_vector(L, "pass_files");

	for (passed->n = 0; files && files[passed->n] && passed->n < SPAWN_MAX_PASSED;
	     passed->n++) {
		int fd = open(files[passed->n], O_RDONLY | O_CLOEXEC);
		lua_Integer place = 0;

		if (lua_getfield(L, 1, "pass_at") == LUA_TTABLE) {
			lua_rawgeti(L, -1, (lua_Integer)passed->n + 1);
			place = lua_tointeger(L, -1);
			lua_pop(L, 1);
		}
		lua_pop(L, 1);
		passed->aside[passed->n] = -1;
		passed->fds[passed->n] = pass_at(fd, (int)place, &passed->aside[passed->n]);
	}
}

static void close_passed(const struct passed *passed)
{
	for (size_t i = passed->n; i-- > 0;) {
		close(passed->fds[i]);
		if (passed->aside[i] < 0)
			continue;
		dup3(passed->aside[i], passed->fds[i], 0);
		close(passed->aside[i]);
	}
}

/* [-0, +1..3, e] capture{ argv=, env=, cwd=, exe=, input=, pass_files=, pass_at=, output_limit=,
 * deadline_ms=, stop_at= } */
static int u_capture(lua_State *L)
{
	struct proc_answer answer = PROC_ANSWER_INIT;
	struct proc_request request = { 0 };
	struct err err = ERR_INIT;
	struct passed passed;
	int rc;

	luaL_checktype(L, 1, LUA_TTABLE);
	request.argv = opt_vector(L, "argv");
	request.env = opt_vector(L, "env");
	request.cwd = opt_string(L, "cwd", NULL);
	request.exe = opt_string(L, "exe", NULL);
	request.input = opt_string(L, "input", &request.input_len);
	request.output_limit = (size_t)opt_integer(L, "output_limit", 64 << 20);
	request.deadline_ms = (int)opt_integer(L, "deadline_ms", 30000);
	request.stop_at = opt_string(L, "stop_at", NULL);
	open_passed(L, &passed);
	request.pass_fds = passed.fds;
	request.n_pass_fds = passed.n;
	rc = proc_capture(&request, &answer, &err);
	close_passed(&passed);
	if (rc == 0)
		push_answer(L, &answer);
	proc_answer_release(&answer);
	return rc == 0 ? 1 : unit_fail(L, &err);
}

/* ---- supervise ---- */

struct watch {
	const char *pid_file; /* the child's pid is written here when it runs */
	const char *helper;   /* a command for sh that is captured when the child runs */
	size_t blocks;
	size_t bytes[2];
	int open_blocks; /* before_output without its on_output */
	size_t ticks;
	int start_pid;
	char extra[64];
	bool with_progress;
};

static void before_output(void *arg, enum proc_stream stream)
{
	struct watch *watch = arg;

	watch->open_blocks++;
	if (watch->with_progress)
		progress_before_output(stream);
}

static void on_output(void *arg, enum proc_stream stream, const char *data, size_t len)
{
	struct watch *watch = arg;

	watch->open_blocks--;
	watch->blocks++;
	watch->bytes[stream] += len;
	if (watch->with_progress)
		progress_after_output(stream, data, len);
}

static void on_tick(void *arg)
{
	struct watch *watch = arg;

	watch->ticks++;
	if (watch->with_progress)
		progress_tick();
}

static void on_stop(void *arg)
{
	struct watch *watch = arg;

	if (watch->with_progress)
		progress_hide();
}

static void ask_helper(const char *command)
{
	char shell[] = "sh", option[] = "-c";
	char *words = xstrdup(command);
	char *argv[] = { shell, option, words, NULL };
	const struct proc_request request = { .argv = argv, .output_limit = 4096 };
	struct proc_answer answer = PROC_ANSWER_INIT;
	struct err ignored = ERR_INIT;

	proc_capture(&request, &answer, &ignored);
	proc_answer_release(&answer);
	free(words);
}

static void on_start(void *arg, pid_t pid)
{
	struct watch *watch = arg;
	FILE *f = watch->pid_file ? fopen(watch->pid_file, "we") : NULL;

	watch->start_pid = (int)pid;
	if (f) {
		fprintf(f, "%ld %ld\n", (long)pid, (long)getpid());
		fclose(f);
	}
	if (watch->helper)
		ask_helper(watch->helper);
}

static int extra_fd = -1;

static int on_extra(void *arg)
{
	struct watch *watch = arg;
	ssize_t n = read(extra_fd, watch->extra, sizeof(watch->extra) - 1);

	return n > 0 ? extra_fd : -1;
}

/* [-0, +1, m] */
static void push_outcome(lua_State *L, const struct proc_outcome *outcome,
			 const struct watch *watch)
{
	lua_newtable(L);
	if (!outcome->start_errno)
		set_status(L, outcome->status);
	set_integer(L, "shell_status", proc_shell_status(outcome));
	set_integer(L, "start_errno", outcome->start_errno);
	set_integer(L, "wall_ms", outcome->wall_ms);
	set_integer(L, "max_rss", outcome->usage.ru_maxrss);
	set_integer(L, "log_bytes", (lua_Integer)outcome->log_bytes);
	lua_pushstring(L, errno_name(outcome->log_errno));
	lua_setfield(L, -2, "log_errno");
	set_boolean(L, "log_truncated", outcome->log_truncated);
	set_integer(L, "forwarded_signal", outcome->forwarded_signal);
	set_boolean(L, "output_lost", outcome->output_lost);
	set_integer(L, "blocks", (lua_Integer)watch->blocks);
	set_integer(L, "open_blocks", watch->open_blocks);
	set_integer(L, "out_bytes", (lua_Integer)watch->bytes[PROC_STDOUT]);
	set_integer(L, "error_bytes", (lua_Integer)watch->bytes[PROC_STDERR]);
	set_integer(L, "ticks", (lua_Integer)watch->ticks);
	set_integer(L, "start_pid", watch->start_pid);
	lua_pushstring(L, watch->extra);
	lua_setfield(L, -2, "extra");
}

/* [-0, +?, e] Leaves what the vectors need on the stack. */
static void read_supervision(lua_State *L, struct proc_supervision *s, struct watch *watch)
{
	const char *path;

	luaL_checktype(L, 1, LUA_TTABLE);
	s->argv = opt_vector(L, "argv");
	s->env = opt_vector(L, "env");
	s->no_pty = opt_boolean(L, "no_pty");
	s->tick_ms = (int)opt_integer(L, "tick_ms", 0);
	watch->pid_file = opt_string(L, "pid_file", NULL);
	watch->helper = opt_string(L, "helper", NULL);
	watch->with_progress = opt_boolean(L, "with_progress");
	s->arg = watch;
	s->before_output = before_output;
	s->on_output = on_output;
	s->on_start = on_start;
	s->on_stop = on_stop;
	s->on_tick = s->tick_ms ? on_tick : NULL;
	path = opt_string(L, "extra", NULL);
	extra_fd = path ? open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
	s->extra_fd = extra_fd;
	s->on_extra = path ? on_extra : NULL;
	path = opt_string(L, "log", NULL);
	s->log_fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
}

static int supervise(const struct proc_supervision *s, struct proc_outcome *outcome,
		     struct err *err)
{
	int rc = proc_supervise(s, outcome, err);

	if (s->log_fd >= 0)
		close(s->log_fd);
	if (extra_fd >= 0)
		close(extra_fd);
	return rc;
}

/* [-0, +1..3, e] supervise{ argv=, env=, log=, no_pty=, tick_ms=, pid_file=, helper=, extra=FIFO,
 * with_progress= } */
static int u_supervise(lua_State *L)
{
	struct proc_supervision s = { 0 };
	struct watch watch = { 0 };
	struct proc_outcome outcome;
	struct err err = ERR_INIT;

	read_supervision(L, &s, &watch);
	if (supervise(&s, &outcome, &err) < 0)
		return unit_fail(L, &err);
	push_outcome(L, &outcome, &watch);
	return 1;
}

/* [-0, +0, e] The same, then end as the child did. */
static int u_run(lua_State *L)
{
	struct proc_supervision s = { 0 };
	struct watch watch = { 0 };
	struct proc_outcome outcome;
	struct err err = ERR_INIT;

	read_supervision(L, &s, &watch);
	if (supervise(&s, &outcome, &err) < 0) {
		log_error(&err);
		exit(125);
	}
	proc_end_as(&outcome);
}

/* [-0, +1, m] */
static int u_self(lua_State *L)
{
	char *path = proc_self();

	lua_pushstring(L, path);
	free(path);
	return 1;
}

/* [-0, +1, e] */
static int u_start_time(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)proc_start_time((pid_t)luaL_checkinteger(L, 1)));
	return 1;
}

/* [-0, +1, m] */
static int u_pid(lua_State *L)
{
	lua_pushinteger(L, getpid());
	return 1;
}

/* [-0, +0, e] ignore(number): as nohup does. */
static int u_ignore(lua_State *L)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction((int)luaL_checkinteger(L, 1), &ignore, NULL);
	return 0;
}

/* ---- progress ---- */

/* [-0, +0, e] begin{ label=, names=, goals=, steps_total=, epochs_total=, is_quiet= } */
static int u_begin(lua_State *L)
{
	struct progress_metric metrics[8];
	struct progress_setup setup = { .metrics = metrics };
	char **names, **goals;

	luaL_checktype(L, 1, LUA_TTABLE);
	setup.label = opt_string(L, "label", NULL);
	setup.steps_total = (double)opt_integer(L, "steps_total", 0);
	setup.epochs_total = (double)opt_integer(L, "epochs_total", 0);
	setup.is_quiet = opt_boolean(L, "is_quiet");
	names = opt_vector(L, "names");
	goals = opt_vector(L, "goals");
	for (; names && goals && names[setup.n_metrics] && setup.n_metrics < 8; setup.n_metrics++) {
		const char *goal = goals[setup.n_metrics];

		metrics[setup.n_metrics].name = names[setup.n_metrics];
		metrics[setup.n_metrics].goal = !strcmp(goal, "max")   ? PROGRESS_MAX
						: !strcmp(goal, "min") ? PROGRESS_MIN
								       : PROGRESS_NO_GOAL;
	}
	progress_begin(&setup);
	return 0;
}

static int64_t test_time;

static int64_t test_clock(void)
{
	return test_time;
}

/* [-0, +0, e] clock(ms), or clock() for the true one. */
static int u_clock(lua_State *L)
{
	test_time = luaL_optinteger(L, 1, 0);
	progress_use_clock(lua_isnoneornil(L, 1) ? NULL : test_clock);
	return 0;
}

/* [-0, +0, e] */
static int u_set(lua_State *L)
{
	progress_set(luaL_checkstring(L, 1), luaL_checknumber(L, 2));
	return 0;
}

/* [-0, +1, e] text([columns]) */
static int u_text(lua_State *L)
{
	char *text = progress_text((int)luaL_optinteger(L, 1, 200), test_time);

	lua_pushstring(L, text);
	free(text);
	return 1;
}

/* [-0, +0, -] */
static int u_tick(UNUSED lua_State *L)
{
	progress_tick();
	return 0;
}

/* [-0, +0, -] */
static int u_end(UNUSED lua_State *L)
{
	progress_end();
	return 0;
}

/* [-0, +0, e] */
static int u_say(lua_State *L)
{
	log_plain("%s", luaL_checkstring(L, 1));
	return 0;
}

/* [-0, +0, e] pass(stream, data): as a block of the training. */
static int u_pass(lua_State *L)
{
	enum proc_stream stream = luaL_checkinteger(L, 1) == 1 ? PROC_STDOUT : PROC_STDERR;
	size_t len;
	const char *data = luaL_checklstring(L, 2, &len);

	progress_before_output(stream);
	if (write(stream == PROC_STDOUT ? 1 : 2, data, len) != (ssize_t)len)
		return luaL_error(L, "cannot write");
	progress_after_output(stream, data, len);
	return 0;
}

/* [-0, +1, m] last(): { step=, steps_total=, epoch=, metrics={ name={value,best,best_step} } } */
static int u_last(lua_State *L)
{
	const struct progress_value *metric;

	lua_newtable(L);
	lua_pushnumber(L, progress_step());
	lua_setfield(L, -2, "step");
	lua_pushnumber(L, progress_steps_total());
	lua_setfield(L, -2, "steps_total");
	lua_pushnumber(L, progress_epoch());
	lua_setfield(L, -2, "epoch");
	set_integer(L, "news", (lua_Integer)progress_news());
	lua_newtable(L);
	for (size_t i = 0; (metric = progress_metric_at(i)); i++) {
		lua_createtable(L, 3, 0);
		lua_pushnumber(L, metric->value);
		lua_rawseti(L, -2, 1);
		lua_pushnumber(L, metric->best);
		lua_rawseti(L, -2, 2);
		lua_pushnumber(L, metric->best_step);
		lua_rawseti(L, -2, 3);
		lua_setfield(L, -2, metric->name);
	}
	lua_setfield(L, -2, "metrics");
	return 1;
}

/* ---- the sampler ---- */

/* Adds to the table on top of the stack. */
static void add_line(void *arg, const char *line, size_t len)
{
	lua_State *L = arg;

	lua_pushlstring(L, line, len);
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* [-0, +0, e] Event number 'i' of the table at 1; the table of lines is on top. */
static void play_event(lua_State *L, struct sampler *sampler, lua_Integer i)
{
	int result = lua_gettop(L);
	enum proc_stream stream;
	const char *data;
	int64_t at;
	size_t len;

	lua_rawgeti(L, 1, i);
	lua_rawgeti(L, -1, 1);
	lua_rawgeti(L, -2, 2);
	lua_rawgeti(L, -3, 3);
	at = (int64_t)lua_tointeger(L, -3);
	stream = lua_tointeger(L, -2) == 2 ? PROC_STDERR : PROC_STDOUT;
	data = lua_tolstring(L, -1, &len);
	lua_pushvalue(L, result);
	if (!data)
		sampler_tick(sampler, at);
	else if (!strcmp(data, "finish"))
		sampler_finish(sampler);
	else
		sampler_feed(sampler, stream, data, len, at);
	lua_settop(L, result);
}

/* [-0, +1, e] sample{ needles={...}, { at_ms, stream, data }, { at_ms }, ... }: the lines; an event
 * without data is a tick, and "finish" as data ends. Leaks if it raises: tests only. */
static int u_sample(lua_State *L)
{
	struct sampler sampler;
	char **needles;
	size_t n = 0;
	lua_Integer events;

	luaL_checktype(L, 1, LUA_TTABLE);
	needles = opt_vector(L, "needles");
	while (needles && needles[n])
		n++;
	events = luaL_len(L, 1);
	lua_newtable(L);
	sampler_init(&sampler, (const char *const *)needles, n, add_line, L);
	for (lua_Integer i = 1; i <= events; i++)
		play_event(L, &sampler, i);
	sampler_release(&sampler);
	return 1;
}

/* [-0, +1, m] */
void unit_proc(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "capture", u_capture }, { "supervise", u_supervise },	  { "run", u_run },
		{ "self", u_self },	  { "start_time", u_start_time }, { "pid", u_pid },
		{ "ignore", u_ignore },	  { "sample", u_sample },	  { NULL, NULL },
	};
	static const luaL_Reg progress[] = {
		{ "begin", u_begin }, { "clock", u_clock }, { "set", u_set }, { "text", u_text },
		{ "tick", u_tick },   { "finish", u_end },  { "say", u_say }, { "pass", u_pass },
		{ "last", u_last },   { NULL, NULL },
	};

	luaL_newlib(L, functions);
	luaL_newlib(L, progress);
	lua_setfield(L, -2, "progress");
}
