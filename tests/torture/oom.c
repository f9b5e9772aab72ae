/*
 * oom - the N-th allocation fails.
 *
 * Put before malloc() in one of two ways: linked in with -Wl,--wrap (OOM_WRAP, for the sanitizers),
 * or preloaded, which reaches what libc allocates for itself. A program without a plan is left alone.
 */
#define _GNU_SOURCE 1
#include "oom.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct oom_plan *oom_plan;
static enum oom_role role;
static pid_t pid;

__attribute__((constructor)) static void open_plan(int argc, char **argv)
{
	static const char suffix[] = ".plan";
	char path[PATH_MAX + sizeof(suffix)];
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX);
	void *shared;
	int fd;

	if (len < 0)
		return;
	memcpy(path + len, suffix, sizeof(suffix));
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	role = argc > 1 && strcmp(argv[1], "--plugin-worker") == 0 ? OOM_WORKER : OOM_MAIN;
	pid = getpid();
	shared = mmap(NULL, sizeof(*oom_plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (shared != MAP_FAILED)
		oom_plan = shared;
}

static bool fails(void)
{
	enum oom_role mine = role;
	int64_t n;

	if (!oom_plan)
		return false;
	if (role == OOM_MAIN && getpid() != pid)
		mine = OOM_FORKED;
	n = __atomic_add_fetch(&oom_plan->counts[mine], 1, __ATOMIC_RELAXED);
	if ((int64_t)mine != oom_plan->role || !oom_plan->fail_at || n < oom_plan->fail_at ||
	    (n > oom_plan->fail_at && !oom_plan->for_ever))
		return false;
	__atomic_add_fetch(&oom_plan->failed, 1, __ATOMIC_RELAXED);
	errno = ENOMEM;
	return true;
}

#ifdef OOM_WRAP
#define REAL(name) __real_##name
#define OURS(name) __wrap_##name
#else
#define REAL(name) __libc_##name
#define OURS(name) name
#endif

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t n, size_t size);
void *REAL(realloc)(void *ptr, size_t size);
void *OURS(malloc)(size_t size);
void *OURS(calloc)(size_t n, size_t size);
void *OURS(realloc)(void *ptr, size_t size);

void *OURS(malloc)(size_t size)
{
	return fails() ? NULL : REAL(malloc)(size);
}

void *OURS(calloc)(size_t n, size_t size)
{
	return fails() ? NULL : REAL(calloc)(n, size);
}

void *OURS(realloc)(void *ptr, size_t size)
{
	return fails() ? NULL : REAL(realloc)(ptr, size);
}
