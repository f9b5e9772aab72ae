/* What a REF stands for: a model, or one of its entries. */
#include "base/base.h"

#include "app/compare.h"

#include "base/mem.h"

#include <errno.h>
#include <unistd.h>

#define ID_DIGITS "0123456789abcdefABCDEF-"

/* The place of the '#' of "REF#N", or NULL. */
static const char *number_at(const char *ref)
{
	const char *hash = strrchr(ref, '#');

	if (!hash || hash == ref || !hash[1] || hash[1 + strspn(hash + 1, "0123456789")])
		return NULL;
	return hash;
}

/* In the tree that the session is at. A directory whose name ends in "#2" goes before the second entry
 * of another. */
static int resolve_here(struct session *session, const char *exp, const char *ref,
			struct stage_dir *dir, size_t *number, struct err *err)
{
	const char *hash = number_at(ref);
	struct err ignored = ERR_INIT;
	char *model;
	int result;

	*number = 0;
	if (!hash)
		return session_resolve(session, exp, ref, dir, err);
	if (session_layout(session, err) < 0)
		return -1;
	if (layout_resolve(&session->layout, exp, ref, dir, &ignored) == 0)
		return 0;
	errno = 0;
	*number = strtoul(hash + 1, NULL, 10);
	if (errno || !*number) {
		err_set(err, ERR_USAGE, "'%s' names no entry", ref);
		return err_hint(err, "entries count from 1, as 'thhost show' has them");
	}
	model = xstrndup(ref, (size_t)(hash - ref));
	result = session_resolve(session, exp, model, dir, err);
	free(model);
	return result;
}

/* What a root gave beside what the ones before gave: keep one of them, or tell that there are two. */
static int choose(const char *ref, struct stage_dir *kept, size_t *kept_number,
		  struct stage_dir *dir, size_t number, struct err *err)
{
	if (kept->fd >= 0 && strcmp(kept->path, dir->path) != 0) {
		err_set(err, ERR_INVALID, "'%s' has two meanings: '%s' and '%s'", ref, kept->path,
			dir->path);
		stage_dir_release(dir);
		return err_hint(err, "name it by its path");
	}
	if (kept->fd >= 0 && kept->exp) {
		stage_dir_release(dir);
		return 0;
	}
	/* A path is known by a REF of its own only to the root that it is in. */
	stage_dir_release(kept);
	*kept = *dir;
	*kept_number = number;
	return 0;
}

static int resolve(const struct comparison *cmp, struct session *session, const char *exp,
		   const char *ref, struct stage_dir *dir, size_t *number, struct err *err)
{
	*dir = (struct stage_dir)STAGE_DIR_INIT;
	if (!cmp->roots.n)
		return resolve_here(session, exp, ref, dir, number, err);
	for (size_t i = 0; i < cmp->roots.n; i++) {
		struct stage_dir found = STAGE_DIR_INIT;
		struct err own = ERR_INIT;
		size_t place;
		int result = session_move_root(session, cmp->roots.v[i], err);

		if (result == 0 && resolve_here(session, exp, ref, &found, &place, &own) == 0) {
			result = choose(ref, dir, number, &found, place, err);
		} else if (result == 0 && (own.code != ERR_NOT_FOUND || cmp->roots.n == 1)) {
			*err = own;
			result = -1;
		}
		if (result < 0) {
			stage_dir_release(dir);
			return -1;
		}
	}
	if (dir->fd >= 0)
		return 0;
	err_set(err, ERR_NOT_FOUND, "nothing is called '%s' below %zu roots", ref, cmp->roots.n);
	return err_hint(err, "'thhost list' shows what there is");
}

/* The place, from 1, of the entry that a run whose id begins so has made; 0: none. */
static size_t entry_of_run(const struct info *info, const char *id)
{
	size_t place = 0;

	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		char *run_id = info_entry_string(info, i, "run_id");
		bool is_it = run_id && strncasecmp(run_id, id, strlen(id)) == 0 &&
			     !info_entry_is_inherited(info, i);

		free(run_id);
		place++;
		if (is_it)
			return place;
	}
	return 0;
}

static bool has_run(const struct history *history, const char *id)
{
	for (size_t i = 0; i < history->runs.n; i++)
		if (strncasecmp(history->runs.v[i].run_id, id, strlen(id)) == 0)
			return true;
	return false;
}

/* A REF that is the beginning of a run id, and not the directory's name, means that run's entry. */
static int find_run(struct compare_side *side, const char *ref, struct err *err)
{
	const struct history *history = &side->history;

	if (side->number || strspn(ref, ID_DIGITS) != strlen(ref) ||
	    strcmp(ref, history->dir.name) == 0)
		return 0;
	side->number = entry_of_run(&history->info, ref);
	if (!side->number && has_run(history, ref))
		return err_set(err, ERR_NOT_FOUND, "run '%s' is not in the history of '%s'", ref,
			       history->dir.ref);
	return 0;
}

static int find_entry(struct compare_side *side, struct err *err)
{
	const struct info *info = &side->history.info;
	size_t n = info_entry_count(info);
	size_t place = 0;

	side->entry = JSON_NONE;
	if (side->number > n) {
		err_set(err, ERR_NOT_FOUND, "'%s' has no entry %zu", side->history.dir.ref,
			side->number);
		return err_hint(err, "it has %zu", n);
	}
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		side->entry = i;
		if (++place == side->number)
			break;
	}
	return 0;
}

static int fill(struct compare_side *side, const char *ref, struct err *err)
{
	const struct history *history = &side->history;

	if (history->err.code) {
		*err = history->err;
		return -1;
	}
	if (!history->has_record) {
		err_set(err, ERR_NOT_FOUND, "%s: no such record", history->path);
		return err_hint(err, "'thhost list' shows what there is");
	}
	if (find_run(side, ref, err) < 0 || find_entry(side, err) < 0)
		return -1;
	side->ref = side->number ? xstrf("%s#%zu", history->dir.ref, side->number)
				 : xstrdup(history->dir.ref);
	side->strategy = info_strategy_to(&history->info, side->entry);
	return 0;
}

static void side_release(struct compare_side *side)
{
	history_release(&side->history);
	free(side->ref);
	free(side->strategy);
}

static int side_open(const struct comparison *cmp, struct compare_side *side,
		     struct session *session, const char *exp, const char *ref, struct err *err)
{
	struct stage_dir dir = STAGE_DIR_INIT;

	*side = (struct compare_side){ .entry = JSON_NONE, .diff = COMPARE_NO_DIFF };
	if (resolve(cmp, session, exp, ref, &dir, &side->number, err) < 0)
		return -1;
	history_read(&side->history, &dir);
	/* Open directories would run into the limit on descriptors; everything is read by now. */
	close(side->history.dir.fd);
	side->history.dir.fd = -1;
	if (fill(side, ref, err) == 0)
		return 0;
	side_release(side);
	return -1;
}

static void insert(struct comparison *cmp, size_t at, const struct compare_side *side)
{
	cmp->sides = xreallocarray(cmp->sides, cmp->n + 1, sizeof(*side));
	memmove(cmp->sides + at + 1, cmp->sides + at, (cmp->n - at) * sizeof(*side));
	cmp->sides[at] = *side;
	cmp->n++;
}

static bool is_same(const struct compare_side *a, const struct compare_side *b)
{
	return a->number == b->number && strcmp(a->history.dir.path, b->history.dir.path) == 0;
}

int compare_add(struct comparison *cmp, struct session *session, const char *exp, const char *ref,
		struct err *err)
{
	struct compare_side side;

	if (side_open(cmp, &side, session, exp, ref, err) < 0)
		return -1;
	insert(cmp, cmp->n, &side);
	return 0;
}

int compare_add_baseline(struct comparison *cmp, struct session *session, const char *exp,
			 const char *ref, struct err *err)
{
	struct compare_side side;

	if (side_open(cmp, &side, session, exp, ref, err) < 0)
		return -1;
	for (cmp->baseline = 0; cmp->baseline < cmp->n; cmp->baseline++)
		if (is_same(&cmp->sides[cmp->baseline], &side))
			break;
	if (cmp->baseline < cmp->n) {
		side_release(&side);
		return 0;
	}
	cmp->baseline = 0;
	insert(cmp, 0, &side);
	return 0;
}

void compare_release(struct comparison *cmp)
{
	for (size_t i = 0; i < cmp->n; i++)
		side_release(&cmp->sides[i]);
	for (size_t i = 0; i < cmp->n_rows; i++) {
		free(cmp->rows[i].path);
		free(cmp->rows[i].cells);
	}
	strv_release(&cmp->roots);
	compare_release_diffs(cmp);
	free(cmp->sides);
	free(cmp->rows);
	*cmp = (struct comparison)COMPARISON_INIT;
}
