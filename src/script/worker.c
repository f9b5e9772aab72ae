/*
 * The protocol. The parent writes one line of JSON, then the texts of the sources one after the
 * other (their sizes are in the line; a source need not be UTF-8):
 *
 *	{"op":"describe"|"call", "stage", "dataset", "memory", "load_ms", "call_ms", "cpu_s",
 *	 "fds",
 *	 "plugins":[{"kind","name","path"}],
 *	 "sources":[{"plugin":0|1|-1,"module","path","size"}],
 *	 "entry":{...}, "entries":[{...}], "ctx":{"exp","now","dir_name","argv":[...]}, "config":{...},
 *	 "inputs":[{"name","chosen","files":[{"name","mtime","size","fd","why","dir"}]}]}
 *
 * The worker answers with one JSON object: "plan" (describe), "result" and "hyperparams" (call),
 * "issues", or "error":{"message","hint","number"}; always "infos", "warnings" and what of the
 * confinement is in force and what is not had, "active" and "missing". On stderr it notes what it
 * is at, "@PLUGIN FUNCTION", for the message should it be killed.
 *
 * With "entries" (describe) there is such an answer for each, in a line of its own that is written
 * as soon as the entry is done: the first that is missing is the one that ended the worker. One that
 * is null is no entry: only what is declared is asked for.
 *
 * A call has a worker to itself, for the sake of its inputs. To share one, it would need the inputs of
 * all its calls from the start, or a way to be handed more of them behind the filter (recvmsg), and a
 * worker that was broken into would keep what it read for one record when it answers for the next.
 *
 * Started with PROBE_ARG it reads nothing, confines itself and answers.
 */
#include "base/base.h"

#include "script/worker.h"

#include "base/mem.h"
#include "script/calls.h"
#include "script/confine.h"
#include "script/progress.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#define REQUEST_LIMIT ((size_t)64 << 20)
#define READ_SIZE ((size_t)64 << 10)

struct worker {
	struct str text; /* the whole request */
	struct json doc;
	struct calls calls;
	struct strv active; /* parts of the confinement */
	struct strv missing;
};

/* ---- the request ---- */

static int read_request(struct str *out, struct err *err)
{
	for (;;) {
		ssize_t n;

		str_reserve(out, READ_SIZE);
		n = read(STDIN_FILENO, out->buf + out->len, READ_SIZE);
		if (n < 0 && errno == EINTR)
			continue; /* not reached by tests: a worker has no handler of signals */
		if (n < 0)
			return err_errno(err, ERR_FAILED, "cannot read the request");
		if (n == 0)
			break;
		out->len += (size_t)n;
		if (out->len > REQUEST_LIMIT)
			return err_set(err, ERR_FAILED, "the request is too large");
	}
	out->buf[out->len] = '\0';
	return 0;
}

static int64_t integer(const struct json *doc, size_t object, const char *key)
{
	int64_t value = 0;

	json_int64(doc, json_member(doc, object, key), &value);
	return value;
}

static char *text_of(const struct json *doc, size_t object, const char *key)
{
	return json_string_copy(doc, json_member(doc, object, key));
}

static void read_strings(const struct json *doc, size_t list, struct strv *out)
{
	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i))
		strv_push_take(out, json_string_copy(doc, i));
}

static void read_plugins(struct worker *w, struct contract *contract)
{
	const struct json *doc = &w->doc;
	size_t list = json_member(doc, 0, "plugins");

	for (size_t i = json_first(doc, list); i != JSON_NONE && contract->n < 2;
	     i = json_next(doc, list, i))
		contract->plugins[contract->n++] =
			(struct contract_plugin){ .kind = text_of(doc, i, "kind"),
						  .name = text_of(doc, i, "name"),
						  .path = text_of(doc, i, "path") };
}

/* The texts stand behind the line, in the order of the list. */
static int read_sources(struct worker *w, size_t at, struct err *err)
{
	const struct json *doc = &w->doc;
	size_t list = json_member(doc, 0, "sources");

	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i)) {
		struct state_source source = { .plugin = (int)integer(doc, i, "plugin"),
					       .module = text_of(doc, i, "module"),
					       .path = text_of(doc, i, "path"),
					       .text = w->text.buf + at,
					       .len = (size_t)integer(doc, i, "size") };

		if (source.len > w->text.len - at)
			return err_set(err, ERR_FAILED, "the request was cut short");
		at += source.len;
		state_add_source(&w->calls.state, &source);
	}
	return 0;
}

static void read_files(const struct json *doc, size_t list, struct api_input *input)
{
	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i)) {
		input->files = xreallocarray(input->files, input->n + 1, sizeof(*input->files));
		input->files[input->n++] =
			(struct api_file){ .name = text_of(doc, i, "name"),
					   .mtime = text_of(doc, i, "mtime"),
					   .size = integer(doc, i, "size"),
					   .fd = (int)integer(doc, i, "fd"),
					   .why = text_of(doc, i, "why"),
					   .is_dir = json_is(doc, json_member(doc, i, "dir"),
							     JSON_TRUE) };
	}
}

static void read_inputs(const struct json *doc, struct api *api)
{
	size_t list = json_member(doc, 0, "inputs");

	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i)) {
		struct api_input *input;

		api->inputs = xreallocarray(api->inputs, api->n_inputs + 1, sizeof(*api->inputs));
		input = &api->inputs[api->n_inputs++];
		*input = (struct api_input){ .name = text_of(doc, i, "name"),
					     .chosen = (size_t)integer(doc, i, "chosen") };
		read_files(doc, json_member(doc, i, "files"), input);
	}
}

static void read_ctx(const struct json *doc, struct api *api)
{
	size_t ctx = json_member(doc, 0, "ctx");
	size_t config = json_member(doc, 0, "config");

	api->stage = text_of(doc, 0, "stage");
	api->dataset = text_of(doc, 0, "dataset");
	api->exp = text_of(doc, ctx, "exp");
	api->now = text_of(doc, ctx, "now");
	api->dir_name = text_of(doc, ctx, "dir_name");
	read_strings(doc, json_member(doc, ctx, "argv"), &api->argv);
	for (size_t i = json_first(doc, config); i != JSON_NONE; i = json_next(doc, config, i)) {
		strv_push_take(&api->config_keys, json_string_copy(doc, i));
		strv_push_take(&api->config_values, json_string_copy(doc, i + 1));
	}
}

/* The limits are of no account: nothing will run. */
static int probe(struct worker *w, struct err *err)
{
	const struct confine_limits limits = { .memory = (size_t)1 << 20, .cpu_seconds = 1 };

	return confine_self(&limits, &w->active, &w->missing, err);
}

/* From the request to 'calls'; confines the process as soon as the limits are known. */
static int prepare(struct worker *w, struct err *err)
{
	struct calls *c = &w->calls;
	size_t line;
	const char *end;
	struct confine_limits limits;

	if (read_request(&w->text, err) < 0)
		return -1;
	end = memchr(w->text.buf, '\n', w->text.len);
	line = end ? (size_t)(end - w->text.buf) : w->text.len;
	if (json_parse(&w->doc, "request", w->text.buf, line, JSON_NONFINITE_OK, err) < 0)
		return -1;
	limits = (struct confine_limits){ .memory = (size_t)integer(&w->doc, 0, "memory"),
					  .cpu_seconds = (int)integer(&w->doc, 0, "cpu_s"),
					  .n_inputs = (int)integer(&w->doc, 0, "fds") };
	if (json_member(&w->doc, 0, "entries") != JSON_NONE)
		state_will_renew();
	if (confine_self(&limits, &w->active, &w->missing, err) < 0 ||
	    state_open(&c->state, limits.memory, err) < 0)
		return -1;
	c->request = &w->doc;
	c->entry = json_member(&w->doc, 0, "entry");
	c->load_ms = (int)integer(&w->doc, 0, "load_ms");
	c->call_ms = (int)integer(&w->doc, 0, "call_ms");
	read_plugins(w, &c->contract);
	c->contract.stage = text_of(&w->doc, 0, "stage");
	read_ctx(&w->doc, &c->api);
	read_inputs(&w->doc, &c->api);
	return read_sources(w, line < w->text.len ? line + 1 : line, err);
}

/* ---- the answer ---- */

static int run(struct worker *w, struct err *err)
{
	struct calls *c = &w->calls;
	bool is_call = json_string_is(&w->doc, json_member(&w->doc, 0, "op"), "call");

	if (calls_load(c, err) < 0)
		return -1;
	if (!is_call) {
		if (calls_describe(c, err) < 0)
			return -1; /* not reached by tests: memory or time that is over just here */
		return c->entry == JSON_NONE ? 0 : calls_validate(c, err);
	}
	if (calls_extract(c, err) < 0 || calls_hyperparams(c, err) < 0)
		return -1;
	return calls_validate(c, err);
}

/* The texts are compact already, and may hold NaN: they go in as they are. */
static void add_text(struct str *out, const char *key, const struct str *text)
{
	if (text->len)
		str_addf(out, "\"%s\":%s,", key, text->buf);
}

static void add_strings(struct str *out, const char *key, const struct strv *v)
{
	str_addf(out, "\"%s\":[", key);
	for (size_t i = 0; i < v->n; i++) {
		if (i)
			str_addch(out, ',');
		json_add_strz(out, v->v[i]);
	}
	str_addch(out, ']');
}

static void write_answer(const struct worker *w, const struct err *err)
{
	const struct calls *c = &w->calls;
	struct str out = STR_INIT;

	str_addch(&out, '{');
	if (err->code) {
		str_adds(&out, "\"error\":{\"message\":");
		json_add_strz(&out, err->msg);
		str_adds(&out, ",\"hint\":");
		json_add_strz(&out, err->hint);
		str_addf(&out, ",\"number\":%d},", err->number);
	} else {
		add_text(&out, "plan", &c->plan);
		add_text(&out, "result", &c->result);
		add_text(&out, "hyperparams", &c->hyperparams);
		add_text(&out, "issues", &c->issues);
	}
	add_strings(&out, "active", &w->active);
	str_addch(&out, ',');
	add_strings(&out, "missing", &w->missing);
	str_addch(&out, ',');
	add_strings(&out, "infos", &c->api.infos);
	str_addch(&out, ',');
	add_strings(&out, "warnings", &c->api.warnings);
	str_adds(&out, "}\n");
	for (size_t at = 0; at < out.len;) {
		ssize_t n = write(STDOUT_FILENO, out.buf + at, out.len - at);

		if (n < 0 && errno != EINTR)
			break; /* the parent is gone */
		at += n > 0 ? (size_t)n : 0;
	}
	str_release(&out);
}

/* Each entry as if it were the only one. */
static void run_each(struct worker *w, size_t entries)
{
	struct calls *c = &w->calls;

	for (size_t i = json_first(&w->doc, entries); i != JSON_NONE;
	     i = json_next(&w->doc, entries, i)) {
		struct err err = ERR_INIT;

		c->entry = json_is(&w->doc, i, JSON_NULL) ? JSON_NONE : i;
		run(w, &err);
		write_answer(w, &err);
		if (calls_renew(c, &err) < 0)
			return; /* not reached by tests: see state_renew() */
	}
}

/* The timer must end us whatever the parent's parent did to SIGALRM. */
static void reset_alarm(void)
{
	sigset_t mask;

	signal(SIGALRM, SIG_DFL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

int worker_main(int argc, char **argv)
{
	static struct worker w = { .text = STR_INIT, .doc = JSON_INIT };
	struct err err = ERR_INIT;
	const char *what = argc > 2 ? argv[2] : "";
	int result;

	reset_alarm();
	if (strcmp(what, PROGRESS_ARG) == 0)
		return progress_worker();
	w.calls.plan = (struct str)STR_INIT;
	w.calls.result = (struct str)STR_INIT;
	w.calls.hyperparams = (struct str)STR_INIT;
	w.calls.issues = (struct str)STR_INIT;
	w.calls.scratch = (struct str)STR_INIT;
	result = strcmp(what, PROBE_ARG) == 0 ? probe(&w, &err) : prepare(&w, &err);
	if (result == 0 && !what[0]) {
		size_t entries = json_member(&w.doc, 0, "entries");

		if (entries != JSON_NONE) {
			run_each(&w, entries);
			_exit(0);
		}
		run(&w, &err);
	} else if (result < 0)
		err_prefix(&err, "cannot run a plugin in a confined process");
	write_answer(&w, &err);
	_exit(0); /* lua_close() would only give back what goes anyway */
}
