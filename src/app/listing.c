#include "base/base.h"

#include "app/listing.h"

#include "app/survey.h"
#include "base/clock.h"
#include "base/log.h"

#include <fnmatch.h>

void listing_query_release(struct listing_query *query)
{
	for (size_t i = 0; i < query->n_filters; i++)
		filter_free(query->filters[i]);
	free(query->filters);
	strv_release(&query->roots);
	strv_release(&query->patterns);
}

/* ---- which ---- */

/* The whole REF, or what follows one of its slashes. */
static bool fits(const char *ref, const char *pattern)
{
	for (; ref; ref = strchr(ref, '/')) {
		ref += *ref == '/';
		if (fnmatch(pattern, ref, 0) == 0)
			return true;
	}
	return false;
}

static bool is_named(const struct listing_query *query, const char *ref)
{
	for (size_t i = 0; i < query->patterns.n; i++)
		if (fits(ref, query->patterns.v[i]))
			return true;
	return !query->patterns.n;
}

static bool has_text(const struct subject *subject, const char *field, const char *wanted)
{
	struct value value = VALUE_INIT;
	bool result;

	if (!wanted)
		return true;
	field_read(subject, field, &value);
	result = value.type == VALUE_TEXT && strcmp(value.text, wanted) == 0;
	value_release(&value);
	return result;
}

static bool is_started(const struct listing_query *query, const struct subject *subject)
{
	struct value value = VALUE_INIT;
	double seconds;
	bool result;

	if (!query->has_started)
		return true;
	field_read(subject, "started", &value);
	result = value.type == VALUE_TEXT && clock_parse(value.text, &seconds, NULL) == 0 &&
		 when_compare(&query->started, seconds) == 0;
	value_release(&value);
	return result;
}

static bool is_wanted(struct listing_query *query, const struct subject *subject)
{
	if (query->runs && (!has_text(subject, "stage", query->stage) ||
			    !has_text(subject, "dataset", query->dataset)))
		return false;
	for (size_t i = 0; i < query->n_filters; i++)
		if (!filter_matches(query->filters[i], subject))
			return false;
	return is_started(query, subject);
}

/* ---- rows ---- */

struct visit {
	struct listing_query *query;
	listing_fn fn;
	void *arg;
};

static struct listing_row row_of(const struct history *history)
{
	bool is_readable = history->has_record && !history->err.code;

	return (struct listing_row){
		.history = history,
		.subject = { .info = is_readable ? &history->info : NULL,
			     .doc = is_readable ? &history->info.doc : NULL,
			     .entry = JSON_NONE,
			     .ref = history->dir.ref,
			     .exp = history->dir.exp,
			     .path = history->path },
	};
}

static int show(const struct visit *visit, const struct listing_row *row, struct err *err)
{
	return is_wanted(visit->query, &row->subject) ? visit->fn(visit->arg, row, err) : 0;
}

static int show_model(const struct visit *visit, const struct history *history, struct err *err)
{
	struct listing_row row = row_of(history);
	const struct info *info = &history->info;

	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i))
		row.subject.entry = i;
	return show(visit, &row, err);
}

static int show_entries(const struct visit *visit, const struct history *history, struct err *err)
{
	struct listing_row row = row_of(history);
	const struct info *info = row.subject.info;
	int result = 0;

	for (size_t i = info ? info_first_entry(info) : JSON_NONE; i != JSON_NONE && !result;
	     i = info_next_entry(info, i)) {
		row.subject.entry = i;
		if (!info_entry_is_inherited(info, i))
			result = show(visit, &row, err);
	}
	return result;
}

/* The run as a document, so that all is asked in one way. */
static int show_run(const struct visit *visit, const struct history *history, const struct run *run,
		    struct err *err)
{
	struct listing_row row = row_of(history);
	struct str text = STR_INIT;
	struct json doc = JSON_INIT;
	struct err own = ERR_INIT;
	int result = 0;

	run_print(run, &text, 0);
	row.run = run;
	row.subject.doc = &doc;
	row.subject.entry = 0;
	if (json_parse(&doc, run->run_id, text.buf, text.len, JSON_NONFINITE_OK, &own) == 0)
		result = show(visit, &row, err);
	else
		log_warn("%s", own.msg);
	json_release(&doc);
	str_release(&text);
	return result;
}

static int show_attempts(const struct visit *visit, const struct history *history, struct err *err)
{
	int result = show_entries(visit, history, err);

	for (size_t i = 0; i < history->runs.n && !result; i++)
		if (history->runs.v[i].state != RUN_RECORDED)
			result = show_run(visit, history, &history->runs.v[i], err);
	return result;
}

static int look(void *arg, const char *root UNUSED, struct history *history, struct err *err)
{
	const struct visit *visit = arg;
	int result = 0;

	if (!is_named(visit->query, history->dir.ref))
		return 0;
	if (history->err.code) {
		struct listing_row row = row_of(history);

		row.is_broken = true;
		result = visit->fn(visit->arg, &row, err);
	}
	if (result)
		return result;
	if (visit->query->runs)
		return show_attempts(visit, history, err);
	if (history->has_record && !history->err.code)
		return show_model(visit, history, err);
	return 0;
}

/* ---- roots ---- */

/* Else it would be said in the middle of the answer. */
static int check_roots(struct session *session, const struct strv *roots, struct err *err)
{
	for (size_t i = 0; i < roots->n; i++)
		if (session_move_root(session, roots->v[i], err) < 0)
			return -1;
	return 0;
}

int listing_each(struct session *session, struct listing_query *query, listing_fn fn, void *arg,
		 struct err *err)
{
	struct visit visit = { .query = query, .fn = fn, .arg = arg };
	const struct history_filter filter = { .stage = query->stage, .dataset = query->dataset };
	const struct survey_query survey_query = {
		/* A single one is where the session is already. */
		.roots = query->roots.n > 1 ? &query->roots : NULL,
		.exp = query->exp,
		.filter = query->runs ? NULL : &filter,
	};

	if (survey_query.roots && check_roots(session, &query->roots, err) < 0)
		return -1;
	return survey(session, &survey_query, look, &visit, err);
}
