/*
 * The swap, step by step (docs/reliability.md has the reasons):
 *
 *	open the old version -> make, fill, sync and read back a temporary file beside it
 *	-> fence, and the old version is still there -> rename -> look who has the name now
 *	-> old version becomes the backup -> sync the directory
 *
 * The temporary's name tells whoever finds it after a crash what it is: see sys/temp_name.h.
 *
 * Up to the rename every failure leaves the file as it was. From the rename on nothing is believed
 * but inode numbers: a rename may succeed and report an error, or another program may write into
 * the same moment. No inode is synced twice: after a failed fsync the kernel may have dropped the
 * data and would report success.
 */
#include "base/base.h"

#include "sys/file.h"

#include "base/log.h"
#include "sys/conflict.h"
#include "sys/meta.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is read or written at a time; pieces above it are written as they are. */
#define BLOCK (64 << 10)

/* How often a version that another program has just written is put back before we let it lie. */
#define PUT_BACKS CONFLICT_MAX

struct swap {
	int dirfd;
	const char *name;
	const struct file_piece *pieces;
	size_t n_pieces;
	const struct file_replace_options *options;
	struct err *err;

	struct file_version old; /* the version that gives way */
	int old_fd;		 /* it, open; -1 if there is none */
	char tmp[TEMP_NAME_SIZE];
	int tmp_fd;
	bool has_tmp; /* 'tmp' is to be removed at the end */
	uint64_t dev; /* of the new file */
	uint64_t ino;
	int pin_fd;	/* it, open: its number must not go to another file meanwhile */
	bool exchanged; /* the old version is now under 'tmp' */
};

/* ---- preparing ---- */

static int check_old(const struct swap *s)
{
	const struct file_replace_options *o = s->options;

	if (o->must_be_new && s->old.exists)
		return err_set(s->err, ERR_BUSY, "'%s' is there already", s->name);
	if (o->expected && !file_version_equal(o->expected, &s->old))
		return err_set(s->err, ERR_BUSY, "'%s' was changed by another program", s->name);
	if (file_check_regular(&s->old, s->name, s->err) < 0)
		return -1;
	/* A new inode would get round the mode of a file that others let us only read. */
	if (s->old.exists && s->old.uid != geteuid() &&
	    faccessat(s->dirfd, s->name, W_OK, AT_EACCESS) < 0)
		return err_errno(s->err, ERR_FAILED, "cannot write '%s'", s->name);
	return 0;
}

static int open_old(struct swap *s)
{
	struct stat st;

	if (file_version(s->dirfd, s->name, &s->old, s->err) < 0 || check_old(s) < 0)
		return -1;
	if (!s->old.exists)
		return 0;
	s->old_fd = openat(s->dirfd, s->name,
			   O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (s->old_fd < 0 || fstat(s->old_fd, &st) < 0)
		return err_errno(s->err, ERR_FAILED, "cannot open '%s'", s->name);
	if (st.st_ino != s->old.ino || st.st_dev != s->old.dev)
		return err_set(s->err, ERR_BUSY, "'%s' was changed by another program", s->name);
	return 0;
}

/*
 * A successor starts at 0600 and gets the old mode later; a first version gets what open() gives to
 * any new file (umask, or the directory's default ACL).
 */
static int make_temporary(struct swap *s)
{
	struct stat st;

	if (temp_name_make(s->name, s->tmp, s->err) < 0)
		return -1;
	s->tmp_fd = openat(s->dirfd, s->tmp,
			   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
			   s->old.exists ? 0600 : 0666);
	if (s->tmp_fd < 0)
		return err_errno(s->err, ERR_FAILED, "cannot make a temporary file beside '%s'",
				 s->name);
	s->has_tmp = true;
	if (fstat(s->tmp_fd, &st) < 0)
		return err_errno(s->err, ERR_FAILED, "cannot look at '%s'", s->tmp);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

/* ---- data in pieces ---- */

struct cursor {
	const struct file_piece *piece;
	size_t n;  /* pieces from here on */
	size_t at; /* bytes of the first one that are behind us */
};

/* The next bytes, at most 'max' and of one piece; their number, 0 at the end. */
static size_t next_bytes(struct cursor *c, size_t max, const char **data)
{
	size_t len;

	while (c->n && c->at == c->piece->len) {
		c->piece++;
		c->n--;
		c->at = 0;
	}
	if (!c->n)
		return 0;
	len = c->piece->len - c->at < max ? c->piece->len - c->at : max;
	*data = c->piece->data + c->at;
	c->at += len;
	return len;
}

/* True if the next 'len' bytes of the pieces are those at 'block'. */
static bool continues_with(struct cursor *c, const char *block, size_t len)
{
	const char *data;

	while (len) {
		size_t n = next_bytes(c, len, &data);

		if (!n || memcmp(block, data, n) != 0)
			return false;
		block += n;
		len -= n;
	}
	return true;
}

/* 1 if 'fd' holds exactly these bytes, 0 if not, -1 with errno. */
static int has_content(int fd, const struct file_piece *pieces, size_t n_pieces)
{
	struct cursor c = { .piece = pieces, .n = n_pieces };
	char block[BLOCK];
	const char *rest;
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(fd, block, sizeof(block), at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			return next_bytes(&c, 1, &rest) == 0;
		if (!continues_with(&c, block, (size_t)n))
			return 0;
		at += n;
	}
}

/* Small pieces go together in one write, large ones as they are. */
static int write_pieces(const struct swap *s)
{
	char block[BLOCK];
	size_t used = 0;

	for (size_t i = 0; i < s->n_pieces; i++) {
		const struct file_piece *piece = &s->pieces[i];

		if (used + piece->len > BLOCK) {
			if (file_write_all(s->tmp_fd, block, used, s->err, s->name) < 0)
				return -1;
			used = 0;
		}
		if (piece->len > BLOCK) {
			if (file_write_all(s->tmp_fd, piece->data, piece->len, s->err, s->name) < 0)
				return -1;
		} else if (piece->len) {
			memcpy(block + used, piece->data, piece->len);
			used += piece->len;
		}
	}
	return file_write_all(s->tmp_fd, block, used, s->err, s->name);
}

/* ---- */

static int close_temporary(struct swap *s)
{
	int fd = s->tmp_fd;

	s->pin_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->pin_fd < 0)
		return err_errno(s->err, ERR_FAILED, "cannot keep '%s' open", s->tmp);
	s->tmp_fd = -1;
	if (close(fd) < 0)
		return err_errno(s->err, ERR_FAILED, "cannot close '%s'", s->tmp);
	return 0;
}

static int fill_temporary(struct swap *s)
{
	int same;

	if (write_pieces(s) < 0)
		return -1;
	if (s->old.exists && meta_copy(s->tmp_fd, s->old_fd, &s->old, s->name, s->err) < 0)
		return -1;
	if (fsync(s->tmp_fd) < 0)
		return err_errno(s->err, ERR_FAILED, "cannot write '%s' to the disk", s->name);
	same = has_content(s->tmp_fd, s->pieces, s->n_pieces);
	if (same < 0)
		return err_errno(s->err, ERR_FAILED, "cannot read back '%s'", s->name);
	if (!same)
		return err_set(s->err, ERR_FAILED,
			       "'%s' reads back differently from what was written", s->name);
	return close_temporary(s);
}

static int last_check(struct swap *s)
{
	const struct file_replace_options *o = s->options;
	struct file_version now;

	if (o->fence && o->fence(o->fence_arg, s->err) < 0)
		return -1;
	if (!o->expected && !o->backup)
		return 0;
	if (file_version(s->dirfd, s->name, &now, s->err) < 0)
		return -1;
	if (!file_version_equal(&now, &s->old))
		return err_set(s->err, ERR_BUSY, "'%s' was changed by another program", s->name);
	return 0;
}

/* ---- the rename ---- */

enum holder { HOLDER_NEW, HOLDER_OTHER, HOLDER_UNKNOWN };

/* Whether 'name' leads to the file that we have made. */
static enum holder holder_of(const struct swap *s, const char *name)
{
	struct stat st;

	if (fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? HOLDER_OTHER : HOLDER_UNKNOWN;
	return st.st_dev == s->dev && st.st_ino == s->ino ? HOLDER_NEW : HOLDER_OTHER;
}

/* From here on it may be the old version that is under this name. */
static int mark_ready(struct swap *s)
{
	const struct str *text = s->options->expected_text;
	char ready[TEMP_NAME_SIZE];
	int number = 0;

	temp_name_ready(s->tmp, s->ino, text ? temp_name_digest(text) : TEMP_NO_DIGEST, ready);
	if (renameat(s->dirfd, s->tmp, s->dirfd, ready) < 0)
		number = errno;
	if (number && holder_of(s, ready) != HOLDER_NEW)
		return number;
	memcpy(s->tmp, ready, sizeof(ready));
	return 0;
}

/* The old version is now 'from', and becomes the backup. -1 with errno, if that says why. */
static int make_backup(const struct swap *s, const char *from)
{
	const char *backup = s->options->backup;

	if (conflict_spare_backup(s->dirfd, s->name, s->tmp, backup, from) < 0)
		return -1;
	return renameat(s->dirfd, from, s->dirfd, backup);
}

/*
 * Without RENAME_EXCHANGE (NFS, some FUSE): a second link keeps the old version. The link and the
 * later rename go to names, so a foreign writer in between is not noticed: see docs/reliability.md.
 */
static int backup_by_link(struct swap *s)
{
	char link_name[TEMP_NAME_SIZE];
	struct file_version linked;
	int result = 0;

	if (!s->options->backup)
		return 0;
	if (temp_name_make(s->name, link_name, s->err) < 0)
		return -1;
	if (linkat(s->dirfd, s->name, s->dirfd, link_name, 0) < 0) {
		if (path_is_unsupported(errno) || errno == EPERM || errno == EMLINK)
			return 0;    /* no links here: no backup, which is no reason to refuse */
		if (errno == ENOENT) /* looked up, and replaced before it was linked */
			return err_set(s->err, ERR_BUSY, "'%s' was changed by another program",
				       s->name);
		return err_errno(s->err, ERR_FAILED, "cannot keep the old version of '%s'",
				 s->name);
	}
	if (file_version(s->dirfd, link_name, &linked, s->err) < 0)
		result = -1;
	else if (linked.ino != s->old.ino || linked.size != s->old.size ||
		 linked.mtime_ns != s->old.mtime_ns)
		result = err_set(s->err, ERR_BUSY, "'%s' was changed by another program", s->name);
	else if (make_backup(s, link_name) < 0)
		result = err_errno(s->err, ERR_FAILED, "cannot keep the old version of '%s'",
				   s->name);
	/* Two links to one inode: rename() does nothing then, and says it has. */
	unlinkat(s->dirfd, link_name, 0);
	return result;
}

/* The three ways below give 0, the errno of the rename, or GIVEN_UP with the cause in 's->err'. */
#define GIVEN_UP (-1)

static int rename_plainly(const struct swap *s)
{
	return renameat(s->dirfd, s->tmp, s->dirfd, s->name) < 0 ? errno : 0;
}

static int rename_over(struct swap *s)
{
	int number = mark_ready(s);

	if (number)
		return number;
	s->exchanged = true;
	if (renameat2(s->dirfd, s->tmp, s->dirfd, s->name, RENAME_EXCHANGE) == 0)
		return 0;
	if (!path_is_unsupported(errno))
		return errno;
	s->exchanged = false;
	return backup_by_link(s) < 0 ? GIVEN_UP : rename_plainly(s);
}

/* EEXIST if somebody was first. */
static int rename_to_new(const struct swap *s)
{
	if (renameat2(s->dirfd, s->tmp, s->dirfd, s->name, RENAME_NOREPLACE) == 0)
		return 0;
	if (!path_is_unsupported(errno))
		return errno;
	if (linkat(s->dirfd, s->tmp, s->dirfd, s->name, 0) == 0)
		return 0;
	return path_is_unsupported(errno) || errno == EPERM ? rename_plainly(s) : errno;
}

static int rename_as_asked(struct swap *s)
{
	const struct file_replace_options *o = s->options;

	if (!o->expected && !o->backup && !o->must_be_new)
		return rename_plainly(s);
	return s->old.exists ? rename_over(s) : rename_to_new(s);
}

/* The name does not lead to our file. 'number': what the rename said, 0 for success. */
static enum file_result explain_failure(struct swap *s, int number)
{
	if (number == 0 && holder_of(s, s->tmp) == HOLDER_NEW) {
		err_set(s->err, ERR_NOT_DURABLE,
			"the file system says that '%s' was replaced, but it was not", s->name);
		return FILE_NOT_DURABLE;
	}
	if (number == 0 || number == EEXIST) {
		err_set(s->err, ERR_BUSY, "'%s' was changed by another program", s->name);
		return FILE_UNCHANGED;
	}
	errno = number;
	err_errno(s->err, ERR_FAILED, "cannot replace '%s'", s->name);
	if (number == EBUSY)
		err_hint(s->err, "if the file is mounted on its own (docker -v file:file), "
				 "mount its directory instead");
	return FILE_UNCHANGED;
}

/* ---- what was exchanged ---- */

/* The version under 'tmp' is the one that was read (its ctime alone moved, by the exchange). */
static bool is_the_old_one(const struct swap *s)
{
	const struct str *text = s->options->expected_text;
	const struct file_piece piece = { text ? text->buf : NULL, text ? text->len : 0 };
	struct err ignored = ERR_INIT;
	struct file_version now;

	/* Where that cannot be told it becomes the backup, which loses nothing either. */
	if (file_version(s->dirfd, s->tmp, &now, &ignored) < 0 &&
	    file_version(s->dirfd, s->tmp, &now, &ignored) < 0)
		return true;
	if (!now.exists)
		return false;
	if (now.dev != s->old.dev || now.ino != s->old.ino || now.size != s->old.size ||
	    now.mtime_ns != s->old.mtime_ns)
		return false;
	return !text || has_content(s->old_fd, &piece, 1) != 0;
}

/* The version under 'tmp' is kept; 'kept': as what. */
static void keep_found(struct swap *s, char kept[TEMP_NAME_SIZE])
{
	if (conflict_keep(s->dirfd, s->name, s->tmp, s->tmp, kept) < 0)
		s->has_tmp = false;
}

/* Last resort: what has the name now stays, the version under 'tmp' is kept beside it. */
static enum file_result leave_conflict(struct swap *s, char kept[TEMP_NAME_SIZE])
{
	if (!kept[0])
		keep_found(s, kept);
	err_set(s->err, ERR_NOT_DURABLE,
		"another program wrote '%s' in the same moment; its version is kept as '%s'",
		s->name, kept);
	return FILE_NOT_DURABLE;
}

/* 0 if there is none, or that cannot be told. */
static uint64_t inode_of(const struct swap *s, const char *name)
{
	struct stat st;

	return fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_ino;
}

/* What came out is what we had put in: our own version, or one by another program. Ours may have been
 * written in place while it had the name. */
static enum file_result drop_put_in(struct swap *s, uint64_t ino, bool is_kept)
{
	char kept[TEMP_NAME_SIZE];

	if (!is_kept || (ino == s->ino && has_content(s->pin_fd, s->pieces, s->n_pieces) != 1))
		keep_found(s, kept);
	err_set(s->err, ERR_BUSY, "'%s' was changed by another program", s->name);
	return FILE_UNCHANGED;
}

/*
 * Somebody wrote between our last look and the exchange. Their version goes back, so that the
 * caller can read it and add to it; ours goes away. What comes out must be what we had put in: else
 * a still newer version has come in the meantime, and goes back in its turn. Each is also kept, for
 * the next may have been made from ours, which was there for an instant.
 */
static enum file_result put_back(struct swap *s)
{
	char kept[TEMP_NAME_SIZE] = "";
	uint64_t put_in = s->ino;
	bool is_kept = true; /* ours need not be */

	for (int i = 0; i < PUT_BACKS; i++) {
		uint64_t theirs = inode_of(s, s->tmp);

		conflict_link(s->dirfd, s->name, s->tmp, s->tmp, kept);
		if (!theirs || renameat2(s->dirfd, s->tmp, s->dirfd, s->name, RENAME_EXCHANGE) < 0)
			return leave_conflict(s, kept);
		if (kept[0])
			log_warn("another program changed '%s' at the same time; its version is "
				 "also kept as '%s'",
				 s->name, kept);
		if (inode_of(s, s->tmp) == put_in)
			return drop_put_in(s, put_in, is_kept);
		put_in = theirs;
		is_kept = kept[0] != '\0';
	}
	kept[0] = '\0';
	return leave_conflict(s, kept);
}

static void keep_backup(struct swap *s)
{
	if (!s->options->backup || make_backup(s, s->tmp) == 0)
		return;
	log_warn("cannot keep the old version of '%s': %s", s->name, errno_name(errno));
}

static void note_was_there(const struct swap *s)
{
	if (s->options->was_there)
		*s->options->was_there = true;
}

/* Our exchange has taken a version out, and another program has replaced ours since. */
static void keep_overtaken(struct swap *s)
{
	char kept[TEMP_NAME_SIZE];

	if (inode_of(s, s->tmp) == 0) { /* if it is there, the next sweep can tell what it is */
		s->has_tmp = false;
		return;
	}
	if (is_the_old_one(s)) { /* what has replaced ours since may be nothing at all */
		keep_backup(s);
		return;
	}
	keep_found(s, kept);
	log_warn("another program changed '%s' at the same time; a version of it is kept as '%s'",
		 s->name, kept);
}

static enum file_result commit(struct swap *s)
{
	int number = rename_as_asked(s);
	enum holder holder;

	if (number == GIVEN_UP)
		return FILE_UNCHANGED;
	holder = holder_of(s, s->name);
	if (holder == HOLDER_UNKNOWN)
		holder = holder_of(s, s->name); /* looking twice harms nobody */
	if (holder == HOLDER_UNKNOWN) {
		s->has_tmp = false; /* it may be the only copy of either version */
		err_errno(s->err, ERR_NOT_DURABLE, "cannot tell whether '%s' was replaced",
			  s->name);
		return FILE_NOT_DURABLE;
	}
	if (holder == HOLDER_OTHER) {
		if (holder_of(s, s->tmp) != HOLDER_NEW) {
			note_was_there(s);
			if (s->exchanged)
				keep_overtaken(s);
		}
		return explain_failure(s, number);
	}
	if (s->exchanged) {
		if (!is_the_old_one(s)) {
			note_was_there(s);
			return put_back(s);
		}
		keep_backup(s);
	}
	if (path_sync_dir(s->dirfd) < 0) {
		err_errno(s->err, ERR_NOT_DURABLE,
			  "'%s' is replaced, but its directory cannot be synced", s->name);
		return FILE_NOT_DURABLE;
	}
	return FILE_DONE;
}

enum file_result file_replace_pieces(int dirfd, const char *name, const struct file_piece *pieces,
				     size_t n, const struct file_replace_options *options,
				     struct err *err)
{
	static const struct file_replace_options plain;
	enum file_result result = FILE_UNCHANGED;
	struct swap s = {
		.dirfd = dirfd,
		.name = name,
		.pieces = pieces,
		.n_pieces = n,
		.options = options ? options : &plain,
		.err = err,
		.old_fd = -1,
		.tmp_fd = -1,
		.pin_fd = -1,
	};

	if (open_old(&s) == 0 && make_temporary(&s) == 0 && fill_temporary(&s) == 0 &&
	    last_check(&s) == 0)
		result = commit(&s);
	if (s.tmp_fd >= 0)
		close(s.tmp_fd); /* the failure that left it open is in 'err' already */
	if (s.pin_fd >= 0)
		close(s.pin_fd);
	if (s.has_tmp)
		unlinkat(dirfd, s.tmp, 0); /* mostly gone by now; what stays is swept later */
	if (s.old_fd >= 0)
		close(s.old_fd);
	return result;
}

enum file_result file_replace(int dirfd, const char *name, const char *data, size_t len,
			      const struct file_replace_options *options, struct err *err)
{
	const struct file_piece piece = { data, len };

	return file_replace_pieces(dirfd, name, &piece, 1, options, err);
}

/* ---- links ---- */

static bool link_points_at(int dirfd, const char *name, const char *target)
{
	char now[PATH_MAX];
	ssize_t len = readlinkat(dirfd, name, now, sizeof(now));

	return len >= 0 && (size_t)len == strlen(target) && memcmp(now, target, (size_t)len) == 0;
}

int file_replace_link(int dirfd, const char *name, const char *target, struct err *err)
{
	char tmp[TEMP_NAME_SIZE];
	bool is_left;
	int number = 0;

	file_sweep(dirfd, name, NULL, FILE_STALE_S);
	if (temp_name_make(name, tmp, err) < 0)
		return -1;
	if (symlinkat(target, dirfd, tmp) < 0)
		return err_errno(err, ERR_FAILED, "cannot make the link '%s'", name);
	if (renameat(dirfd, tmp, dirfd, name) < 0)
		number = errno;
	/* Ours moved, and another process may have replaced it since: that is no failure of ours. */
	is_left = unlinkat(dirfd, tmp, 0) == 0;
	if ((number || is_left) && !link_points_at(dirfd, name, target)) {
		errno = number ? number : EIO;
		return err_errno(err, ERR_FAILED, "cannot replace the link '%s'", name);
	}
	if (path_sync_dir(dirfd) < 0)
		return err_errno(err, ERR_NOT_DURABLE, "cannot sync the directory of '%s'", name);
	return 0;
}
