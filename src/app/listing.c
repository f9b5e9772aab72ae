#include "base/base.h"

#include "app/listing.h"

#include "app/goals.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/goal.h"

#include <fnmatch.h>
#include <math.h>

void listing_query_release(struct listing_query *query)
{
	for (size_t i = 0; i < query->n_filters; i++)
		filter_free(query->filters[i]);
	free(query->filters);
	strv_release(&query->roots);
	strv_release(&query->patterns);
}

void listing_release(struct listing *listing)
{
	for (size_t i = 0; i < listing->n_runs; i++) {
		free((char *)(uintptr_t)listing->runs[i]->text);
		json_release(listing->runs[i]);
		free(listing->runs[i]);
	}
	for (size_t i = 0; i < listing->n_roots; i++)
		histories_release(&listing->roots[i]);
	free(listing->runs);
	free(listing->roots);
	free(listing->rows);
	*listing = (struct listing)LISTING_INIT;
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

static void add_row(struct listing *listing, const struct listing_row *row)
{
	if (listing->n == listing->cap) {
		listing->cap = listing->cap ? listing->cap * 2 : 64;
		listing->rows = xreallocarray(listing->rows, listing->cap, sizeof(*listing->rows));
	}
	listing->rows[listing->n++] = *row;
}

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

static void add_model(struct listing *listing, struct listing_query *query,
		      const struct history *history)
{
	struct listing_row row = row_of(history);
	const struct info *info = &history->info;

	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i))
		row.subject.entry = i;
	if (is_wanted(query, &row.subject))
		add_row(listing, &row);
}

/* A run as a document, so that all is asked in one way. */
static const struct json *document_of(struct listing *listing, const struct run *run)
{
	struct str text = STR_INIT;
	struct json *doc = xcalloc(1, sizeof(*doc));
	struct err err = ERR_INIT;
	size_t len;
	char *owned;

	run_print(run, &text, 0);
	len = text.len;
	owned = str_detach(&text);
	if (json_parse(doc, run->run_id, owned, len, JSON_NONFINITE_OK, &err) < 0) {
		log_warn("%s", err.msg);
		json_release(doc);
		free(doc);
		free(owned);
		return NULL;
	}
	listing->runs = xreallocarray(listing->runs, listing->n_runs + 1, sizeof(*listing->runs));
	listing->runs[listing->n_runs++] = doc;
	return doc;
}

static void add_attempts(struct listing *listing, struct listing_query *query,
			 const struct history *history)
{
	struct listing_row row = row_of(history);
	const struct info *info = row.subject.info;

	for (size_t i = info ? info_first_entry(info) : JSON_NONE; i != JSON_NONE;
	     i = info_next_entry(info, i)) {
		row.subject.entry = i;
		if (!info_entry_is_inherited(info, i) && is_wanted(query, &row.subject))
			add_row(listing, &row);
	}
	for (size_t i = 0; i < history->runs.n; i++) {
		row.run = &history->runs.v[i];
		if (row.run->state == RUN_RECORDED)
			continue;
		row.subject.doc = document_of(listing, row.run);
		row.subject.entry = row.subject.doc ? 0 : JSON_NONE;
		if (row.subject.doc && is_wanted(query, &row.subject))
			add_row(listing, &row);
	}
}

static void add_rows(struct listing *listing, struct listing_query *query,
		     const struct histories *all)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct history *history = &all->v[i];

		if (!is_named(query, history->dir.ref))
			continue;
		if (history->err.code) {
			struct listing_row row = row_of(history);

			add_row(listing, &row);
		}
		if (query->runs)
			add_attempts(listing, query, history);
		else if (history->has_record && !history->err.code)
			add_model(listing, query, history);
	}
}

/* ---- roots ---- */

/* The rows of the tree that the session is at. 1: it has no such experiment. */
static int load_root(struct listing *listing, struct session *session, struct listing_query *query,
		     struct err *err)
{
	struct history_filter filter = { .stage = query->stage, .dataset = query->dataset };
	struct str exp = STR_INIT;
	struct histories *all;
	int result = 0;

	if (query->exp && layout_find_experiment(&session->layout, query->exp, &exp, err) < 0) {
		str_release(&exp);
		return err->code == ERR_NOT_FOUND ? 1 : -1;
	}
	listing->roots =
		xreallocarray(listing->roots, listing->n_roots + 1, sizeof(*listing->roots));
	all = &listing->roots[listing->n_roots++];
	result = histories_load(all, &session->layout, query->exp ? exp.buf : NULL,
				query->runs ? NULL : &filter, err);
	str_release(&exp);
	return result;
}

static bool is_repeated(const struct strv *roots, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(roots->v[i], roots->v[at]) == 0)
			return true;
	return false;
}

static int load_roots(struct listing *listing, struct session *session, struct listing_query *query,
		      struct err *err)
{
	struct err absent = ERR_INIT;
	bool any = false;

	for (size_t i = 0; i < query->roots.n; i++) {
		int result;

		if (is_repeated(&query->roots, i))
			continue;
		if (session_move_root(session, query->roots.v[i], err) < 0)
			return -1;
		result = load_root(listing, session, query, &absent);
		if (result < 0) {
			*err = absent;
			return -1;
		}
		any |= result == 0;
	}
	if (!any)
		*err = absent;
	return any ? 0 : -1;
}

int listing_load(struct listing *listing, struct session *session, struct listing_query *query,
		 struct err *err)
{
	if (query->roots.n > 1) {
		if (load_roots(listing, session, query, err) < 0)
			return -1;
	} else if (session_layout(session, err) < 0 ||
		   load_root(listing, session, query, err) != 0) {
		return -1;
	}
	/* Only now: rows point to histories, which move while roots are added. */
	for (size_t i = 0; i < listing->n_roots; i++)
		add_rows(listing, query, &listing->roots[i]);
	return 0;
}

/* ---- order ---- */

struct sort_key {
	struct value *values; /* of this row, one for each key */
	const struct column_list *keys;
	size_t at;
	bool is_broken;
};

static bool is_last(const struct value *value)
{
	return value->type == VALUE_UNDEFINED ||
	       (value->type == VALUE_NUMBER && value->number != value->number);
}

static bool is_broken(const struct listing_row *row)
{
	return row->history->err.code && !row->run;
}

static int compare_keys(const void *a, const void *b)
{
	const struct sort_key *left = a;
	const struct sort_key *right = b;

	if (left->is_broken != right->is_broken)
		return left->is_broken ? 1 : -1;
	for (size_t i = 0; i < left->keys->n; i++) {
		const struct value *x = &left->values[i];
		const struct value *y = &right->values[i];
		int order = value_compare(x, y);

		if (order && left->keys->v[i].is_descending && !is_last(x) && !is_last(y))
			order = -order;
		if (order)
			return order;
	}
	return left->at < right->at ? -1 : left->at > right->at;
}

void listing_sort(struct listing *listing, const struct column_list *keys)
{
	struct sort_key *order;
	struct listing_row *sorted;

	if (!listing->n || !keys->n)
		return;
	order = xcalloc(listing->n, sizeof(*order));
	sorted = xcalloc(listing->n, sizeof(*sorted));
	for (size_t i = 0; i < listing->n; i++) {
		order[i].values = xcalloc(keys->n, sizeof(struct value));
		order[i].keys = keys;
		order[i].at = i;
		order[i].is_broken = is_broken(&listing->rows[i]);
		for (size_t k = 0; k < keys->n; k++)
			column_read(&keys->v[k], &listing->rows[i].subject, &order[i].values[k]);
	}
	qsort(order, listing->n, sizeof(*order), compare_keys);
	for (size_t i = 0; i < listing->n; i++) {
		sorted[i] = listing->rows[order[i].at];
		for (size_t k = 0; k < keys->n; k++)
			value_release(&order[i].values[k]);
		free(order[i].values);
	}
	free(order);
	free(listing->rows);
	listing->rows = sorted;
	listing->cap = listing->n;
}

static bool has_number(const struct listing_row *row, const struct column_spec *column)
{
	struct value value = VALUE_INIT;
	double number;
	bool result;

	column_read(column, &row->subject, &value);
	result = value_number(&value, &number) && isfinite(number);
	value_release(&value);
	return result;
}

void listing_keep_numbers(struct listing *listing, const struct column_spec *column)
{
	size_t n = 0;

	for (size_t i = 0; i < listing->n; i++)
		if (is_broken(&listing->rows[i]) || has_number(&listing->rows[i], column))
			listing->rows[n++] = listing->rows[i];
	listing->n = n;
}

void listing_limit(struct listing *listing, size_t limit)
{
	size_t n = 0;
	size_t kept = 0;

	for (size_t i = 0; i < listing->n; i++)
		if (is_broken(&listing->rows[i]) || kept++ < limit)
			listing->rows[n++] = listing->rows[i];
	listing->n = n;
}

/* ---- goals ---- */

static char *text_of(const struct listing_row *row, const char *field)
{
	struct value value = VALUE_INIT;
	char *text = NULL;

	field_read(&row->subject, field, &value);
	if (value.type == VALUE_TEXT)
		text = xstrdup(value.text);
	value_release(&value);
	return text;
}

/* What the row's stage declares, or 0. */
static char ask_stage(struct goals *goals, struct session *session, const struct listing_row *row,
		      const char *stage, const char *metric)
{
	char *dataset = text_of(row, "dataset");
	bool is_declared;
	char goal;

	goals_ask(goals, session, stage, dataset);
	goal = goals_of(goals, stage, metric, &is_declared);
	free(dataset);
	return is_declared ? goal : 0;
}

int listing_goal(const struct listing *listing, struct session *session,
		 const struct column_spec *column, char *goal, struct err *err)
{
	const char *metric = column->field;
	struct goals goals = GOALS_INIT;
	char found = 0;
	int result = 0;

	if (has_prefix(metric, "metrics."))
		metric += strlen("metrics.");
	for (size_t i = 0; i < listing->n && result == 0; i++) {
		const struct listing_row *row = &listing->rows[i];
		char *stage = text_of(row, "stage");

		if (stage && *stage && !strv_has(&goals.asked, stage) && has_number(row, column)) {
			char each = ask_stage(&goals, session, row, stage, metric);

			if (each && found && each != found)
				result = err_set(err, ERR_INVALID,
						 "stage '%s' and another one want '%s' to be "
						 "different: one high, one low",
						 stage, metric);
			found = each ? each : found;
		}
		free(stage);
	}
	if (result < 0)
		err_hint(err, "--stage STAGE keeps to one of them");
	goals_release(&goals);
	*goal = found ? found : goal_guess(metric);
	return result;
}
