#include "base/base.h"

#include "model/layout.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/layout_parts.h"
#include "sys/lock.h"
#include "sys/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_LOCK ".thhost.first.lock"
#define FIRST_WAIT_MS 10000 /* it is held for two system calls */

/* ---- the root ---- */

int layout_open(struct layout *layout, const char *root, const struct stage_map *stages,
		struct err *err)
{
	memset(layout, 0, sizeof(*layout));
	layout->root = path_absolute(root);
	if (stages)
		layout->stages = *stages;
	layout->rootfd = path_open_dir(layout->root, err);
	if (layout->rootfd >= 0)
		return 0;
	err_prefix(err, "the artifact root");
	if (err->code == ERR_NOT_FOUND)
		err_hint(err, "'thhost exp new' makes it; --root, THHOST_ROOT or 'root' in "
			      "thhost.ini name another");
	layout_close(layout);
	return -1;
}

int layout_plan(struct layout *layout, const char *root, const struct stage_map *stages,
		struct err *err)
{
	int fd = path_open_nothing(err);

	if (fd < 0)
		return -1;
	*layout = (struct layout){ .root = path_absolute(root), .rootfd = fd, .stages = *stages };
	return 0;
}

void layout_close(struct layout *layout)
{
	if (layout->rootfd >= 0)
		close(layout->rootfd);
	layout->rootfd = -1;
	free(layout->root);
	layout->root = NULL;
}

/* Open directory 'path', made if need be together with what is above it. */
static int make_dirs(const char *path, struct err *err)
{
	struct err absent = ERR_INIT;
	int fd = path_open_dir(path, &absent);
	char *up;
	int upfd;

	if (fd >= 0)
		return fd;
	if (absent.code != ERR_NOT_FOUND) {
		*err = absent;
		return -1;
	}
	up = path_dir(path);
	upfd = make_dirs(up, err);
	free(up);
	if (upfd < 0)
		return -1;
	if (path_make_dir(upfd, path_base(path), NULL, err) == 0)
		fd = path_open_dir(path, err);
	close(upfd);
	return fd;
}

int layout_make_root(const char *root, struct err *err)
{
	char *path = path_absolute(root);
	int fd = make_dirs(path, err);

	free(path);
	if (fd < 0)
		return err_prefix(err, "cannot make the artifact root");
	close(fd);
	return 0;
}

/* ---- directories ---- */

int layout_open_child(int dirfd, const char *name)
{
	return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

bool layout_is_stage(int fd)
{
	struct stat st;

	return fstatat(fd, LAYOUT_RECORD, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT ||
	       fstatat(fd, LAYOUT_JOURNAL, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT ||
	       fstatat(fd, LAYOUT_BACKUP, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

bool layout_is_no_place(const char *name)
{
	static const char *const names[] = { "__pycache__",   "node_modules", "site-packages",
					     "dist-packages", "venv",	      "CVS" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return name[0] == '.';
}

static bool is_directory(int dirfd, const char *name, unsigned char type)
{
	struct stat st;

	if (type != DT_UNKNOWN)
		return type == DT_DIR;
	/* not reached by tests: a file system that does not tell types */
	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

struct look {
	int fd;
	struct layout_contents *contents;
};

static void look_at(void *arg, const char *name, unsigned char type)
{
	const struct look *look = arg;
	struct layout_contents *contents = look->contents;

	if (strcmp(name, LAYOUT_RECORD) == 0)
		contents->has_record = true;
	else if (strcmp(name, LAYOUT_JOURNAL) == 0)
		contents->has_journal = true;
	else if (name[0] != '.' && is_directory(look->fd, name, type))
		strv_push(&contents->dirs, name);
}

int layout_look(int fd, struct layout_contents *contents, struct err *err)
{
	struct look look = { .fd = fd, .contents = contents };

	*contents = (struct layout_contents){ .dirs = STRV_INIT };
	if (path_each_entry(fd, look_at, &look) < 0)
		return path_list_error(fd, err);
	strv_sort(&contents->dirs);
	return 0;
}

int layout_list_dirs(int dirfd, struct strv *names, struct err *err)
{
	struct layout_contents contents;
	int fd = layout_open_child(dirfd, ".");
	int result;
	int number;

	if (fd < 0)
		return path_list_error(dirfd, err);
	result = layout_look(fd, &contents, err);
	number = errno;
	close(fd);
	errno = number;
	*names = contents.dirs;
	return result;
}

/* ---- names ---- */

static const struct stage_name *stage_find(const struct layout *layout, const char *stage)
{
	for (size_t i = 0; i < layout->stages.n; i++)
		if (strcmp(layout->stages.v[i].stage, stage) == 0)
			return &layout->stages.v[i];
	return NULL;
}

char *layout_stage_dir_name(const struct layout *layout, const char *stage, const char *dataset)
{
	const struct stage_name *known = stage_find(layout, stage);
	const char *prefix = known && known->dir ? known->dir : stage;

	return dataset && *dataset ? xstrf("%s_%s", prefix, dataset) : xstrdup(prefix);
}

/* The length of 'prefix' if 'name' is "PREFIX_DATASET" or the prefix alone, else 0. */
static size_t prefix_length(const char *name, const char *prefix)
{
	size_t len = prefix ? strlen(prefix) : 0;

	if (!len || !has_prefix(name, prefix))
		return 0;
	return !name[len] || (name[len] == '_' && name[len + 1]) ? len : 0;
}

/* The length of "stageN" in "stageN_DATASET", else 0. */
static size_t numbered_length(const char *name)
{
	size_t len = strlen("stage");
	size_t digits;

	if (!has_prefix(name, "stage"))
		return 0;
	digits = strspn(name + len, "0123456789");
	len += digits;
	return digits && name[len] == '_' && name[len + 1] ? len : 0;
}

void layout_split_name(const struct layout *layout, const char *name, char **stage, char **dataset)
{
	const struct stage_name *best = NULL;
	size_t best_len = 0;

	*stage = *dataset = NULL;
	for (size_t i = 0; i < layout->stages.n; i++) {
		const struct stage_name *v = &layout->stages.v[i];
		size_t by_dir = prefix_length(name, v->dir);
		size_t by_stage = prefix_length(name, v->stage);
		size_t len = by_dir > by_stage ? by_dir : by_stage;

		if (len > best_len) {
			best_len = len;
			best = v;
		}
	}
	if (!best)
		best_len = numbered_length(name);
	if (!best_len)
		return;
	*stage = best ? xstrdup(best->stage) : xstrndup(name, best_len);
	if (name[best_len])
		*dataset = xstrdup(name + best_len + 1);
}

/* ---- stage directories ---- */

void stage_dir_release(struct stage_dir *dir)
{
	free(dir->exp);
	free(dir->name);
	free(dir->ref);
	free(dir->path);
	free(dir->stage);
	free(dir->dataset);
	if (dir->fd >= 0)
		close(dir->fd);
	*dir = (struct stage_dir)STAGE_DIR_INIT;
}

void layout_fill(const struct layout *layout, struct stage_dir *out, const char *exp,
		 const char *name, int fd)
{
	char *first = xstrndup(name, strcspn(name, "/"));

	out->exp = xstrdup_or_null(exp);
	out->name = xstrdup(name);
	out->ref = exp ? xstrf("%s/%s", exp, name) : xstrdup(name);
	out->path = path_join(layout->root, out->ref);
	out->fd = fd;
	layout_split_name(layout, path_base(name), &out->stage, &out->dataset);
	if (!out->stage)
		layout_split_name(layout, first, &out->stage, &out->dataset);
	free(first);
}

static int try_name(const struct layout *layout, const char *exp, const char *name,
		    struct stage_dir *out, struct err *trouble)
{
	struct err own = ERR_INIT;
	char *relative = exp ? xstrf("%s/%s", exp, name) : xstrdup(name);
	int fd = -1;

	if (path_check_relative("REF", relative, &own) == 0)
		fd = path_open_beneath(layout->rootfd, relative, O_RDONLY | O_DIRECTORY, &own);
	free(relative);
	if (fd < 0) {
		if (own.code == ERR_FAILED)
			*trouble = own;
		return 0;
	}
	layout_fill(layout, out, exp, name, fd);
	return 1;
}

int layout_try_open(const struct layout *layout, const char *exp, const char *name,
		    struct stage_dir *out, struct err *trouble)
{
	char *stage;
	char *dataset;
	char *meant;
	int found = try_name(layout, exp, name, out, trouble);

	if (found)
		return found;
	layout_split_name(layout, name, &stage, &dataset);
	if (stage) {
		meant = layout_stage_dir_name(layout, stage, dataset);
		found = strcmp(meant, name) != 0 ? try_name(layout, exp, meant, out, trouble) : 0;
		free(meant);
	}
	free(stage);
	free(dataset);
	return found;
}

/* The directory of a stage that is to be written to. */
static int make_stage(const struct layout *layout, const char *exp, const char *name,
		      struct stage_dir *out, struct err *err)
{
	int expfd = path_open_beneath(layout->rootfd, exp, O_RDONLY | O_DIRECTORY, err);
	int fd = -1;

	if (expfd < 0)
		return -1;
	if (path_make_dir(expfd, name, NULL, err) == 0)
		fd = path_open_beneath(expfd, name, O_RDONLY | O_DIRECTORY, err);
	close(expfd);
	if (fd < 0)
		return err_prefix(err, "stage directory '%s/%s'", exp, name);
	layout_fill(layout, out, exp, name, fd);
	return 0;
}

/* 1: there is no experiment; 0: there is one; -1: it cannot be told. */
static int has_no_experiment(const struct layout *layout, struct err *err)
{
	struct strv dirs = STRV_INIT;
	int has_none = layout_list_dirs(layout->rootfd, &dirs, err) == 0 ? 1 : -1;

	for (size_t i = 0; has_none > 0 && i < dirs.n; i++)
		has_none = !layout_is_experiment(layout, dirs.v[i]);
	strv_release(&dirs);
	return has_none < 0 ? err_prefix(err, "'%s'", layout->root) : has_none;
}

/*
 * The experiment that 'exp' means; 'is_first': there is none at all, and the first may be made. One
 * that another process makes between the two looks is found by a third.
 */
static int find_or_first(struct layout *layout, const char *exp, struct str *name, bool *is_first,
			 struct err *err)
{
	struct err absent = ERR_INIT;
	int has_none;

	*is_first = false;
	if (layout_find_experiment(layout, exp, name, &absent) == 0)
		return 0;
	if (exp || absent.code != ERR_NOT_FOUND) {
		*err = absent;
		return -1;
	}
	has_none = has_no_experiment(layout, err);
	if (has_none == 0)
		return layout_find_experiment(layout, exp, name, err);
	*is_first = has_none > 0;
	return has_none < 0 ? -1 : 0;
}

/* Many that start at once in an empty root agree on one. What is made before the lock file goes is
 * seen by all who lock another one after it. */
static int make_first(struct layout *layout, struct str *name, struct err *err)
{
	struct lock lock = LOCK_INIT;
	bool is_first;
	int rc;

	if (lock_acquire(&lock, layout->rootfd, FIRST_LOCK, layout->root, FIRST_WAIT_MS, err) < 0)
		return -1;
	rc = find_or_first(layout, NULL, name, &is_first, err);
	if (rc == 0 && is_first)
		rc = layout_begin_experiment(layout, NULL, name, err);
	unlinkat(layout->rootfd, FIRST_LOCK, 0);
	lock_release(&lock);
	return rc;
}

static int choose_experiment(struct layout *layout, const char *exp, bool create, struct str *name,
			     struct err *err)
{
	bool is_first;

	if (!create)
		return layout_find_experiment(layout, exp, name, err);
	if (find_or_first(layout, exp, name, &is_first, err) < 0)
		return -1;
	return is_first ? make_first(layout, name, err) : 0;
}

int layout_open_stage(struct layout *layout, const char *exp, const char *stage,
		      const char *dataset, bool create, struct stage_dir *out, struct err *err)
{
	struct str in = STR_INIT;
	struct err trouble = ERR_INIT;
	char *name = layout_stage_dir_name(layout, stage, dataset);
	int rc = -1;

	*out = (struct stage_dir)STAGE_DIR_INIT;
	if (path_check_name("stage", stage, err) < 0 ||
	    (dataset && *dataset && path_check_name("dataset", dataset, err) < 0) ||
	    path_check_name("stage directory", name, err) < 0 ||
	    choose_experiment(layout, exp, create, &in, err) < 0)
		goto out;
	if (create)
		rc = make_stage(layout, in.buf, name, out, err);
	else if (layout_try_open(layout, in.buf, name, out, &trouble))
		rc = 0;
	else if (trouble.code != ERR_NONE)
		*err = trouble;
	else
		err_set(err, ERR_NOT_FOUND, "no '%s' in experiment '%s'", name, in.buf);
	if (rc == 0 && !out->stage)
		out->stage = xstrdup(stage);
	if (rc == 0 && !out->dataset)
		out->dataset = xstrdup_or_null(dataset);
out:
	str_release(&in);
	free(name);
	return rc;
}

void layout_plan_fresh(const struct layout *layout, const char *exp, const char *stage,
		       const char *dataset, struct stage_dir *out)
{
	char when[CLOCK_TEXT_SIZE];
	char *name = layout_stage_dir_name(layout, stage, dataset);
	char *dated;

	clock_format_name(clock_now(), when);
	dated = xstrf("exp_%s", when);
	*out = (struct stage_dir)STAGE_DIR_INIT;
	layout_fill(layout, out, exp ? exp : dated, name, -1);
	free(dated);
	free(name);
}

int layout_plan_stage(struct layout *layout, const char *exp, const char *stage,
		      const char *dataset, struct stage_dir *out, struct err *err)
{
	struct err absent = ERR_INIT;
	struct err trouble = ERR_INIT;
	struct str in = STR_INIT;
	bool is_first;
	int rc = layout_open_stage(layout, exp, stage, dataset, false, out, &absent);

	if (rc < 0 && absent.code == ERR_NOT_FOUND)
		rc = find_or_first(layout, exp, &in, &is_first, &trouble);
	if (rc < 0)
		*err = trouble.code && trouble.code != ERR_NOT_FOUND ? trouble : absent;
	else if (out->fd < 0)
		layout_plan_fresh(layout, is_first ? NULL : in.buf, stage, dataset, out);
	str_release(&in);
	return rc;
}
