/*
 * The filter is written by hand instead of through libseccomp: it is a list of some twenty calls,
 * libseccomp would add 0.3 ms to each start of a worker and a library that a static build has not.
 */
#include "base/base.h"

#include "script/confine.h"

#include "sys/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_SANITIZER 1
#endif
#endif
#ifndef WITH_SANITIZER
#define WITH_SANITIZER 0
#endif

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "no system call filter for this machine: see confine.c"
#endif

/* C memory beside Lua's: the request, the text and the tokens of one JSON input, the answer. */
#define MEMORY_SLACK ((size_t)192 << 20)

#define PROT_EXEC_BIT 4

/* Of address space, where /proc does not tell how much is mapped: the program and its libraries. */
#define MAPPED_GUESS ((size_t)64 << 20)

/* ---- what came in with the start ---- */

static int refuse_environment(const struct confine_limits *limits UNUSED, struct err *err)
{
	if (!environ || !environ[0])
		return 0;
	return err_set(err, ERR_FAILED, "the environment of the worker is not empty");
}

static bool is_given(const struct confine_limits *limits, int fd)
{
	return fd <= STDERR_FILENO ||
	       (fd >= SPAWN_FIRST_PASSED && fd < SPAWN_FIRST_PASSED + limits->n_inputs);
}

/* Before Linux 5.9, and where a container forbids close_range(). */
static int close_listed(const struct confine_limits *limits, struct err *err)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int rc;

	if (!dir) /* not reached by tests: neither close_range() nor a /proc */
		return err_errno(err, ERR_FAILED, "cannot list the open descriptors");
	while (errno = 0, (entry = readdir(dir))) {
		int fd = (int)strtol(entry->d_name, NULL, 10);

		if (!is_given(limits, fd) && fd != dirfd(dir))
			close(fd);
	}
	rc = errno ? err_errno(err, ERR_FAILED, "cannot list the open descriptors") : 0;
	closedir(dir);
	return rc;
}

/* The parent left none open but ours; that it did is not taken on trust. */
static int close_others(const struct confine_limits *limits, struct err *err)
{
	unsigned behind = SPAWN_FIRST_PASSED + (unsigned)limits->n_inputs;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, STDERR_FILENO + 1, SPAWN_FIRST_PASSED - 1, 0U) == 0 &&
	    syscall(SYS_close_range, behind, ~0U, 0U) == 0)
		return 0;
#endif
	return close_listed(limits, err);
}

/* ---- resource limits ---- */

static int set_limit(__rlimit_resource_t resource, rlim_t value, const char *name, struct err *err)
{
	struct rlimit old;
	struct rlimit limit = { .rlim_cur = value, .rlim_max = value };

	if (getrlimit(resource, &old) == 0 && old.rlim_max < value)
		return 0; /* it is tighter already */
	if (setrlimit(resource, &limit) < 0)
		return err_errno(err, ERR_FAILED, "cannot set RLIMIT_%s", name);
	return 0;
}

/* Bytes of address space that we have mapped now, or 0. */
static size_t mapped_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lu", &pages) != 1) /* not reached by tests: the kernel writes it */
		pages = 0;
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int set_limits(const struct confine_limits *limits, struct err *err)
{
	size_t mapped = mapped_bytes();
	rlim_t cpu = limits->cpu_seconds ? (rlim_t)limits->cpu_seconds : RLIM_INFINITY;

	if (!mapped)
		mapped = MAPPED_GUESS;
	if (set_limit(RLIMIT_CPU, cpu, "CPU", err) < 0 ||
	    set_limit(RLIMIT_FSIZE, 0, "FSIZE", err) < 0 ||
	    set_limit(RLIMIT_NPROC, 0, "NPROC", err) < 0 ||
	    set_limit(RLIMIT_CORE, 0, "CORE", err) < 0)
		return -1;
	if (WITH_SANITIZER) /* its shadow takes terabytes of address space */
		return 0;
	return set_limit(RLIMIT_AS, mapped + limits->memory + MEMORY_SLACK, "AS", err);
}

/* ---- Landlock ---- */

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif

/* As of ABI 6; headers of older systems have only the first member. */
struct landlock_rules {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

#define LANDLOCK_VERSION 1U

/* All that each ABI can deny, and no rule that would allow any of it. */
static size_t landlock_fill(int abi, struct landlock_rules *rules)
{
	static const int fs_bits[] = { 0, 13, 14, 15, 15, 16 }; /* by ABI; from 5 on the same */

	memset(rules, 0, sizeof(*rules));
	rules->fs = (UINT64_C(1) << fs_bits[abi < 5 ? abi : 5]) - 1;
	if (abi < 4) /* not reached by tests: older kernels than any machine of ours */
		return offsetof(struct landlock_rules, net);
	rules->net = 3; /* bind and connect of TCP */
	if (abi < 6)	/* not reached by tests: the same */
		return offsetof(struct landlock_rules, scoped);
	rules->scoped = 3; /* abstract sockets and signals */
	return sizeof(*rules);
}

/* The ABI in force, 0 for none. Behind the filter, which denies the same: no reason to stop. */
static int landlock_self(void)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_VERSION);
	struct landlock_rules rules;
	size_t size;
	long rc;
	int fd;

	if (abi < 1)
		return 0;
	size = landlock_fill(abi, &rules);
	fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0U);
	if (fd < 0)
		return 0; /* not reached by tests: a kernel that has Landlock, but no memory */
	rc = syscall(SYS_landlock_restrict_self, fd, 0U);
	close(fd);
	return rc == 0 ? abi : 0;
}

/* ---- the system call filter ---- */

#define LOAD(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define JUMP_EQ(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define JUMP_GT(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (value), (yes), (no))
#define JUMP_SET(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (value), (yes), (no))

/* Both machines are little-endian: the low half of an argument comes first. */
#define ALLOW(name) JUMP_EQ((unsigned)SYS_##name, 0, 1), RETURN(SECCOMP_RET_ALLOW)

static const struct sock_filter filter[] = {
	LOAD(arch),
	JUMP_EQ(OUR_ARCH, 1, 0),
	RETURN(SECCOMP_RET_KILL_PROCESS),
	LOAD(nr),
	/* input; its descriptors are all there is */
	ALLOW(read),
	ALLOW(pread64),
	ALLOW(lseek),
	ALLOW(fstat),
	ALLOW(close),
	/* memory, time, the end */
	ALLOW(brk),
	ALLOW(munmap),
	ALLOW(mremap),
	ALLOW(madvise),
	ALLOW(futex),
	ALLOW(clock_gettime),
	ALLOW(gettimeofday),
	ALLOW(getrandom),
	ALLOW(setitimer),
	ALLOW(rt_sigreturn),
	ALLOW(rt_sigprocmask),
	ALLOW(restart_syscall),
	ALLOW(exit),
	ALLOW(exit_group),
#if WITH_SANITIZER
	/* its reports, its leak check, and its memory */
	ALLOW(mprotect),
	ALLOW(getpid),
	ALLOW(gettid),
	ALLOW(sigaltstack),
	ALLOW(rt_sigaction),
	ALLOW(sched_yield),
	ALLOW(getrusage),
	ALLOW(prctl),
	ALLOW(ioctl),
#endif
	/* mmap, but nothing that could run */
	JUMP_EQ((unsigned)SYS_mmap, 0, 3),
	LOAD(args[2]),
	JUMP_SET(PROT_EXEC_BIT, 5, 0),
	RETURN(SECCOMP_RET_ALLOW),
	/* write, to stdout and stderr */
	JUMP_EQ((unsigned)SYS_write, 0, 3),
	LOAD(args[0]),
	JUMP_GT(STDERR_FILENO, 1, 0),
	RETURN(SECCOMP_RET_ALLOW),
	RETURN(SECCOMP_RET_KILL_PROCESS),
};

static int filter_self(struct err *err)
{
	struct sock_fprog program = { .len = (unsigned short)ARRAY_SIZE(filter) };

	memcpy(&program.filter, &(const struct sock_filter *){ filter }, sizeof(program.filter));
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return err_errno(err, ERR_FAILED, "cannot install the system call filter");
	return 0;
}

/* ---- all of it ---- */

static int drop_privileges(const struct confine_limits *limits UNUSED, struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, ERR_FAILED, "cannot set no_new_privs");
	if (!WITH_SANITIZER && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(err, ERR_FAILED, "cannot become undumpable");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_errno(err, ERR_FAILED, "cannot bind the worker to its parent");
	return 0;
}

int confine_self(const struct confine_limits *limits, struct strv *active, struct strv *missing,
		 struct err *err)
{
	static const struct {
		const char *name;
		int (*apply)(const struct confine_limits *limits, struct err *err);
	} steps[] = {
		{ "empty environment", refuse_environment },
		{ "closed descriptors", close_others },
		{ "no_new_privs", drop_privileges },
		{ "resource limits", set_limits },
	};
	int abi;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (steps[i].apply(limits, err) < 0)
			return -1;
		strv_push(active, steps[i].name);
	}
	abi = landlock_self();
	if (filter_self(err) < 0)
		return -1;
	strv_push(active, "seccomp");
	if (abi)
		strv_pushf(active, "landlock abi %d", abi);
	else
		strv_push(missing, "landlock");
	return 0;
}
