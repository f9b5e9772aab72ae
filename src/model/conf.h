/*
 * conf - configuration, by inih.
 *
 * Precedence: flag, environment THHOST_*, project thhost.ini (found upwards from
 * the current directory), $XDG_CONFIG_HOME/thhost/thhost.ini, built-in default.
 * config/thhost.ini is the annotated reference: every key, its default, its
 * meaning; the table in conf_keys.c and that file are checked against each other.
 * An unknown section or key, a value of the wrong kind, a key given twice or an
 * overlong line is an error that names file and line.
 */
#ifndef MODEL_CONF_H
#define MODEL_CONF_H
#include "base/err.h"
#include "base/str.h"

/* Where a value came from: "flag", "environment THHOST_ROOT", "/path/thhost.ini:12", "default". */
struct conf_value {
	char *section;
	char *key;
	char *value;
	char *origin;
	char *base; /* absolute directory that a relative path in 'value' starts from */
};

struct conf {
	struct conf_value *v; /* known keys in the order of the reference, then [stage NAME] keys */
	size_t n;
	char *project_dir; /* directory of the project's thhost.ini, or NULL */
};

enum conf_kind {
	CONF_TEXT,
	CONF_PATH,  /* not empty; see conf_path() */
	CONF_PATHS, /* separated by colons; see conf_paths() */
	CONF_LIST,  /* separated by commas; see conf_list() */
	CONF_INT,
	CONF_BOOL,   /* yes no true false on off 1 0 */
	CONF_CHOICE, /* one of 'choices' */
};

struct conf_key {
	const char *section;
	const char *key;
	enum conf_kind kind;
	const char *preset;   /* the built-in default */
	const char *variable; /* the environment's name for it, or NULL */
	const char *choices;  /* separated by blanks */
	int64_t min;
	int64_t max;
};

/* The table of known keys, in the order of the reference. */
const struct conf_key *conf_keys(size_t *n);

/* Is 'value' of the key's kind? ERR_INVALID says what was expected. */
int conf_check_value(const struct conf_key *key, const char *value, struct err *err);

/*
 * Load everything. 'file' (from --config) replaces the search for a project file; NULL: what
 * THHOST_CONFIG names, else search. 'start_dir': where the search begins, and where relative paths
 * of the environment and of flags start. A project file that the search finds is refused if
 * anybody may change it.
 */
int conf_load(struct conf *conf, const char *file, const char *start_dir, struct err *err);
void conf_release(struct conf *conf);

/* A flag's value: beats everything. "section.key". */
int conf_set_flag(struct conf *conf, const char *name, const char *value, struct err *err);

/* The value of a known key; never NULL ("" when unset). Asking for an unknown key is a bug. */
const char *conf_get(const struct conf *conf, const char *name);
bool conf_bool(const struct conf *conf, const char *name);
int64_t conf_int(const struct conf *conf, const char *name);
const char *conf_origin(const struct conf *conf, const char *name);

/*
 * A path value, absolute: relative ones start from the directory of the file that names them, a
 * default from the project's directory, "~/" is the home directory. Fresh memory; NULL if "".
 */
char *conf_path(const struct conf *conf, const char *name);

/* The parts of a colon list (as paths) or of a comma list, trimmed, empty ones left out. */
void conf_paths(const struct conf *conf, const char *name, struct strv *out);
void conf_list(const struct conf *conf, const char *name, struct strv *out);

/* Key of "[stage NAME]" (or "[stage NAME/DATASET]", which wins), or NULL. */
const char *conf_stage(const struct conf *conf, const char *stage, const char *dataset,
		       const char *key);

/* Its "dataset_path" with {dataset} filled in, absolute, in fresh memory; NULL: not known. */
char *conf_dataset_path(const struct conf *conf, const char *stage, const char *dataset);

/*
 * All free keys of those sections (not command, base_model, model_name, dataset_path) as parallel
 * vectors, for the plugin's raw.config.
 */
void conf_stage_all(const struct conf *conf, const char *stage, const char *dataset,
		    struct strv *keys, struct strv *values);

/* Split a command line of a configuration into an argv: blanks, '...', "...", backslash. No shell. */
int conf_split_command(const char *text, struct strv *argv, struct err *err);

#endif
