#include "base/base.h"

#include "app/batch_targets.h"

#include "app/parents.h"
#include "base/mem.h"
#include "sys/path.h"

/* ---- jobs by a name ---- */

static struct batch_jobs *jobs_of(struct batch_jobs_map *map, char *key)
{
	struct batch_jobs *jobs = map_get(&map->by_key, key);

	if (jobs) {
		free(key);
		return jobs;
	}
	jobs = xcalloc(1, sizeof(*jobs));
	jobs->key = key;
	if (map->n == map->cap) {
		map->cap = map->cap ? map->cap * 2 : 16;
		map->v = xreallocarray(map->v, map->cap, sizeof(*map->v));
	}
	map->v[map->n++] = jobs;
	map_put(&map->by_key, jobs->key, jobs);
	return jobs;
}

/* Takes 'key'. */
static void add_job(struct batch_jobs_map *map, char *key, size_t job)
{
	struct batch_jobs *jobs = jobs_of(map, key);

	if (jobs->n == jobs->cap) {
		jobs->cap = jobs->cap ? jobs->cap * 2 : 4;
		jobs->v = xreallocarray(jobs->v, jobs->cap, sizeof(*jobs->v));
	}
	jobs->v[jobs->n++] = job;
}

static void release_map(struct batch_jobs_map *map)
{
	for (size_t i = 0; i < map->n; i++) {
		free(map->v[i]->key);
		free(map->v[i]->v);
		free(map->v[i]);
	}
	free(map->v);
	map_release(&map->by_key);
}

void batch_targets_init(struct batch_targets *targets, struct session *session,
			struct batch_plan *plan)
{
	*targets = (struct batch_targets){ .session = session, .plan = plan };
}

void batch_targets_release(struct batch_targets *targets)
{
	for (size_t i = 0; i < targets->n_plans; i++) {
		plugin_plan_release(targets->plans[i]);
		free(targets->plans[i]);
	}
	free(targets->plans);
	map_release(&targets->plan_of);
	strv_release(&targets->plan_keys);
	release_map(&targets->dirs);
	release_map(&targets->stages);
}

/* ---- plugins ---- */

static char *plan_key(const struct batch_job *job)
{
	return xstrf("%s/%s", batch_get(job, "stage"), batch_get(job, "dataset"));
}

const struct plugin_plan *batch_targets_plan(const struct batch_targets *targets,
					     const struct batch_step *step)
{
	char *key = plan_key(step->job);
	const struct plugin_plan *plan = map_get(&targets->plan_of, key);

	free(key);
	return plan;
}

/* Each stage and data set is asked for once, whatever the number of their jobs. */
static int find_plan(struct batch_targets *targets, const struct batch_step *step, struct err *err)
{
	struct plugin_plan *plan;

	if (batch_targets_plan(targets, step))
		return 0;
	plan = xcalloc(1, sizeof(*plan));
	if (session_plan(targets->session, batch_get(step->job, "stage"),
			 batch_get(step->job, "dataset"), NULL, plan, err) < 0) {
		plugin_plan_release(plan);
		free(plan);
		return batch_place(err, step->job, "stage");
	}
	targets->plans =
		xreallocarray(targets->plans, targets->n_plans + 1, sizeof(*targets->plans));
	targets->plans[targets->n_plans++] = plan;
	strv_push_take(&targets->plan_keys, plan_key(step->job));
	map_put(&targets->plan_of, targets->plan_keys.v[targets->plan_keys.n - 1], plan);
	session_use_plan(targets->session, plan);
	return 0;
}

void batch_targets_producers(const struct batch_targets *targets, const char *stage,
			     struct strv *out)
{
	for (size_t i = 0; i < targets->n_plans; i++)
		if (strv_has(&targets->plans[i]->produces, stage) &&
		    !strv_has(out, targets->plans[i]->stage))
			strv_push(out, targets->plans[i]->stage);
}

/* ---- experiments ---- */

/* One that a job names: there, or to be made. */
static int find_named_exp(struct batch_targets *targets, struct batch_step *step, const char *name,
			  struct err *err)
{
	struct err absent = ERR_INIT;
	struct str found = STR_INIT;
	int result = layout_find_experiment(&targets->session->layout, name, &found, &absent);

	if (result == 0) {
		step->exp = xstrdup(found.buf);
	} else if (absent.code == ERR_NOT_FOUND && batch_bool(step->job, "new_exp", false)) {
		step->exp = xstrdup(name);
		if (!strv_has(&targets->plan->named_exps, name))
			strv_push(&targets->plan->named_exps, name);
		result = 0;
	} else {
		*err = absent;
		batch_place(err, step->job, "exp");
		if (absent.code == ERR_NOT_FOUND)
			err_hint(err, "'new_exp = yes' makes it");
	}
	str_release(&found);
	return result;
}

static bool makes_common_exp(const struct batch_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		if (!batch_get(plan->steps[i].job, "exp") &&
		    batch_bool(plan->steps[i].job, "new_exp", false))
			return true;
	return false;
}

/* For all jobs that name none: the one in use; where there is none, or with "new_exp", a new one. */
static int find_common_exp(struct batch_targets *targets, struct err *err)
{
	struct batch_plan *plan = targets->plan;
	struct err absent = ERR_INIT;
	struct str found = STR_INIT;
	int result = 0;

	if (!makes_common_exp(plan))
		result = layout_find_experiment(&targets->session->layout, NULL, &found, &absent);
	if (result < 0 && absent.code != ERR_NOT_FOUND)
		*err = absent;
	else
		plan->common_exp = xstrdup(found.len ? found.buf : BATCH_NEW_EXP);
	str_release(&found);
	return plan->common_exp ? 0 : -1;
}

static int find_exp(struct batch_targets *targets, size_t i, struct err *err)
{
	struct batch_step *step = &targets->plan->steps[i];
	const char *name = batch_get(step->job, "exp");
	const char *before = i ? batch_get(step[-1].job, "exp") : NULL;

	if (!name && !targets->plan->common_exp && find_common_exp(targets, err) < 0)
		return -1;
	/* Thousands in a row name the same one. */
	if (!name || (before && strcmp(name, before) == 0)) {
		step->exp = xstrdup(name ? step[-1].exp : targets->plan->common_exp);
		return 0;
	}
	return find_named_exp(targets, step, name, err);
}

/* ---- directories ---- */

static char *ref_of(const struct batch_targets *targets, const char *exp, const char *stage,
		    const char *dataset)
{
	char *name = layout_stage_dir_name(&targets->session->layout, stage, dataset);
	char *ref = path_join(exp, name);

	free(name);
	return ref;
}

static char *stage_key(const char *exp, const char *stage, const char *dataset)
{
	return xstrf("%s//%s/%s", exp, stage, dataset);
}

static void set_target(struct batch_targets *targets, size_t i, char *ref)
{
	struct batch_step *step = &targets->plan->steps[i];

	step->ref = ref;
	step->path = path_join(targets->session->layout.root, ref);
	add_job(&targets->dirs, xstrdup(ref), i);
	add_job(&targets->stages,
		stage_key(step->exp, batch_get(step->job, "stage"),
			  batch_get(step->job, "dataset")),
		i);
}

static int find_into(struct batch_targets *targets, size_t i, struct err *err)
{
	struct batch_step *step = &targets->plan->steps[i];
	const char *into = batch_get(step->job, "into");
	const struct batch_jobs *writers = batch_targets_named(targets, step, into, false);
	struct stage_dir dir = STAGE_DIR_INIT;

	if (writers) {
		set_target(targets, i, xstrdup(writers->key));
		return 0;
	}
	if (session_resolve(targets->session, step->exp, into, &dir, err) < 0) {
		err_prefix(err, "'into'");
		return batch_place(err, step->job, "into");
	}
	set_target(targets, i, xstrdup(dir.ref));
	free(step->path);
	step->path = xstrdup(dir.path);
	stage_dir_release(&dir);
	return 0;
}

int batch_targets_find(struct batch_targets *targets, struct err *err)
{
	struct batch_plan *plan = targets->plan;

	if (session_layout(targets->session, err) < 0 ||
	    session_all_stages(targets->session, err) < 0)
		return -1;
	for (size_t i = 0; i < plan->n; i++)
		if (find_plan(targets, &plan->steps[i], err) < 0 || find_exp(targets, i, err) < 0)
			return -1;
	for (size_t i = 0; i < plan->n; i++) {
		const struct batch_step *step = &plan->steps[i];

		if (!batch_get(step->job, "into"))
			set_target(targets, i,
				   ref_of(targets, step->exp, batch_get(step->job, "stage"),
					  batch_get(step->job, "dataset")));
	}
	for (size_t i = 0; i < plan->n; i++)
		if (batch_get(plan->steps[i].job, "into") && find_into(targets, i, err) < 0)
			return -1;
	return 0;
}

/* ---- who makes what is named ---- */

/* Takes 'key'. */
static const struct batch_jobs *take_look(const struct batch_targets *targets, char *key)
{
	const struct batch_jobs *found = map_get(&targets->dirs.by_key, key);

	free(key);
	return found;
}

/* "EXP/NAME", "NAME", "STAGE/DATASET" or "EXP/STAGE/DATASET", perhaps with a checkpoint behind it. */
static const struct batch_jobs *look_up_ref(const struct batch_targets *targets, const char *exp,
					    const char *text)
{
	char *parts[3] = { NULL, NULL, NULL };
	const struct batch_jobs *found = NULL;
	const char *at = text;
	const char *part;
	size_t n = 0;
	size_t len;

	while (n < ARRAY_SIZE(parts) && (part = path_next(&at, &len)))
		parts[n++] = xstrndup(part, len);
	if (n >= 2)
		found = take_look(targets, path_join(parts[0], parts[1]));
	if (!found && n >= 1)
		found = take_look(targets, path_join(exp, parts[0]));
	if (!found && n >= 2)
		found = take_look(targets, ref_of(targets, exp, parts[0], parts[1]));
	if (!found && n >= 3)
		found = take_look(targets, ref_of(targets, parts[0], parts[1], parts[2]));
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		free(parts[i]);
	return found;
}

const struct batch_jobs *batch_targets_named(const struct batch_targets *targets,
					     const struct batch_step *step, const char *text,
					     bool is_init)
{
	const char *root = targets->session->layout.root;
	const struct batch_jobs *found = NULL;
	size_t len = strlen(root);

	if (is_init && !strchr(text, '/'))
		found = take_look(targets,
				  ref_of(targets, step->exp, batch_get(step->job, "stage"), text));
	if (!found && strncmp(text, root, len) == 0 && text[len] == '/')
		return look_up_ref(targets, "", text + len + 1);
	if (!found && text[0] != '/')
		found = look_up_ref(targets, step->exp, text);
	return found;
}

const struct batch_jobs *batch_targets_stage(const struct batch_targets *targets, const char *exp,
					     const char *stage, const char *dataset)
{
	char *key = stage_key(exp, stage, dataset);
	const struct batch_jobs *found = map_get(&targets->stages.by_key, key);

	free(key);
	return found;
}

/* ---- what is there already ---- */

static int check_record(struct stage_dir *dir, struct err *err)
{
	char *model = parents_record_string(dir, "model_name");
	int result = 0;

	if (!model)
		result = err_set(err, ERR_NOT_FOUND, "'%s' has no record", dir->ref);
	free(model);
	stage_dir_release(dir);
	return result;
}

int batch_targets_has_stage(const struct batch_targets *targets, const char *exp, const char *stage,
			    const char *dataset, struct err *err)
{
	struct stage_dir dir = STAGE_DIR_INIT;

	if (strcmp(exp, BATCH_NEW_EXP) == 0)
		return err_set(err, ERR_NOT_FOUND, "nothing is there yet");
	if (layout_open_stage(&targets->session->layout, exp, stage, dataset, false, &dir, err) < 0)
		return -1;
	return check_record(&dir, err);
}

int batch_targets_exists(const struct batch_targets *targets, const struct batch_step *step,
			 const char *text, bool is_init, struct err *err)
{
	struct stage_dir dir = STAGE_DIR_INIT;
	struct err ignored = ERR_INIT;
	const char *exp = strcmp(step->exp, BATCH_NEW_EXP) == 0 ? NULL : step->exp;

	if (is_init && exp && path_check_name("dataset", text, &ignored) == 0 &&
	    batch_targets_has_stage(targets, exp, batch_get(step->job, "stage"), text, &ignored) ==
		    0)
		return 0;
	if (session_resolve(targets->session, exp, text, &dir, err) < 0)
		return -1;
	return check_record(&dir, err);
}

int batch_targets_each(const struct batch_targets *targets,
		       int (*visit)(void *arg, const struct batch_jobs *writers, struct err *err),
		       void *arg, struct err *err)
{
	for (size_t i = 0; i < targets->dirs.n; i++)
		if (visit(arg, targets->dirs.v[i], err) < 0)
			return -1;
	return 0;
}
