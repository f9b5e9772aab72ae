/*
 * fail - a preloaded library in which one call of the C library fails: see sweep.lua.
 *
 * While FAIL_AT=K stands in the environment calls are counted; the K-th is not made, it fails with
 * the error number FAIL_ERROR, and its name is put into FAIL_HIT. close() closes all the same, as the
 * kernel does. Without FAIL_AT all is as usual, and the count begins anew. The name goes
 * into the file FAIL_TELL as well, if that is set.
 *
 *	FAIL_ON=1			all calls of that name fail from the K-th call on
 *	FAIL_ALSO=renameat2=22,linkat=1	these always fail, as where there is no such thing
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static void tell(const char *name)
{
	const char *path = getenv("FAIL_TELL");
	FILE *out = path ? fopen(path, "w") : NULL;

	setenv("FAIL_HIT", name, 1);
	if (out) {
		fputs(name, out);
		fclose(out);
	}
}

static int goes_on(const char *name)
{
	const char *hit = getenv("FAIL_ON") ? getenv("FAIL_HIT") : NULL;

	return hit && strcmp(hit, name) == 0;
}

/* The error number that this one always gives, or 0. */
static int always(const char *name)
{
	size_t len = strlen(name);
	const char *at = getenv("FAIL_ALSO");

	for (; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (strncmp(at, name, len) == 0 && at[len] == '=')
			return atoi(at + len + 1);
	return 0;
}

static int fails(const char *name)
{
	static long count;
	const char *at = getenv("FAIL_AT");
	int number;

	if (!at) {
		count = 0;
		return 0;
	}
	number = always(name);
	if (++count == atol(at))
		tell(name);
	if (count == atol(at) || goes_on(name))
		number = atoi(getenv("FAIL_ERROR"));
	if (number)
		errno = number;
	return number != 0;
}

#define FAIL(type, failed, name, declared, passed)                                \
	type name declared                                                        \
	{                                                                         \
		type(*real) declared = (type(*) declared)dlsym(RTLD_NEXT, #name); \
		return fails(#name) ? failed : real passed;                       \
	}
#define FAIL_INT(name, declared, passed) FAIL(int, -1, name, declared, passed)
#define FAIL_SIZE(name, declared, passed) FAIL(ssize_t, -1, name, declared, passed)

FAIL_INT(renameat2, (int a, const char *p, int b, const char *q, unsigned f), (a, p, b, q, f))
FAIL_INT(renameat, (int a, const char *p, int b, const char *q), (a, p, b, q))
FAIL_INT(linkat, (int a, const char *p, int b, const char *q, int f), (a, p, b, q, f))
FAIL_INT(symlinkat, (const char *p, int b, const char *q), (p, b, q))
FAIL_INT(unlinkat, (int a, const char *p, int f), (a, p, f))
FAIL_INT(mkdirat, (int a, const char *p, mode_t m), (a, p, m))
FAIL_INT(mkdir, (const char *p, mode_t m), (p, m))
FAIL_INT(rmdir, (const char *p), (p))
FAIL_INT(fstatat, (int a, const char *p, struct stat *s, int f), (a, p, s, f))
FAIL_INT(fstat, (int f, struct stat *s), (f, s))
FAIL_INT(stat, (const char *p, struct stat *s), (p, s))
FAIL_INT(faccessat, (int a, const char *p, int m, int f), (a, p, m, f))
FAIL_INT(fsync, (int f), (f))
FAIL_INT(ftruncate, (int f, off_t n), (f, n))
FAIL_INT(fchmod, (int f, mode_t m), (f, m))
FAIL_INT(fchown, (int f, uid_t u, gid_t g), (f, u, g))
FAIL_INT(fsetxattr, (int f, const char *k, const void *v, size_t n, int o), (f, k, v, n, o))
FAIL_INT(fremovexattr, (int f, const char *k), (f, k))
FAIL_SIZE(fgetxattr, (int f, const char *k, void *v, size_t n), (f, k, v, n))
FAIL_SIZE(flistxattr, (int f, char *v, size_t n), (f, v, n))
FAIL_SIZE(read, (int f, void *b, size_t n), (f, b, n))
FAIL_SIZE(pread, (int f, void *b, size_t n, off_t at), (f, b, n, at))
FAIL_SIZE(write, (int f, const void *b, size_t n), (f, b, n))
FAIL_SIZE(pwrite, (int f, const void *b, size_t n, off_t at), (f, b, n, at))
FAIL_SIZE(readlinkat, (int a, const char *p, char *b, size_t n), (a, p, b, n))
FAIL_SIZE(readlink, (const char *p, char *b, size_t n), (p, b, n))
FAIL_SIZE(getrandom, (void *b, size_t n, unsigned f), (b, n, f))
FAIL_INT(pipe2, (int p[2], int f), (p, f))
FAIL_INT(socketpair, (int a, int b, int c, int p[2]), (a, b, c, p))
FAIL_SIZE(send, (int f, const void *b, size_t n, int o), (f, b, n, o))
FAIL_SIZE(recv, (int f, void *b, size_t n, int o), (f, b, n, o))
FAIL_INT(poll, (struct pollfd * p, nfds_t n, int t), (p, n, t))
FAIL_INT(chdir, (const char *p), (p))
FAIL_INT(dup2, (int a, int b), (a, b))
FAIL(DIR *, NULL, opendir, (const char *p), (p))
FAIL(DIR *, NULL, fdopendir, (int f), (f))
FAIL(struct dirent *, NULL, readdir, (DIR * d), (d))

int close(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");
	int failed = fails("close");
	int number = errno;
	int result = real(fd);

	if (!failed)
		return result;
	errno = number;
	return -1;
}

/* The mode is read whether it was given or not: then it means nothing. */
#define MODE_OF(mode, last)          \
	va_list args;                \
	mode_t mode;                 \
	va_start(args, last);        \
	mode = va_arg(args, mode_t); \
	va_end(args)

int open(const char *path, int flags, ...)
{
	int (*real)(const char *, int, ...) =
		(int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
	MODE_OF(mode, flags);

	return fails("open") ? -1 : real(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	int (*real)(int, const char *, int, ...) =
		(int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
	MODE_OF(mode, flags);

	return fails("openat") ? -1 : real(dir, path, flags, mode);
}

int fcntl(int fd, int command, ...)
{
	int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, "fcntl");
	va_list args;
	void *arg;

	va_start(args, command);
	arg = va_arg(args, void *);
	va_end(args);
	return fails("fcntl") ? -1 : real(fd, command, arg);
}

/* openat2() and what else has no function of its own. */
long syscall(long number, ...)
{
	long (*real)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	return fails("syscall") ? -1 : real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
