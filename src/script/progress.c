#include "base/base.h"

#include "script/progress.h"

#include "base/clock.h"
#include "base/mem.h"
#include "script/confine.h"
#include "script/plugin.h"
#include "script/sandbox.h"
#include "script/state.h"
#include "script/worker.h"
#include "sys/duplex.h"
#include "sys/json.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sys/time.h>
#include <unistd.h>

/* A worker that has not answered for this long hangs in a pattern: it is killed. */
#define PATIENCE_MS 1000

/* Messages of the worker that are read at once: the training's output must not wait for more. */
#define MESSAGES 64

#define MAX_RULES 64
#define MAX_CAPTURES 16
#define MAX_NAME 64

/* ---- the worker ---- */

struct rule {
	char *find;
	char *match;
	char *set[MAX_CAPTURES];
	size_t n_set;
	double scale;
};

struct watch {
	struct state state;
	struct rule rules[MAX_RULES];
	size_t n_rules;
	const char *line; /* looked at now */
	size_t len;
	const struct rule *rule;
	struct str out;
};

/* "1,234.5" as a number; NAN if it is none. */
static double number_of(const char *text, size_t len)
{
	char plain[64];
	size_t n = 0;
	char *end;
	double value;

	for (size_t i = 0; i < len && n < sizeof(plain) - 1; i++)
		if (text[i] != ',')
			plain[n++] = text[i];
	plain[n] = '\0';
	value = strtod(plain, &end);
	return n && *end == '\0' ? value : (double)NAN;
}

/* string.match(line, rule.match): each capture becomes "name value". [-0, +0, e] */
static int match_body(lua_State *L)
{
	struct watch *w = lua_touserdata(L, 1);

	lua_pushlstring(L, w->line, w->len);
	lua_getfield(L, -1, "match"); /* of the sealed copy, see sandbox.c */
	lua_insert(L, -2);
	lua_pushstring(L, w->rule->match);
	lua_call(L, 2, LUA_MULTRET);
	for (size_t i = 0; i < w->rule->n_set; i++) {
		int index = 2 + (int)i;
		size_t len;
		const char *text =
			lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &len) : NULL;
		double value = text ? number_of(text, len) * w->rule->scale : (double)NAN;

		if (isfinite(value))
			str_addf(&w->out, "%s %.17g\n", w->rule->set[i], value);
	}
	return 0;
}

/* [-0, +0, e] */
static int open_body(lua_State *L)
{
	sandbox_open(L);
	return 0;
}

static void read_rule(const struct json *doc, size_t token, struct rule *rule)
{
	size_t set = json_member(doc, token, "set");

	rule->find = json_string_copy(doc, json_member(doc, token, "find"));
	rule->match = json_string_copy(doc, json_member(doc, token, "match"));
	rule->scale = 1;
	json_real(doc, json_member(doc, token, "scale"), &rule->scale);
	for (size_t i = json_first(doc, set); i != JSON_NONE && rule->n_set < MAX_CAPTURES;
	     i = json_next(doc, set, i))
		rule->set[rule->n_set++] = json_string_copy(doc, i);
}

static int read_rules(struct watch *w, const char *text, size_t len, struct err *err)
{
	static const struct state_subject subject = { .plugin = "progress",
						      .path = "rules",
						      .function = "progress" };
	struct confine_limits limits;
	struct strv parts = STRV_INIT; /* of the confinement; nobody asks */
	struct json doc = JSON_INIT;
	int64_t memory = 0;
	size_t list;

	if (json_parse(&doc, "rules", text, len, JSON_STRICT, err) < 0)
		return -1;
	json_int64(&doc, json_member(&doc, 0, "memory"), &memory);
	limits = (struct confine_limits){ .memory = (size_t)memory };
	if (confine_self(&limits, &parts, &parts, err) < 0 ||
	    state_open(&w->state, limits.memory, err) < 0)
		return -1;
	list = json_member(&doc, 0, "rules");
	for (size_t i = json_first(&doc, list); i != JSON_NONE && w->n_rules < MAX_RULES;
	     i = json_next(&doc, list, i))
		read_rule(&doc, i, &w->rules[w->n_rules++]);
	json_release(&doc);
	w->state.subject = subject;
	return state_call(&w->state, open_body, w, err);
}

/* A rule that raises gives no value; the plan was checked when it was made. */
static void look_at_line(struct watch *w, const char *line, size_t len)
{
	struct err ignored = ERR_INIT;

	w->line = line;
	w->len = len;
	for (size_t i = 0; i < w->n_rules; i++) {
		w->rule = &w->rules[i];
		if (w->rule->find && w->rule->match &&
		    memmem(line, len, w->rule->find, strlen(w->rule->find)))
			state_call(&w->state, match_body, w, &ignored);
	}
}

static void look_at_block(struct watch *w, const char *block, size_t len)
{
	size_t at = 0;

	while (at < len) {
		size_t stop = at;

		while (stop < len && block[stop] != '\n' && block[stop] != '\r')
			stop++;
		if (stop > at)
			look_at_line(w, block + at, stop - at);
		at = stop + 1;
	}
}

static ssize_t read_message(char *buf)
{
	ssize_t n;

	do
		n = read(STDIN_FILENO, buf, PROGRESS_BLOCK);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Answers go in messages that the other end can take whole. */
static bool write_answer(const struct str *out)
{
	for (size_t at = 0; at < out->len;) {
		size_t left = out->len - at;
		ssize_t n = write(STDOUT_FILENO, out->buf + at,
				  left < PROGRESS_BLOCK / 2 ? left : PROGRESS_BLOCK / 2);

		if (n < 0 && errno != EINTR)
			return false;
		at += n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* The parent kills a worker that hangs; should the parent be gone, this does. */
static void set_timer(int ms)
{
	const struct itimerval timer = { .it_value = { .tv_sec = ms / 1000,
						       .tv_usec = ms % 1000 * 1000 } };

	setitimer(ITIMER_REAL, &timer, NULL);
}

int progress_worker(void)
{
	static struct watch w = { .out = STR_INIT };
	static char block[PROGRESS_BLOCK];
	struct err err = ERR_INIT;
	ssize_t n = read_message(block);

	if (n <= 0 || read_rules(&w, block, (size_t)n, &err) < 0)
		_exit(1);
	while ((n = read_message(block)) > 0) {
		str_clear(&w.out);
		set_timer(2 * PATIENCE_MS);
		look_at_block(&w, block, (size_t)n);
		set_timer(0);
		str_addf(&w.out, "=%zd\n", n);
		if (!write_answer(&w.out))
			break;
	}
	_exit(0);
}

/* ---- the parent ---- */

static void write_rules(const struct plugin_plan *plan, size_t memory, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 0);

	jsonw_object(&w);
	jsonw_pair_int(&w, "memory", (int64_t)memory);
	jsonw_key(&w, "rules");
	jsonw_array(&w);
	for (size_t i = 0; i < plan->n_rules; i++) {
		const struct plugin_rule *rule = &plan->rules[i];

		jsonw_object(&w);
		jsonw_pair_string(&w, "find", rule->find);
		jsonw_pair_string(&w, "match", rule->match);
		jsonw_key(&w, "scale");
		jsonw_real(&w, rule->scale);
		jsonw_key(&w, "set");
		jsonw_array(&w);
		for (size_t k = 0; k < rule->set.n; k++)
			jsonw_string(&w, rule->set.v[k]);
		jsonw_end(&w);
		jsonw_end(&w);
	}
	jsonw_end(&w);
	jsonw_end(&w);
}

static struct duplex duplex_of(const struct plugin_progress *p)
{
	return (struct duplex){ .fd = p->fd, .pid = p->pid };
}

int plugin_progress_start(struct plugin_progress *p, const struct plugin_plan *plan,
			  const struct plugin_limits *limits, struct err *err)
{
	char *argv[] = { (char[]){ "thhost" }, (char[]){ WORKER_VERB }, (char[]){ PROGRESS_ARG },
			 NULL };
	struct str rules = STR_INIT;
	struct duplex d = DUPLEX_INIT;
	int result;

	*p = (struct plugin_progress){ .fd = -1, .pid = -1, .pending = STR_INIT };
	write_rules(plan, limits->memory ? limits->memory : (size_t)64 << 20, &rules);
	if (rules.len > PROGRESS_BLOCK)
		result = err_set(err, ERR_PLUGIN,
				 "plugin '%s' (%s): the progress rules are too large", plan->name,
				 plan->path);
	else
		result = duplex_start(&d, argv, err);
	if (result == 0 && duplex_send(&d, rules.buf, rules.len) != DUPLEX_DONE) {
		duplex_stop(&d);
		result = err_set(err, ERR_FAILED, "the progress worker did not start");
	}
	str_release(&rules);
	p->fd = d.fd;
	p->pid = d.pid;
	return result;
}

static bool has_answer(const struct plugin_progress *p)
{
	struct pollfd polled = { .fd = p->fd, .events = POLLIN };

	return poll(&polled, 1, 0) > 0;
}

/* True if it was given up. An answer that lies unread is our slowness, not the worker's. */
static bool give_up_if_stuck(struct plugin_progress *p)
{
	if (!p->asked_at_ms || clock_monotonic_ms() - p->asked_at_ms < PATIENCE_MS || has_answer(p))
		return false;
	plugin_progress_stop(p);
	return true;
}

void plugin_progress_send(struct plugin_progress *p, const char *line, size_t len)
{
	struct duplex d = duplex_of(p);

	if (p->fd < 0 || !len || give_up_if_stuck(p))
		return;
	if (len > PROGRESS_BLOCK) { /* the newest end counts */
		line += len - PROGRESS_BLOCK;
		len = PROGRESS_BLOCK;
	}
	switch (duplex_send(&d, line, len)) {
	case DUPLEX_GONE:
		plugin_progress_stop(p);
		break;
	case DUPLEX_DONE:
		p->unanswered += len;
		if (!p->asked_at_ms)
			p->asked_at_ms = clock_monotonic_ms();
		break;
	case DUPLEX_LATER: /* slow: these lines are dropped for progress, never for the log */
		break;
	}
}

/* One line of an answer: "=N" or "name value". */
static void take_line(struct plugin_progress *p, char *line,
		      void (*set)(void *arg, const char *name, double value), void *arg)
{
	char *blank = strrchr(line, ' ');
	char *end;
	double value;

	if (line[0] == '=') {
		size_t n = strtoull(line + 1, NULL, 10);

		p->unanswered -= n < p->unanswered ? n : p->unanswered;
		p->asked_at_ms = p->unanswered ? clock_monotonic_ms() : 0;
		return;
	}
	if (!blank || blank == line || blank - line > MAX_NAME)
		return;
	value = strtod(blank + 1, &end);
	if (end == blank + 1 || *end || !isfinite(value))
		return;
	*blank = '\0';
	set(arg, line, value);
}

static void take_lines(struct plugin_progress *p,
		       void (*set)(void *arg, const char *name, double value), void *arg)
{
	size_t at = 0;
	char *end;

	while ((end = memchr(p->pending.buf + at, '\n', p->pending.len - at))) {
		*end = '\0';
		take_line(p, p->pending.buf + at, set, arg);
		at = (size_t)(end - p->pending.buf) + 1;
	}
	str_splice(&p->pending, 0, at, "", 0);
}

int plugin_progress_receive(struct plugin_progress *p,
			    void (*set)(void *arg, const char *name, double value), void *arg)
{
	static char buf[PROGRESS_BLOCK];
	enum duplex_result result = DUPLEX_DONE;

	for (int i = 0; i < MESSAGES && p->fd >= 0 && result == DUPLEX_DONE; i++) {
		struct duplex d = duplex_of(p);
		size_t len;

		result = duplex_receive(&d, buf, sizeof(buf), &len);
		str_add(&p->pending, buf, len);
		take_lines(p, set, arg);
		if (result == DUPLEX_GONE || p->pending.len > PROGRESS_BLOCK)
			plugin_progress_stop(p);
	}
	if (p->fd >= 0)
		give_up_if_stuck(p);
	return p->fd;
}

void plugin_progress_stop(struct plugin_progress *p)
{
	struct duplex d = duplex_of(p);

	duplex_stop(&d);
	p->fd = -1;
	p->pid = -1;
	p->unanswered = 0;
	p->asked_at_ms = 0;
	str_release(&p->pending);
}
