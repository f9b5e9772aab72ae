#include "base/base.h"

#include "model/layout.h"

#include "base/mem.h"
#include "model/layout_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
	struct layout *layout;
	int (*visit)(void *arg, struct stage_dir *dir, struct err *err);
	void *arg;
	const struct layout_watch *watch; /* or NULL */
	struct err *err;
};

/* ---- who watches ---- */

/* "EXP/NAME", or NAME alone; fresh memory. */
static char *path_of(const char *exp, const char *name)
{
	return exp ? xstrf("%s/%s", exp, name) : xstrdup(name);
}

static void look(const struct walk *walk, const char *exp, const char *name)
{
	char *path;

	if (!walk->watch)
		return;
	path = path_of(exp, name);
	walk->watch->look(walk->watch->arg, path);
	free(path);
}

/* Something was passed over that may hold more than it showed. */
static void doubt(const struct walk *walk)
{
	if (walk->watch)
		walk->watch->doubt(walk->watch->arg);
}

/* 1: go on; 0: pass it over; -1: no more. */
static int enter(const struct walk *walk, const char *path)
{
	return walk->watch ? walk->watch->enter(walk->watch->arg, path, walk->err) : 1;
}

static int leave(const struct walk *walk, const char *path)
{
	return walk->watch ? walk->watch->leave(walk->watch->arg, path, walk->err) : 0;
}

/* ---- directories ---- */

/* Takes 'fd' (-1: could not be opened, errno says why). 'is_plain': it has no journal. */
static int visit_dir(struct walk *walk, const char *exp, const char *name, int fd, bool is_plain)
{
	struct stage_dir dir = STAGE_DIR_INIT;
	struct err before = *walk->err;
	int rc;

	if (fd < 0)
		err_errno(walk->err, ERR_FAILED, "cannot open directory '%s%s%s'", exp ? exp : "",
			  exp ? "/" : "", name);
	layout_fill(walk->layout, &dir, exp, name, fd);
	dir.is_plain = is_plain;
	rc = walk->visit(walk->arg, &dir, walk->err);
	stage_dir_release(&dir);
	if (rc == 0)
		*walk->err = before;
	return rc;
}

static int visit(struct walk *walk, const char *exp, const char *name, int fd)
{
	return visit_dir(walk, exp, name, fd, false);
}

/* Renamed or removed since it was listed: not there, and no fault. */
static bool is_gone(void)
{
	return errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
}

/* A level deeper than a stage only records count, and what trainers leave there is not opened. */
static int walk_below(struct walk *walk, const char *exp, const char *name, int fd,
		      const struct strv *names, int depth UNUSED)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < names->n; i++) {
		char *record;
		char *whole;
		struct stat st;
		int child;

		if (has_prefix(names->v[i], "checkpoint"))
			continue;
		record = xstrf("%s/" LAYOUT_RECORD, names->v[i]);
		whole = xstrf("%s/%s", name, names->v[i]);
		look(walk, exp, whole);
		if (fstatat(fd, record, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			child = layout_open_child(fd, names->v[i]);
			if (child >= 0 || !is_gone())
				rc = visit(walk, exp, whole, child);
		} else if (!is_gone()) {
			doubt(walk);
		}
		free(record);
		free(whole);
	}
	return rc;
}

static bool has_stage_name(const struct walk *walk, const char *name)
{
	char *stage;
	char *dataset;
	bool has_one;

	layout_split_name(walk->layout, name, &stage, &dataset);
	has_one = stage != NULL;
	free(stage);
	free(dataset);
	return has_one;
}

/* What lies below a directory: 'names' in it. */
typedef int (*below_fn)(struct walk *walk, const char *exp, const char *name, int fd,
			const struct strv *names, int depth);

/* A directory that may have a record, and so may what lies below it; takes 'fd'. It is listed once,
 * for all that is asked of it. */
static int walk_both(struct walk *walk, const char *exp, const char *name, int fd, int depth,
		     below_fn fn)
{
	struct layout_contents contents;
	struct err ignored = ERR_INIT;
	bool is_known = layout_look(fd, &contents, &ignored) == 0;
	int below = -1;
	int rc = 0;

	if (!is_known)
		doubt(walk);
	if (contents.dirs.n && depth < LAYOUT_DEPTH)
		below = layout_open_child(fd, "."); /* the visitor may keep 'fd' */
	if (contents.has_record || layout_is_stage(fd))
		rc = visit_dir(walk, exp, name, fd, is_known && !contents.has_journal);
	else
		close(fd);
	if (rc == 0 && below >= 0)
		rc = fn(walk, exp, name, below, &contents.dirs, depth);
	if (below >= 0)
		close(below);
	else if (contents.dirs.n && depth < LAYOUT_DEPTH)
		doubt(walk); /* not reached by tests: no descriptor is left */
	strv_release(&contents.dirs);
	return rc;
}

/*
 * Where no stage has a name, trees have a shape of their own ("mlruns/0/4c1e", "outputs/a/version_3"),
 * and 'adopt' puts records wherever a training lies. What cannot be opened there is nothing of ours.
 */
static int walk_deeper(struct walk *walk, const char *exp, const char *name, int fd,
		       const struct strv *names, int depth)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < names->n; i++) {
		char *whole;
		int child;

		if (layout_is_no_place(names->v[i]) || has_prefix(names->v[i], "checkpoint"))
			continue;
		whole = xstrf("%s/%s", name, names->v[i]);
		look(walk, exp, whole);
		child = layout_open_child(fd, names->v[i]);
		if (child >= 0)
			rc = walk_both(walk, exp, whole, child, depth + 1, walk_deeper);
		else if (!is_gone())
			doubt(walk);
		free(whole);
	}
	return rc;
}

/* One directory of an experiment, or directly below the root ('exp' NULL). */
static int walk_stage(struct walk *walk, int dirfd, const char *exp, const char *name)
{
	int fd = layout_open_child(dirfd, name);

	if (fd < 0)
		return is_gone() ? 0 : visit(walk, exp, name, -1);
	if (layout_is_no_place(name)) {
		close(fd);
		return 0;
	}
	if (has_stage_name(walk, name))
		return walk_both(walk, exp, name, fd, 1, walk_below);
	return walk_both(walk, exp, name, fd, exp ? 2 : 1, walk_deeper);
}

/* The same as a part of its own. */
static int walk_stage_part(struct walk *walk, int dirfd, const char *exp, const char *name)
{
	char *path = path_of(exp, name);
	int rc = enter(walk, path);

	if (rc > 0) {
		look(walk, exp, name);
		rc = walk_stage(walk, dirfd, exp, name);
		if (rc == 0)
			rc = leave(walk, path);
	}
	free(path);
	return rc;
}

static int walk_experiment(struct walk *walk, const char *exp)
{
	struct strv names = STRV_INIT;
	struct err trouble = ERR_INIT;
	int fd = layout_open_child(walk->layout->rootfd, exp);
	int rc = 0;

	if (fd < 0)
		return is_gone() ? 0 : visit(walk, NULL, exp, -1);
	if (layout_list_dirs(fd, &names, &trouble) < 0)
		rc = visit(walk, NULL, exp, -1); /* errno is still of that */
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		rc = walk_stage_part(walk, fd, exp, names.v[i]);
	strv_release(&names);
	close(fd);
	return rc;
}

/* A directory of the root is a stage directory itself, or one that holds some. */
static int walk_top(struct walk *walk, const char *name)
{
	int fd = layout_open_child(walk->layout->rootfd, name);
	bool is_stage;
	int number;

	errno = 0;
	is_stage = fd >= 0 && layout_is_stage(fd);
	number = errno;
	if (fd >= 0)
		close(fd);
	if (is_stage && number && number != ENOENT) { /* it cannot be told which of the two */
		errno = number;
		return visit(walk, NULL, name, -1);
	}
	if (is_stage)
		return walk_stage(walk, walk->layout->rootfd, NULL, name);
	return walk_experiment(walk, name);
}

static int walk_top_part(struct walk *walk, const char *name)
{
	int rc = enter(walk, name);

	if (rc <= 0)
		return rc;
	look(walk, NULL, name);
	rc = walk_top(walk, name);
	return rc == 0 ? leave(walk, name) : rc;
}

static int walk_all(struct walk *walk)
{
	struct strv names = STRV_INIT;
	int rc = enter(walk, "");

	if (rc <= 0)
		return rc;
	look(walk, NULL, "");
	rc = layout_list_dirs(walk->layout->rootfd, &names, walk->err);
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		rc = walk_top_part(walk, names.v[i]);
	strv_release(&names);
	return rc == 0 ? leave(walk, "") : rc;
}

int layout_walk(struct layout *layout, const char *exp,
		int (*visitor)(void *arg, struct stage_dir *dir, struct err *err), void *arg,
		struct err *err)
{
	struct walk walk = { .layout = layout, .visit = visitor, .arg = arg, .err = err };
	struct str name = STR_INIT;
	int rc;

	if (!exp)
		return walk_all(&walk);
	rc = layout_find_experiment(layout, exp, &name, err);
	if (rc == 0)
		rc = walk_experiment(&walk, name.buf);
	str_release(&name);
	return rc;
}

/* "EXP/NAME" */
static int walk_one_stage(struct walk *walk, const char *path, const char *slash)
{
	char *exp = xstrndup(path, (size_t)(slash - path));
	int fd = layout_open_child(walk->layout->rootfd, exp);
	int rc = 0;

	if (fd >= 0) {
		rc = walk_stage_part(walk, fd, exp, slash + 1);
		close(fd);
	}
	free(exp);
	return rc;
}

int layout_walk_part(struct layout *layout, const char *path, const struct layout_watch *watch,
		     int (*visitor)(void *arg, struct stage_dir *dir, struct err *err), void *arg,
		     struct err *err)
{
	struct walk walk = {
		.layout = layout, .visit = visitor, .arg = arg, .watch = watch, .err = err
	};
	const char *slash = strchr(path, '/');

	if (!*path)
		return walk_all(&walk);
	return slash ? walk_one_stage(&walk, path, slash) : walk_top_part(&walk, path);
}
