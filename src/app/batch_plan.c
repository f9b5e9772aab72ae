#include "base/base.h"

#include "app/batch_plan.h"

#include "app/batch_targets.h"
#include "base/mem.h"
#include "sys/path.h"

void batch_plan_release(struct batch_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct batch_step *step = &plan->steps[i];

		free(step->exp);
		free(step->ref);
		free(step->path);
		strv_release(&step->argv);
	}
	free(plan->steps);
	batch_order_release(&plan->order);
	free(plan->common_exp);
	strv_release(&plan->named_exps);
	strv_release(&plan->words);
	memset(plan, 0, sizeof(*plan));
}

/* ---- what waits for what ---- */

/* A text that stays where it is: strv moves its pointers, not what they point to. */
static const char *keep(struct batch_plan *plan, char *text)
{
	strv_push_take(&plan->words, text);
	return text;
}

static int add_after(struct batch_plan *plan, size_t job, struct err *err)
{
	const char *text = batch_get(plan->steps[job].job, "after");
	struct strv words = STRV_INIT;
	int result = text ? batch_split_list(text, &words, err) : 0;

	for (size_t i = 0; i < words.n && result == 0; i++) {
		size_t *found;
		size_t n = batch_match(plan->batch, words.v[i], &found);

		for (size_t k = 0; k < n; k++)
			batch_order_add(&plan->order, job, found[k], "after");
		free(found);
	}
	strv_release(&words);
	return result;
}

static bool waits_for(const struct batch_plan *plan, size_t job, size_t on)
{
	const struct batch_needs *needs = &plan->order.of[job];

	for (size_t i = 0; i < needs->n; i++)
		if (needs->v[i].on == on)
			return true;
	return false;
}

/* What goes on with a record only after this job began from it ("after") is not waited for. */
static void add_writers(struct batch_plan *plan, size_t job, const struct batch_jobs *writers,
			const char *why)
{
	for (size_t i = 0; writers && i < writers->n; i++)
		if (writers->v[i] != job && !waits_for(plan, writers->v[i], job))
			batch_order_add(&plan->order, job, writers->v[i], why);
}

/* Is there a job among them but this one? */
static bool has_other(const struct batch_jobs *writers, size_t job)
{
	return writers && (writers->n > 1 || (writers->n == 1 && writers->v[0] != job));
}

/* What 'key' of the job names: made by other jobs, or there already. */
static int add_origin(struct batch_plan *plan, struct batch_targets *targets, size_t job,
		      const char *key, struct err *err)
{
	const struct batch_step *step = &plan->steps[job];
	const char *text = batch_get(step->job, key);
	const struct batch_jobs *writers;
	bool is_init = strcmp(key, "init_from") == 0;

	if (!text)
		return 0;
	writers = batch_targets_named(targets, step, text, is_init);
	if (has_other(writers, job)) {
		add_writers(plan, job, writers, keep(plan, xstrf("%s = %s", key, text)));
		return 0;
	}
	if (strcmp(key, "base_model") == 0) /* may be any name or path */
		return 0;
	if (batch_targets_exists(targets, step, text, is_init, err) == 0)
		return 0;
	err_prefix(err, "'%s'", key);
	batch_place(err, step->job, key);
	return err_hint(err, "no job of this batch makes it, and it is not there");
}

static bool has_base(const struct batch_step *step, const struct session *session)
{
	static const char *const keys[] = { "base_model", "init_from", "into" };
	const char *configured = conf_stage(&session->conf, batch_get(step->job, "stage"),
					    batch_get(step->job, "dataset"), "base_model");

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (batch_get(step->job, keys[i]))
			return true;
	return configured && *configured;
}

/* A stage that the plugin says this one works from, on the same data set. */
static int add_required(struct batch_plan *plan, struct batch_targets *targets, size_t job,
			const char *stage, bool *is_missing, struct err *err)
{
	const struct batch_step *step = &plan->steps[job];
	const char *dataset = batch_get(step->job, "dataset");
	const struct batch_jobs *makers = batch_targets_stage(targets, step->exp, stage, dataset);

	if (has_other(makers, job)) {
		add_writers(plan, job, makers,
			    keep(plan,
				 xstrf("%s requires %s", batch_get(step->job, "stage"), stage)));
		return 0;
	}
	if (batch_targets_has_stage(targets, step->exp, stage, dataset, err) == 0)
		return 0;
	*is_missing = true;
	return err->code == ERR_NOT_FOUND ? 0 : -1;
}

static int add_requirements(struct batch_plan *plan, struct batch_targets *targets, size_t job,
			    struct err *err)
{
	const struct batch_step *step = &plan->steps[job];
	const char *stage = batch_get(step->job, "stage");
	const struct plugin_plan *plugin = batch_targets_plan(targets, step);
	struct strv producers = STRV_INIT;

	batch_targets_producers(targets, stage, &producers);
	for (size_t i = 0; i < producers.n; i++)
		add_writers(plan, job,
			    batch_targets_stage(targets, step->exp, producers.v[i],
						batch_get(step->job, "dataset")),
			    keep(plan, xstrf("%s produces %s", producers.v[i], stage)));
	strv_release(&producers);
	for (size_t i = 0; i < plugin->requires.n; i++) {
		struct err trouble = ERR_INIT;
		bool is_missing = false;

		if (add_required(plan, targets, job, plugin->requires.v[i], &is_missing, &trouble) <
		    0) {
			*err = trouble;
			return batch_place(err, step->job, NULL);
		}
		if (!is_missing || step->is_recording || has_base(step, targets->session))
			continue;
		err_set(err, ERR_NOT_FOUND,
			"'%s' requires %s on %s in '%s', which is not there and which no job of "
			"this batch makes",
			stage, plugin->requires.v[i], batch_get(step->job, "dataset"), step->exp);
		err_hint(err, "say with 'base_model' or 'init_from' what it starts from");
		return batch_place(err, step->job, NULL);
	}
	return 0;
}

/* What another job has still to make need not be there. */
static int check_from(const struct batch_plan *plan, size_t job, struct err *err)
{
	const struct batch_job *source = plan->steps[job].job;
	const char *from = batch_get(source, "from");
	int there = from && !plan->order.of[job].n ? path_exists(from, NULL, err) : 1;

	if (there > 0)
		return 0;
	if (there == 0)
		err_set(err, ERR_NOT_FOUND, "'from': there is no '%s'", from);
	return batch_place(err, source, "from");
}

static int add_needs(struct batch_plan *plan, struct batch_targets *targets, size_t job,
		     struct err *err)
{
	static const char *const origins[] = { "init_from", "into", "base_model" };

	for (size_t i = 0; i < ARRAY_SIZE(origins); i++)
		if (add_origin(plan, targets, job, origins[i], err) < 0)
			return -1;
	if (add_requirements(plan, targets, job, err) < 0)
		return -1;
	return check_from(plan, job, err);
}

static int refuse_cycle(const struct batch_plan *plan, struct err *err)
{
	const struct batch_order *order = &plan->order;
	const struct batch_job *first = plan->steps[order->cycle[0]].job;
	struct str text = STR_INIT;

	for (size_t i = 0; i < order->n_cycle && i < 8; i++) {
		const struct batch_needs *needs = &order->of[order->cycle[i]];
		size_t next = order->cycle[(i + 1) % order->n_cycle];

		for (size_t k = 0; k < needs->n; k++)
			if (needs->v[k].on == next)
				str_addf(&text, "%s'%s' waits for '%s' (%s)", i ? ", " : "",
					 plan->steps[order->cycle[i]].job->name,
					 plan->steps[next].job->name, needs->v[k].why);
	}
	err_set(err, ERR_INVALID, "a circle: %s%s", text.buf, order->n_cycle > 8 ? ", ..." : "");
	str_release(&text);
	return batch_place(err, first, NULL);
}

/* ---- two at once ---- */

static int refuse_both(const struct batch_step *a, const struct batch_step *b, struct err *err)
{
	err_set(err, ERR_INVALID, "the jobs '%s' (%s:%zu) and '%s' would both write '%s' at once",
		a->job->name, a->job->file, a->job->line, b->job->name, b->ref);
	err_hint(err, "say with 'after' which goes first, or give each its 'exp'");
	return batch_place(err, b->job, NULL);
}

struct sorting {
	size_t position;
	size_t job;
};

static int compare_positions(const void *a, const void *b)
{
	const struct sorting *left = a;
	const struct sorting *right = b;

	return (left->position > right->position) - (left->position < right->position);
}

/* All that write one directory: each must wait for the one before it. Those that only record take
 * turns by the record's lock. */
static int check_writers(void *arg, const struct batch_jobs *writers, struct err *err)
{
	const struct batch_plan *plan = arg;
	struct sorting *sorted = xcalloc(writers->n, sizeof(*sorted));
	int result = 0;

	for (size_t i = 0; i < writers->n; i++)
		sorted[i] = (struct sorting){ plan->order.position[writers->v[i]], writers->v[i] };
	qsort(sorted, writers->n, sizeof(*sorted), compare_positions);
	for (size_t i = 1; i < writers->n && result == 0; i++) {
		const struct batch_step *a = &plan->steps[sorted[i - 1].job];
		const struct batch_step *b = &plan->steps[sorted[i].job];

		if (!(a->is_recording && b->is_recording) &&
		    !batch_order_reaches(&plan->order, sorted[i].job, sorted[i - 1].job))
			result = refuse_both(a, b, err);
	}
	free(sorted);
	return result;
}

/* ---- the whole ---- */

static int make_steps(struct batch_plan *plan, struct err *err)
{
	plan->n = plan->batch->n_jobs;
	plan->steps = xcalloc(plan->n ? plan->n : 1, sizeof(*plan->steps));
	for (size_t i = 0; i < plan->n; i++) {
		struct batch_step *step = &plan->steps[i];

		step->job = &plan->batch->jobs[i];
		step->is_recording = batch_is_recording(step->job);
		if (batch_argv(step->job, &step->argv, err) < 0)
			return -1;
	}
	return 0;
}

int batch_plan_make(struct batch_plan *plan, struct session *session, const struct batch *batch,
		    const char *common_exp, struct err *err)
{
	struct batch_targets targets;
	int result;

	memset(plan, 0, sizeof(*plan));
	plan->batch = batch;
	plan->common_exp = xstrdup_or_null(common_exp);
	result = make_steps(plan, err);
	batch_order_init(&plan->order, plan->n);
	batch_targets_init(&targets, session, plan);
	if (result == 0)
		result = batch_targets_find(&targets, err);
	for (size_t i = 0; i < plan->n && result == 0; i++)
		result = add_after(plan, i, err);
	for (size_t i = 0; i < plan->n && result == 0; i++)
		result = add_needs(plan, &targets, i, err);
	if (result == 0 && batch_order_sort(&plan->order) < 0)
		result = refuse_cycle(plan, err);
	if (result == 0)
		result = batch_targets_each(&targets, check_writers, plan, err);
	batch_targets_release(&targets);
	if (result < 0)
		batch_plan_release(plan);
	return result;
}

int batch_make_experiments(struct batch_plan *plan, struct session *session, struct err *err)
{
	const struct batch *batch = plan->batch;
	struct str made = STR_INIT;
	int result = 0;

	for (size_t i = 0; i < plan->named_exps.n && result == 0; i++)
		result = layout_make_experiment(&session->layout, plan->named_exps.v[i], err);
	if (result == 0 && plan->common_exp && strcmp(plan->common_exp, BATCH_NEW_EXP) == 0) {
		result = layout_begin_experiment(&session->layout, NULL, &made, err);
		if (result == 0) {
			batch_plan_release(plan);
			result = batch_plan_make(plan, session, batch, made.buf, err);
		}
	}
	str_release(&made);
	return result;
}

/* ---- values ---- */

static void copy(char **place, const struct batch_job *job, const char *key)
{
	*place = xstrdup_or_null(batch_get(job, key));
}

static int add_pairs(const struct batch_step *step, const char *prefix, struct fields *fields,
		     int (*set)(struct fields *fields, const char *assignment, struct err *err),
		     struct err *err)
{
	struct strv pairs = STRV_INIT;
	int result = 0;

	batch_pairs(step->job, prefix, &pairs);
	for (size_t i = 0; i < pairs.n && result == 0; i++) {
		result = set(fields, pairs.v[i], err);
		if (result < 0) {
			char *key =
				xstrf("%s%.*s", prefix, (int)strcspn(pairs.v[i], "="), pairs.v[i]);

			batch_place(err, step->job, key);
			free(key);
		}
	}
	strv_release(&pairs);
	return result;
}

int batch_values(const struct batch_step *step, struct values *values, struct err *err)
{
	const struct batch_job *job = step->job;
	const char *tags = batch_get(job, "tags");

	copy(&values->stage, job, "stage");
	copy(&values->dataset, job, "dataset");
	copy(&values->model_name, job, "model_name");
	copy(&values->epochs, job, "epochs");
	copy(&values->into, job, "into");
	copy(&values->init_from, job, "init_from");
	copy(&values->base_model, job, "base_model");
	copy(&values->start_time, job, "start_time");
	copy(&values->end_time, job, "end_time");
	copy(&values->from, job, "from");
	copy(&values->final_checkpoint, job, "final_checkpoint");
	copy(&values->note, job, "note");
	values->exp = xstrdup(step->exp);
	values->steps = batch_int(job, "steps", -1);
	if (tags && batch_split_list(tags, &values->tags, err) < 0)
		return batch_place(err, job, "tags");
	if (add_pairs(step, "param.", values->hyperparams, fields_set_param, err) < 0)
		return -1;
	return add_pairs(step, "metric.", values->metrics, fields_set_metric, err);
}
