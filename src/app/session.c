#include "base/base.h"

#include "app/session.h"

#include "base/log.h"
#include "base/mem.h"
#include "sys/path.h"

#include <unistd.h>

int session_open(struct session *session, const struct session_options *options, struct err *err)
{
	char *here = getcwd(NULL, 0);
	int result;

	memset(session, 0, sizeof(*session));
	session->options = *options;
	if (!here)
		return err_errno(err, ERR_FAILED, "cannot tell the current directory");
	result = conf_load(&session->conf, options->config_file, here, err);
	free(here);
	if (result == 0 && options->root)
		result = conf_set_flag(&session->conf, "artifact.root", options->root, err);
	return result;
}

void session_close(struct session *session)
{
	if (session->has_layout)
		layout_close(&session->layout);
	if (session->reports)
		plugin_reports_release(session->reports, session->n_reports);
	free(session->names);
	if (session->has_plugins)
		plugin_set_release(&session->plugins);
	conf_release(&session->conf);
}

int session_plugins(struct session *session, struct err *err)
{
	struct plugin_options options = {
		.files = &session->options.plugin_files,
		.limits = {
			.load_ms = (int)conf_int(&session->conf, "plugins.load_ms"),
			.call_ms = (int)conf_int(&session->conf, "plugins.time_limit_ms"),
			.memory = (size_t)conf_int(&session->conf, "plugins.memory_mb") << 20,
		},
	};
	struct strv dirs = STRV_INIT;
	struct str path = STR_INIT;
	int result;

	if (session->has_plugins)
		return 0;
	conf_paths(&session->conf, "plugins.path",
		   &dirs); /* relative to the file that names them */
	for (size_t i = 0; i < dirs.n; i++)
		str_addf(&path, "%s%s", i ? ":" : "", dirs.v[i]);
	options.path = path.buf;
	result = plugin_set_open(&session->plugins, &options, err);
	strv_release(&dirs);
	str_release(&path);
	session->has_plugins = result == 0;
	return result;
}

/* "ner" for "dir/ner.lua" and "dir/ner/init.lua"; fresh memory. */
static char *plugin_name(const char *file)
{
	char *dir = path_dir(file);
	const char *base =
		strcmp(path_base(file), "init.lua") == 0 ? path_base(dir) : path_base(file);
	size_t len = strlen(base);
	char *name = xstrndup(base, has_suffix(base, ".lua") ? len - 4 : len);

	free(dir);
	return name;
}

/* A plugin is found by the name of its file: one that was given and has another goes unused. */
static void warn_of_unused(const struct strv *files, const char *stage, const char *dataset)
{
	for (size_t i = 0; i < files->n; i++) {
		char *name = plugin_name(files->v[i]);

		if (strcmp(name, stage) != 0 && (!dataset || strcmp(name, dataset) != 0))
			log_warn("--plugin '%s' is for '%s' by its name and is not used for '%s'",
				 files->v[i], name, stage);
		free(name);
	}
}

int session_plan(struct session *session, const char *stage, const char *dataset, const char *entry,
		 struct plugin_plan *plan, struct err *err)
{
	if (session_plugins(session, err) < 0)
		return -1;
	session->plugins.any_stage = session->options.any_stage;
	warn_of_unused(&session->options.plugin_files, stage, dataset);
	return plugin_describe(&session->plugins, stage, dataset, entry, plan, err);
}

void session_plan_each(struct session *session, const char *stage, const char *dataset,
		       char *const *entries, size_t n, struct plugin_plan *plans, struct err *errs)
{
	struct err err = ERR_INIT;

	if (session_plugins(session, &err) < 0) {
		for (size_t i = 0; i < n; i++) {
			plans[i] = (struct plugin_plan)PLUGIN_PLAN_INIT;
			errs[i] = err;
		}
		return;
	}
	session->plugins.any_stage = session->options.any_stage;
	warn_of_unused(&session->options.plugin_files, stage, dataset);
	plugin_describe_each(&session->plugins, stage, dataset, entries, n, plans, errs);
}

void session_tell_plan(const struct plugin_plan *plan)
{
	if (strcmp(plan->name, PLUGIN_GENERIC) == 0 && strcmp(plan->stage, PLUGIN_GENERIC) != 0)
		log_notice("no plugin describes the stage '%s': 'generic' reads it", plan->stage);
}

/* The root as configured; one that is not there only where it may be planned. */
static int open_root(struct session *session, const char *root, struct err *err)
{
	static const struct stage_map nothing = { .v = NULL, .n = 0 };
	struct err absent = ERR_INIT;

	if (layout_open(&session->layout, root, &nothing, &absent) == 0)
		return 0;
	if (absent.code == ERR_NOT_FOUND && session->options.may_lack_root)
		return layout_plan(&session->layout, root, &nothing, err);
	*err = absent;
	return -1;
}

int session_layout(struct session *session, struct err *err)
{
	char *root;

	if (session->has_layout)
		return 0;
	root = conf_path(&session->conf, "artifact.root");
	session->has_layout = open_root(session, root ? root : "artifact", err) == 0;
	free(root);
	return session->has_layout ? 0 : -1;
}

int session_move_root(struct session *session, const char *root, struct err *err)
{
	struct stage_map stages = { .v = NULL, .n = 0 };

	if (conf_set_flag(&session->conf, "artifact.root", root, err) < 0)
		return -1;
	if (session->has_layout) {
		stages = session->layout.stages;
		layout_close(&session->layout);
	}
	session->has_layout = layout_open(&session->layout, root, &stages, err) == 0;
	return session->has_layout ? 0 : -1;
}

static void set_names(struct session *session, size_t n)
{
	session->n_names = n;
	session->layout.stages.v = session->names;
	session->layout.stages.n = n;
}

static void add_stage(struct session *session, const struct stage_name *name)
{
	session->names = xreallocarray(session->names, session->n_names + 1, sizeof(*name));
	session->names[session->n_names] = *name;
	set_names(session, session->n_names + 1);
}

static void add_name(struct session *session, const struct plugin_plan *plan)
{
	struct stage_name name = { .stage = plan->stage,
				   .dir = plan->dir,
				   .model_name = plan->model_name };

	add_stage(session, &name);
}

static bool knows_stage(const struct session *session, const char *stage)
{
	for (size_t i = 0; i < session->n_names; i++)
		if (strcmp(session->names[i].stage, stage) == 0)
			return true;
	return false;
}

void session_use_plan(struct session *session, const struct plugin_plan *plan)
{
	if (!session->reports)
		set_names(session, 0);
	if (!knows_stage(session, plan->stage))
		add_name(session, plan);
}

int session_all_stages(struct session *session, struct err *err)
{
	struct stage_name used = { .stage = NULL };

	if (session->reports)
		return 0;
	if (session_plugins(session, err) < 0 || session_layout(session, err) < 0)
		return -1;
	if (plugin_describe_all(&session->plugins, &session->reports, &session->n_reports, err) < 0)
		return -1;
	if (session->n_names)
		used = session->names[0];
	set_names(session, 0);
	for (size_t i = 0; i < session->n_reports; i++) {
		const struct plugin_report *report = &session->reports[i];

		if (report->err.code)
			log_warn("%s", report->err.msg);
		else if (strcmp(report->file->kind, "stage") == 0 && !report->file->is_shadowed)
			add_name(session, &report->plan);
	}
	if (used.stage && !knows_stage(session, used.stage)) /* the generic plugin serves it */
		add_stage(session, &used);
	return 0;
}

int session_resolve(struct session *session, const char *exp, const char *ref,
		    struct stage_dir *out, struct err *err)
{
	struct err first = ERR_INIT;

	if (session_layout(session, err) < 0)
		return -1;
	if (layout_resolve(&session->layout, exp, ref, out, &first) == 0)
		return 0;
	if (first.code != ERR_NOT_FOUND || session->reports) {
		*err = first;
		return -1;
	}
	if (session_all_stages(session, err) < 0)
		return -1;
	return layout_resolve(&session->layout, exp, ref, out, err);
}

int session_lock_timeout_ms(const struct session *session)
{
	/* Where nobody has said anything the lock itself knows best: NFS needs longer (sys/lock.h). */
	if (strcmp(conf_origin(&session->conf, "record.lock_timeout_s"), "default") == 0)
		return -1;
	return (int)conf_int(&session->conf, "record.lock_timeout_s") * 1000;
}
