/*
 * state - one limited lua_State, and the one protected way in.
 *
 * Bytes and time are limited politely here, with a good message; what these
 * limits cannot stop (C loops, see docs/design: no hook polls them) the timer of
 * the worker and the parent do. Lives in a worker only, so the last one is
 * not closed at the end: the process exits.
 *
 *	struct state s;
 *	if (state_open(&s, limit, &err) < 0) ...
 *	state_begin(&s, &subject, 2000);
 *	if (state_call(&s, body, arg, &err) < 0) ...
 */
#ifndef SCRIPT_STATE_H
#define SCRIPT_STATE_H
#include "base/err.h"
#include "base/str.h"

#include <lauxlib.h>
#include <lua.h>

#define STATE_LIBRARY (-1) /* state_source.plugin of th.* */

/* A text that may become a chunk. 'text' is borrowed. 'is_compiled' is for embedded.h alone: nothing
 * that comes from outside of this program may set it. */
struct state_source {
	int plugin;	    /* whose: index of the plugin, or STATE_LIBRARY */
	const char *module; /* what require() calls it; "" for the plugin itself */
	const char *path;   /* as shown to users */
	const char *text;
	size_t len;
	bool is_compiled;
	struct str
		*code; /* of a text: what lua_dump() made of it here, where it is kept; or NULL */
	char short_name[LUA_IDSIZE]; /* what Lua's own messages call it */
};

/* Of what an error message speaks. */
struct state_subject {
	const char *plugin; /* name */
	const char *path;
	const char *function; /* "loading", "extract", ... */
	int line;	      /* where the function begins; 0 unknown */
};

struct state {
	lua_State *L;
	size_t used; /* bytes that Lua holds */
	size_t limit;
	struct state_subject subject;
	bool collects;	       /* garbage; not while little memory is in use */
	int64_t soft_deadline; /* monotonic, ms; 0 none */
	int limit_ms;	       /* what the message says */
	bool timed_out;
	bool starved;		/* below the limit, but the machine had no more */
	const char *where_path; /* of the raise; NULL unknown */
	int where_line;
	struct str raised; /* text of the error value */
	struct str hint;
	struct state_source *sources;
	size_t n_sources;
	bool keeps_code; /* it will be renewed: a text need not be compiled a second time */
	void *api;	 /* struct api, see api.h */
};

int state_open(struct state *s, size_t limit, struct err *err);

/* That it will be renewed; before it is opened. */
void state_will_renew(void);

/* Close it and open a new one with the same limit and sources: nothing of the old one is left. */
int state_renew(struct state *s, struct err *err);

/* The state that 'L' belongs to. */
struct state *state_of(lua_State *L);

void state_add_source(struct state *s, const struct state_source *source);
const struct state_source *state_find_source(const struct state *s, int plugin, const char *module);

/* From now on: who is at work, and for how long. The soft limit is 80 % of 'limit_ms'. */
void state_begin(struct state *s, const struct state_subject *subject, int limit_ms);

/* The timer of the worker alone from here to the next state_begin(): for what was done before, in the
 * same way and in time. The hook doubles the time of what it watches. */
void state_unwatch(struct state *s);

/* Run body(L) with 'arg' as a light userdata at index 1. What it leaves on its stack is gone. Never
 * raises: the error names plugin, file, line, function and what happened, and is ERR_PLUGIN. */
int state_call(struct state *s, lua_CFunction body, void *arg, struct err *err);

/* ERR_PLUGIN: "plugin 'x' (path:line): function" and the text, right behind it. */
int state_fail(const struct state *s, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* "2 s", "500 ms", "1.5 s". */
void state_duration(int ms, char out[32]);

#endif
