#include "base/base.h"

#include "sys/path.h"

#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_LIMIT 100 /* leaves room in NAME_MAX for prefixes, suffixes and temporary names */

/* openat2() answers EAGAIN while somebody renames beneath it; its manual says: try again. */
#define BENEATH_TRIES 64

/* ---- names ---- */

static const char *name_fault(const char *name, size_t len)
{
	if (len == 0)
		return "it is empty";
	if (len > NAME_LIMIT)
		return "it is longer than 100 bytes";
	if (!utf8_is_valid(name, len))
		return "it is not valid UTF-8";
	if (name[0] == '.')
		return "it starts with '.'";
	if (name[0] == '-')
		return "it starts with '-'";
	return NULL;
}

static bool ends_in(const char *name, size_t len, const char *suffix)
{
	size_t want = strlen(suffix);

	return len >= want && memcmp(name + len - want, suffix, want) == 0;
}

static const char *component_fault(const char *name, size_t len)
{
	const char *fault = name_fault(name, len);

	if (fault)
		return fault;
	if (memchr(name, '/', len) || memchr(name, '\\', len))
		return "it has a '/' or '\\' in it";
	if (utf8_has_control(name, len))
		return "it has a control character in it";
	if (ends_in(name, len, ".lock") || ends_in(name, len, ".tmp") || ends_in(name, len, ".bak"))
		return "it ends in .lock, .tmp or .bak, which thhost uses itself";
	return NULL;
}

int path_check_name(const char *what, const char *name, struct err *err)
{
	const char *fault = component_fault(name, strlen(name));

	if (!fault)
		return 0;
	return err_set(err, ERR_INVALID, "'%.200s' cannot be the name of %s %s: %s", name,
		       strchr("aeiou", what[0]) ? "an" : "a", what, fault);
}

int path_check_relative(const char *what, const char *relative, struct err *err)
{
	const char *at = relative;

	for (;;) {
		size_t len = strcspn(at, "/");
		const char *fault = component_fault(at, len);

		if (fault)
			return err_set(err, ERR_INVALID, "'%.200s' cannot be a %s: in '%.*s', %s",
				       relative, what, (int)(len < 100 ? len : 100), at, fault);
		if (!at[len])
			return 0;
		at += len + 1;
	}
}

/* ---- text ---- */

char *path_join(const char *dir, const char *name)
{
	if (!dir[0] || strcmp(dir, ".") == 0)
		return xstrdup(name);
	return xstrf("%s%s%s", dir, has_suffix(dir, "/") ? "" : "/", name);
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

char *path_dir(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	while (slash > path && slash[-1] == '/')
		slash--;
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

const char *path_next(const char **at, size_t *len)
{
	const char *start = *at + strspn(*at, "/");

	*len = strcspn(start, "/");
	*at = start + *len;
	return *len ? start : NULL;
}

static void add_component(struct str *out, const char *name, size_t len)
{
	if (len == 1 && name[0] == '.')
		return;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		const char *slash = strrchr(out->buf, '/');

		str_truncate(out, slash ? (size_t)(slash - out->buf) : 0);
		return;
	}
	str_addch(out, '/');
	str_add(out, name, len);
}

char *path_absolute(const char *path)
{
	struct str out = STR_INIT;
	char *cwd = path[0] == '/' ? NULL : getcwd(NULL, 0);
	const char *parts[] = { cwd ? cwd : "", path };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const char *at = parts[i];
		const char *name;
		size_t len;

		while ((name = path_next(&at, &len)))
			add_component(&out, name, len);
	}
	free(cwd);
	if (!out.len)
		str_addch(&out, '/');
	return str_detach(&out);
}

char *path_relative_to(const char *path, const char *from)
{
	struct str out = STR_INIT;
	const char *rest = path;
	const char *name_path;
	const char *name_from;
	size_t len_path;
	size_t len_from;

	do {
		rest = path;
		name_path = path_next(&path, &len_path);
		name_from = path_next(&from, &len_from);
	} while (name_path && name_from && len_path == len_from &&
		 memcmp(name_path, name_from, len_path) == 0);
	for (; name_from; name_from = path_next(&from, &len_from))
		str_adds(&out, out.len ? "/.." : "..");
	while ((name_path = path_next(&rest, &len_path))) {
		if (out.len)
			str_addch(&out, '/');
		str_add(&out, name_path, len_path);
	}
	if (!out.len)
		str_addch(&out, '.');
	return str_detach(&out);
}

/* ---- opening ---- */

int path_open_dir(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOCTTY);

	if (fd >= 0)
		return fd;
	return err_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_FAILED,
			 "cannot open the directory '%s'", path);
}

int path_open_nothing(struct err *err)
{
	const char *temporary = getenv("TMPDIR");
	char name[sizeof("thhost-") + 16] = "thhost-";
	char *path;
	int fd = -1;

	if (id_random_hex(name + sizeof("thhost-") - 1, err) < 0)
		return -1;
	path = path_join(temporary && *temporary ? temporary : "/tmp", name);
	if (mkdir(path, 0700) == 0) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
		if (rmdir(path) < 0 && fd >= 0) {
			close(fd);
			fd = -1;
		}
	}
	if (fd < 0)
		err_errno(err, ERR_FAILED, "cannot make the directory '%s'", path);
	free(path);
	return fd;
}

static int open_error(const char *relative, struct err *err)
{
	if (errno == ENOENT || errno == ENOTDIR)
		return err_errno(err, ERR_NOT_FOUND, "cannot open '%s'", relative);
	if (errno == EXDEV)
		return err_set(err, ERR_INVALID, "'%s' leads out of its directory", relative);
	if (errno == ELOOP)
		return err_set(err, ERR_INVALID, "'%s' is or passes a symbolic link", relative);
	return err_errno(err, ERR_FAILED, "cannot open '%s'", relative);
}

/* One component; a link in the middle is ELOOP like one at the end, not the kernel's ENOTDIR. */
static int open_component(int dir, const char *name, int flags)
{
	struct stat st;
	int fd;

	if (strcmp(name, "..") == 0) {
		errno = EXDEV;
		return -1;
	}
	fd = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0666);
	if (fd >= 0 || errno != ENOTDIR)
		return fd;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
		errno = ELOOP;
	else
		errno = ENOTDIR;
	return -1;
}

/* Kernels before 5.6, and containers that forbid openat2(): no links at all, and no "..". */
static int open_stepwise(int dirfd, const char *relative, int flags)
{
	const char *at = relative;
	const char *name;
	size_t len;
	int dir = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (relative[0] == '/') {
		errno = EXDEV;
		goto fail;
	}
	while (dir >= 0 && (name = path_next(&at, &len))) {
		bool is_last = at[strspn(at, "/")] == '\0';
		int step = is_last ? flags : O_PATH | O_DIRECTORY;
		char *part = xstrndup(name, len);
		int next = open_component(dir, part, step);

		free(part);
		if (next < 0)
			goto fail;
		close(dir);
		dir = next;
		if (is_last)
			return dir;
	}
fail:
	if (dir >= 0) {
		int saved = errno;

		close(dir);
		errno = saved;
	}
	return -1;
}

int path_open_beneath(int dirfd, const char *relative, int flags, struct err *err)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? 0666 : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	const char *name = relative[0] ? relative : ".";
	int fd = -1;

	for (int i = 0; i < BENEATH_TRIES; i++) {
		fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = open_stepwise(dirfd, name, flags);
	return fd >= 0 ? fd : open_error(relative, err);
}

/* ---- directories ---- */

int path_sync_dir(int dirfd)
{
	int result = fsync(dirfd);

	/* Some network and FUSE file systems cannot sync a directory and say so with EINVAL. */
	return result < 0 && errno == EINVAL ? 0 : result;
}

int path_make_dir(int dirfd, const char *name, bool *made, struct err *err)
{
	struct stat st;
	bool is_new = mkdirat(dirfd, name, 0777) == 0;

	if (made)
		*made = is_new;
	if (!is_new && errno != EEXIST)
		return err_errno(err, ERR_FAILED, "cannot make the directory '%s'", name);
	if (!is_new) {
		if (fstatat(dirfd, name, &st, 0) < 0)
			return err_errno(err, ERR_FAILED, "cannot look at '%s'", name);
		if (!S_ISDIR(st.st_mode))
			return err_set(err, ERR_INVALID, "'%s' is there and is no directory", name);
	}
	if (path_sync_dir(dirfd) < 0)
		return err_errno(err, ERR_FAILED, "cannot sync the directory that holds '%s'",
				 name);
	return 0;
}

bool path_is_unsupported(int number)
{
	return number == EINVAL || number == ENOSYS || number == EOPNOTSUPP;
}

int path_pass_over(const struct err *why, struct err *err)
{
	if (why->number == EACCES)
		log_warn("passed over: %s", why->msg);
	if (path_is_absent(why->number))
		return 0;
	*err = *why;
	return -1;
}

bool path_is_absent(int number)
{
	return number == ENOENT || number == ENOTDIR || number == ELOOP || number == EXDEV ||
	       number == EACCES;
}

int path_exists(const char *path, mode_t *mode, struct err *err)
{
	struct stat st;

	if (stat(path, &st) == 0) {
		if (mode)
			*mode = st.st_mode;
		return 1;
	}
	if (path_is_absent(errno))
		return 0;
	return err_errno(err, ERR_FAILED, "cannot look at '%s'", path);
}

int path_list_error(int dirfd, struct err *err)
{
	char link[64];
	char path[PATH_MAX];
	int saved = errno;
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	len = dirfd >= 0 ? readlink(link, path, sizeof(path) - 1) : -1;
	path[len > 0 ? len : 0] = '\0';
	errno = saved;
	return err_errno(err, ERR_FAILED, "cannot list the directory '%s'", path);
}

int path_each_entry(int fd, path_entry_fn fn, void *arg)
{
	_Alignas(struct dirent64) char buf[8192];
	ssize_t len;

	while ((len = getdents64(fd, buf, sizeof(buf))) != 0) {
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0) /* one that was removed since holds nothing */
			return errno == ENOENT ? 0 : -1;
		for (ssize_t at = 0; at < len;) {
			const struct dirent64 *entry = (const void *)(buf + at);

			at += entry->d_reclen;
			if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
				fn(arg, entry->d_name, entry->d_type);
		}
	}
	return 0;
}

int path_list(int dirfd, struct strv *names, struct err *err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		path_list_error(dirfd, err);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (errno = 0, (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			strv_push(names, entry->d_name);
	if (errno) {
		path_list_error(dirfd, err);
		closedir(dir);
		return -1;
	}
	closedir(dir);
	strv_sort(names);
	return 0;
}
