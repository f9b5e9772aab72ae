/*
 * shim - a preloaded library in which one system call of a process is another than usual.
 *
 * The SHIM_WHEN-th call (default 1) of SHIM_CALL whose path holds SHIM_NAME (default: any) is met, in
 * the process that was started with these, not in its children; with "SHIM_WHEN=2+" so is each after it:
 *
 *	SHIM_DO       before the call, this command of the shell is run to its end
 *	SHIM_ERROR    after the call has done its work, it reports this error number
 *	SHIM_HALF     read, pread, write, pwrite: the call does half of what it was asked for
 *	SHIM_HIT      this file is made when the call is met
 *
 * SHIM_SHORT=N: read, pread, write and pwrite handle N bytes at a time at most, and every third call
 * of them is interrupted by a signal (EINTR).
 *
 * SHIM_CLOCK=FILE: the wall clock is off by the seconds that stand in the file, for children too. See
 * shim.lua.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static pid_t own_pid;

__attribute__((constructor)) static void begin(void)
{
	if (getenv("SHIM_PID"))
		return;
	setenv("SHIM_PID", "1", 1);
	own_pid = getpid();
}

static int is_met(const char *call, const char *path)
{
	static int count;
	const char *wanted = getenv("SHIM_CALL");
	const char *name = getenv("SHIM_NAME");
	const char *when = getenv("SHIM_WHEN");

	if (!wanted || strcmp(wanted, call) != 0 || (name && (!path || !strstr(path, name))))
		return 0;
	if (getpid() != own_pid)
		return 0;
	count++;
	return when && strchr(when, '+') ? count >= atoi(when) : count == (when ? atoi(when) : 1);
}

static int before(const char *call, const char *path)
{
	int met = is_met(call, path);
	const char *command = getenv("SHIM_DO");
	const char *mark = getenv("SHIM_HIT");

	if (met && mark)
		syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, mark, O_WRONLY | O_CREAT, 0600));
	if (met && command && system(command) != 0)
		abort();
	return met;
}

static long after(int met, long result)
{
	const char *number = getenv("SHIM_ERROR");

	if (!met || !number)
		return result;
	errno = atoi(number);
	return -1;
}

#define REAL(type, name, declared) type(*real) declared = (type(*) declared)dlsym(RTLD_NEXT, name)

#define WRAP(name, path, declared, passed)           \
	int name declared                            \
	{                                            \
		REAL(int, #name, declared);          \
		int met = before(#name, path);       \
		return (int)after(met, real passed); \
	}

WRAP(renameat2, q, (int a, const char *p, int b, const char *q, unsigned f), (a, p, b, q, f))
WRAP(renameat, q, (int a, const char *p, int b, const char *q), (a, p, b, q))
WRAP(linkat, q, (int a, const char *p, int b, const char *q, int f), (a, p, b, q, f))
WRAP(symlinkat, q, (const char *p, int b, const char *q), (p, b, q))
WRAP(unlinkat, p, (int a, const char *p, int f), (a, p, f))
WRAP(mkdirat, p, (int a, const char *p, mode_t m), (a, p, m))
WRAP(mkdir, p, (const char *p, mode_t m), (p, m))
WRAP(fstatat, p, (int a, const char *p, struct stat *s, int f), (a, p, s, f))
WRAP(fsync, NULL, (int f), (f))
WRAP(close, NULL, (int f), (f))
WRAP(ftruncate, NULL, (int f, off_t n), (f, n))
WRAP(fchmod, NULL, (int f, mode_t m), (f, m))
WRAP(fchown, NULL, (int f, uid_t u, gid_t g), (f, u, g))
WRAP(fremovexattr, NULL, (int f, const char *n), (f, n))

WRAP(posix_openpt, NULL, (int f), (f))
WRAP(grantpt, NULL, (int f), (f))
WRAP(unlockpt, NULL, (int f), (f))
WRAP(tcgetattr, NULL, (int f, struct termios *t), (f, t))
WRAP(tcsetattr, NULL, (int f, int a, const struct termios *t), (f, a, t))
WRAP(pipe2, NULL, (int p[2], int f), (p, f))

int openat(int dir, const char *path, int flags, ...)
{
	REAL(int, "openat", (int, const char *, int, mode_t));
	int met = before("openat", path);
	mode_t mode = 0;

	if (flags & O_CREAT) {
		__builtin_va_list args;

		__builtin_va_start(args, flags);
		mode = __builtin_va_arg(args, mode_t);
		__builtin_va_end(args);
	}
	return (int)after(met, real(dir, path, flags, mode));
}

/* Of what has no function of its own: openat2(). */
long syscall(long number, ...)
{
	REAL(long, "syscall", (long, ...));
	__builtin_va_list args;
	long a[6];
	int met;

	__builtin_va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = __builtin_va_arg(args, long);
	__builtin_va_end(args);
	met = number == SYS_openat2 && before("openat2", (const char *)a[1]);
	return after(met, real(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

/* The length that is let through; 0 with EINTR now and then. */
static size_t shortened(size_t len)
{
	static unsigned calls;
	const char *most = getenv("SHIM_SHORT");
	size_t limit = most ? strtoul(most, NULL, 10) : len;

	if (most && ++calls % 3 == 0) {
		errno = EINTR;
		return 0;
	}
	return len < limit ? len : limit;
}

/* Half a byte cannot be asked for: such a call does not count. */
static int meets_transfer(const char *call, size_t len)
{
	return (len > 1 || !getenv("SHIM_HALF")) && before(call, NULL);
}

#define WRAP_IO(name, declared, passed)                                          \
	ssize_t name declared                                                    \
	{                                                                        \
		REAL(ssize_t, #name, declared);                                  \
		int met = meets_transfer(#name, n);                              \
		size_t some = met && getenv("SHIM_HALF") ? n / 2 : shortened(n); \
		return !some && n ? -1 : after(met, real passed);                \
	}

WRAP_IO(write, (int f, const void *b, size_t n), (f, b, some))
WRAP_IO(pwrite, (int f, const void *b, size_t n, off_t at), (f, b, some, at))
WRAP_IO(read, (int f, void *b, size_t n), (f, b, some))
WRAP_IO(pread, (int f, void *b, size_t n, off_t at), (f, b, some, at))

static long clock_offset(void)
{
	const char *path = getenv("SHIM_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	char text[32] = "";

	if (fd < 0)
		return 0;
	if (syscall(SYS_pread64, fd, text, sizeof(text) - 1, 0) < 0)
		abort();
	syscall(SYS_close, fd);
	return atol(text);
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	REAL(int, "clock_gettime", (clockid_t, struct timespec *));
	int result = real(id, now);

	if (id == CLOCK_REALTIME)
		now->tv_sec += clock_offset();
	return result;
}

time_t time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}
