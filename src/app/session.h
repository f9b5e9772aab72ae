/*
 * session - what a command works with: configuration, plugins, the tree.
 *
 * Opened once per process; each part is loaded when it is first asked for, since
 * most commands need only some ('list' starts no plugin worker).
 */
#ifndef APP_SESSION_H
#define APP_SESSION_H
#include "base/err.h"
#include "model/conf.h"
#include "model/layout.h"
#include "script/plugin.h"

struct session_options {
	const char *config_file;  /* --config, or NULL */
	const char *root;	  /* --root, or NULL */
	struct strv plugin_files; /* --plugin, repeatable */
	bool any_stage;		  /* --generic: a stage that nobody has described is meant so */
	bool no_index;		  /* --no-index: the files are read */
	void (*reading)(
		size_t n_read); /* told while many files are read (index/index.h); or NULL */
	bool may_lack_root;	/* nothing is written: a root that is not there may be planned */
};

struct session {
	struct conf conf;
	struct session_options options;
	struct plugin_set plugins;
	bool has_plugins;
	struct plugin_report *reports; /* every plugin described, for the stage map */
	size_t n_reports;
	struct stage_name *names;
	size_t n_names;
	struct layout layout;
	bool has_layout;
};

int session_open(struct session *session, const struct session_options *options, struct err *err);
void session_close(struct session *session);

/* Find the plugin files (nothing runs). */
int session_plugins(struct session *session, struct err *err);

/* What the plugins of 'stage' and 'dataset' declare; 'entry' as for plugin_describe(). */
int session_plan(struct session *session, const char *stage, const char *dataset, const char *entry,
		 struct plugin_plan *plan, struct err *err);

/* The same for each of 'n' entries, as plugin_describe_each(). */
void session_plan_each(struct session *session, const char *stage, const char *dataset,
		       char *const *entries, size_t n, struct plugin_plan *plans, struct err *errs);

/* Tell the user that it is the generic plugin which reads this stage: one whose own plugin is not found
 * must not go by in silence. */
void session_tell_plan(const struct plugin_plan *plan);

/* The tree, opened without knowing any stage. */
int session_layout(struct session *session, struct err *err);

/* Another root from now on, for a verb that is about a tree elsewhere; the stages stay known. */
int session_move_root(struct session *session, const char *root, struct err *err);

/* From now on the tree knows this stage, and those that it knew where all were described. */
void session_use_plan(struct session *session, const struct plugin_plan *plan);

/* Describe all plugins, so that the tree knows every stage. Broken plugins are warned of. */
int session_all_stages(struct session *session, struct err *err);

/* layout_resolve(), and once more with every stage known if the name alone does not lead there. */
int session_resolve(struct session *session, const char *exp, const char *ref,
		    struct stage_dir *out, struct err *err);

int session_lock_timeout_ms(const struct session *session);

#endif
