#include "base/base.h"

#include "app/adopt_walk.h"

#include "base/mem.h"
#include "model/layout.h"
#include "model/store.h"
#include "sys/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

/* More than one match of a pattern is no news. */
#define DEEP_MATCHES 4096

/* ---- marks ---- */

static const char *const log_names[] = { "*.log", "*.out", "log.txt" };

static bool is_glob(const char *text, size_t len)
{
	return memchr(text, '*', len) || memchr(text, '?', len);
}

/* Has it a letter or a digit before its first '/'? "*" alone fits every name. */
static bool says_something(const char *pattern)
{
	for (; *pattern && *pattern != '/'; pattern++)
		if (*pattern != '*' && *pattern != '?')
			return true;
	return false;
}

static void add_once(struct strv *list, const char *text)
{
	if (!strv_has(list, text))
		strv_push(list, text);
}

void adopt_marks_add(struct adopt_marks *marks, const char *pattern)
{
	size_t len = strlen(pattern);

	if (strcmp(pattern, "@log") == 0) {
		for (size_t i = 0; i < ARRAY_SIZE(log_names); i++)
			adopt_marks_add(marks, log_names[i]);
		return;
	}
	if (has_prefix(pattern, "**/")) /* at any depth, so also here */
		pattern += strlen("**/");
	if (strstr(pattern, "**") || !says_something(pattern))
		return;
	if (strchr(pattern, '/'))
		add_once(&marks->deep, pattern);
	else if (is_glob(pattern, len))
		add_once(&marks->globs, pattern);
	else
		add_once(&marks->plain, pattern);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void adopt_marks_sort(struct adopt_marks *marks)
{
	if (marks->plain.n)
		qsort(marks->plain.v, marks->plain.n, sizeof(*marks->plain.v), compare);
}

void adopt_marks_release(struct adopt_marks *marks)
{
	strv_release(&marks->plain);
	strv_release(&marks->globs);
	strv_release(&marks->deep);
}

/* Names that fit a pattern such as "*.json" and that no trainer writes to tell of a training: a
 * program's own files, a tokenizer's. */
static bool is_no_mark(const char *name)
{
	static const char *const names[] = {
		"CMakeLists.txt",
		"LICENSE.txt",
		"README.txt",
		"added_tokens.json",
		"docker-compose.yml",
		"environment.yaml",
		"environment.yml",
		"generation_config.json",
		"merges.txt",
		"mkdocs.yml",
		"package-lock.json",
		"package.json",
		"preprocessor_config.json",
		"requirements.txt",
		"special_tokens_map.json",
		"tokenizer.json",
		"tokenizer_config.json",
		"tsconfig.json",
		"vocab.json",
		"vocab.txt",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool is_mark(const struct adopt_marks *marks, const char *name)
{
	if (is_no_mark(name))
		return false;
	if (marks->plain.n &&
	    bsearch(&name, marks->plain.v, marks->plain.n, sizeof(*marks->plain.v), compare))
		return true;
	for (size_t i = 0; i < marks->globs.n; i++)
		if (fnmatch(marks->globs.v[i], name, FNM_PERIOD) == 0)
			return true;
	return false;
}

/* Could directory 'name' be the beginning of a pattern with more parts? */
static bool begins_mark(const struct adopt_marks *marks, const char *name)
{
	for (size_t i = 0; i < marks->deep.n; i++) {
		char *first = xstrndup(marks->deep.v[i], strcspn(marks->deep.v[i], "/"));
		bool fits = fnmatch(first, name, FNM_PERIOD) == 0;

		free(first);
		if (fits)
			return true;
	}
	return false;
}

static bool has_deep_mark(const struct adopt_marks *marks, int fd)
{
	bool found = false;

	for (size_t i = 0; i < marks->deep.n && !found; i++) {
		struct strv names = STRV_INIT;
		struct err ignored = ERR_INIT;

		found = path_glob(fd, marks->deep.v[i], DEEP_MATCHES, &names, &ignored) == 0
				? names.n > 0
				: ignored.code == ERR_INVALID; /* more than we care to count */
		strv_release(&names);
	}
	return found;
}

/* ---- one directory ---- */

struct names {
	struct strv dirs; /* to go down into */
	bool may_be_deep; /* a pattern with more parts may match */
	bool is_environment;
};

static bool is_directory(int fd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	/* not reached by tests: a file system that does not tell types */
	return fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static void take_directory(const struct adopt_walk *walk, const char *name, struct adopt_dir *dir,
			   struct names *names)
{
	if (strcmp(name, ".thhost") == 0)
		dir->has |= ADOPT_HAS_JOURNAL;
	if (strcmp(name, "conda-meta") == 0)
		names->is_environment = true;
	if (layout_is_no_place(name))
		return;
	strv_push(&names->dirs, name);
	names->may_be_deep = names->may_be_deep || begins_mark(walk->marks, name);
}

static void take_file(const struct adopt_walk *walk, const char *name, struct adopt_dir *dir,
		      struct names *names)
{
	if (strcmp(name, RECORD_NAME) == 0)
		dir->has |= ADOPT_HAS_RECORD;
	else if (strcmp(name, RECORD_BACKUP) == 0)
		dir->has |= ADOPT_HAS_BACKUP;
	else if (strcmp(name, "config.yml") == 0)
		dir->has |= ADOPT_HAS_CONFIG;
	else if (strcmp(name, "pyvenv.cfg") == 0)
		names->is_environment = true;
	if (!(dir->has & ADOPT_HAS_MARKS) && is_mark(walk->marks, name))
		dir->has |= ADOPT_HAS_MARKS;
}

/* 0, or -1 with errno. */
static int read_names(const struct adopt_walk *walk, struct adopt_dir *dir, struct names *names)
{
	int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	int failed;

	if (!list) {
		if (fd >= 0)
			close(fd); /* not reached by tests: no memory for a DIR */
		return -1;
	}
	errno = 0;
	while ((entry = readdir(list))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			if (is_directory(fd, entry))
				take_directory(walk, name, dir, names);
			else
				take_file(walk, name, dir, names);
		}
		errno = 0;
	}
	failed = errno;
	closedir(list);
	errno = failed;
	return failed ? -1 : 0;
}

static int walk_dir(struct adopt_walk *walk, struct adopt_dir *dir);

static int walk_child(struct adopt_walk *walk, const struct adopt_dir *dir, const char *name)
{
	char *path = *dir->path ? path_join(dir->path, name) : xstrdup(name);
	struct adopt_dir child = {
		.up = dir,
		.path = path,
		.name = path_base(path),
		.depth = dir->depth + 1,
		.data = dir->data,
	};
	int result = 0;

	child.fd = openat(dir->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (child.fd >= 0) {
		result = walk_dir(walk, &child);
		close(child.fd);
	} else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
		/* else: gone or something else since it was listed */
		walk->pass_over(walk->arg, path, strerror(errno));
	}
	free(path);
	return result;
}

static int walk_dir(struct adopt_walk *walk, struct adopt_dir *dir)
{
	struct names names = { .dirs = STRV_INIT };
	enum adopt_next next = ADOPT_DOWN;
	int result = 0;

	if (read_names(walk, dir, &names) < 0)
		walk->pass_over(walk->arg, dir->path, strerror(errno));
	if (!(dir->has & ADOPT_HAS_MARKS) && names.may_be_deep &&
	    has_deep_mark(walk->marks, dir->fd))
		dir->has |= ADOPT_HAS_MARKS;
	if (!names.is_environment)
		next = walk->visit(walk->arg, dir);
	if (next == ADOPT_STOP) {
		result = -1;
	} else if (next == ADOPT_DOWN && !names.is_environment) {
		strv_sort(&names.dirs);
		if (dir->depth >= walk->depth)
			walk->n_deeper += names.dirs.n;
		for (size_t i = 0; result == 0 && dir->depth < walk->depth && i < names.dirs.n; i++)
			result = walk_child(walk, dir, names.dirs.v[i]);
	}
	strv_release(&names.dirs);
	return result;
}

int adopt_walk(struct adopt_walk *walk, int fd, const char *path)
{
	struct adopt_dir top = { .path = path, .name = path_base(path), .fd = fd };

	return walk_dir(walk, &top);
}
