/*
 * api - what a plugin's function is given: ctx and its methods.
 *
 * ctx is read-only and fresh for each call. It reads the inputs that the parent
 * opened, by descriptor; it knows no path. Naming an input that is not declared
 * is the author's mistake and raises; a missing or broken file is nil and an
 * error table.
 */
#ifndef SCRIPT_API_H
#define SCRIPT_API_H
#include "script/state.h"

struct api_file {
	char *name;  /* relative to the stage directory */
	char *mtime; /* ISO 8601 */
	int64_t size;
	int fd;	   /* -1: a directory, or not opened (see inputs.h) */
	char *why; /* it was not */
	bool is_dir;
};

struct api_input {
	char *name;
	struct api_file *files; /* natural order */
	size_t n;
	size_t chosen; /* the one that is read where none is named */
};

struct api {
	struct state *state;
	char *stage;
	char *dataset; /* NULL: none */
	char *exp;
	char *now;
	char *dir_name;
	struct strv argv;
	struct strv config_keys;
	struct strv config_values;
	struct api_input *inputs;
	size_t n_inputs;
	struct strv infos;
	struct strv warnings;
};

/* A registry slot: the merged 'metrics' declarations, for ctx.goals. */
extern const char api_goals_key;

/*
 * Push a ctx. If 'base_index' is not 0, a function stands there that ctx:base(...) calls with the
 * ctx at 'base_ctx_index'. [-0, +1, m]
 */
void api_push_ctx(lua_State *L, const struct api *api, int base_index, int base_ctx_index);

/* Push { argv = flags of the command, config = section } (raw.c). [-0, +1, m] */
void api_push_raw(lua_State *L, const struct api *api);

#endif
