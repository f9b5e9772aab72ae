#include "base/base.h"

#include "model/history.h"
#include "base/log.h"
#include "base/mem.h"
#include "capture/digest.h"
#include "cli/command.h"
#include "cli/render.h"
#include "script/embedded.h"
#include "sys/file.h"
#include "sys/json.h"
#include "sys/path.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct option_spec options[] = {
	{ "kind", 0, "KIND", "new: stage or dataset" },
	{ "stage", 's', "STAGE", "new --kind dataset: the stage to override" },
	{ "dir", 0, "DIR", "new: where to write it" },
	{ "from", 0, "DIR", "test: the directory that a training left" },
	{ "dataset", 'd', "D", "show, test: with the overrides of this dataset" },
	{ NULL, 0, NULL, NULL },
};

/* ---- list ---- */

static void report_row(struct table *t, const struct plugin_report *report)
{
	const struct plugin_plan *plan = &report->plan;
	bool broken = report->err.code != ERR_NONE;

	table_row(t);
	table_cell(t, broken ? TONE_BAD : TONE_PLAIN, report->file->name);
	table_cell(t, TONE_PLAIN, report->file->kind);
	table_cell(t, TONE_PLAIN, broken || !plan->version ? "" : plan->version);
	table_cell(t, TONE_PLAIN, plan->dir ? plan->dir : "");
	table_cell(t, broken ? TONE_BAD : TONE_PLAIN,
		   broken		       ? "broken"
		   : report->file->is_shadowed ? "shadowed"
		   : plan->summary	       ? plan->summary
					       : "");
	table_cell(t, TONE_DIM, report->file->path);
}

static void list_as_table(const struct plugin_report *reports, size_t n, struct str *out)
{
	static const char *const titles[] = { "plugin",	   "kind",    "version",
					      "directory", "summary", "file" };
	struct table *t = table_new();

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		table_column(t, titles[i], ALIGN_LEFT);
	for (size_t i = 0; i < n; i++)
		report_row(t, &reports[i]);
	table_print(t, "", out);
	table_free(t);
}

static void report_as_json(struct jsonw *w, const struct plugin_report *report)
{
	jsonw_object(w);
	jsonw_pair_string(w, "name", report->file->name);
	jsonw_pair_string(w, "kind", report->file->kind);
	jsonw_pair_string(w, "path", report->file->path);
	jsonw_key(w, "shadowed");
	jsonw_bool(w, report->file->is_shadowed);
	jsonw_pair_string(w, "version", report->plan.version);
	jsonw_pair_string(w, "summary", report->plan.summary);
	jsonw_pair_string(w, "dir", report->plan.dir);
	jsonw_pair_string(w, "model_name", report->plan.model_name);
	jsonw_pair_string(w, "error", report->err.code ? report->err.msg : NULL);
	jsonw_end(w);
}

static int plugin_list(struct cli *cli, struct str *out, struct err *err)
{
	struct plugin_report *reports;
	int result = 0;
	size_t n;

	if (plugin_describe_all(&cli->session.plugins, &reports, &n, err) < 0)
		return -1;
	if (cli->json) {
		struct jsonw w = jsonw_begin(out, 2);

		jsonw_object(&w);
		jsonw_pair_string(&w, "schema", "thhost.plugins/1");
		jsonw_key(&w, "plugins");
		jsonw_array(&w);
		for (size_t i = 0; i < n; i++)
			report_as_json(&w, &reports[i]);
		jsonw_end(&w);
		jsonw_end(&w);
		str_addch(out, '\n');
	} else {
		list_as_table(reports, n, out);
	}
	for (size_t i = 0; i < n; i++) {
		if (!reports[i].err.code)
			continue;
		log_warn("%s", reports[i].err.msg);
		result = 1;
	}
	plugin_reports_release(reports, n);
	return result;
}

/* ---- show ---- */

static void add_line(struct str *out, const char *name, const char *text)
{
	if (!text || !*text)
		return;
	str_addf(out, "%-12s ", name);
	add_harmless(out, text, strlen(text));
	str_addch(out, '\n');
}

static void add_inputs(struct str *out, const struct plugin_plan *plan)
{
	for (size_t i = 0; i < plan->n_inputs; i++)
		str_addf(out, "%-12s %-14s %s%s\n", i ? "" : "inputs", plan->inputs[i].name,
			 plan->inputs[i].pattern,
			 plan->inputs[i].is_optional ? "  (optional)" : "");
}

static void inputs_as_json(struct jsonw *w, const struct plugin_plan *plan)
{
	jsonw_key(w, "inputs");
	jsonw_array(w);
	for (size_t i = 0; i < plan->n_inputs; i++) {
		jsonw_object(w);
		jsonw_pair_string(w, "name", plan->inputs[i].name);
		jsonw_pair_string(w, "pattern", plan->inputs[i].pattern);
		jsonw_key(w, "optional");
		jsonw_bool(w, plan->inputs[i].is_optional);
		jsonw_end(w);
	}
	jsonw_end(w);
}

static void metrics_as_json(struct jsonw *w, const struct plugin_plan *plan)
{
	jsonw_key(w, "metrics");
	jsonw_array(w);
	for (size_t i = 0; i < plan->n_metrics; i++) {
		const struct plugin_metric *metric = &plan->metrics[i];

		jsonw_object(w);
		jsonw_pair_string(w, "name", metric->name);
		jsonw_pair_string(w, "goal",
				  metric->goal == '+'	? "max"
				  : metric->goal == '-' ? "min"
							: NULL);
		jsonw_key(w, "required");
		jsonw_bool(w, metric->is_required);
		jsonw_end(w);
	}
	jsonw_end(w);
}

static void plan_as_json(const struct plugin_plan *plan, const char *sha256, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.plugin/1");
	jsonw_pair_string(&w, "name", plan->name);
	jsonw_pair_string(&w, "version", plan->version);
	jsonw_pair_string(&w, "summary", plan->summary);
	jsonw_pair_string(&w, "path", plan->path);
	jsonw_pair_string(&w, "dataset_path", plan->dataset_path);
	jsonw_pair_string(&w, "sha256", sha256);
	jsonw_pair_string(&w, "dir", plan->dir);
	jsonw_pair_string(&w, "model_name", plan->model_name);
	jsonw_key(&w, "requires");
	jsonw_array(&w);
	for (size_t i = 0; i < plan->requires.n; i++)
		jsonw_string(&w, plan->requires.v[i]);
	jsonw_end(&w);
	inputs_as_json(&w, plan);
	metrics_as_json(&w, plan);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static void add_metrics(struct str *out, const struct plugin_plan *plan)
{
	for (size_t i = 0; i < plan->n_metrics; i++) {
		const struct plugin_metric *metric = &plan->metrics[i];

		str_addf(out, "%-12s %-14s %s%s\n", i ? "" : "metrics", metric->name,
			 metric->goal == '+'   ? "higher is better"
			 : metric->goal == '-' ? "lower is better"
					       : "",
			 metric->is_required ? "  (required)" : "");
	}
}

static void plan_as_text(const struct plugin_plan *plan, const char *sha256, struct str *out)
{
	add_line(out, "plugin", plan->name);
	add_line(out, "version", plan->version);
	add_line(out, "summary", plan->summary);
	add_line(out, "file", plan->path);
	add_line(out, "overridden", plan->dataset_path);
	add_line(out, "sha256", sha256);
	add_line(out, "directory", plan->dir);
	add_line(out, "model name", plan->model_name);
	for (size_t i = 0; i < plan->requires.n; i++)
		add_line(out, i ? "" : "requires", plan->requires.v[i]);
	add_inputs(out, plan);
	add_metrics(out, plan);
}

static int plugin_show(struct cli *cli, struct str *out, struct err *err)
{
	struct plugin_plan plan = PLUGIN_PLAN_INIT;
	char sha256[DIGEST_TEXT_SIZE];

	if (!operand(cli, 1))
		return err_set(err, ERR_USAGE, "which plugin? (thhost plugin show STAGE)");
	if (plugin_describe(&cli->session.plugins, operand(cli, 1),
			    option_value(&cli->options, "dataset"), NULL, &plan, err) < 0)
		return -1;
	digest_bytes(plan.source, plan.source_len, sha256);
	if (cli->json)
		plan_as_json(&plan, sha256, out);
	else
		plan_as_text(&plan, sha256, out);
	plugin_plan_release(&plan);
	return 0;
}

/* ---- check ---- */

/* A plugin's name, or a file that need not be on the path. */
static const char *check_one(struct cli *cli, const char *what, struct plugin_report *report)
{
	const struct plugin_file *file = plugin_find(&cli->session.plugins, "stage", what);
	struct err err = ERR_INIT;

	memset(report, 0, sizeof(*report));
	if (!file)
		file = plugin_find(&cli->session.plugins, "dataset", what);
	if (plugin_check_file(&cli->session.plugins, file ? file->path : what, report, &err) < 0)
		report->err = err;
	return file ? file->path : what;
}

static void check_as_text(const struct plugin_report *report, const char *path, struct str *out)
{
	if (report->err.code) {
		log_error(&report->err);
		return;
	}
	add_safe(out, path);
	str_adds(out, ": in order (");
	add_safe(out, report->file ? report->file->kind : "plugin");
	str_adds(out, " '");
	add_safe(out, report->plan.name ? report->plan.name : path);
	str_adds(out, "', version ");
	add_safe(out, report->plan.version ? report->plan.version : "?");
	str_adds(out, ")\n");
}

static void check_as_json(const struct plugin_report *report, const char *path, struct jsonw *w)
{
	jsonw_object(w);
	jsonw_pair_string(w, "path", path);
	jsonw_pair_string(w, "name", report->plan.name);
	jsonw_pair_string(w, "version", report->plan.version);
	jsonw_pair_string(w, "error", report->err.code ? report->err.msg : NULL);
	jsonw_end(w);
}

/* With --json the last error is also the one on stderr; as text each has its line. */
static int check_all(struct cli *cli, struct jsonw *w, struct str *out, struct err *err)
{
	int result = 0;

	for (size_t i = 1; operand(cli, i); i++) {
		struct plugin_report report;
		const char *path = check_one(cli, operand(cli, i), &report);

		if (cli->json)
			check_as_json(&report, path, w);
		else
			check_as_text(&report, path, out);
		if (report.err.code) {
			*err = report.err;
			result = cli->json ? -1 : err_exit_status(report.err.code);
		}
		plugin_plan_release(&report.plan);
	}
	return result;
}

static int plugin_check(struct cli *cli, struct str *out, struct err *err)
{
	struct jsonw w = jsonw_begin(out, 2);
	int result;

	if (!operand(cli, 1))
		return err_set(err, ERR_USAGE, "which plugin? (thhost plugin check FILE...)");
	if (!cli->json)
		return check_all(cli, &w, out, err);
	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.plugin-check/1");
	jsonw_key(&w, "plugins");
	jsonw_array(&w);
	result = check_all(cli, &w, out, err);
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
	return result;
}

/* ---- test ---- */

static void add_raw(struct jsonw *w, const char *key, const char *json)
{
	if (json && *json)
		jsonw_pair_raw(w, key, json);
}

static void result_as_json(const struct plugin_plan *plan, const struct plugin_result *result,
			   struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.plugin-test/1");
	jsonw_pair_string(&w, "plugin", plan->name);
	jsonw_pair_string(&w, "file", plan->path);
	jsonw_pair_string(&w, "outcome", result->outcome);
	jsonw_pair_string(&w, "error", result->error);
	jsonw_key(&w, "steps");
	if (result->has_steps)
		jsonw_int(&w, result->steps);
	else
		jsonw_null(&w);
	jsonw_pair_raw(&w, "epochs", result->epochs ? result->epochs : "null");
	add_raw(&w, "metrics", result->metrics);
	add_raw(&w, "hyperparams", result->hyperparams);
	jsonw_pair_string(&w, "final_checkpoint", result->final_checkpoint);
	jsonw_pair_string(&w, "base_model", result->base_model);
	jsonw_pair_string(&w, "start_time", result->start_time);
	jsonw_pair_string(&w, "end_time", result->end_time);
	add_raw(&w, "planned", result->planned);
	add_raw(&w, "sources", result->sources);
	add_raw(&w, "raw_hyperparams", result->raw_hyperparams);
	add_raw(&w, "best", result->best);
	add_raw(&w, "evidence", result->evidence);
	if (result->dataset)
		jsonw_pair_string(&w, "dataset", result->dataset);
	add_raw(&w, "reading", result->reading);
	add_raw(&w, "issues", result->issues);
	jsonw_key(&w, "read");
	jsonw_array(&w);
	for (size_t i = 0; i < result->read_files.n; i++)
		jsonw_string(&w, result->read_files.v[i]);
	jsonw_end(&w);
	jsonw_key(&w, "worker_ms");
	jsonw_real(&w, (double)(int64_t)(result->worker_ms * 10) / 10);
	jsonw_end(&w);
	str_addch(out, '\n');
}

/* A plugin's name, or a file of one that need not be on the path. */
static char *plugin_name_of(struct cli *cli, const char *what, struct err *err)
{
	const char *base = path_base(what);

	if (!has_suffix(what, ".lua"))
		return xstrdup(what);
	strv_push(&cli->session.options.plugin_files, what);
	plugin_set_release(&cli->session.plugins);
	cli->session.has_plugins = false;
	if (session_plugins(&cli->session, err) < 0)
		return NULL;
	return xstrndup(base, strlen(base) - strlen(".lua"));
}

static int test_on(struct cli *cli, const struct plugin_plan *plan, const char *from,
		   struct str *out, struct err *err)
{
	struct strv keys = STRV_INIT;
	struct strv values = STRV_INIT;
	struct plugin_result result = PLUGIN_RESULT_INIT;
	char *absolute = path_absolute(from);
	char *log = NULL;
	struct plugin_call call = {
		.dirfd = path_open_dir(from, err),
		.dir_name = path_base(absolute),
		.config_keys = &keys,
		.config_values = &values,
	};
	int done = -1;

	conf_stage_all(&cli->session.conf, plan->stage, plan->dataset, &keys, &values);
	if (call.dirfd >= 0) {
		call.log = log = history_newest_log(call.dirfd);
		done = plugin_extract(&cli->session.plugins, plan, &call, &result, err);
		close(call.dirfd);
	}
	for (size_t i = 0; i < result.warnings.n; i++)
		log_warn("%s", result.warnings.v[i]);
	if (done == 0)
		result_as_json(plan, &result, out);
	plugin_result_release(&result);
	strv_release(&keys);
	strv_release(&values);
	free(absolute);
	free(log);
	return done;
}

static int plugin_test(struct cli *cli, struct str *out, struct err *err)
{
	const char *from = option_value(&cli->options, "from");
	struct plugin_plan plan = PLUGIN_PLAN_INIT;
	char *name;
	int result;

	if (!operand(cli, 1) || !from)
		return err_set(err, ERR_USAGE,
			       "which plugin on what? (thhost plugin test STAGE --from DIR)");
	name = plugin_name_of(cli, operand(cli, 1), err);
	if (!name)
		return -1;
	result = plugin_describe(&cli->session.plugins, name,
				 option_value(&cli->options, "dataset"), NULL, &plan, err);
	if (result == 0)
		result = test_on(cli, &plan, from, out, err);
	plugin_plan_release(&plan);
	free(name);
	return result;
}

/* ---- new ---- */

static char *fill_template(const struct embedded_file *template, const char *name,
			   const char *stage)
{
	struct str text = STR_INIT;
	const char *p = template->start;

	while (p < template->end) {
		size_t left = (size_t)(template->end - p);

		if (left > 6 && memcmp(p, "@NAME@", 6) == 0) {
			str_adds(&text, name);
			p += 6;
		} else if (left > 7 && memcmp(p, "@STAGE@", 7) == 0) {
			str_adds(&text, stage);
			p += 7;
		} else {
			str_addch(&text, *p++);
		}
	}
	return str_detach(&text);
}

static int make_dirs(const char *path, struct err *err)
{
	char *parent;
	int result = 0;

	if (access(path, F_OK) == 0)
		return 0;
	parent = path_dir(path);
	if (strcmp(parent, path) != 0)
		result = make_dirs(parent, err);
	if (result == 0 && mkdir(path, 0777) < 0 && errno != EEXIST)
		result = err_errno(err, ERR_FAILED, "cannot make directory '%s'", path);
	free(parent);
	return result;
}

/* The first configured directory, else the user's own: a new plugin is found at once. */
static char *target_dir(const struct cli *cli)
{
	const char *given = option_value(&cli->options, "dir");
	const char *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	struct strv paths = STRV_INIT;
	char *dir = NULL;

	if (given)
		return path_absolute(given);
	conf_paths(&cli->session.conf, "plugins.path", &paths);
	if (paths.n)
		dir = xstrdup(paths.v[0]);
	else if (config && *config)
		dir = path_join(config, "thhost/plugins");
	else
		dir = path_join(home && *home ? home : ".", ".config/thhost/plugins");
	strv_release(&paths);
	return dir;
}

static int write_new(const char *dir, const char *name, const char *text, struct str *out,
		     struct err *err)
{
	const struct file_replace_options fresh = { .must_be_new = true };
	char *file = xstrf("%s.lua", name);
	int fd = -1;
	int result = make_dirs(dir, err);

	if (result == 0)
		fd = path_open_dir(dir, err);
	if (fd < 0) {
		free(file);
		return -1;
	}
	if (file_replace(fd, file, text, strlen(text), &fresh, err) == FILE_UNCHANGED) {
		result = -1;
		if (err->code == ERR_BUSY)
			err_set(err, ERR_FAILED, "'%s/%s' is there already; left as it is", dir,
				file);
	} else {
		str_addf(out, "%s/%s", dir, file);
	}
	close(fd);
	free(file);
	return result;
}

static void add_path(const struct cli *cli, const char *path, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	if (cli->json) {
		jsonw_object(&w);
		jsonw_pair_string(&w, "schema", "thhost.plugin-new/1");
		jsonw_pair_string(&w, "path", path);
		jsonw_end(&w);
	} else {
		str_adds(out, path);
	}
	str_addch(out, '\n');
}

static int plugin_new(struct cli *cli, struct str *out, struct err *err)
{
	const char *name = operand(cli, 1);
	const char *kind = option_value(&cli->options, "kind");
	const char *stage = option_value(&cli->options, "stage");
	bool is_dataset = kind && strcmp(kind, "dataset") == 0;
	const struct embedded_file *template;
	struct str path = STR_INIT;
	char *base;
	char *dir;
	char *text;
	int result;

	if (!name)
		return err_set(err, ERR_USAGE, "which name? (thhost plugin new NAME)");
	if (kind && !is_dataset && strcmp(kind, "stage") != 0)
		return err_set(err, ERR_USAGE, "--kind is stage or dataset, not '%s'", kind);
	if (path_check_name("plugin", name, err) < 0 ||
	    (stage && path_check_name("stage", stage, err) < 0))
		return -1;
	template = embedded_find(is_dataset ? "new.dataset" : "new.stage");
	if (!template)
		return err_set(err, ERR_INTERNAL, "this build holds no template");
	base = target_dir(cli);
	dir = is_dataset ? path_join(base, "datasets") : xstrdup(base);
	text = fill_template(template, name, stage ? stage : "stage3");
	result = write_new(dir, name, text, &path, err);
	if (result == 0)
		add_path(cli, path.buf, out);
	str_release(&path);
	free(text);
	free(dir);
	free(base);
	return result;
}

static int run_plugin(struct cli *cli, struct err *err)
{
	static const struct {
		const char *name;
		int (*run)(struct cli *cli, struct str *out, struct err *err);
	} verbs[] = {
		{ "list", plugin_list },   { "show", plugin_show }, { "new", plugin_new },
		{ "check", plugin_check }, { "test", plugin_test },
	};
	struct str out = STR_INIT;
	int result = err_set(err, ERR_USAGE,
			     "'thhost plugin' knows list, show, new, check and test, "
			     "not '%s'",
			     operand(cli, 0));

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(operand(cli, 0), verbs[i].name) != 0)
			continue;
		*err = (struct err)ERR_INIT;
		result = session_plugins(&cli->session, err);
		if (result == 0)
			result = verbs[i].run(cli, &out, err);
	}
	if (print_out(&out) < 0 && result == 0)
		result = 1;
	str_release(&out);
	return result;
}

const struct command cmd_plugin = {
	.name = "plugin",
	.synopsis = "list | show STAGE | new NAME | check FILE... | test STAGE --from DIR",
	.summary = "the plugin author's tools",
	.details = "list   what is found, where, and what hides what\n"
		   "show   what a stage's plugin declares (--dataset D: with its overrides)\n"
		   "new    write a working skeleton (--kind stage|dataset, --dir DIR)\n"
		   "check  load plugins and check every field\n"
		   "test   run a plugin on a directory and show what it would record\n",
	.options = options,
	.min_operands = 1,
	.max_operands = -1,
	.run = run_plugin,
};
