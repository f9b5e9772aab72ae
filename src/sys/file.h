/*
 * file - whole files, safely.
 *
 * file_replace() swaps the content of a file in one step: readers see the old
 * bytes or the new bytes. It does not take locks; see sys/lock.h. The protocol
 * and the reasons are in docs/reliability.md. Knows nothing of JSON or records.
 */
#ifndef SYS_FILE_H
#define SYS_FILE_H
#include "base/err.h"
#include "base/str.h"

enum file_result { FILE_UNCHANGED = -1, FILE_DONE = 0, FILE_NOT_DURABLE = 1 };

/* What tells one version of a file from another. 'exists' false: there was none. */
struct file_version {
	bool exists;
	uint64_t dev;
	uint64_t ino;
	int64_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
};

/* The default upper limit for one record, in bytes (reliability.md: warn at 8 MiB, refuse at 64). */
#define FILE_LIMIT (64u << 20)

/*
 * Read regular file 'name' below 'dirfd' into 'out' (cleared first); never follows a link, never
 * blocks on a FIFO. ERR_NOT_FOUND if absent; ERR_INVALID for a link, a directory, a device, or more
 * than 'limit' bytes; else ERR_FAILED. 'version' may be NULL.
 */
int file_read(int dirfd, const char *name, size_t limit, struct str *out,
	      struct file_version *version, struct err *err);

/* Its first 'max' bytes, or all if it has less; else as file_read(). */
int file_read_head(int dirfd, const char *name, size_t max, struct str *out, struct err *err);

/* file_read() by path, links followed: for files that a user names (plugins, configuration). */
int file_read_path(const char *path, size_t limit, struct str *out, struct err *err);

/* What is there now. 0, or -1 (ERR_FAILED) if that cannot be told. */
int file_version(int dirfd, const char *name, struct file_version *out, struct err *err);
bool file_version_equal(const struct file_version *a, const struct file_version *b);

/* ERR_INVALID, naming what it is, unless 'version' is a regular file or nothing at all. */
int file_check_regular(const struct file_version *version, const char *name, struct err *err);

/*
 * How to replace. Zeroed fields mean: whatever is there, no backup, no check.
 */
struct file_replace_options {
	const struct file_version *expected; /* replace only this version, else ERR_BUSY */
	const struct str *expected_text;     /* ... with this content: mtimes may be too coarse */
	const char *backup;		     /* keep the old version under this name */
	int (*fence)(void *arg, struct err *err); /* last check before the commit; -1 stops it */
	void *fence_arg;
	bool must_be_new; /* ERR_BUSY if the name exists */
	/* Set with ERR_BUSY if the new version had the name for an instant; may be NULL. */
	bool *was_there;
};

/*
 * Replace 'name' in 'dirfd' by 'len' bytes of 'data': temporary file in the same directory, write,
 * fsync, read back, rename, fsync of the directory. Mode, owner, ACL and user xattrs are kept.
 * A version that another program wrote at the last moment is put back (ERR_BUSY: read it and try
 * again) and also kept as ".NAME.conflict-TIME-HEX". Not for a file that others may only read.
 * FILE_NOT_DURABLE: replaced, but the directory could not be synced. The outcome is decided by what
 * lies on disk, not by what rename() returned.
 */
enum file_result file_replace(int dirfd, const char *name, const char *data, size_t len,
			      const struct file_replace_options *options, struct err *err);

/* The same with the data in 'n' pieces, which need not be put together in memory first. */
struct file_piece {
	const char *data;
	size_t len;
};

enum file_result file_replace_pieces(int dirfd, const char *name, const struct file_piece *pieces,
				     size_t n, const struct file_replace_options *options,
				     struct err *err);

/*
 * Remove temporary files of 'name' older than 'age_s' seconds; call it under the lock. The count.
 * A version that a crash in the middle of a swap left there is kept: as 'backup' (may be NULL) if it
 * is the 'expected_text' of that swap or none was given, else as a conflict.
 */
int file_sweep(int dirfd, const char *name, const char *backup, int age_s);

/*
 * The same where there is no lock, for whatever file: of 'names' (path_list()) the temporary ones
 * that nobody has touched for FILE_STALE_S seconds. No write takes that long.
 */
#define FILE_STALE_S 60
int file_sweep_listed(int dirfd, const struct strv *names);

/* Remove 'name' and sync the directory; an absent file is fine. */
int file_remove(int dirfd, const char *name, struct err *err);

/* Point symbolic link 'name' in 'dirfd' at 'target' in one step. */
int file_replace_link(int dirfd, const char *name, const char *target, struct err *err);

/* Write all of it, whatever write() says about pieces. */
int file_write_all(int fd, const char *data, size_t len, struct err *err, const char *name);

#endif
