#include "base/base.h"

#include "app/survey.h"

#include "base/log.h"
#include "index/index.h"
#include "index/place.h"

struct survey {
	const char *root;
	survey_fn fn;
	void *arg;
	struct index *index; /* or NULL: the files are read */
	struct str last;     /* REF of the last one that came from an index that broke */
	bool has_ended;	     /* 'fn' has seen enough */
};

/* Had it been given when the index broke? */
static bool is_given(const struct survey *s, const struct history *history)
{
	return place_compare(history->dir.ref, s->last.buf) <= 0;
}

/* What is in the record is told by the record. */
static void drop_recorded(struct run_list *runs)
{
	size_t n = 0;

	for (size_t i = 0; i < runs->n; i++) {
		if (runs->v[i].state == RUN_RECORDED)
			run_release(&runs->v[i]);
		else
			runs->v[n++] = runs->v[i];
	}
	runs->n = n;
}

static int look(void *arg, struct history *history, struct err *err)
{
	struct survey *s = arg;
	int result;

	if (s->index)
		str_sets(&s->last, history->dir.ref);
	else if (s->last.len && is_given(s, history))
		return 0;
	drop_recorded(&history->runs);
	result = s->fn(s->arg, s->root, history, err);
	s->has_ended = result != 0;
	return result;
}

/* ---- by the index ---- */

/* Once: no answer depends on it. */
static void tell_unused(const struct err *why)
{
	log_notice("the index is not used: %s; reading the files", why->msg);
}

static void open_index(struct survey *s, struct session *session, const struct strv *roots)
{
	const struct index_options options = {
		.roots = roots,
		.stages = &session->layout.stages,
		.absent = INDEX_MAKE_IF_LARGE,
		.progress = session->options.reading,
	};
	struct err err = ERR_INIT;
	int result;

	if (session->options.no_index || !conf_bool(&session->conf, "artifact.index"))
		return;
	result = index_open(&s->index, &options, &err);
	if (result == 0)
		result = index_sync(s->index, &err);
	if (result == 0)
		return;
	if (result < 0 && err.code != ERR_NOT_FOUND) /* a root: the files will tell */
		tell_unused(&err);
	index_close(s->index);
	s->index = NULL;
}

static int give(struct survey *s, struct layout *layout, const char *exp,
		const struct history_filter *filter, struct err *err)
{
	int result = INDEX_BROKEN;

	str_clear(&s->last);
	if (s->index)
		result = index_each(s->index, layout, exp, filter, look, s, err);
	else
		return histories_each(layout, exp, filter, look, s, err);
	if (result != INDEX_BROKEN)
		return result;
	if (err->code)
		tell_unused(err);
	index_close(s->index);
	s->index = NULL;
	*err = (struct err)ERR_INIT;
	return histories_each(layout, exp, filter, look, s, err);
}

/* The tree that the session is at. 1: it has no such experiment. */
static int survey_root(struct survey *s, struct session *session, const struct survey_query *query,
		       struct err *err)
{
	struct str exp = STR_INIT;
	int result;

	if (query->exp && layout_find_experiment(&session->layout, query->exp, &exp, err) < 0) {
		str_release(&exp);
		return err->code == ERR_NOT_FOUND ? 1 : -1;
	}
	s->root = session->layout.root;
	result = give(s, &session->layout, query->exp ? exp.buf : NULL, query->filter, err);
	str_release(&exp);
	return result < 0 ? -1 : 0;
}

static bool is_repeated(const struct strv *roots, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(roots->v[i], roots->v[at]) == 0)
			return true;
	return false;
}

static int survey_roots(struct survey *s, struct session *session, const struct survey_query *query,
			struct err *err)
{
	struct err absent = ERR_INIT;
	bool any = false;

	for (size_t i = 0; i < query->roots->n && !s->has_ended; i++) {
		int result;

		if (is_repeated(query->roots, i))
			continue;
		if (session_move_root(session, query->roots->v[i], err) < 0)
			return -1;
		result = survey_root(s, session, query, &absent);
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

static int survey_one(struct survey *s, struct session *session, const struct survey_query *query,
		      struct err *err)
{
	struct strv root = STRV_INIT;
	int result;

	if (session_layout(session, err) < 0)
		return -1;
	strv_push(&root, session->layout.root);
	open_index(s, session, &root);
	result = survey_root(s, session, query, err) == 0 ? 0 : -1;
	strv_release(&root);
	return result;
}

int survey(struct session *session, const struct survey_query *query, survey_fn fn, void *arg,
	   struct err *err)
{
	struct survey s = { .fn = fn, .arg = arg, .last = STR_INIT };
	int result;

	if (query->roots && query->roots->n) {
		open_index(&s, session, query->roots);
		result = survey_roots(&s, session, query, err);
	} else {
		result = survey_one(&s, session, query, err);
	}
	index_close(s.index);
	str_release(&s.last);
	return result;
}
