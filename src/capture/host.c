#include "base/base.h"

#include "capture/host.h"

#include "base/mem.h"
#include "capture/probe.h"

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#define CGROUP "/sys/fs/cgroup"

/* cgroup v1 writes a number near 2^63 for "no limit". */
#define UNLIMITED ((uint64_t)1 << 62)

const char *host_variable(char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; env && *env; env++)
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
			return *env + len + 1;
	return NULL;
}

/* ---- the system ---- */

static void print_system(struct jsonw *w, struct strv *notes)
{
	struct str text = STR_INIT;
	struct str name = STR_INIT;
	struct utsname kernel;

	if (uname(&kernel) == 0)
		jsonw_pair_string(w, "host", kernel.nodename);
	if ((probe_read("/etc/os-release", &text) || probe_read("/usr/lib/os-release", &text)) &&
	    probe_value(&text, "PRETTY_NAME", '=', &name))
		jsonw_pair_string(w, "os", name.buf);
	else
		strv_push(notes, "os: no PRETTY_NAME in /etc/os-release");
	if (uname(&kernel) == 0) {
		str_clear(&name);
		str_addf(&name, "%s %s %s", kernel.sysname, kernel.release, kernel.machine);
		jsonw_pair_string(w, "kernel", name.buf);
	}
	str_release(&name);
	str_release(&text);
}

/* The processors that we may run on: what a batch system gave us, not what the machine has. */
static int64_t usable_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return CPU_COUNT(&set);
	return sysconf(_SC_NPROCESSORS_ONLN);
}

static void print_hardware(struct jsonw *w, struct strv *notes)
{
	struct str text = STR_INIT;
	struct str value = STR_INIT;

	if (probe_read("/proc/cpuinfo", &text) && (probe_value(&text, "model name", ':', &value) ||
						   probe_value(&text, "Model", ':', &value) ||
						   probe_value(&text, "Processor", ':', &value)))
		jsonw_pair_string(w, "cpu", value.buf);
	else
		strv_push(notes, "cpu: no model in /proc/cpuinfo");
	jsonw_pair_int(w, "cpus", usable_cpus());
	if (probe_read("/proc/meminfo", &text) && probe_value(&text, "MemTotal", ':', &value))
		jsonw_pair_int(w, "memory_bytes", strtoll(value.buf, NULL, 10) * 1024);
	else
		strv_push(notes, "memory: no MemTotal in /proc/meminfo");
	str_release(&value);
	str_release(&text);
}

/* ---- limits ---- */

struct limits {
	uint64_t memory; /* 0: none */
	double cpus;	 /* 0: none */
};

static bool read_in(const char *dir, const char *name, struct str *out)
{
	char *path = xstrf("%s/%s", dir, name);
	bool is_there = probe_read(path, out);

	free(path);
	return is_there;
}

/* "max" is no limit. The strictest on the way up counts. */
static void limit_memory(struct limits *limits, const char *text)
{
	uint64_t bytes = strtoull(text, NULL, 10);

	if (bytes && bytes < UNLIMITED && (!limits->memory || bytes < limits->memory))
		limits->memory = bytes;
}

static void limit_cpus(struct limits *limits, double quota, double period)
{
	if (quota > 0 && period > 0 && (limits->cpus <= 0 || quota / period < limits->cpus))
		limits->cpus = quota / period;
}

static void read_level(struct limits *limits, const char *dir)
{
	struct str text = STR_INIT;
	char *rest;

	if (read_in(dir, "memory.max", &text))
		limit_memory(limits, text.buf);
	if (read_in(dir, "cpu.max", &text)) {
		double quota = strtod(text.buf, &rest);

		limit_cpus(limits, quota, strtod(rest, NULL));
	}
	str_release(&text);
}

/* Version 2: "0::/a/b" in /proc/self/cgroup; each level from there to the top may limit. */
static void read_v2(struct limits *limits, const struct str *membership)
{
	struct str path = STR_INIT;
	char *dir;

	if (!probe_value(membership, "0:", ':', &path)) {
		str_release(&path);
		return;
	}
	for (;;) {
		char *slash = strrchr(path.buf, '/');

		dir = xstrf(CGROUP "%s", path.buf);
		read_level(limits, dir);
		free(dir);
		if (!slash)
			break;
		str_truncate(&path, (size_t)(slash - path.buf));
	}
	str_release(&path);
}

/* Version 1, as a container sees it. */
static void read_v1(struct limits *limits)
{
	struct str text = STR_INIT;
	double quota;

	if (read_in(CGROUP "/memory", "memory.limit_in_bytes", &text))
		limit_memory(limits, text.buf);
	if (read_in(CGROUP "/cpu", "cpu.cfs_quota_us", &text)) {
		quota = strtod(text.buf, NULL);
		if (read_in(CGROUP "/cpu", "cpu.cfs_period_us", &text))
			limit_cpus(limits, quota, strtod(text.buf, NULL));
	}
	str_release(&text);
}

static void print_limits(struct jsonw *w)
{
	struct limits limits = { .memory = 0, .cpus = 0 };
	struct str membership = STR_INIT;

	if (probe_read("/proc/self/cgroup", &membership))
		read_v2(&limits, &membership);
	read_v1(&limits);
	str_release(&membership);
	if (!limits.memory && limits.cpus <= 0)
		return;
	jsonw_key(w, "limits");
	jsonw_object(w);
	if (limits.memory)
		jsonw_pair_int(w, "memory_bytes", (int64_t)limits.memory);
	if (limits.cpus > 0) {
		jsonw_key(w, "cpus");
		jsonw_real(w, limits.cpus);
	}
	jsonw_end(w);
}

/* ---- where we are ---- */

static void print_container(struct jsonw *w)
{
	const char *kind = NULL;

	if (getenv("APPTAINER_CONTAINER") || getenv("SINGULARITY_CONTAINER"))
		kind = "apptainer";
	else if (getenv("KUBERNETES_SERVICE_HOST"))
		kind = "kubernetes";
	else if (probe_exists("/run/.containerenv"))
		kind = "podman";
	else if (probe_exists("/.dockerenv"))
		kind = "docker";
	if (kind)
		jsonw_pair_string(w, "container", kind);
}

void host_print(struct jsonw *w, struct strv *notes)
{
	print_system(w, notes);
	print_hardware(w, notes);
	print_limits(w);
	print_container(w);
}

void host_print_slurm(struct jsonw *w, char *const *env)
{
	static const struct {
		const char *variable;
		const char *key;
	} members[] = {
		{ "SLURM_JOB_ID", "job_id" },
		{ "SLURM_JOB_NAME", "job_name" },
		{ "SLURM_ARRAY_JOB_ID", "array_job_id" },
		{ "SLURM_ARRAY_TASK_ID", "array_task_id" },
		{ "SLURM_STEP_ID", "step_id" },
		{ "SLURM_PROCID", "procid" },
		{ "SLURM_NTASKS", "ntasks" },
		{ "SLURM_JOB_NUM_NODES", "nodes" },
		{ "SLURM_JOB_NODELIST", "nodelist" },
		{ "SLURM_JOB_PARTITION", "partition" },
		{ "SLURM_CLUSTER_NAME", "cluster" },
	};

	if (!host_variable(env, "SLURM_JOB_ID"))
		return;
	jsonw_key(w, "slurm");
	jsonw_object(w);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const char *value = host_variable(env, members[i].variable);

		if (value && *value)
			jsonw_pair_string(w, members[i].key, value);
	}
	jsonw_end(w);
}
