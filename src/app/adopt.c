#include "base/base.h"

#include "app/adopt_home.h"

#include "base/mem.h"
#include "model/journal.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void adopt_init(struct adopt *adopt, struct session *session)
{
	memset(adopt, 0, sizeof(*adopt));
	adopt->session = session;
	adopt->depth = ADOPT_DEPTH;
}

static void model_release(struct adopt_model *model)
{
	char *const owned[] = { model->ref,	   model->exp,	      model->reason, model->stage,
				model->dataset,	   model->model_name, model->reader, model->why,
				model->checkpoint, model->base_model };

	for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
		free(owned[i]);
	for (size_t i = 0; i < model->n_entries; i++)
		entry_release(&model->entries[i]);
	free(model->entries);
	for (size_t i = 0; i < model->n_edges; i++)
		free(model->edges[i].checkpoint);
	free(model->edges);
	strv_release(&model->bases);
	strv_release(&model->needs);
	strv_release(&model->notes);
	strv_release(&model->remarks);
}

void adopt_release(struct adopt *adopt)
{
	for (size_t i = 0; i < adopt->n; i++)
		model_release(&adopt->models[i]);
	free(adopt->models);
	free(adopt->order);
	for (size_t i = 0; i < adopt->n_passed_kept; i++) {
		free(adopt->passed[i].path);
		free(adopt->passed[i].why);
	}
	free(adopt->passed);
	adopt_marks_release(&adopt->marks);
	adopt_home_free(adopt->home);
	free(adopt->top);
}

struct adopt_model *adopt_add(struct adopt *adopt, const char *ref, enum adopt_state state)
{
	const char *slash = strchr(ref, '/');
	struct adopt_model *model;

	if (adopt->n == adopt->cap) {
		adopt->cap = adopt->cap ? 2 * adopt->cap : 64;
		adopt->models = xreallocarray(adopt->models, adopt->cap, sizeof(*adopt->models));
	}
	model = &adopt->models[adopt->n++];
	*model = (struct adopt_model){
		.ref = xstrdup(ref),
		.exp = slash ? xstrndup(ref, (size_t)(slash - ref)) : NULL,
		.state = state,
		.bases = STRV_INIT,
		.needs = STRV_INIT,
		.notes = STRV_INIT,
		.remarks = STRV_INIT,
	};
	return model;
}

bool adopt_tick(struct adopt *adopt, const char *at)
{
	return !adopt->tick || adopt->tick(adopt->tick_arg, &adopt->counts, at);
}

/* ---- which root ---- */

/* 'path' below 'root' (both real), or NULL. */
static char *below(const char *path, const char *root)
{
	size_t len = strlen(root);

	if (strcmp(path, root) == 0)
		return xstrdup("");
	if (strcmp(root, "/") == 0)
		return xstrdup(path + 1);
	return has_prefix(path, root) && path[len] == '/' ? xstrdup(path + len + 1) : NULL;
}

/* Names by which a training is known that the generic plugin finds in its tree without naming them;
 * among them those in directories that would pass for trainings of their own. */
static const char *const more_marks[] = {
	"run.json",
	"meta.yaml",
	"wandb-summary.json",
	"dvc.lock",
	"*.log.json",
	"trainer_log.jsonl",
	"*history*.json",
	"*report*.txt",
	"*results*.txt",
	"hparams.yaml",
	"opt.yaml",
	"model-best/meta.json",
	"model-last/meta.json",
	"weights/*.pt",
	"dvclive/metrics.json",
	"files/wandb-summary.json",
	"checkpoints/*.ckpt",
};

static void collect_marks(struct adopt *adopt)
{
	const struct session *session = adopt->session;

	for (size_t i = 0; i < ARRAY_SIZE(more_marks); i++)
		adopt_marks_add(&adopt->marks, more_marks[i]);

	for (size_t i = 0; i < session->n_reports; i++) {
		const struct plugin_report *report = &session->reports[i];

		if (report->err.code || report->file->is_shadowed ||
		    strcmp(report->file->kind, "stage") != 0)
			continue;
		for (size_t k = 0; k < report->plan.n_inputs; k++)
			adopt_marks_add(&adopt->marks, report->plan.inputs[k].pattern);
	}
	adopt_marks_sort(&adopt->marks);
}

static void drop_last(struct adopt *adopt)
{
	struct adopt_model *model = &adopt->models[--adopt->n];

	adopt->counts.models -= model->state == ADOPT_READY;
	model_release(model);
}

/* An experiment holds trainings and is none, whatever lies beside its stages. */
static bool is_experiment(struct adopt *adopt, const struct adopt_dir *dir)
{
	if (strchr(dir->path, '/'))
		return false;
	return has_prefix(dir->name, "exp_") ||
	       ((dir->has & ADOPT_HAS_CONFIG) && adopt_home_of(adopt, dir->path)->n_states);
}

/* Does the directory that is walked from hold a training itself? */
static enum adopt_next look_at_top(void *arg, struct adopt_dir *dir)
{
	struct adopt *adopt = arg;
	bool has_runs;

	if (dir->has & (ADOPT_HAS_RECORD | ADOPT_HAS_BACKUP | ADOPT_HAS_JOURNAL))
		return ADOPT_STOP;
	if (!(dir->has & ADOPT_HAS_MARKS) || adopt_read(adopt, dir, false, &has_runs) == ADOPT_NONE)
		return ADOPT_PAST;
	drop_last(adopt);
	adopt->counts.candidates = 0;
	return ADOPT_STOP;
}

static void ignore_passed(void *arg UNUSED, const char *path UNUSED, const char *why UNUSED)
{
}

static bool is_one_itself(struct adopt *adopt, const char *path, struct err *err)
{
	struct adopt_walk walk = { .marks = &adopt->marks,
				   .visit = look_at_top,
				   .pass_over = ignore_passed,
				   .arg = adopt };
	int fd = path_open_dir(path, err);
	bool is_one;

	if (fd < 0)
		return false;
	is_one = has_prefix(path_base(path), "exp_") || adopt_walk(&walk, fd, path_base(path)) < 0;
	close(fd);
	return is_one;
}

/* Is 'path' the artifact root as configured, or below it? Then 'top' is set. */
static bool is_below_root(struct adopt *adopt, const char *path)
{
	char *root = conf_path(&adopt->session->conf, "artifact.root");
	char *real = realpath(root ? root : "artifact", NULL);

	adopt->top = real ? below(path, real) : NULL;
	free(root);
	free(real);
	return adopt->top != NULL;
}

/*
 * A tree elsewhere is a root of its own: only what lies below a root has a REF. So the root of a
 * single training, or of an experiment, is the directory above it.
 */
static int open_elsewhere(struct adopt *adopt, const char *path, struct err *err)
{
	struct session *session = adopt->session;
	char *up = path_dir(path);
	int result = -1;

	if (session->options.root) {
		err_set(err, ERR_USAGE, "'%s' does not lie below the root '%s'", path,
			session->options.root);
		err_hint(err, "without --root it is a root of its own");
	} else if (session_move_root(session, up, err) == 0 &&
		   session_all_stages(session, err) == 0) {
		bool is_one;

		collect_marks(adopt);
		is_one = strcmp(path, "/") != 0 && is_one_itself(adopt, path, err);
		adopt->top = xstrdup(is_one ? path_base(path) : "");
		result = is_one ? 0 : err->code ? -1 : session_move_root(session, path, err);
	}
	free(up);
	return result;
}

int adopt_open(struct adopt *adopt, const char *dir, struct err *err)
{
	char *real = dir ? realpath(dir, NULL) : NULL;
	int result;

	if (dir && !real)
		return err_errno(err, path_is_absent(errno) ? ERR_NOT_FOUND : ERR_FAILED,
				 "cannot look at '%s'", dir);
	if (!dir)
		adopt->top = xstrdup("");
	if (dir && !is_below_root(adopt, real)) {
		result = open_elsewhere(adopt, real, err);
	} else {
		result = session_all_stages(adopt->session, err);
		if (result == 0)
			collect_marks(adopt);
	}
	free(real);
	return result;
}

/* ---- looking ---- */

/* Names that parts of a training have: what lies there was read with it. */
static bool is_part(const char *name)
{
	static const char *const begins[] = { "checkpoint",  "ckpt",	"epoch",     "step",
					      "global_step", "iter_",	"best",	     "last",
					      "final",	     "model-",	"weights",   "eval",
					      "test",	     "predict", "inference", "tb_",
					      "tensorboard" };
	static const char *const names[] = { "runs",   "logs",	     "log",	"wandb",
					     "events", "files",	     "metrics", "params",
					     "tags",   "artifacts",  "dvclive", "train",
					     "val",    "validation", "model" };

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (has_prefix(name, begins[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* The runs of thhost itself have a journal; what became of them is known. */
static char *journal_reason(const struct adopt_dir *dir)
{
	struct run_list runs = { .v = NULL, .n = 0 };
	struct err ignored = ERR_INIT;
	char *reason = NULL;

	if (journal_load_newest(dir->fd, &runs, &ignored) == 0 && runs.n)
		reason = xstrf("'thhost run' was here; its newest run is %s",
			       run_state_word(runs.v[0].state));
	run_list_release(&runs);
	return reason;
}

/* What thhost wrote before: a record, or what is left of one. The model's number or ADOPT_NONE. */
static size_t take_own(struct adopt *adopt, const struct adopt_dir *dir)
{
	struct adopt_model *model;
	char *reason = NULL;

	if (dir->has & ADOPT_HAS_RECORD) {
		model = adopt_add(adopt, dir->path, ADOPT_RECORDED);
		layout_split_name(&adopt->session->layout, dir->name, &model->stage,
				  &model->dataset);
		model->is_home = model->stage != NULL;
		return adopt->n - 1;
	}
	if (dir->has & ADOPT_HAS_BACKUP)
		reason = xstrdup("it had a record once; 'thhost repair' brings it back");
	else if (dir->has & ADOPT_HAS_JOURNAL)
		reason = journal_reason(dir);
	if (!reason)
		return ADOPT_NONE;
	model = adopt_add(adopt, dir->path, ADOPT_LEFT);
	model->reason = reason;
	return adopt->n - 1;
}

/* Is it a directory of an experiment, or directly below the root, with the name of a stage? */
static bool is_home(struct adopt *adopt, const struct adopt_dir *dir)
{
	const struct adopt_dir *up = dir->up;
	char *stage;
	char *dataset;
	bool is_stage;
	size_t parts = 1;

	for (const char *p = dir->path; *p; p++)
		parts += *p == '/';
	if (parts > 2)
		return false;
	layout_split_name(&adopt->session->layout, dir->name, &stage, &dataset);
	is_stage = stage && strcmp(stage, PLUGIN_GENERIC) != 0 &&
		   plugin_find(&adopt->session->plugins, "stage", stage);
	free(stage);
	free(dataset);
	if (parts == 1)
		return is_stage && (dir->has & ADOPT_HAS_MARKS);
	if (is_stage && up && (has_prefix(up->name, "exp_") || (up->has & ADOPT_HAS_CONFIG)))
		return true;
	if (!is_stage && up && (up->has & ADOPT_HAS_CONFIG)) {
		char *exp = xstrndup(dir->path, strcspn(dir->path, "/"));

		is_stage = adopt_home_state(adopt_home_of(adopt, exp), dir->name) != NULL;
		free(exp);
		return is_stage;
	}
	return is_stage && (dir->has & ADOPT_HAS_MARKS);
}

/* Where a model covers the directory: is what was found there surer than it, and so one of its own? */
static bool is_of_its_own(struct adopt *adopt, size_t found, size_t above)
{
	if (above == ADOPT_NONE)
		return true;
	return !adopt->models[found].is_weak || adopt->models[above].is_weak;
}

/* 'data' of a directory is the number of the model above it, plus one; 0: none. */
static enum adopt_next read_dir(struct adopt *adopt, struct adopt_dir *dir)
{
	size_t above = dir->data ? dir->data - 1 : ADOPT_NONE;
	bool home = is_home(adopt, dir);
	bool has_runs = false;
	size_t found;

	if (!home && above != ADOPT_NONE && is_part(dir->name))
		return ADOPT_PAST;
	if (!home && !(dir->has & ADOPT_HAS_MARKS))
		return ADOPT_DOWN;
	found = adopt_read(adopt, dir, home, &has_runs);
	if (found == ADOPT_NONE)
		return ADOPT_DOWN;
	if (adopt->models[found].is_home)
		return ADOPT_PAST;
	if (!is_of_its_own(adopt, found, above)) {
		drop_last(adopt);
		return ADOPT_DOWN;
	}
	dir->data = found + 1;
	return ADOPT_DOWN;
}

static enum adopt_next visit(void *arg, struct adopt_dir *dir)
{
	struct adopt *adopt = arg;
	size_t own;

	adopt->counts.directories++;
	if (!adopt_tick(adopt, dir->path))
		return ADOPT_STOP;
	if (!*dir->path || is_experiment(adopt, dir))
		return ADOPT_DOWN; /* no models themselves */
	own = take_own(adopt, dir);
	if (own == ADOPT_NONE)
		return read_dir(adopt, dir);
	if (adopt->models[own].is_home)
		return ADOPT_PAST;
	dir->data = own + 1;
	return ADOPT_DOWN;
}

static void pass_over(void *arg, const char *path, const char *why)
{
	struct adopt *adopt = arg;

	adopt->n_passed++;
	if (adopt->n_passed_kept == ADOPT_PASSED_MAX)
		return;
	adopt->passed =
		xreallocarray(adopt->passed, adopt->n_passed_kept + 1, sizeof(*adopt->passed));
	adopt->passed[adopt->n_passed_kept++] =
		(struct adopt_passed){ .path = xstrdup(path), .why = xstrdup(why) };
}

int adopt_look(struct adopt *adopt, struct err *err)
{
	struct adopt_walk walk = {
		.marks = &adopt->marks,
		.depth = adopt->depth,
		.visit = visit,
		.pass_over = pass_over,
		.arg = adopt,
	};
	const struct layout *layout = &adopt->session->layout;
	int fd = *adopt->top ? path_open_beneath(layout->rootfd, adopt->top, O_RDONLY | O_DIRECTORY,
						 err)
			     : path_open_dir(layout->root, err);
	int result;

	if (fd < 0)
		return -1;
	result = adopt_walk(&walk, fd, adopt->top);
	close(fd);
	adopt->counts.deeper = walk.n_deeper;
	if (result < 0)
		return err_set(err, ERR_INTERRUPTED, "interrupted; nothing was written");
	adopt_link(adopt);
	return 0;
}
