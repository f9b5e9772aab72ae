/*
 * shim - what strace cannot do to a program, by LD_PRELOAD.
 *
 *	SHIM_CALL=fsync SHIM_WHEN=2 SHIM_ERROR=5	its 2nd call does its work, and reports EIO
 *	SHIM_CALL=write SHIM_WHEN=1 SHIM_HALF=1		its 1st call does half of what it was asked for
 *	SHIM_TIME=120					time() is that many seconds ahead
 *
 * SHIM_HIT names a file that is made once that has happened. Only the process that was started with
 * these is concerned, not its children.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>
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

/* True for the call that is meant. */
static int is_hit(const char *name)
{
	static int count;
	const char *call = getenv("SHIM_CALL");
	const char *mark = getenv("SHIM_HIT");

	if (!call || strcmp(call, name) != 0 || getpid() != own_pid)
		return 0;
	if (++count != atoi(getenv("SHIM_WHEN")))
		return 0;
	if (mark)
		syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, mark, O_WRONLY | O_CREAT, 0600));
	return 1;
}

static long report(const char *name, long result)
{
	if (getenv("SHIM_HALF") || !is_hit(name))
		return result;
	errno = atoi(getenv("SHIM_ERROR"));
	return -1;
}

static size_t size_of(const char *name, size_t len)
{
	return len > 1 && getenv("SHIM_HALF") && is_hit(name) ? len / 2 : len;
}

#define REAL(type, name, declared) type(*real) declared = (type(*) declared)dlsym(RTLD_NEXT, name)

#define WRAP(name, declared, passed)                          \
	int name declared                                     \
	{                                                     \
		REAL(int, #name, declared);                   \
		return (int)report(#name, (long)real passed); \
	}

WRAP(renameat2, (int a, const char *p, int b, const char *q, unsigned f), (a, p, b, q, f))
WRAP(renameat, (int a, const char *p, int b, const char *q), (a, p, b, q))
WRAP(linkat, (int a, const char *p, int b, const char *q, int f), (a, p, b, q, f))
WRAP(symlinkat, (const char *p, int a, const char *q), (p, a, q))
WRAP(unlinkat, (int a, const char *p, int f), (a, p, f))
WRAP(mkdirat, (int a, const char *p, mode_t m), (a, p, m))
WRAP(mkdir, (const char *p, mode_t m), (p, m))
WRAP(fsync, (int f), (f))
WRAP(close, (int f), (f))
WRAP(ftruncate, (int f, off_t n), (f, n))
WRAP(fchmod, (int f, mode_t m), (f, m))
WRAP(fchown, (int f, uid_t u, gid_t g), (f, u, g))
WRAP(fremovexattr, (int f, const char *n), (f, n))

#define WRAP_IO(name, declared, passed)                     \
	ssize_t name declared                               \
	{                                                   \
		REAL(ssize_t, #name, declared);             \
		n = size_of(#name, n);                      \
		return (ssize_t)report(#name, real passed); \
	}

WRAP_IO(write, (int f, const void *p, size_t n), (f, p, n))
WRAP_IO(pwrite, (int f, const void *p, size_t n, off_t o), (f, p, n, o))
WRAP_IO(read, (int f, void *p, size_t n), (f, p, n))
WRAP_IO(pread, (int f, void *p, size_t n, off_t o), (f, p, n, o))

int openat(int dirfd, const char *path, int flags, ...)
{
	REAL(int, "openat", (int, const char *, int, ...));
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	return (int)report("openat", real(dirfd, path, flags, mode));
}

time_t time(time_t *out)
{
	const char *ahead = getenv("SHIM_TIME");
	struct timespec now;

	syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
	now.tv_sec += ahead ? atoi(ahead) : 0;
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}
