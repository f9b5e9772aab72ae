#include "base/base.h"

#include "sys/file.h"

#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY)

static int64_t nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void version_of(const struct stat *st, struct file_version *out)
{
	*out = (struct file_version){
		.exists = true,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.mtime_ns = nanoseconds(st->st_mtim),
		.ctime_ns = nanoseconds(st->st_ctim),
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
	};
}

static const char *kind_of(mode_t mode)
{
	if (S_ISLNK(mode))
		return "a symbolic link";
	if (S_ISDIR(mode))
		return "a directory";
	if (S_ISFIFO(mode))
		return "a FIFO";
	if (S_ISSOCK(mode))
		return "a socket";
	return "a device";
}

int file_check_regular(const struct file_version *version, const char *name, struct err *err)
{
	if (!version->exists || S_ISREG(version->mode))
		return 0;
	return err_set(err, ERR_INVALID, "'%s' is %s, not a file", name, kind_of(version->mode));
}

int file_version(int dirfd, const char *name, struct file_version *out, struct err *err)
{
	struct stat st;

	*out = (struct file_version){ .exists = false };
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		version_of(&st, out);
	else if (errno != ENOENT)
		return err_errno(err, ERR_FAILED, "cannot look at '%s'", name);
	return 0;
}

bool file_version_equal(const struct file_version *a, const struct file_version *b)
{
	if (!a->exists || !b->exists)
		return a->exists == b->exists;
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* Until the end, or one byte past 'limit', whatever fstat() said: the file may be growing. */
static int read_all(int fd, const char *name, size_t limit, struct str *out, struct err *err)
{
	for (;;) {
		size_t room = out->cap > out->len + 1 ? out->cap - out->len - 1 : 0;
		ssize_t n;

		if (!room) {
			str_reserve(out, 64 << 10);
			room = out->cap - out->len - 1;
		}
		n = read(fd, out->buf + out->len, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, ERR_FAILED, "cannot read '%s'", name);
		if (n == 0)
			break;
		out->len += (size_t)n;
		if (out->len > limit)
			return err_set(err, ERR_INVALID, "'%s' is larger than %zu bytes", name,
				       limit);
	}
	if (out->cap)
		out->buf[out->len] = '\0';
	return 0;
}

static int read_opened(int fd, const char *name, size_t limit, struct str *out,
		       struct file_version *version, struct err *err)
{
	struct stat st;
	struct file_version seen;

	if (fstat(fd, &st) < 0)
		return err_errno(err, ERR_FAILED, "cannot look at '%s'", name);
	version_of(&st, &seen);
	if (file_check_regular(&seen, name, err) < 0)
		return -1;
	if ((uint64_t)seen.size > limit)
		return err_set(err, ERR_INVALID, "'%s' is larger than %zu bytes", name, limit);
	str_reserve(out, (size_t)seen.size + 1); /* one more, to meet the end without growing */
	if (read_all(fd, name, limit, out, err) < 0)
		return -1;
	if (version)
		*version = seen;
	return 0;
}

/* O_NONBLOCK against a FIFO; a lease on the file answers EAGAIN to that, and is worth a wait. */
static int open_for_reading(int dirfd, const char *name, int more)
{
	int fd = openat(dirfd, name, READ_FLAGS | O_NONBLOCK | more);
	struct stat st;

	if (fd < 0 && errno == EAGAIN && fstatat(dirfd, name, &st, 0) == 0 && S_ISREG(st.st_mode))
		/* not reached by tests: a lease of another host's client, over NFS or SMB */
		fd = openat(dirfd, name, READ_FLAGS | more);
	return fd;
}

/* Look before opening: opening alone makes some devices act. */
static int open_regular(int dirfd, const char *name, struct err *err)
{
	struct file_version before;
	int fd;

	if (file_version(dirfd, name, &before, err) < 0 ||
	    file_check_regular(&before, name, err) < 0)
		return -1;
	fd = before.exists ? open_for_reading(dirfd, name, O_NOFOLLOW) : (errno = ENOENT, -1);
	if (fd >= 0)
		return fd;
	if (errno == ELOOP)
		return err_set(err, ERR_INVALID, "'%s' is a symbolic link, not a file", name);
	return err_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_FAILED, "cannot open '%s'",
			 name);
}

int file_read(int dirfd, const char *name, size_t limit, struct str *out,
	      struct file_version *version, struct err *err)
{
	int fd = open_regular(dirfd, name, err);
	int result;

	str_clear(out);
	if (fd < 0)
		return -1;
	result = read_opened(fd, name, limit, out, version, err);
	close(fd); /* nothing was written: nothing to learn from it */
	return result;
}

int file_read_head(int dirfd, const char *name, size_t max, struct str *out, struct err *err)
{
	int fd = open_regular(dirfd, name, err);
	ssize_t n;

	str_clear(out);
	if (fd < 0)
		return -1;
	str_reserve(out, max);
	do
		n = pread(fd, out->buf, max, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		err_errno(err, ERR_FAILED, "cannot read '%s'", name);
	close(fd); /* nothing was written: nothing to learn from it */
	if (n < 0)
		return -1;
	out->len = (size_t)n;
	out->buf[out->len] = '\0';
	return 0;
}

int file_read_path(const char *path, size_t limit, struct str *out, struct err *err)
{
	int fd = open_for_reading(AT_FDCWD, path, 0);
	int result;

	str_clear(out);
	if (fd < 0)
		return err_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_FAILED,
				 "cannot open '%s'", path);
	result = read_opened(fd, path, limit, out, NULL, err);
	close(fd);
	return result;
}

int file_write_all(int fd, const char *data, size_t len, struct err *err, const char *name)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0) {
			/* not reached by tests: no device here takes nothing without an error */
			errno = EIO; /* a full device that does not say so: never spin on it */
			n = -1;
		}
		if (n < 0)
			return err_errno(err, ERR_FAILED, "cannot write '%s'", name);
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_remove(int dirfd, const char *name, struct err *err)
{
	if (unlinkat(dirfd, name, 0) < 0) {
		if (errno == ENOENT)
			return 0;
		return err_errno(err, ERR_FAILED, "cannot remove '%s'", name);
	}
	if (path_sync_dir(dirfd) < 0)
		return err_errno(err, ERR_NOT_DURABLE,
				 "'%s' is removed, but cannot sync its directory", name);
	return 0;
}
