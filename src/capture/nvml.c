#include "base/base.h"

#include "capture/nvml.h"

#include "base/clock.h"
#include "capture/probe.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* A cold driver without persistence mode takes seconds to wake its GPUs. */
#define DEADLINE_MS 10000

#define SUCCESS 0

struct memory {
	unsigned long long total;
	unsigned long long free;
	unsigned long long used;
};

/* What the child sends back; plain data of fixed size. */
struct answer {
	struct gpu_info info;
	char trouble[256];
};

/* ---- in the child ---- */

typedef int call_none(void);
typedef int call_text(char *text, unsigned int size);
typedef int call_int(int *out);
typedef int call_count(unsigned int *out);
typedef int call_handle(unsigned int index, void **device);
typedef int call_name(void *device, char *text, unsigned int size);
typedef int call_memory(void *device, struct memory *out);

struct nvml {
	void *library;
	call_none *init;
	call_text *driver;
	call_int *cuda;
	call_count *count;
	call_handle *handle;
	call_name *name;
	call_memory *memory;
};

static bool load(struct nvml *n)
{
	const char *path = getenv("THHOST_TEST_NVML");

	n->library = dlopen(path && *path ? path : "libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!n->library)
		return false;
	*(void **)&n->init = dlsym(n->library, "nvmlInit_v2");
	*(void **)&n->driver = dlsym(n->library, "nvmlSystemGetDriverVersion");
	*(void **)&n->cuda = dlsym(n->library, "nvmlSystemGetCudaDriverVersion_v2");
	if (!n->cuda)
		*(void **)&n->cuda = dlsym(n->library, "nvmlSystemGetCudaDriverVersion");
	*(void **)&n->count = dlsym(n->library, "nvmlDeviceGetCount_v2");
	*(void **)&n->handle = dlsym(n->library, "nvmlDeviceGetHandleByIndex_v2");
	*(void **)&n->name = dlsym(n->library, "nvmlDeviceGetName");
	*(void **)&n->memory = dlsym(n->library, "nvmlDeviceGetMemoryInfo");
	return n->init && n->count && n->handle && n->name;
}

static void ask_device(const struct nvml *n, unsigned int index, struct gpu *out)
{
	struct memory memory = { .total = 0 };
	void *device;

	if (n->handle(index, &device) != SUCCESS)
		return;
	if (n->name(device, out->model, sizeof(out->model)) != SUCCESS)
		out->model[0] = '\0';
	if (n->memory && n->memory(device, &memory) == SUCCESS)
		out->memory_bytes = memory.total;
}

static void ask_library(struct answer *answer)
{
	struct gpu_info *info = &answer->info;
	struct nvml n = { .library = NULL };
	unsigned int count = 0;
	int cuda = 0;
	int rc;

	if (!load(&n)) {
		const char *why = dlerror();

		snprintf(answer->trouble, sizeof(answer->trouble), "%s",
			 why ? why : "the library lacks functions");
		return;
	}
	rc = n.init();
	if (rc == SUCCESS)
		rc = n.count(&count);
	if (rc != SUCCESS) {
		snprintf(answer->trouble, sizeof(answer->trouble), "NVML error %d", rc);
		return;
	}
	if (!n.driver || n.driver(info->driver, sizeof(info->driver)) != SUCCESS)
		info->driver[0] = '\0';
	if (n.cuda && n.cuda(&cuda) == SUCCESS)
		snprintf(info->cuda, sizeof(info->cuda), "%d.%d", cuda / 1000, cuda % 1000 / 10);
	info->count = count;
	for (unsigned int i = 0; i < count && i < NVML_GPUS_MAX; i++)
		ask_device(&n, i, &info->gpus[i]);
}

static NORETURN void be_child(int fd)
{
	struct answer answer;
	const char *p = (const char *)&answer;
	size_t left = sizeof(answer);

	memset(&answer, 0, sizeof(answer));
	ask_library(&answer);
	while (left) {
		ssize_t n = write(fd, p, left);

		if (n <= 0)
			_exit(1);
		p += n;
		left -= (size_t)n;
	}
	_exit(0);
}

/* ---- in the parent ---- */

/* A whole answer before the deadline, or -1. */
static int receive(int fd, int64_t deadline, struct answer *answer)
{
	char *p = (char *)answer;
	size_t left = sizeof(*answer);

	while (left) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		int64_t wait_ms = deadline - clock_monotonic_ms();
		int ready = wait_ms > 0 ? poll(&poll_fd, 1, (int)wait_ms) : 0;
		ssize_t n;

		if (ready < 0 && errno == EINTR)
			continue;
		n = ready > 0 ? read(fd, p, left) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		left -= (size_t)n;
	}
	return 0;
}

static void end_child(pid_t pid)
{
	int status;

	kill(pid, SIGKILL); /* it has nothing to lose */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

/* No text of the child is trusted to end. */
static void close_texts(struct answer *answer)
{
	struct gpu_info *info = &answer->info;

	answer->trouble[sizeof(answer->trouble) - 1] = '\0';
	info->driver[sizeof(info->driver) - 1] = '\0';
	info->cuda[sizeof(info->cuda) - 1] = '\0';
	for (size_t i = 0; i < NVML_GPUS_MAX; i++)
		info->gpus[i].model[sizeof(info->gpus[i].model) - 1] = '\0';
}

int nvml_ask(struct gpu_info *out, struct err *err)
{
	struct answer answer;
	int64_t deadline = clock_monotonic_ms() + probe_deadline(DEADLINE_MS);
	int fds[2];
	pid_t pid;
	int rc;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(err, ERR_FAILED, "cannot make a pipe");
	pid = fork();
	if (pid == 0)
		be_child(fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return err_errno(err, ERR_FAILED, "cannot start a process");
	}
	rc = receive(fds[0], deadline, &answer);
	close(fds[0]);
	end_child(pid);
	if (rc < 0)
		return err_set(err, ERR_FAILED, "the driver's library gave no answer");
	close_texts(&answer);
	if (answer.trouble[0])
		return err_set(err, ERR_FAILED, "%s", answer.trouble);
	*out = answer.info;
	out->source = "nvml";
	return 0;
}
