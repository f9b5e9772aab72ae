/*
 * plugin - find plugins, ask them, call them.
 *
 *	struct plugin_set set;
 *	plugin_set_open(&set, &options, &err);          // finds files, runs nothing
 *	plugin_describe(&set, "stage3", "hrds", NULL, &plan, &err);
 *	plugin_extract(&set, &plan, &call, &result, &err);
 *
 * Every call runs in a short-lived worker process (worker.h): what a plugin does
 * there can neither hold nor harm the caller, and what comes back is one JSON
 * document of bounded size that is checked here again. An error names the plugin,
 * the file, the line, the function and what was expected; its code is ERR_PLUGIN.
 * No lua.h here: callers see plain data.
 */
#ifndef SCRIPT_PLUGIN_H
#define SCRIPT_PLUGIN_H
#include "base/err.h"
#include "base/str.h"

struct plugin_limits {
	int load_ms;   /* loading one plugin; 500 */
	int call_ms;   /* one call, wall clock; 2000 (the soft limit is 80 % of it) */
	size_t memory; /* bytes of Lua memory; 64 MiB */
};

struct plugin_options {
	const struct strv *files; /* --plugin FILE: these win */
	const char *path;	  /* colon-separated directories, searched in order; may be "" */
	struct plugin_limits limits;
};

/* A plugin file that was found. Kind from its place: DIR/x.lua or DIR/x/init.lua is a stage,
 * DIR/datasets/x.lua a dataset, DIR/export, DIR/import likewise. */
struct plugin_file {
	char *kind;
	char *name;
	char *path;
	bool is_shadowed; /* an earlier directory has the same kind and name */
};

struct plugin_set {
	struct plugin_file *files;
	size_t n;
	struct strv dirs; /* what was searched */
	struct plugin_limits limits;
	bool has_unseen; /* files that we may not look at: the plugin of a stage may be among them */
	bool any_stage;	 /* an unknown stage is no slip, however much it looks like one */
};

/* Search: options, $THHOST_PLUGINS, $XDG_CONFIG_HOME/thhost/plugins, <prefix>/share/thhost/plugins
 * (prefix: the directory above the running program's). Files that others can write are refused. */
int plugin_set_open(struct plugin_set *set, const struct plugin_options *options, struct err *err);
void plugin_set_release(struct plugin_set *set);

/* The file that serves 'kind' and 'name', or NULL. */
const struct plugin_file *plugin_find(const struct plugin_set *set, const char *kind,
				      const char *name);

/* The plugin that serves every stage that has none of its own. */
#define PLUGIN_GENERIC "generic"

/*
 * The file that serves 'stage': its own, or the generic one. NULL and ERR_NOT_FOUND if there is
 * neither, or if the name is most likely a slip for a known one (one letter wrong; another number is
 * another stage), or if its plugin may be among those that cannot be seen: "unknown stage 'stag3'; did
 * you mean 'stage3'?". set->any_stage: it is meant so.
 */
const struct plugin_file *plugin_for_stage(const struct plugin_set *set, const char *stage,
					   struct err *err);

struct plugin_input {
	char *name;
	char *pattern; /* without its '?'; "@log" for the run's log */
	bool is_optional;
};

struct plugin_rule {	 /* one progress rule */
	char *find;	 /* literal */
	char *match;	 /* Lua pattern */
	struct strv set; /* names for its captures */
	double scale;	 /* captures are multiplied by it; 1 where none is given */
};

struct plugin_metric {
	char *name;
	char goal; /* '+' max, '-' min, 0 none */
	bool is_required;
	bool is_primary; /* shown first */
	char *unit;	 /* or NULL */
};

/* What a stage plugin, with the dataset's overrides, declares. */
struct plugin_plan {
	char *stage;   /* as it was asked for: with the generic plugin not its name */
	char *dataset; /* or NULL */
	char *name;    /* plugin name, version, path: of the stage's plugin */
	char *version;
	char *path;
	char *summary;
	char *dataset_path; /* of the dataset plugin that takes part, or NULL */
	char *dataset_version;
	char *source; /* text of the stage's plugin (and the dataset's after it), for its hash */
	size_t source_len;
	char *dir;
	char *model_name;
	struct strv requires; /* stages whose models or features this one starts from */
	struct strv produces; /* stages that can start from this one's result */
	struct strv command;  /* declared command, may be empty */
	struct plugin_input *inputs;
	size_t n_inputs;
	struct plugin_metric *metrics;
	size_t n_metrics;
	struct plugin_rule *rules;
	size_t n_rules;
	bool has_extract;
	char *issues; /* JSON array: what validate() and the metrics said, if an entry was given */
};

#define PLUGIN_PLAN_INIT      \
	{                     \
		.stage = NULL \
	}
void plugin_plan_release(struct plugin_plan *plan);

/*
 * Load the plugin of 'stage' and, if there is one, of 'dataset' (NULL: none), and get what they
 * declare. 'entry' (JSON object text or NULL): also validate it; see plan->issues. A stage that only
 * the generic plugin serves gives its directory and its model the stage's name. ERR_NOT_FOUND for an
 * unknown stage.
 */
int plugin_describe(const struct plugin_set *set, const char *stage, const char *dataset,
		    const char *entry, struct plugin_plan *out, struct err *err);

/*
 * The same for each of 'n' entries (NULL or JSON), in as few workers as they let live: each has its
 * plan or its error (plans[i], errs[i]; uninitialised before) as if it were asked for alone,
 * whatever the others do.
 */
void plugin_describe_each(const struct plugin_set *set, const char *stage, const char *dataset,
			  char *const *entries, size_t n, struct plugin_plan *plans,
			  struct err *errs);

/* All plugins, each with its plan or its error: for "plugin list", "plugin check" and the stage map. */
struct plugin_report {
	const struct plugin_file *file;
	struct plugin_plan plan; /* of stages; of others only name, version, summary, path */
	struct err err;		 /* ERR_NONE if it loads */
};
int plugin_describe_all(const struct plugin_set *set, struct plugin_report **out, size_t *n,
			struct err *err);
void plugin_reports_release(struct plugin_report *reports, size_t n);

/* Check one file that need not be on the path ("plugin check FILE"). */
int plugin_check_file(const struct plugin_set *set, const char *path, struct plugin_report *out,
		      struct err *err);

struct plugin_call {
	int dirfd; /* the stage directory; inputs are opened beneath it */
	const char *dir_name;
	const char
		*log; /* relative path of the run's log for "@log"; NULL: *.log, *.out, log.txt */
	const char *only; /* NULL, or the one file of the directory that the inputs may match */
	const char *exp;
	char *const *argv;		/* the child's command, or NULL */
	const struct strv *config_keys; /* raw.config */
	const struct strv *config_values;
};

/* What came back. JSON members are texts that passed json_parse(); NULL where nothing was given. */
struct plugin_result {
	char *metrics; /* may hold NaN: see entry_metrics_clean() in model/info.h */
	char *hyperparams;
	int64_t steps;
	bool has_steps;
	int64_t resumed_from; /* where the counter that 'steps' is began; 0: at its start */
	char *epochs;	      /* number text or NULL */
	char *final_checkpoint;
	char *base_model;
	char *planned;
	char *sources;
	char *raw_hyperparams; /* object: as the training's own files have them */
	char *best;	       /* object: metric, value, mode, step, epoch, checkpoint, ... */
	char *evidence;	       /* object: field -> "observed", "declared", "inferred", "derived" */
	char *dataset;	       /* name or path of the data, as the training had it */
	char *reading;	       /* object: what was recognised, to be shown, never recorded */
	char *outcome; /* "completed", "completed_early", "failed", "interrupted", "unknown" */
	char *error;   /* what the training failed with, if it did */
	char *start_time;
	char *end_time;
	char *issues;		/* JSON array of { path, code, message, level } */
	struct strv warnings;	/* what the plugin said through ctx.log.warn */
	struct strv read_files; /* inputs that were matched: relative paths */
	char *seen; /* "NAME SIZE MTIME_NS\n" of each such file but a record's, sorted */
	size_t n_seen;
	double worker_ms;
};

#define PLUGIN_RESULT_INIT      \
	{                       \
		.metrics = NULL \
	}
void plugin_result_release(struct plugin_result *result);

/*
 * extract(), hyperparams() and validate() in one worker, which serves this call alone: it holds
 * the inputs of this directory and nothing of another call's, whatever its plugin keeps. A
 * required input that matches nothing is an error before any plugin runs (ERR_PLUGIN, names the
 * input, the pattern and the directory). An expected failure ("nil, err") is ERR_PLUGIN with the
 * plugin's message; its number is ENODATA where there is nothing of a training to read (code
 * "no_data", "not_recognised" or "not_a_training_record").
 */
int plugin_extract(const struct plugin_set *set, const struct plugin_plan *plan,
		   const struct plugin_call *call, struct plugin_result *out, struct err *err);

/*
 * Live progress: one long-lived worker that evaluates the rules. Never blocks: progress_send() drops
 * lines when the worker is slow. Read results when 'fd' is readable. A worker that hangs is killed
 * and progress ends (fd becomes -1).
 */
struct plugin_progress {
	int fd;
	pid_t pid;
	struct str pending;
	int64_t asked_at_ms; /* since when an answer is awaited; 0: none is */
	size_t unanswered;   /* bytes sent and not yet dealt with */
};
int plugin_progress_start(struct plugin_progress *p, const struct plugin_plan *plan,
			  const struct plugin_limits *limits, struct err *err);
void plugin_progress_send(struct plugin_progress *p, const char *line, size_t len);
/* Handle what can be read; each value is handed to 'set'. Returns the descriptor to poll, or -1. */
int plugin_progress_receive(struct plugin_progress *p,
			    void (*set)(void *arg, const char *name, double value), void *arg);
void plugin_progress_stop(struct plugin_progress *p);

/* What confines a worker here, for doctor: "seccomp", "landlock abi 7", ...; and what is missing.
 * -1: a mandatory part is, and no plugin can run. */
int plugin_confinement(struct strv *active, struct strv *missing, struct err *err);

/* The Lua that is linked in: "Lua 5.4.4", and lua-cjson's version. */
const char *plugin_lua_version(void);

#endif
