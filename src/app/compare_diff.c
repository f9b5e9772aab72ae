/* What git says of the commits that a comparison is about. */
#include "base/base.h"

#include "app/compare.h"

#include "base/mem.h"

#include <unistd.h>

/* A directory that may lie in a repository, and what that has. */
struct place {
	const char *dir;
	bool *has; /* of each commit; NULL: no repository */
};

struct search {
	struct strv commits;
	struct strv dirs;
	struct place *places;
	struct err err; /* why the last place is none */
};

static char *commit_of(const struct compare_side *side)
{
	const struct json *doc = &side->history.info.doc;
	size_t git = side->entry == JSON_NONE ? JSON_NONE : json_member(doc, side->entry, "git");
	char *commit = json_string_copy(doc, json_member(doc, git, "commit"));

	if (commit && git_is_commit_name(commit))
		return commit;
	free(commit);
	return NULL;
}

/* Where the run of the entry took place, or NULL. */
static const char *cwd_of(const struct compare_side *side)
{
	const struct history *history = &side->history;
	char *run_id;
	const char *cwd = NULL;

	if (side->entry == JSON_NONE)
		return NULL;
	run_id = info_entry_string(&history->info, side->entry, "run_id");
	for (size_t i = 0; run_id && i < history->runs.n; i++)
		if (strcmp(history->runs.v[i].run_id, run_id) == 0)
			cwd = history->runs.v[i].cwd;
	free(run_id);
	return cwd;
}

static void add_once(struct strv *list, const char *text)
{
	if (!strv_has(list, text))
		strv_push(list, text);
}

/* The baseline's commit is the first. False: there is nothing to ask. */
static bool collect(struct comparison *cmp, struct search *search)
{
	char *base = commit_of(&cmp->sides[cmp->baseline]);

	if (!base)
		return false;
	strv_push_take(&search->commits, base);
	for (size_t i = 0; i < cmp->n; i++) {
		char *commit = commit_of(&cmp->sides[i]);
		const char *cwd = cwd_of(&cmp->sides[i]);

		if (commit)
			add_once(&search->commits, commit);
		free(commit);
		if (cwd && *cwd == '/' && access(cwd, X_OK) == 0)
			add_once(&search->dirs, cwd);
	}
	add_once(&search->dirs, ".");
	return search->commits.n > 1;
}

static void look_around(struct search *search)
{
	search->places = xcalloc(search->dirs.n, sizeof(*search->places));
	for (size_t i = 0; i < search->dirs.n; i++) {
		struct place *place = &search->places[i];

		place->dir = search->dirs.v[i];
		place->has = xcalloc(search->commits.n, sizeof(*place->has));
		if (git_has(place->dir, &search->commits, place->has, &search->err) == 0)
			continue;
		free(place->has);
		place->has = NULL;
	}
}

static void search_release(struct search *search)
{
	for (size_t i = 0; search->places && i < search->dirs.n; i++)
		free(search->places[i].has);
	free(search->places);
	strv_release(&search->commits);
	strv_release(&search->dirs);
}

/* That no place has both, in words. */
static void explain(const struct search *search, size_t to, struct err *err)
{
	bool any = false;
	bool has_from = false;

	for (size_t i = 0; i < search->dirs.n; i++) {
		const struct place *place = &search->places[i];

		any = any || place->has;
		has_from = has_from || (place->has && place->has[0]);
	}
	if (!any)
		err_set(err, ERR_NOT_FOUND, "no repository at hand (%s)", search->err.msg);
	else
		err_set(err, ERR_NOT_FOUND, "no repository at hand has commit %s",
			search->commits.v[has_from ? to : 0]);
}

static void read_diff(const struct search *search, size_t to, struct compare_diff *diff)
{
	*diff = (struct compare_diff){
		.from = xstrdup(search->commits.v[0]),
		.to = xstrdup(search->commits.v[to]),
		.diff = GIT_DIFF_INIT,
		.err = ERR_INIT,
	};
	for (size_t i = 0; i < search->dirs.n; i++) {
		const struct place *place = &search->places[i];

		if (!place->has || !place->has[0] || !place->has[to])
			continue;
		if (git_diff_read(&diff->diff, place->dir, diff->from, diff->to, &diff->err) == 0)
			diff->repository = realpath(place->dir, NULL);
		return;
	}
	explain(search, to, &diff->err);
}

void compare_read_diffs(struct comparison *cmp)
{
	struct search search = { .err = ERR_INIT };

	if (!collect(cmp, &search)) {
		search_release(&search);
		return;
	}
	look_around(&search);
	cmp->n_diffs = search.commits.n - 1;
	cmp->diffs = xcalloc(cmp->n_diffs, sizeof(*cmp->diffs));
	for (size_t i = 0; i < cmp->n_diffs; i++)
		read_diff(&search, i + 1, &cmp->diffs[i]);
	for (size_t i = 0; i < cmp->n; i++) {
		char *commit = commit_of(&cmp->sides[i]);

		for (size_t k = 0; commit && k < cmp->n_diffs; k++)
			if (strcmp(cmp->diffs[k].to, commit) == 0)
				cmp->sides[i].diff = k;
		free(commit);
	}
	search_release(&search);
}

void compare_release_diffs(struct comparison *cmp)
{
	for (size_t i = 0; i < cmp->n_diffs; i++) {
		free(cmp->diffs[i].from);
		free(cmp->diffs[i].to);
		free(cmp->diffs[i].repository);
		git_diff_release(&cmp->diffs[i].diff);
	}
	free(cmp->diffs);
}
