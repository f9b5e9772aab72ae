/*
 * worker_tool - the plugin host without the command line, for tests/spec/worker_spec.lua.
 *
 *	worker_tool describe PATH STAGE [DATASET [ENTRY]]
 *	worker_tool extract PATH STAGE DATASET DIR [LOG [ARG...]]
 *	worker_tool batch PATH DIR           (extract for each STAGE on stdin, one document a line)
 *	worker_tool progress PATH STAGE      (blocks on stdin, divided by empty lines)
 *	worker_tool check FILE
 *	worker_tool list PATH
 *	worker_tool confinement PATH
 *
 * Prints one JSON document; an error is {"error":{"message","hint","code"}} and status 1. CALL_MS,
 * LOAD_MS and MEMORY_KB in the environment replace the limits; REPEAT repeats a describe.
 *
 * Where a program PATH-OF-WORKER_TOOL.worker lies, that is run in the worker's place: an odd worker.
 */
#include "base/base.h"

#include "base/clock.h"
#include "base/mem.h"
#include "script/plugin.h"
#include "script/progress.h"
#include "script/worker.h"
#include "sys/json.h"
#include "sys/path.h"
#include "sys/proc.h"

#include <poll.h>
#include <unistd.h>

static int number_from(const char *name, int otherwise)
{
	const char *text = getenv(name);

	return text ? (int)strtol(text, NULL, 10) : otherwise;
}

static int print(struct str *out, int status)
{
	printf("%s\n", out->buf);
	str_release(out);
	return status;
}

static int print_err(const struct err *err)
{
	struct str out = STR_INIT;
	struct jsonw w = jsonw_begin(&out, 0);

	jsonw_object(&w);
	jsonw_key(&w, "error");
	jsonw_object(&w);
	jsonw_pair_string(&w, "message", err->msg);
	jsonw_pair_string(&w, "hint", err->hint);
	jsonw_pair_string(&w, "code", err_word(err->code));
	jsonw_end(&w);
	jsonw_end(&w);
	return print(&out, 1);
}

static void write_plan(struct jsonw *w, const struct plugin_plan *plan)
{
	jsonw_pair_string(w, "name", plan->name);
	jsonw_pair_string(w, "version", plan->version);
	jsonw_pair_string(w, "summary", plan->summary);
	jsonw_pair_string(w, "dir", plan->dir);
	jsonw_pair_string(w, "model_name", plan->model_name);
	jsonw_pair_string(w, "dataset_version", plan->dataset_version);
	jsonw_key(w, "inputs");
	jsonw_object(w);
	for (size_t i = 0; i < plan->n_inputs; i++)
		jsonw_pair_string(w, plan->inputs[i].name, plan->inputs[i].pattern);
	jsonw_end(w);
	jsonw_pair_int(w, "n_metrics", (int64_t)plan->n_metrics);
	jsonw_pair_int(w, "n_rules", (int64_t)plan->n_rules);
	if (plan->issues)
		jsonw_pair_raw(w, "issues", plan->issues);
}

static int describe(struct plugin_set *set, char **args, int n)
{
	struct plugin_plan plan = PLUGIN_PLAN_INIT;
	struct err err = ERR_INIT;
	struct str out = STR_INIT;
	struct jsonw w = jsonw_begin(&out, 0);
	int64_t start = clock_monotonic_ms();
	int repeat = number_from("REPEAT", 1);

	for (int i = 0; i < repeat; i++) {
		plugin_plan_release(&plan);
		if (plugin_describe(set, args[0], n > 1 && args[1][0] ? args[1] : NULL,
				    n > 2 ? args[2] : NULL, &plan, &err) < 0)
			return print_err(&err);
	}
	jsonw_object(&w);
	write_plan(&w, &plan);
	jsonw_key(&w, "ms");
	jsonw_real(&w, (double)(clock_monotonic_ms() - start) / repeat);
	jsonw_end(&w);
	plugin_plan_release(&plan);
	return print(&out, 0);
}

static void pair_text(struct jsonw *w, const char *key, const char *text)
{
	if (text)
		jsonw_pair_string(w, key, text);
}

static void pair_raw(struct jsonw *w, const char *key, const char *text)
{
	if (text)
		jsonw_pair_raw(w, key, text);
}

static void pair_strings(struct jsonw *w, const char *key, const struct strv *v)
{
	jsonw_key(w, key);
	jsonw_array(w);
	for (size_t i = 0; i < v->n; i++)
		jsonw_string(w, v->v[i]);
	jsonw_end(w);
}

static void write_result(struct jsonw *w, const struct plugin_result *r)
{
	jsonw_object(w);
	pair_raw(w, "metrics", r->metrics);
	pair_raw(w, "hyperparams", r->hyperparams);
	if (r->has_steps)
		jsonw_pair_int(w, "steps", r->steps);
	pair_raw(w, "epochs", r->epochs);
	pair_text(w, "final_checkpoint", r->final_checkpoint);
	pair_text(w, "base_model", r->base_model);
	pair_raw(w, "planned", r->planned);
	pair_raw(w, "sources", r->sources);
	pair_raw(w, "raw_hyperparams", r->raw_hyperparams);
	pair_raw(w, "best", r->best);
	pair_raw(w, "evidence", r->evidence);
	pair_text(w, "dataset", r->dataset);
	pair_raw(w, "reading", r->reading);
	pair_text(w, "outcome", r->outcome);
	pair_text(w, "failure", r->error);
	pair_text(w, "start_time", r->start_time);
	pair_text(w, "end_time", r->end_time);
	pair_raw(w, "issues", r->issues);
	pair_strings(w, "warnings", &r->warnings);
	pair_strings(w, "read_files", &r->read_files);
	jsonw_key(w, "ms");
	jsonw_real(w, r->worker_ms);
	jsonw_end(w);
}

static int extract(struct plugin_set *set, char **args, int n)
{
	struct plugin_plan plan = PLUGIN_PLAN_INIT;
	struct plugin_result result = PLUGIN_RESULT_INIT;
	struct err err = ERR_INIT;
	struct str out = STR_INIT;
	struct jsonw w = jsonw_begin(&out, 0);
	struct plugin_call call = { .dirfd = path_open_dir(args[2], &err), .exp = "exp_test" };

	call.dir_name = path_base(args[2]);
	call.log = n > 3 && args[3][0] ? args[3] : NULL;
	call.argv = n > 4 ? args + 4 : NULL;
	if (call.dirfd < 0 ||
	    plugin_describe(set, args[0], args[1][0] ? args[1] : NULL, NULL, &plan, &err) < 0 ||
	    plugin_extract(set, &plan, &call, &result, &err) < 0) {
		plugin_plan_release(&plan);
		if (call.dirfd >= 0)
			close(call.dirfd);
		return print_err(&err);
	}
	write_result(&w, &result);
	plugin_result_release(&result);
	plugin_plan_release(&plan);
	close(call.dirfd);
	return print(&out, 0);
}

/* Status 0 says that the host lived through all of them. */
static int batch(struct plugin_set *set, char **args)
{
	char stage[256];

	while (fgets(stage, sizeof(stage), stdin)) {
		char none[] = "";
		char *words[] = { stage, none, args[0] };

		stage[strcspn(stage, "\n")] = '\0';
		extract(set, words, 3);
		fflush(stdout);
	}
	return 0;
}

static void on_value(void *arg, const char *name, double value)
{
	struct jsonw *w = arg;

	jsonw_object(w);
	jsonw_key(w, name);
	jsonw_real(w, value);
	jsonw_end(w);
}

/* Send all of stdin, then wait until everything is answered or the worker is given up. */
static int progress(struct plugin_set *set, char **args)
{
	struct plugin_plan plan = PLUGIN_PLAN_INIT;
	struct plugin_progress p;
	struct err err = ERR_INIT;
	struct str out = STR_INIT;
	struct jsonw w = jsonw_begin(&out, 0);
	static char block[2 * PROGRESS_BLOCK];
	size_t len;

	if (plugin_describe(set, args[0], NULL, NULL, &plan, &err) < 0 ||
	    plugin_progress_start(&p, &plan, &set->limits, &err) < 0) {
		plugin_plan_release(&plan);
		return print_err(&err);
	}
	jsonw_array(&w);
	while ((len = fread(block, 1, sizeof(block), stdin)) > 0)
		plugin_progress_send(&p, block, len);
	while (p.fd >= 0 && p.unanswered) {
		struct pollfd polled = { .fd = p.fd, .events = POLLIN };

		poll(&polled, 1, 50);
		plugin_progress_receive(&p, on_value, &w);
	}
	if (p.fd < 0)
		jsonw_string(&w, "given up");
	jsonw_end(&w);
	plugin_progress_stop(&p);
	plugin_plan_release(&plan);
	return print(&out, 0);
}

static int check(struct plugin_set *set, char **args)
{
	struct plugin_report report;
	struct err err = ERR_INIT;
	struct str out = STR_INIT;
	struct jsonw w = jsonw_begin(&out, 0);

	if (plugin_check_file(set, args[0], &report, &err) < 0)
		return print_err(&err);
	if (report.err.code)
		return print_err(&report.err);
	jsonw_object(&w);
	write_plan(&w, &report.plan);
	jsonw_end(&w);
	plugin_plan_release(&report.plan);
	return print(&out, 0);
}

static int list(struct plugin_set *set)
{
	struct plugin_report *reports;
	struct err err = ERR_INIT;
	struct str out = STR_INIT;
	struct jsonw w = jsonw_begin(&out, 0);
	size_t n;

	if (plugin_describe_all(set, &reports, &n, &err) < 0)
		return print_err(&err);
	jsonw_array(&w);
	for (size_t i = 0; i < n; i++) {
		jsonw_object(&w);
		jsonw_pair_string(&w, "kind", reports[i].file->kind);
		jsonw_pair_string(&w, "name", reports[i].file->name);
		jsonw_pair_string(&w, "path", reports[i].file->path);
		jsonw_key(&w, "shadowed");
		jsonw_bool(&w, reports[i].file->is_shadowed);
		jsonw_pair_string(&w, "error", reports[i].err.msg);
		jsonw_end(&w);
	}
	jsonw_end(&w);
	plugin_reports_release(reports, n);
	return print(&out, 0);
}

static int confinement(void)
{
	struct strv active = STRV_INIT;
	struct strv missing = STRV_INIT;
	struct err err = ERR_INIT;
	struct str out = STR_INIT;
	struct jsonw w = jsonw_begin(&out, 0);

	if (plugin_confinement(&active, &missing, &err) < 0)
		return print_err(&err);
	jsonw_object(&w);
	pair_strings(&w, "active", &active);
	pair_strings(&w, "missing", &missing);
	jsonw_end(&w);
	strv_release(&active);
	strv_release(&missing);
	return print(&out, 0);
}

static int worker(int argc, char **argv)
{
	char *self = proc_self();
	char *other = xstrf("%s.worker", self);

	execv(other, argv);
	free(other);
	free(self);
	return worker_main(argc, argv);
}

int main(int argc, char **argv)
{
	struct plugin_options options = { .path = argc > 2 ? argv[2] : "" };
	const char *verb = argc > 2 ? argv[1] : "";
	struct plugin_set set;
	struct err err = ERR_INIT;
	int status = 2;

	if (argc > 1 && strcmp(argv[1], WORKER_VERB) == 0)
		return worker(argc, argv);
	options.limits.load_ms = number_from("LOAD_MS", 0);
	options.limits.call_ms = number_from("CALL_MS", 0);
	options.limits.memory = (size_t)number_from("MEMORY_KB", 0) << 10;
	if (strcmp(verb, "check") == 0)
		options.path = "";
	if (plugin_set_open(&set, &options, &err) < 0)
		return print_err(&err);
	if (strcmp(verb, "describe") == 0 && argc > 3)
		status = describe(&set, argv + 3, argc - 3);
	else if (strcmp(verb, "extract") == 0 && argc > 5)
		status = extract(&set, argv + 3, argc - 3);
	else if (strcmp(verb, "batch") == 0 && argc > 3)
		status = batch(&set, argv + 3);
	else if (strcmp(verb, "progress") == 0 && argc > 3)
		status = progress(&set, argv + 3);
	else if (strcmp(verb, "check") == 0)
		status = check(&set, argv + 2);
	else if (strcmp(verb, "list") == 0)
		status = list(&set);
	else if (strcmp(verb, "confinement") == 0)
		status = confinement();
	plugin_set_release(&set);
	return status;
}
