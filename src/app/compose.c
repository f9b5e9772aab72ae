#include "base/base.h"

#include "app/record.h"

#include "app/masked.h"
#include "app/parents.h"
#include "app/taken.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "capture/digest.h"
#include "model/journal.h"
#include "sys/path.h"

void record_outcome_release(struct record_outcome *outcome)
{
	str_release(&outcome->entry);
	str_release(&outcome->spooled);
	strv_release(&outcome->warnings);
}

/* ---- the entry ---- */

/* The telling metrics first: primary, required, those with a goal, the rest. */
static int metric_rank(const char *name, const void *arg)
{
	const struct plugin_plan *plan = arg;

	for (size_t i = 0; i < plan->n_metrics; i++) {
		const struct plugin_metric *metric = &plan->metrics[i];

		if (strcmp(metric->name, name) == 0)
			return metric->is_primary    ? 0
			       : metric->is_required ? 1
			       : metric->goal	     ? 2
						     : 3;
	}
	return 3;
}

/* 'plan': whose metrics these are, to put them in order; NULL: they stay as they come. */
static int set_object(struct entry *entry, const char *extracted, const struct fields *given,
		      const struct plugin_plan *plan,
		      int (*set)(struct entry *, const char *, struct err *), struct err *err)
{
	struct fields *all = fields_new();
	struct str text = STR_INIT;
	struct str over = STR_INIT;
	int result = 0;

	if (extracted)
		result = fields_merge(all, "plugin", extracted, err);
	fields_print(given, &over);
	if (result == 0 && !fields_empty(given))
		result = fields_merge(all, "values", over.buf, err);
	if (plan)
		fields_order(all, metric_rank, plan);
	fields_print(all, &text);
	if (result == 0)
		result = set(entry, fields_empty(all) ? "{}" : text.buf, err);
	str_release(&text);
	str_release(&over);
	fields_free(all);
	return result;
}

static char *first_of(const char *a, const char *b, const char *c)
{
	return xstrdup(a ? a : b ? b : c);
}

/* The steps that the record holds of this directory's own trainings. */
static int64_t own_steps(const struct draft *draft)
{
	struct str text = STR_INIT;
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;
	int64_t sum = 0;

	if (store_read(draft->dir.fd, draft->dir.ref, &text, &ignored) == 0 &&
	    info_open(&info, draft->dir.ref, text.buf, text.len, &ignored) == 0)
		for (size_t i = info_first_entry(&info); i != JSON_NONE;
		     i = info_next_entry(&info, i))
			if (!info_entry_is_inherited(&info, i) && info_entry_steps(&info, i) > 0)
				sum += info_entry_steps(&info, i);
	info_release(&info);
	str_release(&text);
	return sum;
}

/*
 * A trainer that goes on from its checkpoint counts on: at 15,000 after 10,000 it ran 5,000. Left out
 * is only what is recorded already, so that an attempt that failed before still counts.
 */
static int64_t steps_that_ran(struct draft *draft)
{
	int64_t recorded = draft->result.resumed_from > 0 ? own_steps(draft) : 0;

	draft->left_out =
		recorded < draft->result.resumed_from ? recorded : draft->result.resumed_from;
	return draft->result.steps - draft->left_out;
}

static int set_steps(struct entry *entry, struct draft *draft, struct err *err)
{
	if (draft->values->steps >= 0) {
		entry->steps = draft->values->steps;
	} else if (draft->has_result && draft->result.has_steps) {
		entry->steps = steps_that_ran(draft);
	} else {
		err_set(err, draft->has_result ? ERR_PLUGIN : ERR_USAGE,
			"how many steps ran is not known");
		if (!draft->has_result)
			err_hint(err, "give --steps, or --from DIR to have them read");
		else if (draft->values->from) /* 'run' and 'repair' have no --steps */
			err_hint(err, "the plugin found none; give --steps");
		return -1;
	}
	return 0;
}

static void set_times(struct entry *entry, const struct draft *draft)
{
	const struct values *values = draft->values;
	char now[CLOCK_TEXT_SIZE];

	clock_format(clock_now(), now);
	entry->end_time = first_of(values->end_time, draft->result.end_time, now);
	entry->start_time = first_of(values->start_time, draft->result.start_time, entry->end_time);
}

/* Its size and digest, where it lies in stage directory 'dir'; no digest beyond 'limit' bytes. */
static void print_checkpoint(const char *dir, const char *name, uint64_t limit, struct jsonw *w)
{
	struct digest digest;
	struct err ignored = ERR_INIT;
	char *path;

	jsonw_pair_string(w, "name", name);
	if (path_check_relative("checkpoint", name, &ignored) < 0)
		return;
	path = path_join(dir, name);
	if (digest_path(path, limit, &digest, &ignored) == 0) {
		jsonw_pair_int(w, "size", (int64_t)digest.size);
		if (digest.sha256[0])
			jsonw_pair_string(w, "sha256", digest.sha256);
	}
	free(path);
}

static void add_checkpoint(struct entry *entry, const char *dir, const char *name, uint64_t limit)
{
	struct str json = STR_INIT;
	struct jsonw w = jsonw_begin(&json, 0);
	struct err ignored = ERR_INIT;

	jsonw_object(&w);
	print_checkpoint(dir, name, limit, &w);
	jsonw_end(&w);
	entry_add_extra(entry, "final_checkpoint", json.buf, &ignored);
	str_release(&json);
}

void record_add_checkpoint(struct entry *entry, const struct session *session, const char *dir,
			   const char *name)
{
	uint64_t limit = (uint64_t)conf_int(&session->conf, "record.digest_limit_mb") << 20;

	add_checkpoint(entry, dir, name, limit);
}

static void add_plugin(struct entry *entry, const struct plugin_plan *plan)
{
	struct str json = STR_INIT;
	struct jsonw w = jsonw_begin(&json, 0);
	struct err ignored = ERR_INIT;
	char sha256[DIGEST_TEXT_SIZE];

	digest_bytes(plan->source, plan->source_len, sha256);
	jsonw_object(&w);
	jsonw_pair_string(&w, "name", plan->name);
	jsonw_pair_string(&w, "version", plan->version);
	jsonw_pair_string(&w, "sha256", sha256);
	jsonw_end(&w);
	entry_add_extra(entry, "plugin", json.buf, &ignored);
	str_release(&json);
}

static int add_tags(struct entry *entry, const struct values *values, struct err *err)
{
	struct str json = STR_INIT;
	struct jsonw w = jsonw_begin(&json, 0);
	int result = 0;

	jsonw_array(&w);
	for (size_t i = 0; i < values->tags.n; i++)
		jsonw_string(&w, values->tags.v[i]);
	jsonw_end(&w);
	if (values->tags.n)
		result = entry_add_extra(entry, "tags", json.buf, err);
	if (values->note)
		entry_add_extra_string(entry, "notes", values->note);
	str_release(&json);
	return result;
}

static int add_json(struct entry *entry, const char *key, const char *json, struct err *err)
{
	return json && *json ? entry_add_extra(entry, key, json, err) : 0;
}

/* "trainer_state.json:global_step, less 10,000 recorded before" */
static int add_sources(struct entry *entry, const struct draft *draft, struct err *err)
{
	struct fields *sources;
	struct str text = STR_INIT;
	const char *steps;
	int result;

	if (!draft->left_out || !draft->result.sources)
		return add_json(entry, "sources", draft->result.sources, err);
	sources = fields_new();
	result = fields_merge(sources, "sources", draft->result.sources, err);
	steps = fields_get(sources, "steps");
	if (!steps || *steps != '"')
		steps = "\"plugin\"";
	/* Before the closing quote of what the plugin said. */
	str_addf(&text, "%.*s, less %lld recorded before\"", (int)strlen(steps) - 1, steps,
		 (long long)draft->left_out);
	if (result == 0)
		result = fields_set(sources, "steps", text.buf, err);
	str_clear(&text);
	fields_print(sources, &text);
	if (result == 0)
		result = add_json(entry, "sources", text.buf, err);
	str_release(&text);
	fields_free(sources);
	return result;
}

/* What the training's own files say, as they say it. */
static int add_raw(struct entry *entry, const struct draft *draft, const struct session *session,
		   struct err *err)
{
	struct str masked = STR_INIT;
	int result = 0;

	if (draft->result.raw_hyperparams)
		result = masked_json(draft->result.raw_hyperparams, &session->conf, false, &masked,
				     err);
	if (result == 0)
		result = add_json(entry, "raw_hyperparams", masked.buf, err);
	str_release(&masked);
	return result;
}

static int add_taken(struct entry *entry, const struct draft *draft, struct err *err)
{
	struct str taken = STR_INIT;
	int result;

	taken_print(draft, &taken);
	result = add_json(entry, "taken_from", taken.buf, err);
	str_release(&taken);
	return result;
}

/* What the user says is declared, whatever the files had. */
static int set_evidence(struct fields *evidence, const struct values *values, struct err *err)
{
	const char *how = values->dataset_how ? values->dataset_how : "declared";
	char *dataset = xstrf("\"%s\"", how);
	int result = 0;

	if (values->steps >= 0)
		result = fields_set(evidence, "steps", "\"declared\"", err);
	if (result == 0 && values->epochs)
		result = fields_set(evidence, "epochs", "\"declared\"", err);
	if (result == 0 && values->base_model)
		result = fields_set(evidence, "base_model", "\"declared\"", err);
	if (result == 0 && values->dataset)
		result = fields_set(evidence, "dataset", dataset, err);
	free(dataset);
	return result;
}

static int add_evidence(struct entry *entry, const struct draft *draft, struct err *err)
{
	struct fields *evidence;
	struct str text = STR_INIT;
	int result;

	if (!draft->result.evidence)
		return 0;
	evidence = fields_new();
	result = fields_merge(evidence, "evidence", draft->result.evidence, err);
	if (result == 0)
		result = set_evidence(evidence, draft->values, err);
	fields_print(evidence, &text);
	if (result == 0)
		result = add_json(entry, "evidence", text.buf, err);
	str_release(&text);
	fields_free(evidence);
	return result;
}

/* Everything beyond the design's keys, for entries that were extracted, run or captured. */
static int add_extras(struct entry *entry, const struct draft *draft, const struct session *session,
		      struct err *err)
{
	const struct run_context *context = &draft->context;
	const char *status = context->status ? context->status : draft->result.outcome;
	const char *checkpoint = draft->values->final_checkpoint ? draft->values->final_checkpoint
								 : draft->result.final_checkpoint;

	entry_add_extra_string(entry, "run_id", draft->run_id);
	entry_add_extra_string(entry, "status", status ? status : "completed");
	if (draft->base_model)
		entry_add_extra_string(entry, "base_model", draft->base_model);
	if (context->base_digest && *context->base_digest)
		entry_add_extra_string(entry, "base_model_digest", context->base_digest);
	if (context->dataset_digest && *context->dataset_digest)
		entry_add_extra_string(entry, "dataset_digest", context->dataset_digest);
	if (checkpoint && *checkpoint && draft->is_sketch)
		add_checkpoint(entry, draft->dir.path, checkpoint, 0);
	else if (checkpoint && *checkpoint)
		record_add_checkpoint(entry, session, draft->dir.path, checkpoint);
	if (draft->has_result)
		add_plugin(entry, &draft->plan);
	if (add_json(entry, "parents", draft->parents, err) < 0 ||
	    add_json(entry, "git", context->git, err) < 0 ||
	    add_json(entry, "environment", context->environment, err) < 0 ||
	    add_json(entry, "usage", context->usage, err) < 0 ||
	    add_json(entry, "attempts", context->attempts, err) < 0 ||
	    add_json(entry, "command", context->command, err) < 0 ||
	    add_sources(entry, draft, err) < 0 || add_raw(entry, draft, session, err) < 0 ||
	    add_taken(entry, draft, err) < 0 ||
	    add_json(entry, "best", draft->result.best, err) < 0 ||
	    add_evidence(entry, draft, err) < 0 ||
	    add_json(entry, "planned", draft->result.planned, err) < 0)
		return -1;
	return 0;
}

static int compose(struct draft *draft, const struct session *session, struct entry *entry,
		   struct err *err)
{
	const struct values *values = draft->values;
	const struct plugin_result *result = &draft->result;

	entry->dataset = xstrdup_or_null(values->dataset);
	entry->epochs = xstrdup_or_null(values->epochs ? values->epochs : result->epochs);
	set_times(entry, draft);
	if (set_steps(entry, draft, err) < 0 ||
	    set_object(entry, result->metrics, values->metrics,
		       draft->has_result ? &draft->plan : NULL, entry_set_metrics, err) < 0 ||
	    set_object(entry, result->hyperparams, values->hyperparams, NULL, entry_set_hyperparams,
		       err) < 0)
		return -1;
	if (draft->additive && add_extras(entry, draft, session, err) < 0)
		return -1;
	return add_tags(entry, values, err);
}

static void warn_of_times(const struct entry *entry, struct strv *warnings)
{
	double seconds;

	if (clock_between(entry->start_time, entry->end_time, &seconds) == 0 && seconds < 0)
		strv_pushf(warnings, "the training ends (%s) before it starts (%s)",
			   entry->end_time, entry->start_time);
}

/* ---- what the plugin thinks of it ---- */

static int take_issue(const struct json *doc, size_t issue, const char *plugin,
		      struct strv *warnings, struct err *err)
{
	char *path = json_string_copy(doc, json_member(doc, issue, "path"));
	char *message = json_string_copy(doc, json_member(doc, issue, "message"));
	bool is_error = !json_string_is(doc, json_member(doc, issue, "level"), "warning");
	char *text = xstrf("plugin '%s': %s%s%s", plugin, path ? path : "", path ? ": " : "",
			   message ? message : "refused");

	if (is_error)
		err_set(err, ERR_INVALID, "%s", text);
	else
		strv_push(warnings, text);
	free(path);
	free(message);
	free(text);
	return is_error ? -1 : 0;
}

static int take_issues(const struct draft *draft, struct strv *warnings, struct err *err)
{
	const char *issues = draft->has_result ? draft->result.issues : draft->plan.issues;
	struct json doc = JSON_INIT;
	int result = 0;

	if (!issues)
		return 0;
	if (json_parse(&doc, "issues", issues, strlen(issues), JSON_STRICT, err) < 0)
		result = -1;
	for (size_t i = result == 0 ? json_first(&doc, 0) : JSON_NONE; i != JSON_NONE;
	     i = json_next(&doc, 0, i))
		if (take_issue(&doc, i, draft->plan.name, warnings, err) < 0)
			result = -1;
	json_release(&doc);
	return result;
}

/* ---- putting it in ---- */

/* What is not said follows the record that is there: 'name' is its model, or NULL. */
static struct info_head head_of(const struct draft *draft, const struct session *session,
				const char *name)
{
	const struct values *values = draft->values;
	const char *configured =
		conf_stage(&session->conf, values->stage, values->dataset, "model_name");
	const char *checkpoint = values->final_checkpoint ? values->final_checkpoint
							  : draft->result.final_checkpoint;
	struct info_head head = {
		.model_name = values->model_name	  ? values->model_name
			      : name			  ? name
			      : configured && *configured ? configured
			      : draft->plan.model_name	  ? draft->plan.model_name
							  : values->stage,
		.stage = values->stage,
		.final_checkpoint = checkpoint,
		.base_model = draft->origin	  ? draft->origin
			      : draft->base_model ? draft->base_model
						  : "unknown",
		.parents = draft->additive || draft->has_parent ? draft->parents : NULL,
	};

	return head;
}

/* Is the file that refused the entry itself in order? Then the entry disagrees with it. */
static bool record_is_sound(const struct draft *draft)
{
	struct str text = STR_INIT;
	struct info info = INFO_INIT;
	struct info_summary summary;
	struct err ignored = ERR_INIT;
	bool sound;

	sound = store_read(draft->dir.fd, draft->dir.ref, &text, &ignored) == 0 &&
		info_open(&info, draft->dir.ref, text.buf, text.len, &ignored) == 0 &&
		info_validate(&info, &summary, &ignored) == 0;
	info_release(&info);
	str_release(&text);
	return sound;
}

static bool wants_spool(const struct draft *draft, enum spool_policy policy, enum err_code code)
{
	if (journal_is_revoked(draft->dir.fd, draft->run_id))
		return false; /* nobody may ever record it */
	if (policy == SPOOL_ALWAYS)
		return true;
	if (code == ERR_INVALID)
		return !record_is_sound(draft);
	return code == ERR_FAILED;
}

static int spool(const struct draft *draft, const struct store_request *request,
		 struct record_outcome *outcome, struct err *err)
{
	struct err why = *err;
	struct err trouble = ERR_INIT;

	if (store_spool(request, draft->dir.path, draft->run_id, &why, &outcome->spooled,
			&trouble) < 0) {
		*err = why;
		return err_hint(err, "the entry could not be kept either (%s); it is printed above",
				trouble.msg);
	}
	err_set(err, ERR_SPOOLED, "%s", why.msg);
	err_path(err, request->path);
	return err_hint(err,
			"the entry is safe in the spool (%.13s); mend the cause, then "
			"'thhost repair %s'",
			draft->run_id, draft->dir.ref);
}

/* Each command makes an entry of its own: one that may be there already must not be sent again. */
static void refuse_repetition(const struct draft *draft, struct err *err)
{
	err->code = ERR_NOT_DURABLE;
	err_hint(err,
		 "do not repeat the command, the entry may be there already: 'thhost show %s' "
		 "tells, 'thhost verify' checks the file",
		 draft->dir.ref);
}

int draft_append(struct draft *draft, const struct draft *last, struct session *session,
		 const struct entry *entries, size_t n, enum spool_policy policy,
		 struct record_outcome *outcome, struct err *err)
{
	char *path = path_join(draft->dir.path, RECORD_NAME);
	char *name = parents_record_string(draft->has_parent ? &draft->parent : &draft->dir,
					   "model_name");
	struct info_append what = {
		.head = head_of(draft, session, name),
		.entries = entries,
		.n = n,
		.inherited = draft->has_parent ? &draft->parent_record : NULL,
		.inherited_ref = draft->has_parent ? draft->parent.ref : NULL,
		.additive = draft->additive,
	};
	struct store_request request = {
		.dirfd = draft->dir.fd,
		.where = draft->dir.ref,
		.path = path,
		.append = &what,
		.lock_timeout_ms = session_lock_timeout_ms(session),
	};
	int result = 0;

	what.head.final_checkpoint = head_of(last, session, name).final_checkpoint;
	outcome->result = store_append(&request, &outcome->after, err);
	if (outcome->result == STORE_NOT_DURABLE || err->code == ERR_NOT_DURABLE)
		refuse_repetition(draft, err);
	if (outcome->result == STORE_UNCHANGED) {
		result = -1;
		if (wants_spool(draft, policy, err->code))
			spool(draft, &request, outcome, err);
	}
	free(name);
	free(path);
	return result;
}

static void print_entry(const struct entry *entry, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	str_clear(out);
	entry_print(entry, &w);
}

static int name_run(struct draft *draft, struct err *err)
{
	if (draft->run_id[0])
		return 0;
	if (!draft->context.run_id)
		return id_make(draft->run_id, err);
	snprintf(draft->run_id, sizeof(draft->run_id), "%s", draft->context.run_id);
	return 0;
}

int draft_commit(struct draft *draft, struct session *session, enum spool_policy policy,
		 struct record_outcome *outcome, struct err *err)
{
	struct entry entry = ENTRY_INIT;
	struct err complaint = ERR_INIT;
	int result = name_run(draft, err);

	if (result == 0)
		result = compose(draft, session, &entry, err);
	if (result == 0)
		result = entry_check(&entry, err);
	if (result == 0) {
		print_entry(&entry, &outcome->entry);
		warn_of_times(&entry, &outcome->warnings);
		if (take_issues(draft, &outcome->warnings, &complaint) < 0 &&
		    policy != SPOOL_ALWAYS) {
			*err = complaint;
			result = -1;
		} else if (complaint.code) {
			strv_push(&outcome->warnings, complaint.msg);
		}
	}
	if (result == 0)
		result = draft_make_dir(draft, session, err);
	if (result == 0)
		result = draft_append(draft, draft, session, &entry, 1, policy, outcome, err);
	entry_release(&entry);
	return result;
}

int draft_compose(struct draft *draft, struct session *session, struct entry *entry,
		  struct strv *warnings, struct err *err)
{
	if (name_run(draft, err) < 0 || compose(draft, session, entry, err) < 0 ||
	    entry_check(entry, err) < 0)
		return -1;
	warn_of_times(entry, warnings);
	return take_issues(draft, warnings, err);
}

void record_preview_release(struct record_preview *preview)
{
	str_release(&preview->entry);
	strv_release(&preview->warnings);
}

int draft_preview(struct draft *draft, struct session *session, struct record_preview *preview,
		  struct err *err)
{
	struct entry entry = ENTRY_INIT;
	int result = name_run(draft, err);

	if (result == 0)
		result = compose(draft, session, &entry, err);
	if (result == 0) {
		print_entry(&entry, &preview->entry);
		if (entry_check(&entry, &preview->refused) == 0)
			take_issues(draft, &preview->warnings, &preview->refused);
	}
	entry_release(&entry);
	return result;
}
