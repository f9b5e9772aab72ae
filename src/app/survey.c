#include "base/base.h"

#include "app/survey.h"

struct survey {
	const char *root;
	survey_fn fn;
	void *arg;
	bool has_ended; /* 'fn' has seen enough */
};

static int look(void *arg, struct history *history, struct err *err)
{
	struct survey *s = arg;
	int result = s->fn(s->arg, s->root, history, err);

	s->has_ended = result != 0;
	return result;
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
	result = histories_each(&session->layout, query->exp ? exp.buf : NULL, query->filter, look,
				s, err);
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

int survey(struct session *session, const struct survey_query *query, survey_fn fn, void *arg,
	   struct err *err)
{
	struct survey s = { .fn = fn, .arg = arg };

	if (query->roots && query->roots->n)
		return survey_roots(&s, session, query, err);
	if (session_layout(session, err) < 0)
		return -1;
	return survey_root(&s, session, query, err) == 0 ? 0 : -1;
}
