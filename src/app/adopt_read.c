#include "base/base.h"

#include "app/adopt_reading.h"

#include "model/history.h"
#include "base/mem.h"
#include "sys/path.h"

#include <errno.h>
#include <unistd.h>

/* Where nothing tells what was trained for. */
#define ANY_STAGE "training"
#define NO_DATASET "unknown"

/* Below it a recognition is a guess: a log, a table of any name. */
#define SURE_SCORE 70

size_t adopt_reading_of(const struct adopt_reading *r)
{
	return r->has_doc ? json_member(&r->doc, 0, "reading") : JSON_NONE;
}

static void release(struct adopt_reading *r)
{
	adopt_runs_release(r->runs, r->n_runs);
	json_release(&r->doc);
	draft_release(&r->draft);
	values_release(&r->values);
	strv_release(&r->notes);
	strv_release(&r->remarks);
	free(r->exp);
	free(r->stage);
	free(r->dataset);
}

/* ---- stage and data set ---- */

static bool is_name(const char *what, const char *text)
{
	struct err ignored = ERR_INIT;

	return text && path_check_name(what, text, &ignored) == 0;
}

static void set_name(char **place, const char **how, const char *text, const char *word)
{
	free(*place);
	*place = xstrdup(text);
	*how = word;
}

/* From config.yml (declared) or the directory's name (inferred). */
static void name_by_place(struct adopt_reading *r)
{
	const char *how = r->state ? "declared" : "inferred";
	char *stage;
	char *dataset;

	layout_split_name(&r->adopt->session->layout, r->dir->name, &stage, &dataset);
	if (!stage && r->state) { /* a key of config.yml that no plugin knows: "joint_hrds" */
		const char *rest = strchr(r->state->key, '_');

		stage = rest ? xstrndup(r->state->key, (size_t)(rest - r->state->key))
			     : xstrdup(r->state->key);
		dataset = rest && rest[1] ? xstrdup(rest + 1) : NULL;
	}
	if (is_name("stage", stage))
		set_name(&r->stage, &r->stage_how, stage, how);
	if (is_name("dataset", dataset))
		set_name(&r->dataset, &r->dataset_how, dataset, how);
	free(stage);
	free(dataset);
}

static void name_by_user(struct adopt_reading *r)
{
	if (r->adopt->stage)
		set_name(&r->stage, &r->stage_how, r->adopt->stage, "declared");
	if (r->adopt->dataset)
		set_name(&r->dataset, &r->dataset_how, r->adopt->dataset, "declared");
}

static void open_reading(struct adopt_reading *r)
{
	const char *slash = strchr(r->dir->path, '/');

	values_init(&r->values);
	r->draft.values = &r->values;
	r->draft.dir = r->draft.parent = (struct stage_dir)STAGE_DIR_INIT;
	str_init(&r->draft.parent_record);
	r->draft.is_sketch = true;
	r->draft.additive = true;
	r->doc = (struct json)JSON_INIT;
	r->exp = slash ? xstrndup(r->dir->path, (size_t)(slash - r->dir->path)) : NULL;
	if (r->is_home && r->exp) {
		r->home = adopt_home_of(r->adopt, r->exp);
		r->state = adopt_home_state(r->home, r->dir->name);
		adopt_home_runs(r->home, r->dir->name, &r->runs, &r->n_runs);
	}
	if (r->is_home)
		name_by_place(r);
	name_by_user(r);
	r->draft.dir.exp = xstrdup_or_null(r->exp);
	r->draft.dir.name = xstrdup(slash ? slash + 1 : r->dir->path);
	r->draft.dir.ref = xstrdup(r->dir->path);
	r->draft.dir.path = path_join(r->adopt->session->layout.root, r->dir->path);
}

/* A data set as a training names it, "/data/hrds/train.json" or "org/name", as one word. */
static char *dataset_word(const char *text)
{
	static const char *const vague[] = { "train",	   "training",
					     "data",	   "dataset",
					     "datasets",   "trainset",
					     "train_data", "train-00000-of-00001" };
	static const char *const ends[] = { ".yaml",	".yml", ".jsonl", ".json",  ".csv",
					    ".parquet", ".txt", ".tsv",	  ".arrow", ".h5" };
	char *path = xstrdup(text);

	for (char *p = path; *p; p++)
		if (*p == '\\')
			*p = '/';
	for (;;) {
		size_t len = strlen(path);
		bool is_vague = false;
		char *base;

		while (len && path[len - 1] == '/')
			path[--len] = '\0';
		base = path + (path_base(path) - path);
		for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
			if (has_suffix(base, ends[i]) && strlen(base) > strlen(ends[i]))
				base[strlen(base) - strlen(ends[i])] = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(vague); i++)
			is_vague = is_vague || strcmp(base, vague[i]) == 0;
		if (!is_vague || base == path || base - 1 == path) {
			char *word = !is_vague && is_name("dataset", base) ? xstrdup(base) : NULL;

			free(path);
			return word;
		}
		base[-1] = '\0';
	}
}

/* What the reading says, where nothing closer to us did. */
static void name_by_reading(struct adopt_reading *r)
{
	static const char *const keys[] = { "stage", "task" };
	size_t raw = json_member(&r->doc, adopt_reading_of(r), "raw_hyperparams");
	char *dataset = r->draft.result.dataset ? dataset_word(r->draft.result.dataset) : NULL;

	for (size_t i = 0; i < ARRAY_SIZE(keys) && !r->stage; i++) {
		char *text = json_string_copy(&r->doc, json_member(&r->doc, raw, keys[i]));

		if (is_name("stage", text))
			set_name(&r->stage, &r->stage_how, text, "observed");
		free(text);
	}
	if (!r->stage)
		set_name(&r->stage, &r->stage_how, ANY_STAGE, "inferred");
	if (!r->dataset && dataset)
		set_name(&r->dataset, &r->dataset_how, dataset,
			 strcmp(dataset, r->draft.result.dataset) == 0 ? "observed" : "derived");
	if (!r->dataset)
		set_name(&r->dataset, &r->dataset_how, NO_DATASET, NULL);
	free(dataset);
}

/* ---- asking ---- */

/* Its own plugin, or the one that knows all that trainers leave. */
static const char *plugin_of(const struct adopt_reading *r)
{
	const struct plugin_set *set = &r->adopt->session->plugins;

	return r->stage && plugin_find(set, "stage", r->stage) ? r->stage : PLUGIN_GENERIC;
}

static int ask(struct adopt_reading *r, struct err *err)
{
	struct session *session = r->adopt->session;
	const char *stage = plugin_of(r);
	struct strv keys = STRV_INIT;
	struct strv texts = STRV_INIT;
	char *log = history_newest_log(r->dir->fd);
	struct plugin_call call = {
		.dirfd = r->dir->fd,
		.dir_name = r->dir->name,
		.log = log,
		.exp = r->exp,
		.argv = r->n_runs && r->runs[r->n_runs - 1].argv.n ? r->runs[r->n_runs - 1].argv.v
								   : NULL,
		.config_keys = &keys,
		.config_values = &texts,
	};
	int result = session_plan(session, stage, r->dataset, NULL, &r->draft.plan, err);

	conf_stage_all(&session->conf, stage, r->dataset, &keys, &texts);
	if (result == 0)
		result = plugin_extract(&session->plugins, &r->draft.plan, &call, &r->draft.result,
					err);
	r->draft.has_result = result == 0;
	if (result == 0 && r->draft.result.reading) {
		struct err ignored = ERR_INIT;
		const char *text = r->draft.result.reading;

		r->has_doc = json_parse(&r->doc, "reading", text, strlen(text), JSON_NONFINITE_OK,
					&ignored) == 0;
	}
	strv_release(&keys);
	strv_release(&texts);
	free(log);
	return result;
}

/* ---- judging ---- */

/* "plugin 'stage3' (plugins/stage3.lua:41): extract: no line" is "no line" to a user who looks for
 * trainings. */
static char *short_reason(const char *message)
{
	const char *text = strstr(message, "): ");
	const char *rest = text ? strstr(text + 3, ": ") : NULL;

	if (!has_prefix(message, "plugin '") || !rest || strchr(text + 3, ' ') < rest)
		return xstrdup(message);
	return xstrdup(rest + 2);
}

static char *string_of(const struct adopt_reading *r, const char *key)
{
	return json_string_copy(&r->doc, json_member(&r->doc, adopt_reading_of(r), key));
}

/* Words of a reading that the contract's outcome does not have. */
static const char *word_reason(const char *word)
{
	static const char *const reasons[][2] = {
		{ "running", "still running when it was last heard of" },
		{ "predict_only", "a prediction, no training" },
		{ "no_data_lfs_pointer", "only Git LFS pointers lie there" },
		{ "not_a_training_record", "not a record of a training" },
		{ "incomplete_state", "interrupted: its state was not written to the end" },
	};

	for (size_t i = 0; word && i < ARRAY_SIZE(reasons); i++)
		if (strcmp(word, reasons[i][0]) == 0)
			return reasons[i][1];
	return NULL;
}

static char *failure(const struct adopt_reading *r, const char *word)
{
	return r->draft.result.error ? xstrf("%s: %s", word, r->draft.result.error) : xstrdup(word);
}

/* What config.yml says of a training whose files do not say that it ended well. */
static char *state_reason(const struct adopt_reading *r, bool ended_well)
{
	const char *status = r->state ? r->state->status : NULL;

	if (!status)
		return NULL;
	if (strcmp(status, "failed") == 0)
		return xstrdup("failed, says config.yml");
	if (!ended_well && strcmp(status, "in_progress") == 0)
		return xstrdup("did not end, says config.yml");
	return NULL;
}

/* Why this is no training that belongs in a history; NULL: it is one. */
static char *left_reason(const struct adopt_reading *r)
{
	const struct plugin_result *result = &r->draft.result;
	const char *outcome = result->outcome ? result->outcome : "unknown";
	char *word = string_of(r, "outcome");
	const char *reason = word_reason(word);
	char *said = NULL;

	if (reason)
		said = xstrdup(reason);
	else if (strcmp(outcome, "failed") == 0)
		said = failure(r, "failed");
	else if (strcmp(outcome, "interrupted") == 0)
		said = failure(r, "interrupted");
	else
		said = state_reason(r, has_prefix(outcome, "completed"));
	if (!said && !has_prefix(outcome, "completed") && (!result->has_steps || !result->steps) &&
	    !result->epochs && (!result->metrics || strcmp(result->metrics, "{}") == 0))
		said = xstrdup("neither steps nor metrics could be read");
	free(word);
	return said;
}

/* The surest of "recognised": who read it, and why. */
static void take_recognised(struct adopt_reading *r, struct adopt_model *model)
{
	size_t list = r->has_doc ? json_member(&r->doc, 0, "recognised") : JSON_NONE;
	size_t first = r->has_doc && json_is(&r->doc, list, JSON_ARRAY) ? json_first(&r->doc, list)
									: JSON_NONE;
	int64_t score = 100;

	model->reader = json_string_copy(&r->doc, json_member(&r->doc, first, "title"));
	model->why = json_string_copy(&r->doc, json_member(&r->doc, first, "why"));
	if (json_int64(&r->doc, json_member(&r->doc, first, "score"), &score) < 0)
		score = 100;
	model->is_weak = score < SURE_SCORE;
	if (!model->reader && r->draft.plan.name && strcmp(r->draft.plan.name, PLUGIN_GENERIC) != 0)
		model->reader = xstrdup_or_null(r->draft.plan.name);
}

/* Does each directory below hold a run of its own, and this one none? */
static bool is_container(const struct adopt_reading *r)
{
	size_t runs = r->has_doc ? json_member(&r->doc, 0, "runs") : JSON_NONE;
	size_t n = 0;

	if (!r->has_doc || !json_is(&r->doc, runs, JSON_ARRAY))
		return false;
	for (size_t i = json_first(&r->doc, runs); i != JSON_NONE;
	     i = json_next(&r->doc, runs, i), n++)
		if (json_string_is(&r->doc, i, "."))
			return false;
	return n > 0;
}

/* ---- a name for the model ---- */

static bool is_all(const char *text, const char *set, size_t min)
{
	size_t len = strlen(text);

	return len >= min && strspn(text, set) == len;
}

/* "version_3", "7", "d4c828f607d0...", "run-2023...": a name that says nothing of the model. */
static bool is_vague_name(const char *name)
{
	static const char *const vague[] = { "lightning_logs", "mlruns", "wandb",	"runs",
					     "logs",	       "output", "outputs",	"results",
					     "checkpoints",    "sacred", "experiments", "files",
					     "train",	       "models" };

	for (size_t i = 0; i < ARRAY_SIZE(vague); i++)
		if (strcmp(name, vague[i]) == 0)
			return true;
	/* TensorBoard's own: "Nov13_19-06-46_host" */
	if (strlen(name) > 15 && name[5] == '_' && name[8] == '-' && name[11] == '-')
		return true;
	return has_prefix(name, "version_") || has_prefix(name, "run-") ||
	       has_prefix(name, "offline-run-") || is_all(name, "0123456789-_", 1) ||
	       is_all(name, "0123456789abcdef", 16);
}

static char *name_of_path(const struct adopt_reading *r)
{
	const struct adopt_dir *dir = r->dir;

	while (dir && *dir->path && is_vague_name(dir->name))
		dir = dir->up;
	if (dir && *dir->path)
		return xstrdup(dir->name);
	dir = r->dir;
	return xstrdup(is_vague_name(path_base(r->adopt->session->layout.root))
			       ? dir->name
			       : path_base(r->adopt->session->layout.root));
}

static char *model_name(const struct adopt_reading *r)
{
	const char *configured =
		conf_stage(&r->adopt->session->conf, r->stage, r->dataset, "model_name");

	if (configured && *configured)
		return xstrdup(configured);
	if (r->draft.plan.model_name && strcmp(r->draft.plan.name, PLUGIN_GENERIC) != 0)
		return xstrdup(r->draft.plan.model_name);
	return name_of_path(r);
}

/* ---- the model ---- */

static void add_base(struct adopt_model *model, const char *text)
{
	if (text && *text && !strv_has(&model->bases, text))
		strv_push(&model->bases, text);
}

/* What it may have begun from, the surest first. */
static void take_bases(struct adopt_reading *r, struct adopt_model *model)
{
	char *configured;

	add_base(model, r->draft.result.base_model);
	for (size_t i = r->n_runs; i-- > 0;) {
		add_base(model, r->runs[i].resumed);
		add_base(model, r->runs[i].model);
	}
	if (r->home && strcmp(r->stage, "stage1") == 0) {
		configured = adopt_home_model(r->home);
		model->base_how = model->bases.n ? NULL : "declared";
		add_base(model, configured);
		free(configured);
	}
	for (size_t i = 0; r->exp && i < r->draft.plan.requires.n; i++) {
		char *name = layout_stage_dir_name(&r->adopt->session->layout,
						   r->draft.plan.requires.v[i], r->dataset);

		strv_push_take(&model->needs, xstrf("%s/%s", r->exp, name));
		free(name);
	}
}

static const char *final_checkpoint(const struct adopt_reading *r)
{
	if (r->draft.result.final_checkpoint)
		return r->draft.result.final_checkpoint;
	return r->values.final_checkpoint;
}

static size_t make_model(struct adopt_reading *r, char *reason)
{
	struct adopt_model *model =
		adopt_add(r->adopt, r->dir->path, reason ? ADOPT_LEFT : ADOPT_READY);
	struct err err = ERR_INIT;

	name_by_reading(r);
	model->reason = reason;
	model->is_home = r->is_home && !r->has_doc;
	take_recognised(r, model);
	model->is_weak = model->is_weak || !r->draft.has_result;
	free(r->values.stage);
	free(r->values.dataset);
	r->values.stage = xstrdup(r->stage);
	r->values.dataset = xstrdup(r->dataset);
	if (!reason && adopt_make_entries(r, model, &err) < 0) {
		model->state = ADOPT_LEFT;
		model->reason = short_reason(err.msg);
	}
	model->stage = xstrdup(r->stage);
	model->dataset = xstrdup(r->dataset);
	model->stage_how = r->stage_how;
	model->dataset_how = r->dataset_how;
	model->model_name = model_name(r);
	model->checkpoint = xstrdup_or_null(final_checkpoint(r));
	take_bases(r, model);
	for (size_t i = 0; i < r->draft.result.warnings.n; i++)
		strv_push(&model->remarks, r->draft.result.warnings.v[i]);
	for (size_t i = 0; i < r->remarks.n; i++)
		strv_push(&model->remarks, r->remarks.v[i]);
	for (size_t i = 0; i < r->notes.n; i++)
		strv_push(&model->notes, r->notes.v[i]);
	r->adopt->counts.models += model->state == ADOPT_READY;
	return r->adopt->n - 1;
}

/*
 * A stage of an experiment that left no log and no state: config.yml, which says that it completed,
 * and its checkpoint are what there is.
 */
static bool take_state(struct adopt_reading *r)
{
	const struct stage_state *state = r->state;
	struct err ignored = ERR_INIT;
	struct strv names = STRV_INIT;
	bool has_files = false;

	path_list(r->dir->fd, &names, &ignored);
	for (size_t i = 0; i < names.n; i++)
		has_files = has_files || names.v[i][0] != '.';
	strv_release(&names);
	if (!state || !state->status || strcmp(state->status, "completed") != 0 || !has_files)
		return false;
	if (state->metrics)
		fields_merge(r->values.metrics, "config.yml", state->metrics, &ignored);
	r->values.final_checkpoint = xstrdup_or_null(state->best_checkpoint);
	strv_push(&r->notes, "nothing but config.yml tells of it");
	return true;
}

/* The plugin found nothing, or could not read it. */
static size_t judge_failure(struct adopt_reading *r, const struct err *err)
{
	char *reason = state_reason(r, false);

	if (reason)
		return make_model(r, reason);
	if (err->code != ERR_PLUGIN && err->code != ERR_NOT_FOUND)
		return make_model(r, xstrdup(err->msg));
	if (r->is_home && take_state(r))
		return make_model(r, NULL);
	if (err->number == ENODATA || err->code == ERR_NOT_FOUND)
		return r->state && strcmp(r->state->status ? r->state->status : "", "pending") != 0
			       ? make_model(r, xstrf("no data: %s", short_reason(err->msg)))
			       : ADOPT_NONE;
	return make_model(r, short_reason(err->msg));
}

size_t adopt_read(struct adopt *adopt, const struct adopt_dir *dir, bool is_home, bool *has_runs)
{
	struct adopt_reading r = { .adopt = adopt, .dir = dir, .is_home = is_home };
	struct err err = ERR_INIT;
	size_t model = ADOPT_NONE;

	*has_runs = false;
	adopt->counts.candidates++;
	open_reading(&r);
	if (ask(&r, &err) < 0)
		model = judge_failure(&r, &err);
	else if (is_container(&r))
		*has_runs = true;
	else
		model = make_model(&r, left_reason(&r));
	release(&r);
	return model;
}
