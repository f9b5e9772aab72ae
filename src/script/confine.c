/*
 * The filter is written by hand instead of through libseccomp: it is a list of some twenty calls,
 * libseccomp would add 0.3 ms to each start of a worker and a library that a static build has not.
 */
#include "base/base.h"

#include "script/confine.h"

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
	if (fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int set_limits(const struct confine_limits *limits, struct err *err)
{
	size_t mapped = mapped_bytes();
	rlim_t cpu = limits->cpu_seconds ? (rlim_t)limits->cpu_seconds : RLIM_INFINITY;

	if (set_limit(RLIMIT_CPU, cpu, "CPU", err) < 0 ||
	    set_limit(RLIMIT_FSIZE, 0, "FSIZE", err) < 0 ||
	    set_limit(RLIMIT_NPROC, 0, "NPROC", err) < 0 ||
	    set_limit(RLIMIT_CORE, 0, "CORE", err) < 0)
		return -1;
	if (WITH_SANITIZER || !mapped) /* its shadow takes terabytes of address space */
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

static int landlock_abi(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_VERSION);
}

/* All that each ABI can deny, and no rule that would allow any of it. */
static size_t landlock_fill(int abi, struct landlock_rules *rules)
{
	static const int fs_bits[] = { 0, 13, 14, 15, 15, 16 }; /* by ABI; from 5 on the same */

	memset(rules, 0, sizeof(*rules));
	rules->fs = (UINT64_C(1) << fs_bits[abi < 5 ? abi : 5]) - 1;
	if (abi < 4)
		return offsetof(struct landlock_rules, net);
	rules->net = 3; /* bind and connect of TCP */
	if (abi < 6)
		return offsetof(struct landlock_rules, scoped);
	rules->scoped = 3; /* abstract sockets and signals */
	return sizeof(*rules);
}

/* Behind the filter, which denies the same: a failure here is no reason to stop. */
static void landlock_self(void)
{
	int abi = landlock_abi();
	struct landlock_rules rules;
	size_t size;
	int fd;

	if (abi < 1)
		return;
	size = landlock_fill(abi, &rules);
	fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0U);
	if (fd < 0)
		return;
	syscall(SYS_landlock_restrict_self, fd, 0U);
	close(fd);
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

static int drop_privileges(struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, ERR_FAILED, "cannot set no_new_privs");
	if (!WITH_SANITIZER && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(err, ERR_FAILED, "cannot become undumpable");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_errno(err, ERR_FAILED, "cannot bind the worker to its parent");
	return 0;
}

int confine_self(const struct confine_limits *limits, struct err *err)
{
	if (drop_privileges(err) < 0 || set_limits(limits, err) < 0)
		return -1;
	landlock_self();
	return filter_self(err);
}

void confine_probe(struct strv *active, struct strv *missing)
{
	unsigned action = SECCOMP_RET_KILL_PROCESS;
	int abi = landlock_abi();

	strv_push(active, "resource limits");
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0U, &action) == 0)
		strv_push(active, "seccomp");
	else
		strv_push(missing, "seccomp");
	if (abi > 0)
		strv_pushf(active, "landlock abi %d", abi);
	else
		strv_push(missing, "landlock");
}
