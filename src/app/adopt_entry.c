#include "base/base.h"

#include "app/adopt_reading.h"

#include "app/masked.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sys/path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- evidence ---- */

static char *evidence_of(const struct entry *entry, const char *field)
{
	const char *text = entry_extra(entry, "evidence");
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	char *how = NULL;

	if (text && json_parse(&doc, "evidence", text, strlen(text), JSON_STRICT, &ignored) == 0)
		how = json_string_copy(&doc, json_member(&doc, 0, field));
	json_release(&doc);
	return how;
}

/* All that is said already, but of 'field'. */
static void print_others(const char *old, const char *field, struct jsonw *w)
{
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;

	if (old && json_parse(&doc, "evidence", old, strlen(old), JSON_STRICT, &ignored) == 0)
		for (size_t i = json_first(&doc, 0); i != JSON_NONE; i = json_next(&doc, 0, i)) {
			char *key = json_string_copy(&doc, i);
			char *how = json_string_copy(&doc, i + 1);

			if (strcmp(key, field) != 0)
				jsonw_pair_string(w, key, how);
			free(key);
			free(how);
		}
	json_release(&doc);
}

void adopt_set_evidence(struct entry *entry, const char *field, const char *how, bool force)
{
	const char *old = entry_extra(entry, "evidence");
	char *said = evidence_of(entry, field);
	struct str text = STR_INIT;
	struct jsonw w = jsonw_begin(&text, 0);
	struct err ignored = ERR_INIT;

	if (!said || force) {
		jsonw_object(&w);
		print_others(old, field, &w);
		if (how)
			jsonw_pair_string(&w, field, how);
		jsonw_end(&w);
		entry_add_extra(entry, "evidence", text.buf, &ignored);
	}
	str_release(&text);
	free(said);
}

/* "derived: mean of f1" was derived; what has no such word was read as it is. */
static const char *how_of(const char *source)
{
	if (!source)
		return NULL;
	if (has_prefix(source, "derived:"))
		return "derived";
	return has_prefix(source, "inferred:") ? "inferred" : "observed";
}

/* What the plugin says of 'key' in "sources"; NULL: nothing. */
static const char *source_how(const struct json *sources, const char *key)
{
	char *text = json_string_copy(sources, json_member(sources, 0, key));
	const char *how = how_of(text);

	free(text);
	return how;
}

/* For a plugin that names sources and no evidence. */
static void take_sources(struct entry *entry, const char *sources)
{
	static const char *const fields[] = { "steps", "epochs", "base_model", "final_checkpoint" };
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;

	if (sources &&
	    json_parse(&doc, "sources", sources, strlen(sources), JSON_STRICT, &ignored) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
			const char *how = source_how(&doc, fields[i]);

			if (how)
				adopt_set_evidence(entry, fields[i], how, false);
		}
	json_release(&doc);
}

static bool has_members(const char *object)
{
	return object && strcmp(object, "{}") != 0;
}

/* The plugin's word for it, or config.yml's, or ours where neither knows. */
static const char *status_how(const struct adopt_reading *r, const char *outcome)
{
	if (!r->draft.context.status)
		return outcome ? outcome : "observed";
	return strcmp(r->draft.context.status, "completed") == 0 ? "declared" : "inferred";
}

/* What no one has said how it is known was read from the files of the training. */
static void fill_evidence(struct entry *entry, const struct adopt_reading *r)
{
	char *outcome = evidence_of(entry, "outcome");

	take_sources(entry, r->draft.result.sources);
	if (r->values.steps < 0)
		adopt_set_evidence(entry, "steps", "observed", false);
	if (entry->epochs)
		adopt_set_evidence(entry, "epochs", "observed", false);
	if (has_members(entry->metrics))
		adopt_set_evidence(entry, "metrics", "observed", false);
	if (has_members(entry->hyperparams))
		adopt_set_evidence(entry, "hyperparams", "observed", false);
	if (entry_extra(entry, "raw_hyperparams"))
		adopt_set_evidence(entry, "raw_hyperparams", "observed", false);
	if (entry_extra(entry, "final_checkpoint"))
		adopt_set_evidence(entry, "final_checkpoint", "observed", false);
	if (entry_extra(entry, "best"))
		adopt_set_evidence(entry, "best", "observed", false);
	adopt_set_evidence(entry, "status", status_how(r, outcome), false);
	adopt_set_evidence(entry, "dataset", r->dataset_how, true);
	adopt_set_evidence(entry, "stage", r->stage_how, true);
	free(outcome);
}

/* ---- times ---- */

struct span {
	struct timespec first;
	struct timespec last;
	bool is_known;
};

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static void take_time(struct span *span, const struct timespec *when)
{
	if (!span->is_known || is_before(when, &span->first))
		span->first = *when;
	if (!span->is_known || is_before(&span->last, when))
		span->last = *when;
	span->is_known = true;
}

/* When the files of the training were written: those that were read, else all that lie there. */
static struct span file_times(const struct adopt_reading *r)
{
	struct strv all = STRV_INIT;
	const struct strv *names = &r->draft.result.read_files;
	struct span span = { .is_known = false };
	struct err ignored = ERR_INIT;
	struct stat st;

	if (!names->n) {
		path_list(r->dir->fd, &all, &ignored);
		names = &all;
	}
	for (size_t i = 0; i < names->n; i++)
		if (names->v[i][0] != '.' &&
		    fstatat(r->dir->fd, names->v[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			take_time(&span, &st.st_mtim);
	if (!span.is_known && fstat(r->dir->fd, &st) == 0)
		take_time(&span, &st.st_mtim);
	strv_release(&all);
	return span;
}

/* Seconds that the trainer says it ran, or -1. */
static double told_runtime(const struct adopt_reading *r)
{
	const struct json *doc = &r->doc;
	size_t summary = json_member(doc, adopt_reading_of(r), "train_summary");
	double seconds;

	if (json_real(doc, json_member(doc, summary, "train_runtime"), &seconds) < 0 ||
	    !(seconds > 0 && seconds < 1e9))
		return -1;
	return seconds;
}

struct times {
	char *start;
	char *end;
	const char *start_how;
	const char *end_how;
};

static char *format_time(time_t when)
{
	char text[CLOCK_TEXT_SIZE];

	clock_format(when, text);
	return xstrdup(text);
}

/* How the plugin knows 'field': by its own word, or as its sources have it. */
static const char *told_how(const struct adopt_reading *r, const char *field)
{
	const char *sources = r->draft.result.sources;
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	const char *how = NULL;

	if (sources &&
	    json_parse(&doc, "sources", sources, strlen(sources), JSON_STRICT, &ignored) == 0)
		how = source_how(&doc, field);
	json_release(&doc);
	return how ? how : "observed";
}

/* The end: as a log or event file tells, as config.yml says, when the last file was written. */
static void find_end(const struct adopt_reading *r, const struct span *files, struct times *t)
{
	char *completed = r->state ? adopt_iso(r->state->completed_at) : NULL;
	const char *told = r->draft.result.end_time;
	const char *how = told_how(r, "end_time");
	bool is_guess = strcmp(how, "inferred") == 0;

	if (told && (!is_guess || !completed)) {
		t->end = xstrdup(told);
		t->end_how = how;
		free(completed);
	} else if (completed) {
		t->end = completed;
		t->end_how = "declared";
	} else {
		t->end = format_time(files->last.tv_sec);
		t->end_how = "inferred";
	}
}

/*
 * The start. The "started_at" of config.yml is that of the first start ever, so a run's own timestamp
 * goes before it. What would be after the end is of some other start.
 */
static void find_start(const struct adopt_reading *r, const struct span *files, struct times *t)
{
	const struct adopt_run *run = r->n_runs ? &r->runs[r->n_runs - 1] : NULL;
	char *declared = run && run->timestamp ? xstrdup(run->timestamp)
			 : r->state	       ? adopt_iso(r->state->started_at)
					       : NULL;
	double runtime = told_runtime(r);
	double end;
	double seconds;

	if (declared && (clock_between(declared, t->end, &seconds) < 0 || seconds < 0)) {
		free(declared);
		declared = NULL;
	}
	if (r->draft.result.start_time) {
		t->start = xstrdup(r->draft.result.start_time);
		t->start_how = told_how(r, "start_time");
		free(declared);
	} else if (declared) {
		t->start = declared;
		t->start_how = "declared";
	} else if (runtime > 0 && clock_parse(t->end, &end, NULL) == 0) {
		t->start = format_time((time_t)(end - runtime));
		t->start_how = "derived";
	} else {
		t->start = format_time(files->first.tv_sec);
		t->start_how = "inferred";
		if (clock_between(t->start, t->end, &seconds) < 0 || seconds < 0) {
			free(t->start);
			t->start = xstrdup(t->end);
		}
	}
}

static struct times find_times(const struct adopt_reading *r)
{
	struct span files = file_times(r);
	struct times t = { .start = NULL };

	find_end(r, &files, &t);
	find_start(r, &files, &t);
	return t;
}

/* ---- earlier runs of the same directory ---- */

/*
 * Which of the runs before the last are trainings of their own? One that ended as planned, and that
 * the next one went on from: that one's checkpoint tells how far it came. A run that was cut short is
 * no entry; its steps count in the one that went on. A run that began anew leaves nothing of those
 * before. 'from': where the last entry's steps begin.
 */
static size_t earlier_runs(struct adopt_reading *r, size_t *first, int64_t *from)
{
	size_t n = r->n_runs;

	*first = n ? n - 1 : 0;
	*from = 0;
	for (size_t i = n; i-- > 1;) {
		if (r->runs[i].resumed_from <= 0)
			break;
		*first = i - 1;
	}
	if (n > 1 && *first > 0)
		strv_pushf(&r->notes, "config.yml lists %zu earlier %s; nothing of %s is left",
			   *first, *first == 1 ? "run" : "runs", *first == 1 ? "it" : "them");
	return n ? n - 1 - *first : 0;
}

static bool ended_as_planned(const struct adopt_run *run, const struct adopt_run *next)
{
	return run->max_steps > 0 && next->resumed_from >= run->max_steps;
}

/* Hyperparameters as config.yml has them, without what looks secret. */
static void add_raw(const struct adopt_reading *r, struct entry *entry, const char *json)
{
	struct str masked = STR_INIT;
	struct err ignored = ERR_INIT;

	if (masked_json(json, &r->adopt->session->conf, true, &masked, &ignored) == 0)
		entry_add_extra(entry, "raw_hyperparams", masked.buf, &ignored);
	str_release(&masked);
}

/* Of an earlier run nothing is left but what config.yml says and the checkpoint it came to. */
static int make_earlier(struct adopt_reading *r, size_t i, int64_t from, struct entry *entry,
			struct err *err)
{
	const struct adopt_run *run = &r->runs[i];
	const struct adopt_run *next = &r->runs[i + 1];
	char *checkpoint = xstrf("checkpoint-%lld", (long long)next->resumed_from);
	char id[ID_TEXT_SIZE];
	struct stat st;

	if (id_make(id, err) < 0) {
		free(checkpoint);
		return -1;
	}
	entry->dataset = xstrdup(run->dataset ? run->dataset : r->dataset ? r->dataset : "unknown");
	entry->steps = next->resumed_from - from;
	entry_set_metrics(entry, "{}", err);
	entry_set_hyperparams(entry, "{}", err);
	if (fstatat(r->dir->fd, checkpoint, &st, AT_SYMLINK_NOFOLLOW) == 0)
		entry->end_time = format_time(st.st_mtime);
	else
		entry->end_time = xstrdup_or_null(next->timestamp);
	entry->start_time = xstrdup_or_null(run->timestamp ? run->timestamp : entry->end_time);
	entry_add_extra_string(entry, "run_id", id);
	entry_add_extra_string(entry, "status", "completed");
	entry_add_extra_string(entry, "final_checkpoint", checkpoint);
	if (run->training)
		add_raw(r, entry, run->training);
	entry_add_extra(entry, "sources",
			"{\"steps\":\"inferred: config.yml: where the next run went on\"}", err);
	entry_add_extra(
		entry, "evidence",
		"{\"dataset\":\"declared\",\"stage\":\"declared\",\"steps\":\"inferred\","
		"\"start_time\":\"declared\",\"end_time\":\"inferred\",\"status\":\"inferred\","
		"\"final_checkpoint\":\"inferred\",\"raw_hyperparams\":\"declared\"}",
		err);
	free(checkpoint);
	return entry_check(entry, err);
}

/* ---- the entries ---- */

static struct entry *new_entry(struct adopt_model *model)
{
	struct entry *entry;

	model->entries = xreallocarray(model->entries, model->n_entries + 1, sizeof(*entry));
	entry = &model->entries[model->n_entries++];
	entry_init(entry);
	return entry;
}

static int add_earlier(struct adopt_reading *r, struct adopt_model *model, int64_t *from,
		       struct err *err)
{
	size_t first;
	size_t n = earlier_runs(r, &first, from);

	for (size_t i = first; i < first + n; i++) {
		if (!ended_as_planned(&r->runs[i], &r->runs[i + 1]))
			continue;
		if (make_earlier(r, i, *from, new_entry(model), err) < 0)
			return -1;
		*from = r->runs[i + 1].resumed_from;
	}
	return 0;
}

/* What config.yml says in place of a plugin that found nothing. */
static void add_config_values(struct adopt_reading *r, struct entry *entry)
{
	char *settings = r->home ? adopt_home_settings(r->home, r->stage) : NULL;

	if (settings && !entry_extra(entry, "raw_hyperparams")) {
		add_raw(r, entry, settings);
		adopt_set_evidence(entry, "raw_hyperparams", "declared", true);
	}
	if (!r->draft.has_result) {
		adopt_set_evidence(entry, "metrics", "declared", true);
		adopt_set_evidence(entry, "final_checkpoint", "declared", true);
		adopt_set_evidence(entry, "status", "declared", true);
	}
	free(settings);
}

/* A plugin that found no count may give 0, and says so. */
static bool is_zero_for_want(const char *sources)
{
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	bool derived = false;

	if (sources &&
	    json_parse(&doc, "sources", sources, strlen(sources), JSON_STRICT, &ignored) == 0) {
		const char *how = source_how(&doc, "steps");

		derived = how && strcmp(how, "derived") == 0;
	}
	json_release(&doc);
	return derived;
}

/* Steps are required in a record; where nothing tells them 0 stands, and the entry says so. */
static void settle_steps(struct adopt_reading *r, struct adopt_model *model, int64_t from)
{
	const struct plugin_result *result = &r->draft.result;
	int64_t told = r->draft.has_result && result->has_steps ? result->steps
		       : !r->draft.has_result && r->state && r->state->current_step > 0
			       ? r->state->current_step
			       : -1;

	if (told == 0 && is_zero_for_want(result->sources))
		told = -1;
	model->steps_known = told >= 0;
	if (told < 0) {
		r->values.steps = 0;
	} else if (from > 0 && told > from) {
		r->values.steps = told - from;
	} else if (!r->draft.has_result) {
		r->values.steps = told;
	}
}

static void note_steps(const struct adopt_reading *r, const struct adopt_model *model,
		       struct entry *entry)
{
	if (!model->steps_known)
		entry_add_extra_string(entry, "notes",
				       "how many steps ran is not told by what the training left; "
				       "0 stands for it");
	else if (r->values.steps >= 0 && r->draft.has_result)
		adopt_set_evidence(entry, "steps", "derived", true);
	else if (r->values.steps >= 0)
		adopt_set_evidence(entry, "steps", "declared", true);
}

static void set_status(struct adopt_reading *r)
{
	const char *outcome = r->draft.result.outcome;

	if (outcome && strcmp(outcome, "unknown") != 0)
		return;
	r->draft.context.status =
		r->state && r->state->status && strcmp(r->state->status, "completed") == 0
			? "completed"
			: "unknown";
}

int adopt_make_entries(struct adopt_reading *r, struct adopt_model *model, struct err *err)
{
	struct times times = find_times(r);
	struct strv warnings = STRV_INIT;
	struct err complaint = ERR_INIT;
	struct entry *entry;
	int64_t from = 0;
	int result = add_earlier(r, model, &from, err);

	settle_steps(r, model, from);
	set_status(r);
	r->values.start_time = times.start;
	r->values.end_time = times.end;
	entry = new_entry(model);
	if (result == 0 &&
	    draft_compose(&r->draft, r->adopt->session, entry, &warnings, &complaint) < 0) {
		if (!entry->end_time || entry_check(entry, err) < 0) {
			*err = complaint;
			result = -1;
		} else { /* the plugin minds, but what is there is what the training left */
			strv_push(&r->remarks, complaint.msg);
		}
	}
	for (size_t i = 0; i < warnings.n; i++)
		strv_push(&r->remarks, warnings.v[i]);
	if (result == 0) {
		add_config_values(r, entry);
		fill_evidence(entry, r);
		note_steps(r, model, entry);
		adopt_set_evidence(entry, "start_time", times.start_how, true);
		adopt_set_evidence(entry, "end_time", times.end_how, true);
	}
	strv_release(&warnings);
	return result;
}
