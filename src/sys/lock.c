/*
 * Two ranges of the lock file: the lock itself, from its first byte on, and far behind it a turnstile
 * that is held while waiting for the lock. The kernel queues those that wait, but gives a free lock to
 * whoever asks before the first of them has woken up; at the turnstile such a one comes last.
 *
 * Waiting is done in the kernel (F_OFD_SETLKW): 32 writers on one file had their longest wait at half
 * of what polling gave. A timer of this thread ends it: it
 * sends a real-time signal whose handler does nothing, so that fcntl() returns EINTR. It goes on
 * firing, because a first signal may come just before the call. The signal's old disposition and
 * mask are restored afterwards.
 */
#include "base/base.h"

#include "sys/lock.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/json.h"
#include "sys/path.h"
#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546 /* linux/magic.h has it since 5.15 */
#endif

#define TIMEOUT_MS 60000

/* After a restart an NFS server grants nothing for 90 s (its grace period). */
#define TIMEOUT_NFS_MS 150000

/* Say so when a wait lasts longer than that, and how often a late signal is repeated. */
#define PATIENCE_MS 2000
#define REPEAT_MS 50

/* A holder's line is small; more is not ours. */
#define LINE_LIMIT 4096

/* Words and bytes of our command line that go into it: verb and stage, nobody's secrets. */
#define COMMAND_WORDS 3
#define COMMAND_BYTES 80

/* 32 bits, for old NFS. Whoever locks the first byte, or all of them, excludes us. */
static const struct flock the_lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 << 30 };
static const struct flock turnstile = {
	.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1 << 30, .l_len = 1
};

struct holder {
	int64_t pid;
	int64_t start;
	int64_t since_ms;
	char *host;
	char *boot_id;
	char *command;
};

/* ---- the file ---- */

static int open_error(const char *name, struct err *err)
{
	if (errno == ELOOP)
		return err_set(err, ERR_INVALID, "the lock '%s' is a symbolic link, not a file",
			       name);
	if (errno == EISDIR || errno == ENXIO || errno == ENODEV)
		/* not reached by tests: check_lock_file() has looked, it was a file then */
		return err_errno(err, ERR_INVALID, "the lock '%s' is not a file", name);
	err_errno(err, ERR_FAILED, "cannot open the lock '%s'", name);
	if (errno == EACCES)
		err_hint(err, "its owner may let the group in: chmod g+rw %s", name);
	return -1;
}

/* Whoever can write the directory must be able to lock, whatever the umask of the first one was. */
static void share_new_lock(int dirfd, int fd)
{
	struct stat dir;
	mode_t mode = 0600;

	if (fstat(dirfd, &dir) < 0)
		return;
	if (dir.st_mode & S_IWGRP)
		mode |= 0060;
	if (dir.st_mode & S_IWOTH)
		mode |= 0006;
	if (fchown(fd, (uid_t)-1, dir.st_gid) < 0)
		log_info("cannot give the lock to group %u: %s", dir.st_gid, errno_name(errno));
	if (fchmod(fd, mode) < 0)
		log_info("cannot set the mode of the lock: %s", errno_name(errno));
}

/*
 * Not O_NONBLOCK: over NFSv4 it makes open() fail while a delegation is recalled. First without
 * O_CREAT: in a sticky directory the kernel refuses that for another user's file.
 */
static int open_lock(int dirfd, const char *name, struct err *err)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;

	for (int i = 0; i < 100; i++) {
		int fd = openat(dirfd, name, flags);

		if (fd >= 0)
			return fd;
		if (errno != ENOENT)
			return open_error(name, err);
		fd = openat(dirfd, name, flags | O_CREAT | O_EXCL, 0600);
		if (fd >= 0) {
			share_new_lock(dirfd, fd);
			return fd;
		}
		if (errno != EEXIST)
			return open_error(name, err);
	}
	return err_set(err, ERR_BUSY, "the lock '%s' comes and goes", name);
}

static int check_lock_file(int dirfd, const char *name, struct err *err)
{
	struct file_version version;

	if (file_version(dirfd, name, &version, err) < 0)
		return -1;
	return file_check_regular(&version, name, err);
}

/* ---- file systems without locks ---- */

bool lock_is_local(const char *mountinfo, unsigned major, unsigned minor)
{
	char device[32];
	const char *line = mountinfo;
	const char *end;
	bool local = false;

	/* "36 35 0:52 /mnt1 /mnt2 rw,noatime shared:1 - nfs server:/x rw,vers=3,nolock,..." */
	snprintf(device, sizeof(device), " %u:%u ", major, minor);
	for (; *line; line = *end ? end + 1 : end) {
		char *text;

		end = strchrnul(line, '\n');
		text = xstrndup(line, (size_t)(end - line));
		if (strstr(text, device) && strstr(text, " - nfs"))
			local = strstr(text, ",nolock") || strstr(text, "local_lock=all") ||
				strstr(text, "local_lock=posix");
		free(text);
	}
	return local;
}

static bool is_nfs(int dirfd)
{
	struct statfs fs;

	return fstatfs(dirfd, &fs) == 0 && fs.f_type == NFS_SUPER_MAGIC;
}

/* not reached by tests: an NFS mount is needed; tests/torture/vm has some */
static int check_nfs_mount(int dirfd, const char *where, struct err *err)
{
	struct str text = STR_INIT;
	struct err ignored = ERR_INIT;
	struct stat st;
	int result = 0;

	if (fstat(dirfd, &st) == 0 &&
	    file_read_path("/proc/self/mountinfo", 16 << 20, &text, &ignored) == 0 &&
	    lock_is_local(text.buf, major(st.st_dev), minor(st.st_dev))) {
		result = err_set(err, ERR_FAILED,
				 "cannot lock '%s': the file system is NFS mounted "
				 "without locks between hosts (nolock or local_lock)",
				 where);
		err_hint(err,
			 "mount it without 'nolock' and 'local_lock', or record on the server");
	}
	str_release(&text);
	return result;
}

/* ---- who holds it ---- */

/* "thhost run stage1": nothing behind "--", where other people's arguments begin. */
static void describe_command(struct str *out)
{
	struct str text = STR_INIT;
	struct err ignored = ERR_INIT;
	const char *word;
	int words = 0;

	if (file_read_path("/proc/self/cmdline", 1 << 20, &text, &ignored) < 0)
		str_clear(&text);
	for (word = text.buf; words < COMMAND_WORDS && word < text.buf + text.len; words++) {
		if (strcmp(word, "--") == 0)
			break;
		if (words)
			str_addch(out, ' ');
		str_adds(out, words ? word : path_base(word));
		word += strlen(word) + 1;
	}
	str_truncate(out, COMMAND_BYTES);
	str_release(&text);
}

static void host_name(char out[HOST_NAME_MAX + 1])
{
	if (gethostname(out, HOST_NAME_MAX + 1) < 0)
		out[0] = '\0';
	out[HOST_NAME_MAX] = '\0';
}

static void describe_self(const struct lock *lock, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 0);
	struct str command = STR_INIT;
	char host[HOST_NAME_MAX + 1];
	char boot_id[64];

	host_name(host);
	clock_boot_id(boot_id);
	describe_command(&command);
	jsonw_object(&w);
	jsonw_pair_int(&w, "pid", getpid());
	jsonw_pair_string(&w, "host", host);
	jsonw_pair_string(&w, "boot_id", boot_id);
	jsonw_pair_int(&w, "start", (int64_t)proc_start_time(getpid()));
	jsonw_pair_int(&w, "since_ms", clock_now_ms());
	jsonw_pair_string(&w, "cmd", command.buf);
	jsonw_pair_string(&w, "nonce", lock->nonce);
	jsonw_end(&w);
	str_addch(out, '\n');
	str_release(&command);
}

/* The line need not reach the disk: after a crash of the machine nobody holds the lock. */
static int write_holder(struct lock *lock, const char *name, struct err *err)
{
	struct str line = STR_INIT;
	int result = 0;
	ssize_t n;

	if (id_random_hex(lock->nonce, err) < 0)
		return -1;
	describe_self(lock, &line);
	do
		n = pwrite(lock->fd, line.buf, line.len, 0);
	while (n < 0 && errno == EINTR);
	if (n >= 0 && (size_t)n != line.len) {
		n = -1; /* not reached by tests: a disk that is full in the middle of a line */
		errno = ENOSPC;
	}
	if (n < 0 || ftruncate(lock->fd, (off_t)line.len) < 0)
		result = err_errno(err, ERR_FAILED, "cannot write the lock '%s'", name);
	str_release(&line);
	return result;
}

static ssize_t read_line(int fd, char line[LINE_LIMIT])
{
	ssize_t n;

	do
		n = pread(fd, line, LINE_LIMIT, 0);
	while (n < 0 && errno == EINTR);
	return n;
}

static int read_holder(int fd, struct holder *out)
{
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	char line[LINE_LIMIT];
	ssize_t n = read_line(fd, line);
	int result = -1;

	*out = (struct holder){ .pid = 0 };
	if (n > 0 && json_parse(&doc, "lock", line, (size_t)n, JSON_STRICT, &ignored) == 0 &&
	    json_int64(&doc, json_member(&doc, 0, "pid"), &out->pid) == 0 &&
	    json_int64(&doc, json_member(&doc, 0, "since_ms"), &out->since_ms) == 0) {
		out->host = json_string_copy(&doc, json_member(&doc, 0, "host"));
		out->boot_id = json_string_copy(&doc, json_member(&doc, 0, "boot_id"));
		out->command = json_string_copy(&doc, json_member(&doc, 0, "cmd"));
		if (json_int64(&doc, json_member(&doc, 0, "start"), &out->start) < 0)
			out->start = 0;
		result = out->host && out->boot_id && out->command ? 0 : -1;
	}
	json_release(&doc);
	return result;
}

static void holder_release(struct holder *holder)
{
	free(holder->host);
	free(holder->boot_id);
	free(holder->command);
}

/* The line may be of an earlier holder, where a program that writes none has the lock now. */
static bool is_stale(const struct holder *holder)
{
	char host[HOST_NAME_MAX + 1];
	char boot_id[64];

	host_name(host);
	clock_boot_id(boot_id);
	if (strcmp(holder->host, host) != 0)
		return false;
	return strcmp(holder->boot_id, boot_id) != 0 ||
	       (int64_t)proc_start_time((pid_t)holder->pid) != holder->start;
}

/* "exp_1/stage1_hrds is locked by pid 4711 on gpu03 ('thhost run stage1', for 12 s)" */
static void describe_holder(int fd, const char *where, struct str *out)
{
	struct holder holder;

	str_addf(out, "%s is locked by ", where);
	if (read_holder(fd, &holder) < 0 || is_stale(&holder)) {
		str_adds(out, "another program");
	} else {
		int64_t held_ms = clock_now_ms() - holder.since_ms;

		str_addf(out, "pid %lld on %s ('%s', for %lld s)", (long long)holder.pid,
			 holder.host, holder.command,
			 (long long)(held_ms > 0 ? held_ms / 1000 : 0));
	}
	holder_release(&holder);
}

/* ---- waiting ---- */

struct alarm {
	timer_t timer;
	bool has_timer;
	int signal;
	struct sigaction old_action;
	sigset_t old_mask;
};

static void do_nothing(int signal)
{
	(void)signal;
}

static int alarm_begin(struct alarm *alarm, struct err *err)
{
	struct sigaction action = { .sa_handler = do_nothing };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID };
	sigset_t mask;

	alarm->has_timer = false;
	alarm->signal = SIGRTMIN + 3;
	event.sigev_signo = alarm->signal;
	event._sigev_un._tid = gettid();
	sigemptyset(&action.sa_mask);
	sigemptyset(&mask);
	sigaddset(&mask, alarm->signal);
	sigaction(alarm->signal, &action, &alarm->old_action);
	pthread_sigmask(SIG_UNBLOCK, &mask, &alarm->old_mask);
	if (timer_create(CLOCK_MONOTONIC, &event, &alarm->timer) < 0)
		return err_errno(err, ERR_FAILED, "cannot make a timer");
	alarm->has_timer = true;
	return 0;
}

static void alarm_end(struct alarm *alarm)
{
	if (alarm->has_timer)
		timer_delete(alarm->timer);
	pthread_sigmask(SIG_SETMASK, &alarm->old_mask, NULL);
	sigaction(alarm->signal, &alarm->old_action, NULL);
}

static int alarm_set(struct alarm *alarm, int64_t ms, struct err *err)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 + 1 },
		.it_interval = { .tv_nsec = REPEAT_MS * 1000000 },
	};

	if (timer_settime(alarm->timer, 0, &when, NULL) < 0)
		/* not reached by tests: a valid time for a timer that is ours is taken */
		return err_errno(err, ERR_FAILED, "cannot set a timer");
	return 0;
}

static int set_lock(int fd, int command, struct flock range)
{
	return fcntl(fd, command, &range);
}

/*
 * The locks of FUSE are as good as the program behind it: bindfs with lock forwarding gives one file's
 * lock to everybody who asks through the same mount. 'fd' has the lock, so a second one must fail.
 */
static int check_fuse_lock(int fd, const char *where, struct err *err)
{
	struct statfs fs;
	char self[64];
	int second;
	int result;

	if (fstatfs(fd, &fs) < 0 || fs.f_type != FUSE_SUPER_MAGIC)
		return 0;
	/* not reached by tests: FUSE must be mounted; tests/torture/hosts_spec.lua does */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	second = open(self, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (second < 0)
		return err_errno(err, ERR_FAILED, "cannot try the lock of '%s'", where);
	result = set_lock(second, F_OFD_SETLK, the_lock);
	close(second);
	if (result < 0)
		return 0;
	err_set(err, ERR_FAILED,
		"cannot lock '%s': this FUSE file system gives a lock to two at once", where);
	err_hint(err, "mount it without lock forwarding, or record below the mount");
	return -1;
}

static int lock_error(const char *where, struct err *err)
{
	if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP || errno == EINVAL) {
		/* not reached by tests: a file system without locks must be mounted */
		err_errno(err, ERR_FAILED, "cannot lock '%s': this file system has no locks",
			  where);
		err_hint(err, "Lustre needs the mount option 'flock'; NFS needs its lock service");
		return -1;
	}
	return err_errno(err, ERR_FAILED, "cannot lock '%s'", where);
}

static bool is_held(int number)
{
	return number == EAGAIN || number == EACCES;
}

struct wait {
	const struct flock *range;
	const char *where;
	int64_t begun;
	int64_t deadline;
	bool has_told;
};

static int give_up(const struct wait *wait, int fd, struct err *err)
{
	struct str text = STR_INIT;
	int64_t waited = clock_monotonic_ms() - wait->begun;

	describe_holder(fd, wait->where, &text);
	err_set(err, ERR_BUSY, "%s; waited %lld s", text.buf, (long long)(waited + 500) / 1000);
	str_release(&text);
	return -1;
}

static void tell_once(struct wait *wait, int fd)
{
	struct str text = STR_INIT;

	if (wait->has_told || clock_monotonic_ms() - wait->begun < PATIENCE_MS)
		return;
	wait->has_told = true;
	describe_holder(fd, wait->where, &text);
	log_notice("%s; waiting", text.buf);
	str_release(&text);
}

static int wait_with(struct alarm *alarm, struct wait *wait, int fd, struct err *err)
{
	for (;;) {
		int64_t now = clock_monotonic_ms();
		int64_t left = wait->deadline - now;
		int64_t until_told = wait->begun + PATIENCE_MS - now;

		if (left <= 0)
			return give_up(wait, fd, err);
		if (!wait->has_told && until_told > 0 && until_told < left)
			left = until_told;
		if (alarm_set(alarm, left, err) < 0)
			return -1; /* not reached by tests: as alarm_set() says */
		if (set_lock(fd, F_OFD_SETLKW, *wait->range) == 0)
			return 0;
		if (errno != EINTR && !is_held(errno))
			return lock_error(wait->where, err);
		tell_once(wait, fd);
	}
}

static int wait_for(struct wait *wait, int fd, const struct flock *range, struct err *err)
{
	struct alarm alarm;
	int result;
	int rc;

	wait->range = range;
	do
		rc = set_lock(fd, F_OFD_SETLK, *range);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return 0;
	if (!is_held(errno))
		return lock_error(wait->where, err);
	if (clock_monotonic_ms() >= wait->deadline)
		return give_up(wait, fd, err);
	result = alarm_begin(&alarm, err);
	if (result == 0)
		result = wait_with(&alarm, wait, fd, err);
	alarm_end(&alarm);
	return result;
}

/* In turn, if that takes no more than half of the time: the one before us may have been stopped. */
static int wait_in_turn(struct wait *wait, int fd, struct err *err)
{
	struct wait turn = *wait;
	struct flock unlock = turnstile;
	struct err busy = ERR_INIT;

	turn.deadline = wait->begun + (wait->deadline - wait->begun) / 2;
	if (wait_for(&turn, fd, &turnstile, &busy) < 0 && busy.code != ERR_BUSY) {
		*err = busy;
		return -1;
	}
	wait->has_told = turn.has_told;
	if (wait_for(wait, fd, &the_lock, err) < 0)
		return -1;
	unlock.l_type = F_UNLCK;
	return set_lock(fd, F_OFD_SETLK, unlock) < 0 ? lock_error(wait->where, err) : 0;
}

/* ---- */

/* 1: locked, but the name leads to another file by now. */
static int lock_once(struct lock *lock, struct wait *wait, int dirfd, const char *name,
		     struct err *err)
{
	struct stat locked;
	struct stat named;

	lock->fd = open_lock(dirfd, name, err);
	if (lock->fd < 0)
		return -1;
	if (wait_in_turn(wait, lock->fd, err) < 0)
		return -1;
	if (fstat(lock->fd, &locked) < 0)
		return err_errno(err, ERR_FAILED, "cannot look at the lock '%s'", name);
	if (fstatat(dirfd, name, &named, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return 1;
		return err_errno(err, ERR_FAILED, "cannot look at the lock '%s'", name);
	}
	return locked.st_dev != named.st_dev || locked.st_ino != named.st_ino;
}

int lock_acquire(struct lock *lock, int dirfd, const char *name, const char *where, int timeout_ms,
		 struct err *err)
{
	bool nfs = is_nfs(dirfd);
	struct wait wait = { .where = where, .begun = clock_monotonic_ms() };
	int result;

	if (timeout_ms < 0)
		timeout_ms = nfs ? TIMEOUT_NFS_MS : TIMEOUT_MS;
	wait.deadline = wait.begun + timeout_ms;
	if (nfs && check_nfs_mount(dirfd, where, err) < 0)
		return -1; /* not reached by tests: as check_nfs_mount() says */
	do {
		lock_release(lock);
		if (check_lock_file(dirfd, name, err) < 0)
			return -1;
		result = lock_once(lock, &wait, dirfd, name, err);
		if (result > 0 && clock_monotonic_ms() > wait.deadline)
			result = err_set(err, ERR_BUSY, "the lock of %s keeps being replaced",
					 where);
	} while (result > 0);
	if (result == 0)
		result = check_fuse_lock(lock->fd, where, err);
	if (result == 0)
		result = write_holder(lock, name, err);
	if (result < 0)
		lock_release(lock);
	return result;
}

int lock_check(struct lock *lock, struct err *err)
{
	struct stat st;
	char line[LINE_LIMIT];
	ssize_t n = read_line(lock->fd, line);

	if (n < 0 || set_lock(lock->fd, F_OFD_SETLK, the_lock) < 0 || fstat(lock->fd, &st) < 0)
		return err_errno(err, n >= 0 && is_held(errno) ? ERR_BUSY : ERR_FAILED,
				 "the lock was lost");
	if (st.st_nlink == 0)
		return err_set(err, ERR_BUSY, "the lock was lost: its file was removed");
	if (!memmem(line, (size_t)n, lock->nonce, strlen(lock->nonce)))
		return err_set(err, ERR_BUSY, "the lock was lost: another holder has signed it");
	return 0;
}

bool lock_is_held(int dirfd, const char *name)
{
	struct flock range = the_lock;
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	bool held;

	if (fd < 0)
		return errno != ENOENT;
	held = fcntl(fd, F_OFD_GETLK, &range) < 0 || range.l_type != F_UNLCK;
	close(fd);
	return held;
}

char *lock_holder_host(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct holder holder = { .host = NULL };
	char *host = NULL;

	if (fd >= 0 && lock_is_held(dirfd, name) && read_holder(fd, &holder) == 0 &&
	    !is_stale(&holder))
		host = xstrdup(holder.host);
	holder_release(&holder);
	if (fd >= 0)
		close(fd);
	return host;
}

/* One at a time: what is removed must be the file that was looked at, not its successor. */
int lock_break(int dirfd, const char *name, const char *host, struct err *err)
{
	struct lock turn = LOCK_INIT;
	char *turn_name = xstrf("%s.break", name);
	char *holder = NULL;
	int result = lock_acquire(&turn, dirfd, turn_name, name, -1, err);

	if (result == 0)
		holder = lock_holder_host(dirfd, name);
	if (holder && strcmp(holder, host) == 0) {
		result = unlinkat(dirfd, name, 0) < 0 && errno != ENOENT ? -1 : 1;
		if (result < 0) /* not reached by tests: the turn's own lock was just made there */
			err_errno(err, ERR_FAILED, "cannot remove the lock '%s'", name);
	}
	lock_release(&turn);
	free(holder);
	free(turn_name);
	return result;
}

void lock_release(struct lock *lock)
{
	if (lock->fd >= 0)
		close(lock->fd); /* gives the lock back; nothing was written that matters */
	lock->fd = -1;
	lock->nonce[0] = '\0';
}
