#include "base/base.h"

#include "script/exchange.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "script/worker.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#define ANSWER_LIMIT ((size_t)4 << 20)

/* To start a worker on a machine that is busy; the limits of the plugin run from when it runs. */
#define START_MS 1000

/* What lua-cjson ends the process with when its buffer cannot grow. */
#define CJSON_NO_MEMORY 255

/* extract, hyperparams, validate */
#define FUNCTIONS 3

/* ---- the request ---- */

static void write_sources(struct jsonw *w, const struct sources *sources)
{
	jsonw_key(w, "sources");
	jsonw_array(w);
	for (size_t i = 0; i < sources->n; i++) {
		const struct source *source = &sources->v[i];

		jsonw_object(w);
		jsonw_pair_int(w, "plugin", source->plugin);
		jsonw_pair_string(w, "module", source->module);
		jsonw_pair_string(w, "path", source->path);
		jsonw_pair_int(w, "size", (int64_t)source->text.len);
		jsonw_end(w);
	}
	jsonw_end(w);
}

static void write_plugins(struct jsonw *w, const struct exchange *x)
{
	jsonw_key(w, "plugins");
	jsonw_array(w);
	for (int i = 0; i < x->n_plugins; i++) {
		jsonw_object(w);
		jsonw_pair_string(w, "kind", x->plugins[i]->kind);
		jsonw_pair_string(w, "name", x->plugins[i]->name);
		jsonw_pair_string(w, "path", x->plugins[i]->path);
		jsonw_end(w);
	}
	jsonw_end(w);
}

static void write_ctx(struct jsonw *w, const struct exchange *x)
{
	const struct plugin_call *call = x->call;
	char now[CLOCK_TEXT_SIZE];

	clock_format(clock_now(), now);
	jsonw_key(w, "ctx");
	jsonw_object(w);
	jsonw_pair_string(w, "now", now);
	if (call && call->exp)
		jsonw_pair_string(w, "exp", call->exp);
	if (call && call->dir_name)
		jsonw_pair_string(w, "dir_name", call->dir_name);
	jsonw_key(w, "argv");
	jsonw_array(w);
	for (char *const *arg = call ? call->argv : NULL; arg && *arg; arg++)
		jsonw_string(w, *arg);
	jsonw_end(w);
	jsonw_end(w);
}

static void write_config(struct jsonw *w, const struct plugin_call *call)
{
	size_t n = call && call->config_keys && call->config_values ? call->config_keys->n : 0;

	jsonw_key(w, "config");
	jsonw_object(w);
	for (size_t i = 0; i < n && i < call->config_values->n; i++)
		jsonw_pair_string(w, call->config_keys->v[i], call->config_values->v[i]);
	jsonw_end(w);
}

static void write_input(struct jsonw *w, const struct input *input)
{
	jsonw_object(w);
	jsonw_pair_string(w, "name", input->name);
	jsonw_pair_int(w, "chosen", (int64_t)input->chosen);
	jsonw_key(w, "files");
	jsonw_array(w);
	for (size_t i = 0; i < input->n; i++) {
		const struct input_file *file = &input->files[i];

		jsonw_object(w);
		jsonw_pair_string(w, "name", file->name);
		jsonw_pair_string(w, "mtime", file->mtime);
		jsonw_pair_int(w, "size", file->size);
		jsonw_pair_int(w, "fd", file->place < 0 ? -1 : SPAWN_FIRST_PASSED + file->place);
		if (file->place < 0 && file->why)
			jsonw_pair_string(w, "why", file->why);
		jsonw_key(w, "dir");
		jsonw_bool(w, file->is_dir);
		jsonw_end(w);
	}
	jsonw_end(w);
	jsonw_end(w);
}

/* Wall-clock milliseconds after which the worker is killed whatever it does; for each of many entries
 * they begin anew. */
static int deadline_ms(const struct exchange *x)
{
	int functions = x->is_call ? FUNCTIONS : x->entry != NULL;

	if (x->n_entries)
		functions = 1;
	return START_MS + (x->n_plugins + 1) * x->limits->load_ms + functions * x->limits->call_ms;
}

static void write_limits(struct jsonw *w, const struct exchange *x)
{
	jsonw_pair_int(w, "memory", (int64_t)x->limits->memory);
	jsonw_pair_int(w, "load_ms", x->limits->load_ms);
	jsonw_pair_int(w, "call_ms", x->limits->call_ms);
	jsonw_pair_int(w, "cpu_s",
		       (int64_t)(x->n_entries ? x->n_entries : 1) * deadline_ms(x) / 1000 + 1);
	jsonw_pair_int(w, "fds", x->inputs ? (int64_t)x->inputs->n_fds : 0);
}

static void write_entries(struct jsonw *w, const struct exchange *x)
{
	jsonw_key(w, "entries");
	jsonw_array(w);
	for (size_t i = 0; i < x->n_entries; i++) {
		const char *entry = x->entries[i] ? x->entries[i] : "null";

		jsonw_raw(w, entry, strlen(entry));
	}
	jsonw_end(w);
}

static void write_request(const struct exchange *x, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 0);

	jsonw_object(&w);
	jsonw_pair_string(&w, "op", x->is_call ? "call" : "describe");
	if (x->stage)
		jsonw_pair_string(&w, "stage", x->stage);
	if (x->dataset)
		jsonw_pair_string(&w, "dataset", x->dataset);
	write_limits(&w, x);
	write_plugins(&w, x);
	write_sources(&w, &x->sources);
	write_ctx(&w, x);
	write_config(&w, x->call);
	jsonw_key(&w, "inputs");
	jsonw_array(&w);
	for (size_t i = 0; x->inputs && i < x->inputs->n; i++)
		write_input(&w, &x->inputs->v[i]);
	jsonw_end(&w);
	if (x->entry)
		jsonw_pair_raw(&w, "entry", x->entry);
	if (x->n_entries)
		write_entries(&w, x);
	jsonw_end(&w);
	str_addch(out, '\n');
	for (size_t i = 0; i < x->sources.n; i++)
		str_add(out, x->sources.v[i].text.buf, x->sources.v[i].text.len);
}

/* ---- what became of the worker ---- */

/* The last "@PLUGIN FUNCTION" on its stderr: who was at work. */
static const struct plugin_file *at_work(const struct exchange *x, char function[32])
{
	const char *note = NULL;
	int number = 0;

	for (const char *at = x->answer.errors.buf; (at = strchr(at, '@')); at++)
		note = at;
	snprintf(function, 32, "loading");
	if (!note || sscanf(note, "@%d %31[a-z]", &number, function) != 2 || number < 0 ||
	    number >= x->n_plugins)
		number = 0;
	return x->plugins[number];
}

static int limit_of(const struct exchange *x, const char *function)
{
	return strcmp(function, "loading") == 0 ? x->limits->load_ms : x->limits->call_ms;
}

/* Why the worker gave no answer, as the end of a sentence. */
static void describe_end(const struct exchange *x, const char *function, struct str *out)
{
	int status = x->answer.status;
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (x->answer.timed_out || signal == SIGALRM)
		str_addf(out, "did not stop within %g s and was killed",
			 limit_of(x, function) / 1000.0);
	else if (x->answer.too_much)
		str_addf(out, "answered more than %zu MiB and was killed", ANSWER_LIMIT >> 20);
	else if (signal == SIGSYS)
		str_adds(out, "asked the kernel for what a plugin may not have, and was killed");
	else if (signal == SIGKILL || signal == SIGXCPU)
		str_adds(out, "used too much processor time or memory and was killed");
	else if (WIFEXITED(status) && (WEXITSTATUS(status) == err_exit_status(ERR_INTERNAL) ||
				       WEXITSTATUS(status) == CJSON_NO_MEMORY))
		str_adds(out, "needed more memory than a plugin may have");
	else if (signal)
		str_addf(out, "crashed (SIG%s)", sigabbrev_np(signal) ? sigabbrev_np(signal) : "?");
	else
		str_addf(out, "gave no answer (status %d)", WEXITSTATUS(status));
}

static int no_answer(const struct exchange *x, struct err *err)
{
	struct str why = STR_INIT;
	char function[32];
	const struct plugin_file *plugin = at_work(x, function);

	describe_end(x, function, &why);
	err_set(err, ERR_PLUGIN, "plugin '%s' (%s): %s %s", plugin->name, plugin->path, function,
		why.buf);
	err_path(err, plugin->path);
	str_release(&why);
	return -1;
}

/* ---- the answer ---- */

static void log_infos(const struct exchange *x)
{
	size_t list = json_member(&x->doc, 0, "infos");

	for (size_t i = json_first(&x->doc, list); i != JSON_NONE;
	     i = json_next(&x->doc, list, i)) {
		char *text = json_string_copy(&x->doc, i);

		if (text)
			log_info("%s: %s", x->plugins[0]->name, text);
		free(text);
	}
}

static int take_error(const struct exchange *x, size_t error, struct err *err)
{
	char *message = json_string_copy(&x->doc, json_member(&x->doc, error, "message"));
	char *hint = json_string_copy(&x->doc, json_member(&x->doc, error, "hint"));
	int64_t number = 0;

	err_set(err, ERR_PLUGIN, "%s",
		message && message[0] ? message : "the worker failed without a message");
	if (json_int64(&x->doc, json_member(&x->doc, error, "number"), &number) == 0 &&
	    number == ENODATA)
		err->number = ENODATA;
	if (hint && hint[0])
		err_hint(err, "%s", hint);
	err_path(err, x->plugins[0]->path);
	free(message);
	free(hint);
	return -1;
}

static int take_answer(struct exchange *x, struct err *err)
{
	const struct str *out = &x->answer.out;
	struct err why = ERR_INIT;
	size_t error;

	if (!proc_succeeded(&x->answer) || x->answer.too_much || !out->len)
		return no_answer(x, err);
	if (json_parse(&x->doc, "answer", out->buf, out->len, JSON_NONFINITE_OK, &why) < 0 ||
	    !json_is(&x->doc, 0, JSON_OBJECT))
		return err_set(err, ERR_PLUGIN,
			       "plugin '%s' (%s): the worker's answer is not valid: %s",
			       x->plugins[0]->name, x->plugins[0]->path, why.msg);
	log_infos(x);
	error = json_member(&x->doc, 0, "error");
	return error == JSON_NONE ? 0 : take_error(x, error, err);
}

bool exchange_next(struct exchange *x, int *result, struct err *err)
{
	const char *line = x->answer.out.buf + x->at;
	const char *end = memchr(line, '\n', x->answer.out.len - x->at);
	struct err ignored = ERR_INIT;
	size_t error;

	if (!end ||
	    json_parse(&x->doc, "answer", line, (size_t)(end - line), JSON_NONFINITE_OK, &ignored) <
		    0 ||
	    !json_is(&x->doc, 0, JSON_OBJECT))
		return false;
	x->at = (size_t)(end - x->answer.out.buf) + 1;
	log_infos(x);
	error = json_member(&x->doc, 0, "error");
	*result = error == JSON_NONE ? 0 : take_error(x, error, err);
	return true;
}

static int read_sources(struct exchange *x, struct err *err)
{
	for (int i = 0; i < x->n_plugins; i++)
		if (sources_add_plugin(&x->sources, i, x->plugins[i], err) < 0)
			return -1;
	return sources_add_override(&x->sources, err);
}

int exchange_ask(struct exchange *x, struct err *err)
{
	char *argv[] = { (char[]){ "thhost" }, (char[]){ WORKER_VERB }, NULL };
	char *env[] = { NULL };
	struct str request = STR_INIT;
	char *self = proc_self();
	int64_t start = clock_monotonic_ms();
	struct proc_request ask = { .argv = argv,
				    .env = env,
				    .exe = self,
				    .output_limit = ANSWER_LIMIT,
				    .deadline_ms = deadline_ms(x),
				    .renewals = x->n_entries };
	int result = read_sources(x, err);

	if (result == 0) {
		write_request(x, &request);
		ask.input = request.buf;
		ask.input_len = request.len;
		ask.pass_fds = x->inputs ? x->inputs->fds : NULL;
		ask.n_pass_fds = x->inputs ? x->inputs->n_fds : 0;
		result = proc_capture(&ask, &x->answer, err);
		x->ms = (double)(clock_monotonic_ms() - start);
	}
	str_release(&request);
	free(self);
	return result;
}

int exchange_run(struct exchange *x, struct err *err)
{
	int result = exchange_ask(x, err);

	return result == 0 ? take_answer(x, err) : result;
}

/* ---- what confines a worker here ---- */

static void take_strings(const struct json *doc, const char *key, struct strv *out)
{
	size_t list = json_member(doc, 0, key);

	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i))
		if (json_is(doc, i, JSON_STRING))
			strv_push_take(out, json_string_copy(doc, i));
}

static int take_confinement(const struct proc_answer *answer, struct strv *active,
			    struct strv *missing, struct err *err)
{
	struct json doc = JSON_INIT;
	char *message = NULL;
	int result = 0;

	if (!proc_succeeded(answer) ||
	    json_parse(&doc, "answer", answer->out.buf, answer->out.len, JSON_STRICT, err) < 0)
		return err_set(err, ERR_FAILED, "the plugin worker gave no answer");
	message =
		json_string_copy(&doc, json_member(&doc, json_member(&doc, 0, "error"), "message"));
	if (message)
		result = err_set(err, ERR_FAILED, "%s", message);
	take_strings(&doc, "active", active);
	take_strings(&doc, "missing", missing);
	free(message);
	json_release(&doc);
	return result;
}

int exchange_probe(struct strv *active, struct strv *missing, struct err *err)
{
	char *argv[] = { (char[]){ "thhost" }, (char[]){ WORKER_VERB }, (char[]){ PROBE_ARG },
			 NULL };
	char *env[] = { NULL };
	char *self = proc_self();
	struct proc_request ask = { .argv = argv,
				    .env = env,
				    .exe = self,
				    .output_limit = ANSWER_LIMIT,
				    .deadline_ms = START_MS };
	struct proc_answer answer = PROC_ANSWER_INIT;
	int result = proc_capture(&ask, &answer, err);

	if (result == 0)
		result = take_confinement(&answer, active, missing, err);
	proc_answer_release(&answer);
	free(self);
	return result;
}

void exchange_release(struct exchange *x)
{
	sources_release(&x->sources);
	proc_answer_release(&x->answer);
	json_release(&x->doc);
}
