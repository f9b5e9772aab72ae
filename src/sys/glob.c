/* The part of path.h that expands patterns. */
#include "base/base.h"

#include "sys/path.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Directories and names that one pattern may look at: a slip of the pen ends, it does not hang. */
#define GLOB_WORK_LIMIT 100000

#define TREE_MARK "**/"
#define TREE_DEPTH 8

static size_t width_at(const char *text)
{
	uint32_t c;
	size_t width = utf8_decode(text, strlen(text), &c);

	return width ? width : 1;
}

/* '*' and '?' only; one point to fall back to, so never slower than pattern x name. */
static bool component_matches(const char *pattern, const char *name)
{
	const char *star = NULL;
	const char *resume = NULL;

	if (name[0] == '.' && pattern[0] != '.')
		return false;
	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			resume = name;
		} else if (*pattern == '?') {
			pattern++;
			name += width_at(name);
		} else if (*pattern == *name) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

/* 0 with 'fd' -1: there is no such thing that we could open. */
static int open_or_absent(int dirfd, const char *name, int flags, int *fd, struct err *err)
{
	struct err own = ERR_INIT;

	*fd = path_open_beneath(dirfd, name, flags, &own);
	if (*fd >= 0 || own.code == ERR_INVALID)
		return 0;
	return path_pass_over(&own, err);
}

/* Add each name in 'parent' that matches; a parent that cannot be listed matches nothing. */
static int glob_directory(int dirfd, const char *parent, const char *pattern, struct strv *out,
			  struct err *err)
{
	struct strv names = STRV_INIT;
	int fd;
	int result = open_or_absent(dirfd, parent, O_RDONLY | O_DIRECTORY, &fd, err);

	if (fd < 0)
		return result;
	result = path_list(fd, &names, err);
	for (size_t i = 0; i < names.n && result == 0; i++)
		if (component_matches(pattern, names.v[i]))
			strv_push_take(out, path_join(parent, names.v[i]));
	strv_release(&names);
	close(fd);
	return result;
}

static int is_beneath(int dirfd, const char *name, bool directories_only, struct err *err)
{
	int fd;
	int result = open_or_absent(dirfd, name, O_PATH | (directories_only ? O_DIRECTORY : 0), &fd,
				    err);

	if (fd < 0)
		return result;
	close(fd);
	return 1;
}

/* One component further: 'paths' becomes what each of them leads to. */
static int glob_step(int dirfd, const char *component, struct strv *paths, struct err *err)
{
	struct strv next = STRV_INIT;
	bool is_pattern = strpbrk(component, "*?") != NULL;
	int result = 0;

	for (size_t i = 0; i < paths->n && result == 0 && next.n <= GLOB_WORK_LIMIT; i++) {
		if (is_pattern)
			result = glob_directory(dirfd, paths->v[i], component, &next, err);
		else
			strv_push_take(&next, path_join(paths->v[i], component));
	}
	strv_release(paths);
	*paths = next;
	if (next.n > GLOB_WORK_LIMIT)
		return err_set(err, ERR_INVALID, "a pattern matches more than %d names",
			       GLOB_WORK_LIMIT);
	return result;
}

static int glob_expand(int dirfd, const char *pattern, struct strv *paths, struct err *err)
{
	const char *at = pattern;
	const char *name;
	size_t len;

	while ((name = path_next(&at, &len))) {
		char *component = xstrndup(name, len);
		int result = 0;

		if (strcmp(component, ".") != 0)
			result = glob_step(dirfd, component, paths, err);
		free(component);
		if (result < 0)
			return -1;
	}
	return 0;
}

static bool climbs(const char *pattern)
{
	const char *at = pattern;
	const char *name;
	size_t len;

	while ((name = path_next(&at, &len)))
		if (len == 2 && memcmp(name, "..", 2) == 0)
			return true;
	return false;
}

/* ---- at any depth ---- */

struct tree {
	int dirfd;
	const char *rest; /* of the pattern, behind its mark */
	size_t limit;
	size_t looked; /* names that were seen */
	bool is_cut;   /* there is more than may be taken */
	struct strv *names;
};

/* Of what kind is it, links followed? 0: nothing that we could open beneath 'dirfd'. */
static int kind_beneath(int dirfd, const char *name, mode_t *kind, struct err *err)
{
	struct stat st;
	int fd;
	int result = open_or_absent(dirfd, name, O_PATH, &fd, err);

	if (fd < 0)
		return result;
	result = fstat(fd, &st) == 0;
	*kind = st.st_mode & S_IFMT;
	close(fd);
	return result;
}

/* Take the path if it is what the pattern asks for; a link's own kind says nothing. */
static int take_path(struct tree *tree, const char *path, mode_t kind, struct err *err)
{
	bool wants_dir = has_suffix(tree->rest, "/");
	int result = 1;

	if (kind == S_IFLNK)
		result = kind_beneath(tree->dirfd, path, &kind, err);
	if (result <= 0 || (kind == S_IFDIR) != wants_dir)
		return result < 0 ? -1 : 0;
	tree->is_cut = tree->names->n >= tree->limit;
	if (!tree->is_cut)
		strv_push(tree->names, path);
	return 0;
}

/* What the rest of the pattern, several components, matches below 'parent'. */
static int take_below(struct tree *tree, const char *parent, struct err *err)
{
	struct strv paths = STRV_INIT;
	int result;

	strv_push(&paths, parent);
	result = glob_expand(tree->dirfd, tree->rest, &paths, err);
	tree->looked += paths.n;
	for (size_t i = 0; i < paths.n && result == 0 && !tree->is_cut; i++)
		result = take_path(tree, paths.v[i], S_IFLNK, err);
	strv_release(&paths);
	return result;
}

/* One name of the directory 'fd', which is 'parent'; a directory is kept in 'below'. */
static int take_name(struct tree *tree, int fd, const char *parent, const char *name,
		     struct strv *below, struct err *err)
{
	size_t len = strcspn(tree->rest, "/");
	struct stat st;
	char *path;
	int result = 0;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* it went meanwhile */
	path = path_join(parent, name);
	if (S_ISDIR(st.st_mode) && name[0] != '.')
		strv_push(below, path);
	if (!tree->rest[len] && component_matches(tree->rest, name))
		result = take_path(tree, path, st.st_mode & S_IFMT, err);
	free(path);
	return result;
}

static int walk_directory(struct tree *tree, const char *parent, struct strv *below,
			  struct err *err)
{
	struct strv names = STRV_INIT;
	int fd;
	int result = open_or_absent(tree->dirfd, parent, O_RDONLY | O_DIRECTORY, &fd, err);

	if (fd < 0)
		return result;
	result = path_list(fd, &names, err);
	tree->looked += names.n;
	for (size_t i = 0; i < names.n && result == 0 && !tree->is_cut; i++)
		result = take_name(tree, fd, parent, names.v[i], below, err);
	if (result == 0 && strchr(tree->rest, '/'))
		result = take_below(tree, parent, err);
	strv_release(&names);
	close(fd);
	return result;
}

/* Level by level: where the list is cut, what lies deepest is missing. */
static int glob_tree(struct tree *tree, const char *pattern, struct err *err)
{
	struct strv level = STRV_INIT;
	int result = 0;

	strv_push(&level, "");
	for (int depth = 0; depth <= TREE_DEPTH && level.n && result == 0; depth++) {
		struct strv below = STRV_INIT;

		for (size_t i = 0; i < level.n && result == 0 && !tree->is_cut; i++) {
			result = walk_directory(tree, level.v[i], &below, err);
			tree->is_cut = tree->is_cut || tree->looked > GLOB_WORK_LIMIT;
		}
		strv_release(&level);
		level = below;
	}
	strv_release(&level);
	if (result == 0 && tree->is_cut)
		log_warn("the pattern '%s' matches too much: only the first %zu names are taken",
			 pattern, tree->names->n);
	return result;
}

static int glob_plain(int dirfd, const char *pattern, size_t limit, struct strv *names,
		      struct err *err)
{
	struct strv paths = STRV_INIT;
	bool directories_only = has_suffix(pattern, "/");
	size_t found = 0;
	int result;

	strv_push(&paths, "");
	result = glob_expand(dirfd, pattern, &paths, err);
	for (size_t i = 0; result == 0 && i < paths.n; i++) {
		if (!paths.v[i][0])
			continue;
		result = is_beneath(dirfd, paths.v[i], directories_only, err);
		if (result <= 0)
			continue;
		result = 0;
		if (++found > limit)
			result = err_set(err, ERR_INVALID,
					 "the pattern '%s' matches more than %zu names", pattern,
					 limit);
		else
			strv_push(names, paths.v[i]);
	}
	strv_release(&paths);
	return result;
}

int path_glob(int dirfd, const char *pattern, size_t limit, struct strv *names, struct err *err)
{
	struct tree tree = { .dirfd = dirfd, .limit = limit, .names = names };
	int result;

	if (!pattern[0] || pattern[0] == '/' || climbs(pattern))
		return err_set(err, ERR_INVALID, "the pattern '%s' must stay in its directory",
			       pattern);
	if (has_prefix(pattern, TREE_MARK) && pattern[strlen(TREE_MARK)]) {
		tree.rest = pattern + strlen(TREE_MARK);
		result = glob_tree(&tree, pattern, err);
	} else {
		result = glob_plain(dirfd, pattern, limit, names, err);
	}
	if (result == 0)
		strv_sort(names);
	return result;
}
