#include "base/base.h"

#include "app/record.h"

#include "app/parents.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "sys/path.h"

void draft_release(struct draft *draft)
{
	plugin_plan_release(&draft->plan);
	stage_dir_release(&draft->dir);
	stage_dir_release(&draft->parent);
	str_release(&draft->parent_record);
	free(draft->base_model);
	free(draft->base_path);
	free(draft->origin);
	free(draft->parents);
	plugin_result_release(&draft->result);
}

static int make_experiment(struct draft *draft, struct session *session, struct err *err)
{
	struct values *values = draft->values;
	struct str made = STR_INIT;
	int result = layout_begin_experiment(&session->layout, values->exp, &made, err);

	if (result == 0) {
		free(values->exp);
		values->exp = xstrdup(made.buf);
	}
	str_release(&made);
	return result;
}

/* --from names a stage directory of the tree: its record belongs there, beside the checkpoint. */
static bool open_from_as_target(struct draft *draft, struct session *session)
{
	struct values *values = draft->values;
	struct base_place place = BASE_PLACE_INIT;
	bool is_target = false;

	if (!values->from || values->exp || values->new_exp)
		return false;
	if (parents_find_base(&session->layout, NULL, values->from, &place) && !place.checkpoint &&
	    (!place.dir.stage || strcmp(place.dir.stage, values->stage) == 0)) {
		draft->dir = place.dir;
		place.dir = (struct stage_dir)STAGE_DIR_INIT;
		is_target = true;
	}
	base_place_release(&place);
	return is_target;
}

static int open_target(struct draft *draft, struct session *session, bool create, struct err *err)
{
	struct values *values = draft->values;

	if (values->into)
		return session_resolve(session, values->exp, values->into, &draft->dir, err);
	if (open_from_as_target(draft, session))
		return 0;
	if (!create && values->new_exp) {
		layout_plan_fresh(&session->layout, values->exp, values->stage, values->dataset,
				  &draft->dir);
		return 0;
	}
	if (!create)
		return layout_plan_stage(&session->layout, values->exp, values->stage,
					 values->dataset, &draft->dir, err);
	if (values->new_exp && make_experiment(draft, session, err) < 0)
		return -1;
	return layout_open_stage(&session->layout, values->exp, values->stage, values->dataset,
				 true, &draft->dir, err);
}

int draft_make_dir(struct draft *draft, struct session *session, struct err *err)
{
	if (draft->dir.fd >= 0)
		return 0;
	stage_dir_release(&draft->dir);
	return open_target(draft, session, true, err);
}

/* Is there no record yet, or one that began with the history of 'parent' already? */
static bool may_begin_with(const struct draft *draft)
{
	struct str text = STR_INIT;
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;
	bool has_entries = false;
	bool is_heir = false;

	if (store_read(draft->dir.fd, draft->dir.ref, &text, &ignored) == 0 &&
	    info_open(&info, draft->dir.ref, text.buf, text.len, &ignored) == 0) {
		has_entries = info_entry_count(&info) > 0;
		for (size_t i = info_first_entry(&info); i != JSON_NONE && !is_heir;
		     i = info_next_entry(&info, i))
			is_heir = json_string_is(&info.doc,
						 info_entry_member(&info, i, "inherited_from"),
						 draft->parent.ref);
	}
	info_release(&info);
	str_release(&text);
	return !has_entries || is_heir;
}

/* --init-from is a dataset of this stage ("hrds") or any REF. */
static int open_parent(struct draft *draft, struct session *session, struct err *err)
{
	struct values *values = draft->values;
	struct err ignored = ERR_INIT;

	if (!values->init_from)
		return 0;
	if (path_check_name("dataset", values->init_from, &ignored) < 0 ||
	    layout_open_stage(&session->layout, draft->dir.exp, values->stage, values->init_from,
			      false, &draft->parent, &ignored) < 0)
		if (session_resolve(session, draft->dir.exp, values->init_from, &draft->parent,
				    err) < 0)
			return err_prefix(err, "--init-from");
	draft->has_parent = true;
	if (strcmp(draft->parent.path, draft->dir.path) == 0)
		return err_set(err, ERR_USAGE, "--init-from '%s' is the record itself",
			       values->init_from);
	if (!may_begin_with(draft)) {
		err_set(err, ERR_USAGE, "'%s' has a history already; --init-from begins a new one",
			draft->dir.ref);
		return err_hint(err, "'--into %s' goes on with it", draft->dir.ref);
	}
	if (store_read(draft->parent.fd, draft->parent.ref, &draft->parent_record, err) < 0)
		return err_prefix(err, "--init-from '%s'", values->init_from);
	return 0;
}

static bool has_record(const struct stage_dir *dir)
{
	char *model = parents_record_string(dir, "model_name");

	free(model);
	return model != NULL;
}

static void set_base(struct draft *draft, const struct stage_dir *dir, const char *checkpoint)
{
	bool has_name = checkpoint && *checkpoint;

	free(draft->base_model);
	free(draft->base_path);
	draft->base_model = has_name ? path_join(dir->ref, checkpoint) : xstrdup(dir->ref);
	draft->base_path = has_name ? path_join(dir->path, checkpoint) : xstrdup(dir->path);
}

/* The model of 'dir' goes on: "exp_1/stage1_hrds/checkpoint-10000". */
static void start_from(struct draft *draft, const struct stage_dir *dir)
{
	char *checkpoint = parents_record_string(dir, "final_checkpoint");

	set_base(draft, dir, checkpoint);
	free(checkpoint);
	if (!draft->origin)
		draft->origin = parents_record_string(dir, "base_model");
}

/* A base model that a user or a training names: in the tree it makes an edge. */
static void take_base(struct draft *draft, struct session *session, const char *text,
		      const char *how, struct jsonw *w)
{
	struct base_place place = BASE_PLACE_INIT;

	free(draft->base_model);
	free(draft->base_path);
	draft->base_model = NULL;
	draft->base_path = xstrdup(text);
	if (parents_find_base(&session->layout, draft->dir.exp, text, &place) &&
	    strcmp(place.dir.path, draft->dir.path) != 0) {
		draft->base_model = place.checkpoint ? path_join(place.dir.ref, place.checkpoint)
						     : xstrdup(place.dir.ref);
		if (text[0] != '/') {
			free(draft->base_path);
			draft->base_path = place.checkpoint
						   ? path_join(place.dir.path, place.checkpoint)
						   : xstrdup(place.dir.path);
		}
		if (!draft->has_parent || strcmp(place.dir.path, draft->parent.path) != 0)
			parents_add(w, &place.dir, draft->dir.ref, "starts_from", how,
				    place.checkpoint);
	}
	if (!draft->base_model)
		draft->base_model = xstrdup(text);
	base_place_release(&place);
}

/* Features or models of other stages on the same data that the plugin says this stage works from. */
static void add_required(struct draft *draft, struct session *session, struct jsonw *w)
{
	struct err ignored = ERR_INIT;

	if (!draft->plan.requires.n || !draft->dir.exp)
		return;
	if (session_all_stages(session, &ignored) < 0)
		return;
	for (size_t i = 0; i < draft->plan.requires.n; i++) {
		struct stage_dir dir = STAGE_DIR_INIT;

		if (layout_open_stage(&session->layout, draft->dir.exp, draft->plan.requires.v[i],
				      draft->values->dataset, false, &dir, &ignored) == 0 &&
		    has_record(&dir)) {
			parents_add(w, &dir, draft->dir.ref, "uses", "inferred", NULL);
			/* What it works from is all that lies there, not one file of it. */
			if (!draft->base_model)
				set_base(draft, &dir, NULL);
		}
		stage_dir_release(&dir);
	}
}

/* 'declared': what the user says of the base; 'extracted': what the plugin found; or NULL. */
static void find_origins(struct draft *draft, struct session *session, const char *declared,
			 const char *extracted)
{
	const char *configured = conf_stage(&session->conf, draft->values->stage,
					    draft->values->dataset, "base_model");
	struct str parents = STR_INIT;
	struct jsonw w = jsonw_begin(&parents, 0);

	jsonw_array(&w);
	if (draft->has_parent) {
		start_from(draft, &draft->parent);
		parents_add(&w, &draft->parent, draft->dir.ref, "continues", "declared", NULL);
	} else if (draft->values->into && has_record(&draft->dir)) {
		start_from(draft, &draft->dir);
	}
	if (declared)
		take_base(draft, session, declared, "declared", &w);
	else if (!draft->base_model && extracted && *extracted)
		take_base(draft, session, extracted, "inferred", &w);
	else if (!draft->base_model && configured && *configured)
		take_base(draft, session, configured, "declared", &w);
	add_required(draft, session, &w);
	jsonw_end(&w);
	free(draft->parents);
	draft->parents = strcmp(parents.buf, "[]") != 0 ? xstrdup(parents.buf) : NULL;
	str_release(&parents);
}

/* The entry as far as flags alone tell it, so that one worker both describes and validates. */
static char *early_entry(const struct values *values)
{
	struct str text = STR_INIT;
	struct jsonw w = jsonw_begin(&text, 0);
	struct str metrics = STR_INIT;
	struct str hyperparams = STR_INIT;

	if (values->steps < 0 || values->from)
		return NULL;
	fields_print(values->metrics, &metrics);
	fields_print(values->hyperparams, &hyperparams);
	jsonw_object(&w);
	jsonw_pair_string(&w, "dataset", values->dataset);
	jsonw_pair_int(&w, "steps", values->steps);
	jsonw_pair_raw(&w, "epochs", values->epochs ? values->epochs : "null");
	jsonw_pair_raw(&w, "metrics", metrics.len ? metrics.buf : "{}");
	jsonw_pair_raw(&w, "hyperparams", hyperparams.len ? hyperparams.buf : "{}");
	jsonw_end(&w);
	str_release(&metrics);
	str_release(&hyperparams);
	return str_detach(&text);
}

/* Before anything is opened or made. A checkpoint may lie deeper: "checkpoints/epoch=3.ckpt". */
static int check_names(const struct values *values, struct err *err)
{
	if (path_check_name("stage", values->stage, err) < 0)
		return -1;
	if (values->dataset && path_check_name("dataset", values->dataset, err) < 0)
		return -1;
	if (values->exp && path_check_name("experiment", values->exp, err) < 0)
		return -1;
	if (values->final_checkpoint)
		return path_check_relative("final checkpoint", values->final_checkpoint, err);
	return 0;
}

/* Text that is no UTF-8 could only be recorded as something else. Said before anything runs. */
static int check_text(const char *what, const char *text, struct err *err)
{
	if (!text || utf8_is_valid(text, strlen(text)))
		return 0;
	return err_set(err, ERR_INVALID, "the %s is not valid UTF-8: '%s'", what, text);
}

static int check_texts(const struct values *values, struct err *err)
{
	for (size_t i = 0; i < values->tags.n; i++)
		if (check_text("tag", values->tags.v[i], err) < 0)
			return -1;
	if (check_text("note", values->note, err) < 0 ||
	    check_text("model name", values->model_name, err) < 0)
		return -1;
	return check_text("base model", values->base_model, err);
}

static int check_values(const struct values *values, struct err *err)
{
	return check_names(values, err) < 0 ? -1 : check_texts(values, err);
}

/* ---- many at once ---- */

static bool is_same_stage(const struct values *a, const struct values *b)
{
	if (strcmp(a->stage, b->stage) != 0 || !a->dataset != !b->dataset)
		return false;
	return !a->dataset || strcmp(a->dataset, b->dataset) == 0;
}

/* What waits to be asked for. */
struct questions {
	char **entries; /* NULL where a directory must be read first */
	size_t *of;	/* whose they are */
	size_t n;
};

static void ask(struct session *session, struct values *const *values, struct questions *questions,
		struct draft_answer *answers)
{
	struct plugin_plan *plans = xcalloc(questions->n + 1, sizeof(*plans));
	struct err *errs = xcalloc(questions->n + 1, sizeof(*errs));
	const struct values *first = questions->n ? values[questions->of[0]] : NULL;

	if (first)
		session_plan_each(session, first->stage, first->dataset, questions->entries,
				  questions->n, plans, errs);
	for (size_t i = 0; i < questions->n; i++) {
		answers[questions->of[i]] =
			(struct draft_answer){ .is_known = true, .plan = plans[i], .err = errs[i] };
		free(questions->entries[i]);
	}
	questions->n = 0;
	free(plans);
	free(errs);
}

void draft_ask_each(struct session *session, struct values *const *values, size_t n,
		    struct draft_answer *answers)
{
	struct questions questions = { .entries = xcalloc(n + 1, sizeof(char *)),
				       .of = xcalloc(n + 1, sizeof(size_t)) };

	for (size_t i = 0; i < n; i++) {
		struct err ignored = ERR_INIT; /* draft_open_answered() comes to it */

		answers[i] = (struct draft_answer){ .is_known = false };
		if (check_values(values[i], &ignored) < 0)
			continue;
		if (questions.n && !is_same_stage(values[questions.of[0]], values[i]))
			ask(session, values, &questions, answers);
		questions.entries[questions.n] = early_entry(values[i]);
		questions.of[questions.n++] = i;
	}
	ask(session, values, &questions, answers);
	free(questions.entries);
	free(questions.of);
}

void draft_answer_release(struct draft_answer *answer)
{
	if (answer->is_known)
		plugin_plan_release(&answer->plan);
	answer->is_known = false;
}

/* ---- one ---- */

static int take_plan(struct draft *draft, struct session *session, struct draft_answer *answer,
		     struct err *err)
{
	const struct values *values = draft->values;
	char *entry;
	int result;

	if (answer && answer->is_known) {
		draft->plan = answer->plan;
		answer->is_known = false;
		*err = answer->err;
		return err->code ? -1 : 0;
	}
	entry = early_entry(values);
	result = session_plan(session, values->stage, values->dataset, entry, &draft->plan, err);
	free(entry);
	return result;
}

int draft_open_answered(struct draft *draft, struct session *session, struct values *values,
			bool create, struct draft_answer *answer, struct err *err)
{
	memset(draft, 0, sizeof(*draft));
	draft->values = values;
	draft->dir = draft->parent = (struct stage_dir)STAGE_DIR_INIT;
	str_init(&draft->parent_record);
	if (check_values(values, err) < 0 || take_plan(draft, session, answer, err) < 0 ||
	    session_layout(session, err) < 0)
		return -1;
	session_use_plan(session, &draft->plan);
	if (open_target(draft, session, create, err) < 0 || open_parent(draft, session, err) < 0)
		return -1;
	find_origins(draft, session, values->base_model, NULL);
	return 0;
}

int draft_open(struct draft *draft, struct session *session, struct values *values, bool create,
	       struct err *err)
{
	return draft_open_answered(draft, session, values, create, NULL, err);
}

int draft_extract(struct draft *draft, struct session *session, const struct extract_source *source,
		  struct err *err)
{
	struct strv keys = STRV_INIT;
	struct strv texts = STRV_INIT;
	struct plugin_call call = {
		.dirfd = source->dirfd,
		.dir_name = source->dir_name,
		.log = source->log,
		.only = source->only,
		.exp = draft->dir.exp,
		.argv = source->argv,
		.config_keys = &keys,
		.config_values = &texts,
	};
	int result;

	conf_stage_all(&session->conf, draft->values->stage, draft->values->dataset, &keys, &texts);
	result = plugin_extract(&session->plugins, &draft->plan, &call, &draft->result, err);
	strv_release(&keys);
	strv_release(&texts);
	if (result < 0)
		return -1;
	draft->has_result = true;
	if (!draft->values->base_model && !draft->has_parent && !draft->values->into)
		find_origins(draft, session, NULL, draft->result.base_model);
	return 0;
}
