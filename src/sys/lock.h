/*
 * lock - one writer at a time, also across hosts.
 *
 *	struct lock lock = LOCK_INIT;
 *	if (lock_acquire(&lock, dirfd, ".training_info.json.lock", where, 60000, &err) < 0) ...
 *	...
 *	lock_release(&lock);
 *
 * An open-file-description lock (fcntl F_OFD_SETLKW) on a separate file that is
 * never removed: it works over NFS, dies with its holder, and is not lost when
 * another descriptor is closed. The holder writes who it is into the file.
 */
#ifndef SYS_LOCK_H
#define SYS_LOCK_H
#include "base/err.h"

struct lock {
	int fd;
	char nonce[17]; /* what the holder's line must still say at the fence */
};

#define LOCK_INIT                     \
	{                             \
		.fd = -1, .nonce = "" \
	}

/*
 * Wait for the lock at most 'timeout_ms'; negative: 60 s, and 150 s on NFS, whose server may be in
 * its grace period. 'where' ("exp_1/stage1_hrds") is for messages. ERR_BUSY
 * names the holder: pid, host, command, since when. ERR_FAILED where the file system has no locks, or
 * such as do not exclude, ERR_INVALID where the lock file is not a regular file.
 */
int lock_acquire(struct lock *lock, int dirfd, const char *name, const char *where, int timeout_ms,
		 struct err *err);

/* Still ours? (an NFS client may have lost its lease; the file may have been replaced) */
int lock_check(struct lock *lock, struct err *err);

void lock_release(struct lock *lock);

/* Does anybody hold it now? Takes nothing and makes no file; true where that cannot be told. */
bool lock_is_held(int dirfd, const char *name);

/* The host of whoever holds it now, as its line says, in fresh memory; NULL: nobody, or not known. */
char *lock_holder_host(int dirfd, const char *name);

/*
 * Take it from 'host', another one than this, of which the user says that it is gone: its file is
 * removed, so the next one to lock makes a new one, and lock_check() on 'host', should it live, says
 * that the lock was lost. 1: done, 0: 'host' does not hold it.
 */
int lock_break(int dirfd, const char *name, const char *host, struct err *err);

/*
 * True if 'mountinfo' (the text of /proc/self/mountinfo) says that locks on device major:minor are
 * seen by this host only: NFS with nolock or local_lock. lock_acquire() refuses such a place.
 */
bool lock_is_local(const char *mountinfo, unsigned major, unsigned minor);

#endif
