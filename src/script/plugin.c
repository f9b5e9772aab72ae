#include "base/base.h"

#include "script/plugin.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "script/exchange.h"
#include "script/inputs.h"
#include "script/value.h"
#include "sys/path.h"

#include <lua.h>

/* Each is looked for in the stage directory, which takes its time. */
#define MAX_INPUTS 64

#define CJSON_VERSION "lua-cjson 2.1.0" /* the archive has no macro for it */

/* ---- the plan ---- */

static void free_inputs(struct plugin_plan *plan)
{
	for (size_t i = 0; i < plan->n_inputs; i++) {
		free(plan->inputs[i].name);
		free(plan->inputs[i].pattern);
	}
	free(plan->inputs);
	for (size_t i = 0; i < plan->n_metrics; i++) {
		free(plan->metrics[i].name);
		free(plan->metrics[i].unit);
	}
	free(plan->metrics);
	for (size_t i = 0; i < plan->n_rules; i++) {
		free(plan->rules[i].find);
		free(plan->rules[i].match);
		strv_release(&plan->rules[i].set);
	}
	free(plan->rules);
}

void plugin_plan_release(struct plugin_plan *plan)
{
	char *texts[] = { plan->stage,	plan->dataset, plan->name,	   plan->version,
			  plan->path,	plan->summary, plan->dataset_path, plan->dataset_version,
			  plan->source, plan->dir,     plan->model_name,   plan->issues };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	strv_release(&plan->requires);
	strv_release(&plan->produces);
	strv_release(&plan->command);
	free_inputs(plan);
	*plan = (struct plugin_plan)PLUGIN_PLAN_INIT;
}

static char *text_of(const struct json *doc, size_t object, const char *key)
{
	return json_string_copy(doc, json_member(doc, object, key));
}

static char *text_or_empty(const struct json *doc, size_t object, const char *key)
{
	char *text = text_of(doc, object, key);

	return text ? text : xstrdup("");
}

static void read_strings(const struct json *doc, size_t list, struct strv *out)
{
	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i))
		if (json_is(doc, i, JSON_STRING))
			strv_push_take(out, json_string_copy(doc, i));
}

/* Member 'key' if it is a list: a worker that was broken into may send an object, which has members,
 * but no size to go by. */
static size_t list_of(const struct json *doc, size_t object, const char *key)
{
	size_t list = json_member(doc, object, key);

	return json_is(doc, list, JSON_ARRAY) ? list : JSON_NONE;
}

static size_t size_of(const struct json *doc, size_t list)
{
	return list == JSON_NONE ? 0 : doc->tokens[list].size;
}

static void read_inputs(const struct json *doc, size_t list, struct plugin_plan *plan)
{
	plan->inputs = xcalloc(size_of(doc, list) + 1, sizeof(*plan->inputs));
	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i))
		plan->inputs[plan->n_inputs++] = (struct plugin_input){
			.name = text_or_empty(doc, i, "name"),
			.pattern = text_or_empty(doc, i, "pattern"),
			.is_optional = json_is(doc, json_member(doc, i, "optional"), JSON_TRUE),
		};
}

static void read_metrics(const struct json *doc, size_t list, struct plugin_plan *plan)
{
	plan->metrics = xcalloc(size_of(doc, list) + 1, sizeof(*plan->metrics));
	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i)) {
		size_t goal = json_member(doc, i, "goal");
		char sign = 0;

		if (goal != JSON_NONE)
			sign = json_string_is(doc, goal, "max") ? '+' : '-';
		plan->metrics[plan->n_metrics++] = (struct plugin_metric){
			.name = text_or_empty(doc, i, "name"),
			.goal = sign,
			.is_required = json_is(doc, json_member(doc, i, "required"), JSON_TRUE),
			.is_primary = json_is(doc, json_member(doc, i, "primary"), JSON_TRUE),
			.unit = text_of(doc, i, "unit"),
		};
	}
}

static void read_rules(const struct json *doc, size_t list, struct plugin_plan *plan)
{
	plan->rules = xcalloc(size_of(doc, list) + 1, sizeof(*plan->rules));
	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i)) {
		struct plugin_rule *rule = &plan->rules[plan->n_rules++];
		size_t scale = json_member(doc, i, "scale");

		*rule = (struct plugin_rule){ .find = text_or_empty(doc, i, "find"),
					      .match = text_or_empty(doc, i, "match"),
					      .scale = 1 };
		if (scale != JSON_NONE)
			json_real(doc, scale, &rule->scale);
		read_strings(doc, list_of(doc, i, "set"), &rule->set);
	}
}

/* The texts of both plugins, for their hash; helpers beside them are part of it. */
static void keep_source(struct plugin_plan *plan, const struct sources *sources)
{
	struct str all = STR_INIT;

	for (size_t i = 0; i < sources->n; i++)
		if (sources->v[i].plugin >= 0)
			str_add(&all, sources->v[i].text.buf, sources->v[i].text.len);
	plan->source_len = all.len;
	plan->source = str_detach(&all);
}

/* The prefix of a directory's name must be a name: what it becomes a part of is a path. */
static int check_dir(const struct plugin_plan *plan, struct err *err)
{
	struct err why = ERR_INIT;

	if (path_check_name("dir", plan->dir, &why) == 0)
		return 0;
	return err_set(err, ERR_PLUGIN, "plugin '%s' (%s): %s", plan->name, plan->path, why.msg);
}

/* A name that the generic plugin has only for itself: another stage that it serves has its own. */
static char *name_or_stage(const struct exchange *x, size_t plan, const char *key)
{
	char *name = text_or_empty(&x->doc, plan, key);

	if (!x->stage || strcmp(x->plugins[0]->name, PLUGIN_GENERIC) != 0 ||
	    strcmp(name, PLUGIN_GENERIC) != 0)
		return name;
	free(name);
	return xstrdup(x->stage);
}

static int read_plan(const struct exchange *x, struct plugin_plan *plan, struct err *err)
{
	const struct json *doc = &x->doc;
	size_t at = json_member(doc, 0, "plan");
	size_t issues = json_member(doc, 0, "issues");

	if (!json_is(doc, at, JSON_OBJECT))
		return err_set(err, ERR_PLUGIN, "plugin '%s' (%s): the worker sent no plan",
			       x->plugins[0]->name, x->plugins[0]->path);
	plan->stage = xstrdup_or_null(x->stage);
	plan->dataset = xstrdup_or_null(x->dataset);
	plan->name = xstrdup(x->plugins[0]->name);
	plan->path = xstrdup(x->plugins[0]->path);
	plan->version = text_or_empty(doc, at, "version");
	plan->summary = text_or_empty(doc, at, "summary");
	plan->dir = name_or_stage(x, at, "dir");
	plan->model_name = name_or_stage(x, at, "model_name");
	plan->dataset_version = text_of(doc, at, "dataset_version");
	if (x->n_plugins > 1)
		plan->dataset_path = xstrdup(x->plugins[1]->path);
	read_strings(doc, list_of(doc, at, "requires"), &plan->requires);
	read_strings(doc, list_of(doc, at, "produces"), &plan->produces);
	read_strings(doc, list_of(doc, at, "command"), &plan->command);
	read_inputs(doc, list_of(doc, at, "inputs"), plan);
	read_metrics(doc, list_of(doc, at, "metrics"), plan);
	read_rules(doc, list_of(doc, at, "rules"), plan);
	plan->has_extract = json_is(doc, json_member(doc, at, "has_extract"), JSON_TRUE);
	if (json_is(doc, issues, JSON_ARRAY))
		plan->issues = json_raw_copy(doc, issues);
	keep_source(plan, &x->sources);
	if (plan->n_inputs > MAX_INPUTS)
		return err_set(err, ERR_PLUGIN, "plugin '%s' (%s): declares more than %d inputs",
			       plan->name, plan->path, MAX_INPUTS);
	return x->stage ? check_dir(plan, err) : 0;
}

/* ---- describe ---- */

static void warn_all(const struct exchange *x)
{
	struct strv warnings = STRV_INIT;

	read_strings(&x->doc, list_of(&x->doc, 0, "warnings"), &warnings);
	for (size_t i = 0; i < warnings.n; i++)
		log_warn("plugin '%s': %s", x->plugins[0]->name, warnings.v[i]);
	strv_release(&warnings);
}

static int describe(struct exchange *x, struct plugin_plan *out, struct err *err)
{
	int result = exchange_run(x, err);

	*out = (struct plugin_plan)PLUGIN_PLAN_INIT;
	if (result == 0) {
		warn_all(x);
		result = read_plan(x, out, err);
		if (result < 0)
			plugin_plan_release(out);
	}
	exchange_release(x);
	return result;
}

int plugin_describe(const struct plugin_set *set, const char *stage, const char *dataset,
		    const char *entry, struct plugin_plan *out, struct err *err)
{
	const struct plugin_file *file = plugin_for_stage(set, stage, err);
	const struct plugin_file *override = dataset ? plugin_find(set, "dataset", dataset) : NULL;
	struct exchange x = EXCHANGE_INIT;

	*out = (struct plugin_plan)PLUGIN_PLAN_INIT;
	if (!file)
		return -1;
	x.limits = &set->limits;
	x.plugins[0] = file;
	x.plugins[1] = override;
	x.n_plugins = override ? 2 : 1;
	x.stage = stage;
	x.dataset = dataset;
	x.entry = entry;
	return describe(&x, out, err);
}

/* What one worker is asked at most: entries, and bytes of them. */
#define EACH_MAX ((size_t)100)
#define EACH_BYTES ((size_t)1 << 20)

static size_t how_many(char *const *entries, size_t n)
{
	size_t bytes = 0;
	size_t i = 0;

	for (; i < n && i < EACH_MAX && bytes < EACH_BYTES; i++)
		bytes += entries[i] ? strlen(entries[i]) : 0;
	return i;
}

/* As long as the worker answers: how many it did. */
static size_t describe_some(struct exchange *x, struct plugin_plan *plans, struct err *errs)
{
	struct err ignored = ERR_INIT;
	size_t n = 0;
	int result;

	if (exchange_ask(x, &ignored) == 0)
		for (; n < x->n_entries && exchange_next(x, &result, &errs[n]); n++) {
			if (result < 0)
				continue;
			warn_all(x);
			if (read_plan(x, &plans[n], &errs[n]) < 0)
				plugin_plan_release(&plans[n]);
		}
	exchange_release(x);
	return n;
}

/* The one that no answer came for is asked alone: that it ended the worker, and how, is then said of
 * it as ever. */
void plugin_describe_each(const struct plugin_set *set, const char *stage, const char *dataset,
			  char *const *entries, size_t n, struct plugin_plan *plans,
			  struct err *errs)
{
	struct err unknown = ERR_INIT;
	const struct plugin_file *file = plugin_for_stage(set, stage, &unknown);
	const struct plugin_file *override = dataset ? plugin_find(set, "dataset", dataset) : NULL;

	for (size_t i = 0; i < n; i++) {
		plans[i] = (struct plugin_plan)PLUGIN_PLAN_INIT;
		errs[i] = (struct err)ERR_INIT;
	}
	for (size_t i = 0; i < n;) {
		struct exchange x = EXCHANGE_INIT;
		size_t asked = file ? how_many(entries + i, n - i) : 0;
		size_t answered = 0;

		x.limits = &set->limits;
		x.plugins[0] = file;
		x.plugins[1] = override;
		x.n_plugins = override ? 2 : 1;
		x.stage = stage;
		x.dataset = dataset;
		x.entries = entries + i;
		x.n_entries = asked;
		if (asked > 1)
			answered = describe_some(&x, plans + i, errs + i);
		i += answered;
		if (answered == asked && asked > 1)
			continue;
		plugin_describe(set, stage, dataset, entries[i], &plans[i], &errs[i]);
		i++;
	}
}

/* The plan of one file, of whatever kind. */
static void describe_file(const struct plugin_set *set, const struct plugin_file *file,
			  struct plugin_report *report)
{
	struct exchange x = EXCHANGE_INIT;

	x.limits = &set->limits;
	x.plugins[0] = file;
	x.n_plugins = 1;
	if (strcmp(file->kind, "stage") == 0)
		x.stage = file->name;
	report->file = file;
	report->err = (struct err)ERR_INIT;
	describe(&x, &report->plan, &report->err);
}

int plugin_describe_all(const struct plugin_set *set, struct plugin_report **out, size_t *n,
			struct err *err UNUSED)
{
	*out = xcalloc(set->n + 1, sizeof(**out));
	*n = set->n;
	for (size_t i = 0; i < set->n; i++) {
		(*out)[i].file = &set->files[i];
		if (!set->files[i].is_shadowed)
			describe_file(set, &set->files[i], &(*out)[i]);
	}
	return 0;
}

void plugin_reports_release(struct plugin_report *reports, size_t n)
{
	for (size_t i = 0; i < n; i++)
		plugin_plan_release(&reports[i].plan);
	free(reports);
}

int plugin_check_file(const struct plugin_set *set, const char *path, struct plugin_report *out,
		      struct err *err)
{
	struct plugin_file file;

	*out = (struct plugin_report){ .file = NULL };
	if (source_locate(path, &file, err) < 0)
		return -1;
	describe_file(set, &file, out);
	out->file = NULL; /* it was ours; what is known of it is in the plan */
	free(file.kind);
	free(file.name);
	free(file.path);
	return 0;
}

/* ---- extract ---- */

void plugin_result_release(struct plugin_result *result)
{
	char *texts[] = { result->metrics,	    result->hyperparams,     result->epochs,
			  result->final_checkpoint, result->base_model,	     result->planned,
			  result->sources,	    result->raw_hyperparams, result->best,
			  result->evidence,	    result->dataset,	     result->reading,
			  result->outcome,	    result->error,	     result->start_time,
			  result->end_time,	    result->issues,	     result->seen };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	strv_release(&result->warnings);
	strv_release(&result->read_files);
	*result = (struct plugin_result)PLUGIN_RESULT_INIT;
}

/* Member 'key' as JSON text if it is an object within the limits; NULL if it is absent. */
static int take_object(const struct json *doc, size_t object, const char *key, enum value_kind kind,
		       char **out, struct err *err)
{
	size_t token = json_member(doc, object, key);

	if (token == JSON_NONE)
		return 0;
	if (!json_is(doc, token, JSON_OBJECT))
		return err_set(err, ERR_PLUGIN, "%s: not an object", key);
	if (value_check_json(doc, token, key, kind, err) < 0)
		return -1;
	*out = json_raw_copy(doc, token);
	return 0;
}

static bool is_one_of(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], text) == 0)
			return true;
	return false;
}

static bool is_outcome(const char *text)
{
	static const char *const words[] = { "completed", "completed_early", "failed",
					     "interrupted", "unknown" };

	return is_one_of(text, words, ARRAY_SIZE(words));
}

/* Each value of the object must be one of the words. */
static int check_evidence(const struct json *doc, size_t object, struct err *err)
{
	static const char *const words[] = { "observed", "declared", "inferred", "derived" };
	int result = 0;

	for (size_t i = json_first(doc, object); i != JSON_NONE && result == 0;
	     i = json_next(doc, object, i)) {
		char *key = json_string_copy(doc, i);
		char *word = json_string_copy(doc, i + 1);

		if (!word || !is_one_of(word, words, ARRAY_SIZE(words)))
			result = err_set(err, ERR_PLUGIN,
					 "evidence.%.100s: must be observed, declared, inferred or "
					 "derived",
					 key);
		free(key);
		free(word);
	}
	return result;
}

static bool is_mode(const struct json *doc, size_t token)
{
	return json_string_is(doc, token, "min") || json_string_is(doc, token, "max");
}

static bool is_text(const struct json *doc, size_t token)
{
	return json_is(doc, token, JSON_STRING);
}

static bool is_number(const struct json *doc, size_t token)
{
	return json_is_number(doc, token) || json_is(doc, token, JSON_NONFINITE);
}

static bool is_flag(const struct json *doc, size_t token)
{
	return json_is(doc, token, JSON_TRUE) || json_is(doc, token, JSON_FALSE);
}

static bool is_step(const struct json *doc, size_t token)
{
	int64_t value;

	return json_int64(doc, token, &value) == 0 && value >= 0;
}

/* The members that 'best' may have, each of its type. */
static int check_best(const struct json *doc, size_t object, struct err *err)
{
	static const struct {
		const char *name;
		bool (*fits)(const struct json *doc, size_t token);
		const char *wanted;
	} members[] = {
		{ "metric", is_text, "a string" },
		{ "value", is_number, "a number" },
		{ "mode", is_mode, "min or max" },
		{ "step", is_step, "a whole number, 0 or more" },
		{ "epoch", is_number, "a number" },
		{ "checkpoint", is_text, "a string" },
		{ "checkpoint_name", is_text, "a string" },
		{ "declared", is_flag, "true or false" },
		{ "unit", is_text, "a string" },
	};

	for (size_t i = json_first(doc, object); i != JSON_NONE; i = json_next(doc, object, i)) {
		size_t k = 0;

		while (k < ARRAY_SIZE(members) && !json_string_is(doc, i, members[k].name))
			k++;
		if (k == ARRAY_SIZE(members))
			return err_set(err, ERR_PLUGIN, "best: an unknown member");
		if (!members[k].fits(doc, i + 1))
			return err_set(err, ERR_PLUGIN, "best.%s: must be %s", members[k].name,
				       members[k].wanted);
	}
	return 0;
}

/* What becomes part of a path, an environment variable or a reference. */
static int check_places(const struct plugin_result *result, struct err *err)
{
	const char *base = result->base_model;
	struct err why = ERR_INIT;

	if (result->final_checkpoint && result->final_checkpoint[0] &&
	    path_check_relative("final checkpoint", result->final_checkpoint, &why) < 0)
		return err_set(err, ERR_PLUGIN, "%s", why.msg);
	if (base && utf8_has_control(base, strlen(base)))
		return err_set(err, ERR_PLUGIN, "base_model: it has a control character in it");
	if (result->dataset && utf8_has_control(result->dataset, strlen(result->dataset)))
		return err_set(err, ERR_PLUGIN, "dataset: it has a control character in it");
	return 0;
}

static int check_time(const char *what, const char *text, struct err *err)
{
	double seconds;

	if (!text || clock_parse(text, &seconds, NULL) == 0)
		return 0;
	return err_set(err, ERR_PLUGIN, "%s is '%.100s', expected a time as 2025-12-11T10:30:00",
		       what, text);
}

static int take_scalars(const struct json *doc, size_t at, struct plugin_result *out,
			struct err *err)
{
	size_t steps = json_member(doc, at, "steps");
	size_t resumed = json_member(doc, at, "resumed_from");
	size_t epochs = json_member(doc, at, "epochs");

	if (steps != JSON_NONE) {
		out->has_steps = json_int64(doc, steps, &out->steps) == 0 && out->steps >= 0;
		if (!out->has_steps)
			return err_set(err, ERR_PLUGIN, "steps: not a count");
	}
	if (resumed != JSON_NONE && (json_int64(doc, resumed, &out->resumed_from) < 0 ||
				     out->resumed_from < 0 || out->resumed_from > out->steps))
		return err_set(err, ERR_PLUGIN, "resumed_from: not a count up to steps");
	if (epochs != JSON_NONE && !json_is_number(doc, epochs))
		return err_set(err, ERR_PLUGIN, "epochs: not a finite number");
	if (epochs != JSON_NONE)
		out->epochs = json_raw_copy(doc, epochs);
	out->final_checkpoint = text_of(doc, at, "final_checkpoint");
	out->base_model = text_of(doc, at, "base_model");
	out->dataset = text_of(doc, at, "dataset");
	out->outcome = text_of(doc, at, "outcome");
	out->error = text_of(doc, at, "error");
	out->start_time = text_of(doc, at, "start_time");
	out->end_time = text_of(doc, at, "end_time");
	if (out->outcome && !is_outcome(out->outcome))
		return err_set(err, ERR_PLUGIN, "outcome: not one of the words");
	if (check_time("start_time", out->start_time, err) < 0 ||
	    check_time("end_time", out->end_time, err) < 0)
		return -1;
	return check_places(out, err);
}

static int take_objects(const struct json *doc, size_t at, struct plugin_result *out,
			struct err *err)
{
	struct {
		const char *key;
		enum value_kind kind;
		char **text;
	} objects[] = {
		{ "metrics", VALUE_NUMBERS, &out->metrics },
		{ "planned", VALUE_ANY, &out->planned },
		{ "sources", VALUE_ANY, &out->sources },
		{ "raw_hyperparams", VALUE_ANY, &out->raw_hyperparams },
		{ "best", VALUE_ANY, &out->best },
		{ "evidence", VALUE_ANY, &out->evidence },
		{ "reading", VALUE_READING, &out->reading },
	};

	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		if (take_object(doc, at, objects[i].key, objects[i].kind, objects[i].text, err) < 0)
			return -1;
	if (out->best && check_best(doc, json_member(doc, at, "best"), err) < 0)
		return -1;
	if (out->evidence && check_evidence(doc, json_member(doc, at, "evidence"), err) < 0)
		return -1;
	return 0;
}

/* Nothing that a worker says is trusted: all is checked once more here. */
static int take_result(const struct exchange *x, struct plugin_result *out, struct err *err)
{
	const struct json *doc = &x->doc;
	size_t at = json_member(doc, 0, "result");
	size_t issues = json_member(doc, 0, "issues");

	if (take_objects(doc, at, out, err) < 0 ||
	    take_object(doc, 0, "hyperparams", VALUE_ANY, &out->hyperparams, err) < 0 ||
	    take_scalars(doc, at, out, err) < 0)
		return err_prefix(err, "plugin '%s' (%s)", x->plugins[0]->name,
				  x->plugins[0]->path);
	if (json_is(doc, issues, JSON_ARRAY))
		out->issues = json_raw_copy(doc, issues);
	read_strings(doc, list_of(doc, 0, "warnings"), &out->warnings);
	for (size_t i = 0; i < x->inputs->n; i++)
		for (size_t k = 0; k < x->inputs->v[i].n; k++)
			strv_push(&out->read_files, x->inputs->v[i].files[k].name);
	out->seen = inputs_seen(x->inputs, &out->n_seen);
	out->worker_ms = x->ms;
	return 0;
}

int plugin_extract(const struct plugin_set *set, const struct plugin_plan *plan,
		   const struct plugin_call *call, struct plugin_result *out, struct err *err)
{
	struct plugin_file files[2] = {
		{ .kind = (char[]){ "stage" }, .name = plan->name, .path = plan->path },
		{ .kind = (char[]){ "dataset" }, .name = plan->dataset, .path = plan->dataset_path }
	};
	struct inputs inputs = INPUTS_INIT;
	struct exchange x = EXCHANGE_INIT;
	int result;

	*out = (struct plugin_result)PLUGIN_RESULT_INIT;
	x.is_call = true;
	x.limits = &set->limits;
	x.plugins[0] = &files[0];
	x.plugins[1] = &files[1];
	x.n_plugins = plan->dataset_path ? 2 : 1;
	x.stage = plan->stage;
	x.dataset = plan->dataset;
	x.call = call;
	x.inputs = &inputs;
	result = inputs_open(&inputs, plan, call, err);
	if (result == 0)
		result = exchange_run(&x, err);
	if (result == 0)
		result = take_result(&x, out, err);
	if (result < 0)
		plugin_result_release(out);
	exchange_release(&x);
	inputs_release(&inputs);
	return result;
}

/* ---- what is here ---- */

int plugin_confinement(struct strv *active, struct strv *missing, struct err *err)
{
	return exchange_probe(active, missing, err);
}

const char *plugin_lua_version(void)
{
	return LUA_RELEASE ", " CJSON_VERSION;
}
