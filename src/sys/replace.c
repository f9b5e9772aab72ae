/*
 * The swap, step by step (docs/reliability.md has the reasons):
 *
 *	open the old version -> make, fill, sync and read back a temporary file beside it
 *	-> fence, and the old version is still there -> rename -> look who has the name now
 *	-> old version becomes the backup -> sync the directory
 *
 * The temporary's name tells whoever finds it after a crash what it is: see "temporary names".
 *
 * Up to the rename every failure leaves the file as it was. From the rename on nothing is believed
 * but inode numbers: a rename may succeed and report an error, or another program may write into
 * the same moment. No inode is synced twice: after a failed fsync the kernel may have dropped the
 * data and would report success.
 */
#include "base/base.h"

#include "sys/file.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "sys/meta.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMP_SIZE (NAME_MAX + 1)

/* ".NAME.tmp." + 10 digits of a pid + three times "." and 16 hex digits must fit in NAME_MAX. */
#define NAME_ROOM (NAME_MAX - 1 - 5 - 10 - 3 * 17)

#define CONFLICT_FORMAT ".%.180s.conflict-"

/* What is read or written at a time; pieces above it are written as they are. */
#define BLOCK (64 << 10)

/* How often a version that another program has just written is put back before we let it lie. */
#define PUT_BACKS 100

struct swap {
	int dirfd;
	const char *name;
	const struct file_piece *pieces;
	size_t n_pieces;
	const struct file_replace_options *options;
	struct err *err;

	struct file_version old; /* the version that gives way */
	int old_fd;		 /* it, open; -1 if there is none */
	char tmp[TEMP_SIZE];
	int tmp_fd;
	bool has_tmp; /* 'tmp' is to be removed at the end */
	uint64_t dev; /* of the new file */
	uint64_t ino;
	int pin_fd;	/* it, open: its number must not go to another file meanwhile */
	bool exchanged; /* the old version is now under 'tmp' */
};

/* ---- temporary names ---- */

/*
 * While a temporary is made, ".NAME.tmp.PID.HEX". Once it is whole and about to be exchanged, with
 * ".INO.DIGEST" behind that: its own inode number, and the digest of the text that gives way. So it
 * is certain after a crash what lies under such a name: with this inode it is our own version, never
 * put in place or taken back; with another and this digest, the old version; with another digest, one
 * by a foreign program. Times tell nothing: a clock ticks in 4 ms, and a chmod moves the ctime.
 */
#define READY_FORMAT ".%llx.%016llx"
#define NO_DIGEST 0 /* the caller gave no text: the one that gave way is the old version */

/* ".NAME.tmp."; a name too long for that gives way to a hash (FNV-1a) of itself. */
static void temp_prefix(const char *name, char out[TEMP_SIZE])
{
	uint64_t hash = 14695981039346656037u;

	if (strlen(name) <= NAME_ROOM) {
		snprintf(out, TEMP_SIZE, ".%s.tmp.", name);
		return;
	}
	for (const char *c = name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 1099511628211u;
	snprintf(out, TEMP_SIZE, ".%016llx.tmp.", (unsigned long long)hash);
}

static int make_temp_name(const char *name, char out[TEMP_SIZE], struct err *err)
{
	char hex[17];
	size_t len;

	if (id_random_hex(hex, err) < 0)
		return -1;
	temp_prefix(name, out);
	len = strlen(out);
	snprintf(out + len, TEMP_SIZE - len, "%ld.%s", (long)getpid(), hex);
	return 0;
}

/* Not against forgers: whoever can write here needs no tricks. Eight bytes a step, for 64 MiB; a step
 * is one-to-one, so a change of one word never goes unseen. */
static uint64_t digest_of(const struct str *text)
{
	uint64_t hash = 14695981039346656037u ^ text->len;

	for (size_t at = 0; at < text->len; at += sizeof(uint64_t)) {
		size_t left = text->len - at;
		uint64_t word = 0;

		memcpy(&word, text->buf + at, left < sizeof(word) ? left : sizeof(word));
		hash = (hash ^ word) * 1099511628211u;
		hash ^= hash >> 32;
	}
	return hash == NO_DIGEST ? 1 : hash;
}

/* ---- versions of other programs ---- */

/*
 * A free name of this temporary, whose digits no other one has: several foreign versions may have to
 * be kept for one temporary, some of them by a process that was killed. "" if none can be found.
 */
static void conflict_name(int dirfd, const char *name, const char *tmp, char out[TEMP_SIZE])
{
	char prefix[TEMP_SIZE];
	char when[CLOCK_TEXT_SIZE];
	unsigned int number = 0;
	struct stat st;

	temp_prefix(name, prefix);
	sscanf(tmp + strlen(prefix), "%*d.%8x", &number);
	clock_format_name(clock_now(), when);
	for (int i = 0; i <= PUT_BACKS; i++) {
		snprintf(out, TEMP_SIZE, CONFLICT_FORMAT "%s-%08x", name, when, number++);
		if (fstatat(dirfd, out, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			return;
	}
	out[0] = '\0';
}

/* Another name for a foreign version that is about to lose its own; "" if that cannot be. */
static void link_aside(int dirfd, const char *name, const char *tmp, const char *from,
		       char out[TEMP_SIZE])
{
	conflict_name(dirfd, name, tmp, out);
	if (linkat(dirfd, from, dirfd, out, 0) < 0)
		out[0] = '\0';
}

/* Its own name gives way to that of a conflict. If that cannot be, -1, and 'out' is 'from'. */
static int move_aside(int dirfd, const char *name, const char *tmp, const char *from,
		      char out[TEMP_SIZE])
{
	conflict_name(dirfd, name, tmp, out);
	if (renameat(dirfd, from, dirfd, out) == 0)
		return 0;
	snprintf(out, TEMP_SIZE, "%s", from);
	return -1;
}

/* Either; -1 if 'from' is the only name of it still, and must stay. */
static int set_aside(int dirfd, const char *name, const char *tmp, const char *from,
		     char out[TEMP_SIZE])
{
	link_aside(dirfd, name, tmp, from, out);
	return out[0] ? 0 : move_aside(dirfd, name, tmp, from, out);
}

/* When a file was made; 'otherwise' where that is not kept. */
static int64_t birth_of(int dirfd, const char *name, int64_t otherwise)
{
	struct statx stx;

	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &stx) < 0 ||
	    !(stx.stx_mask & STATX_BTIME))
		return otherwise;
	return stx.stx_btime.tv_sec * 1000000000 + stx.stx_btime.tv_nsec;
}

/*
 * The backup is about to be replaced by 'from', the version that came after it. A program that had
 * opened the record before that and wrote into it later has written into the backup: then it is
 * younger than its successor. (So it may be in the copy of a directory, and is kept once for nothing.)
 * -1 if what was written cannot be kept.
 */
static int spare_backup(int dirfd, const char *name, const char *tmp, const char *backup,
			const char *from)
{
	struct file_version version;
	struct file_version next;
	struct err ignored = ERR_INIT;
	char kept[TEMP_SIZE];

	if (file_version(dirfd, backup, &version, &ignored) < 0 ||
	    file_version(dirfd, from, &next, &ignored) < 0)
		return -1;
	/* The same file: a crash came after backup_by_link(). */
	if (!version.exists || !S_ISREG(version.mode) ||
	    (version.dev == next.dev && version.ino == next.ino) ||
	    version.mtime_ns <= birth_of(dirfd, from, next.mtime_ns))
		return 0;
	if (set_aside(dirfd, name, tmp, backup, kept) < 0)
		return -1;
	log_warn("'%s' is younger than '%s', which another program must have written; it is kept "
		 "as '%s'",
		 backup, name, kept);
	return 0;
}

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

	if (make_temp_name(s->name, s->tmp, s->err) < 0)
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
	char ready[TEMP_SIZE];
	size_t len = strlen(s->tmp);
	int number = 0;

	memcpy(ready, s->tmp, len);
	snprintf(ready + len, sizeof(ready) - len, READY_FORMAT, (unsigned long long)s->ino,
		 (unsigned long long)(text ? digest_of(text) : NO_DIGEST));
	if (renameat(s->dirfd, s->tmp, s->dirfd, ready) < 0)
		number = errno;
	if (number && holder_of(s, ready) != HOLDER_NEW)
		return number;
	memcpy(s->tmp, ready, sizeof(ready));
	return 0;
}

/* The only answers after which another way is tried; any other error is an error. */
static bool is_unsupported(int number)
{
	return number == EINVAL || number == ENOSYS || number == EOPNOTSUPP;
}

/* The old version is now 'from', and becomes the backup. -1 with errno, if that says why. */
static int make_backup(const struct swap *s, const char *from)
{
	const char *backup = s->options->backup;

	if (spare_backup(s->dirfd, s->name, s->tmp, backup, from) < 0)
		return -1;
	return renameat(s->dirfd, from, s->dirfd, backup);
}

/*
 * Without RENAME_EXCHANGE (NFS, some FUSE): a second link keeps the old version. The link and the
 * later rename go to names, so a foreign writer in between is not noticed: see docs/reliability.md.
 */
static int backup_by_link(struct swap *s)
{
	char link_name[TEMP_SIZE];
	struct file_version linked;
	int result = 0;

	if (!s->options->backup)
		return 0;
	if (make_temp_name(s->name, link_name, s->err) < 0)
		return -1;
	if (linkat(s->dirfd, s->name, s->dirfd, link_name, 0) < 0) {
		if (is_unsupported(errno) || errno == EPERM || errno == EMLINK)
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
	if (!is_unsupported(errno))
		return errno;
	s->exchanged = false;
	return backup_by_link(s) < 0 ? GIVEN_UP : rename_plainly(s);
}

/* EEXIST if somebody was first. */
static int rename_to_new(const struct swap *s)
{
	if (renameat2(s->dirfd, s->tmp, s->dirfd, s->name, RENAME_NOREPLACE) == 0)
		return 0;
	if (!is_unsupported(errno))
		return errno;
	if (linkat(s->dirfd, s->tmp, s->dirfd, s->name, 0) == 0)
		return 0;
	return is_unsupported(errno) || errno == EPERM ? rename_plainly(s) : errno;
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
static void keep_found(struct swap *s, char kept[TEMP_SIZE])
{
	if (set_aside(s->dirfd, s->name, s->tmp, s->tmp, kept) < 0)
		s->has_tmp = false;
}

/* Last resort: what has the name now stays, the version under 'tmp' is kept beside it. */
static enum file_result leave_conflict(struct swap *s, char kept[TEMP_SIZE])
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
	char kept[TEMP_SIZE];

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
	char kept[TEMP_SIZE] = "";
	uint64_t put_in = s->ino;
	bool is_kept = true; /* ours need not be */

	for (int i = 0; i < PUT_BACKS; i++) {
		uint64_t theirs = inode_of(s, s->tmp);

		link_aside(s->dirfd, s->name, s->tmp, s->tmp, kept);
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
	char kept[TEMP_SIZE];

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
		if (s->exchanged && holder_of(s, s->tmp) != HOLDER_NEW) {
			note_was_there(s);
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

/* ---- leftovers ---- */

struct sweep {
	int dirfd;
	const char *name;
	const char *backup;
	int age_s;
	char prefix[TEMP_SIZE];
	struct strv names; /* of all that lies there */
};

/* The version that our own took the place of when a crash came; 'digest': what it should be. */
static bool was_in_place(const struct sweep *sweep, const char *tmp,
			 const struct file_version *found, uint64_t *digest)
{
	unsigned long long ino;
	unsigned long long sum;

	if (sscanf(tmp + strlen(sweep->prefix), "%*d.%*16[0-9a-f].%llx.%16llx", &ino, &sum) != 2)
		return false;
	*digest = sum;
	return found->ino != ino;
}

static bool has_digest(const struct sweep *sweep, const char *tmp, uint64_t digest)
{
	struct str text = STR_INIT;
	struct err ignored = ERR_INIT; /* what cannot be read is kept */
	bool has = digest == NO_DIGEST ||
		   (file_read(sweep->dirfd, tmp, FILE_LIMIT, &text, NULL, &ignored) == 0 &&
		    digest_of(&text) == digest);

	str_release(&text);
	return has;
}

/* put_back() may have given it its name before the crash. */
static bool has_conflict(const struct sweep *sweep, const struct file_version *version)
{
	char prefix[TEMP_SIZE];
	struct stat st;

	snprintf(prefix, sizeof(prefix), CONFLICT_FORMAT, sweep->name);
	for (size_t i = 0; i < sweep->names.n; i++)
		if (has_prefix(sweep->names.v[i], prefix) &&
		    fstatat(sweep->dirfd, sweep->names.v[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_dev == version->dev && st.st_ino == version->ino)
			return true;
	return false;
}

/* The old version becomes the backup, unless it has two names: then it is in the quarantine. True
 * if it may be removed. */
static bool rescue_old(const struct sweep *sweep, const char *tmp)
{
	struct stat st;

	if (!sweep->backup)
		return true;
	if (fstatat(sweep->dirfd, tmp, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink > 1)
		return true;
	if (spare_backup(sweep->dirfd, sweep->name, tmp, sweep->backup, tmp) < 0 ||
	    renameat(sweep->dirfd, tmp, sweep->dirfd, sweep->backup) < 0)
		log_warn("cannot keep the old version of '%s', which is '%s'", sweep->name, tmp);
	return false;
}

/* True if what lies under 'tmp' may be removed: it is of no use, or kept elsewhere. */
static bool rescue(const struct sweep *sweep, const char *tmp, const struct file_version *found,
		   uint64_t digest)
{
	char kept[TEMP_SIZE];

	if (has_digest(sweep, tmp, digest))
		return rescue_old(sweep, tmp);
	if (has_conflict(sweep, found))
		return true;
	move_aside(sweep->dirfd, sweep->name, tmp, tmp, kept);
	log_warn("a version of '%s' by another program was found and kept as '%s'", sweep->name,
		 kept);
	return false;
}

static bool sweep_one(const struct sweep *sweep, const char *tmp)
{
	struct err ignored = ERR_INIT;
	struct file_version found;
	uint64_t digest;
	int64_t newest = ((int64_t)time(NULL) - sweep->age_s) * 1000000000;

	if (file_version(sweep->dirfd, tmp, &found, &ignored) < 0 || !found.exists ||
	    (!S_ISREG(found.mode) && !S_ISLNK(found.mode)))
		return false;
	if (sweep->age_s > 0 && found.ctime_ns > newest)
		return false;
	if (was_in_place(sweep, tmp, &found, &digest) && !rescue(sweep, tmp, &found, digest))
		return true;
	return unlinkat(sweep->dirfd, tmp, 0) == 0;
}

int file_sweep(int dirfd, const char *name, const char *backup, int age_s)
{
	struct sweep sweep = {
		.dirfd = dirfd, .name = name, .backup = backup, .age_s = age_s, .names = STRV_INIT
	};
	struct err ignored = ERR_INIT;
	int count = 0;

	temp_prefix(name, sweep.prefix);
	if (path_list(dirfd, &sweep.names, &ignored) == 0)
		for (size_t i = 0; i < sweep.names.n; i++)
			if (has_prefix(sweep.names.v[i], sweep.prefix))
				count += sweep_one(&sweep, sweep.names.v[i]);
	strv_release(&sweep.names);
	return count;
}

/* As in "temporary names", of either kind. */
static bool is_temp_name(const char *name)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = name[0] == '.' ? strstr(name, ".tmp.") : NULL;

	if (!at)
		return false;
	at += strlen(".tmp.");
	at += strspn(at, "0123456789");
	if (*at++ != '.' || strspn(at, digits) != 16)
		return false;
	at += 16;
	if (!*at)
		return true;
	if (*at++ != '.')
		return false;
	at += strspn(at, digits);
	return *at == '.' && strlen(at + 1) == 16 && strspn(at + 1, digits) == 16;
}

int file_sweep_listed(int dirfd, const struct strv *names)
{
	const struct sweep sweep = { .dirfd = dirfd, .age_s = FILE_STALE_S };
	int count = 0;

	for (size_t i = 0; i < names->n; i++)
		if (is_temp_name(names->v[i]))
			count += sweep_one(&sweep, names->v[i]);
	return count;
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
	char tmp[TEMP_SIZE];
	bool is_left;
	int number = 0;

	file_sweep(dirfd, name, NULL, FILE_STALE_S);
	if (make_temp_name(name, tmp, err) < 0)
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
