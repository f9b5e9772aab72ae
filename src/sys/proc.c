#include "base/base.h"

#include "sys/proc.h"

#include "base/clock.h"
#include "base/mem.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ERRORS_LIMIT ((size_t)64 << 10)
#define BLOCK_SIZE ((size_t)64 << 10)

/* A daemon that the helper left behind may hold its pipes; what the helper itself wrote is there
 * by now. */
#define DRAIN_MS 200

/* How often to look for the child's end where the kernel has no pidfd (before 5.3). */
#define LOOK_MS 10

enum { IN, OUT, ERRORS, END, N_POLLED };

struct capture {
	const struct proc_request *request;
	struct proc_answer *answer;
	pid_t pid;
	int fds[N_POLLED]; /* our ends of its streams, and its pidfd; -1: closed or none */
	size_t sent;	   /* of the input */
	int64_t deadline;  /* 0: none */
	size_t renewals;   /* left */
	int64_t drain_until;
	int read_errno; /* what it said could not be read */
	bool ended;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void reap(struct capture *c, int flags)
{
	pid_t got;

	do
		got = wait4(c->pid, &c->answer->status, flags, &c->answer->usage);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		return;
	c->ended = true;
	c->drain_until = clock_monotonic_ms() + DRAIN_MS;
	close_fd(&c->fds[END]);
}

static void feed(struct capture *c)
{
	const struct proc_request *request = c->request;
	ssize_t n = write(c->fds[IN], request->input + c->sent, request->input_len - c->sent);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0)
		c->sent += (size_t)n;
	if (n < 0 || c->sent == request->input_len) /* it need not read all */
		close_fd(&c->fds[IN]);
}

/* Read a block from 'fd' into 'out'. True if that passed 'limit'; what is beyond is dropped. */
static bool collect(struct capture *c, int *fd, struct str *out, size_t limit)
{
	size_t room = limit - out->len;
	ssize_t n;

	str_reserve(out, BLOCK_SIZE);
	n = read(*fd, out->buf + out->len, BLOCK_SIZE);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n < 0)
		c->read_errno = errno;
	if (n <= 0) {
		close_fd(fd);
		return false;
	}
	out->len += (size_t)n < room ? (size_t)n : room;
	out->buf[out->len] = '\0';
	return (size_t)n > room;
}

/* A line that ends behind byte 'from' of what it said: it has done a part of its work. */
static void renew_deadline(struct capture *c, size_t from)
{
	const struct str *out = &c->answer->out;
	const char *at = out->buf + from;
	size_t lines = 0;

	while (lines < c->renewals && (at = memchr(at, '\n', (size_t)(out->buf + out->len - at)))) {
		lines++;
		at++;
	}
	c->renewals -= lines;
	if (lines && c->deadline)
		c->deadline = clock_monotonic_ms() + c->request->deadline_ms;
}

static bool is_finished(const struct capture *c)
{
	if (!c->ended)
		return false;
	return (c->fds[OUT] < 0 && c->fds[ERRORS] < 0) || clock_monotonic_ms() >= c->drain_until;
}

static int poll_timeout(const struct capture *c)
{
	int64_t until = c->ended ? c->drain_until : c->deadline;
	int64_t left = until - clock_monotonic_ms();

	if (!until)
		left = -1;
	else if (left < 0)
		left = 0; /* not reached by tests: but where the machine halts us just here */
	if (!c->ended && c->fds[END] < 0 && (left < 0 || left > LOOK_MS))
		left = LOOK_MS;
	return (int)left;
}

/* Wait for whatever comes first and deal with it. */
static void step(struct capture *c)
{
	struct pollfd polled[N_POLLED];

	for (int i = 0; i < N_POLLED; i++) {
		polled[i].fd = c->fds[i];
		polled[i].events = i == IN ? POLLOUT : POLLIN;
		polled[i].revents = 0;
	}
	if (poll(polled, N_POLLED, poll_timeout(c)) < 0)
		return;
	if (polled[IN].revents)
		feed(c);
	if (polled[ERRORS].revents)
		collect(c, &c->fds[ERRORS], &c->answer->errors, ERRORS_LIMIT);
	if (polled[OUT].revents) {
		size_t from = c->answer->out.len;

		c->answer->too_much =
			collect(c, &c->fds[OUT], &c->answer->out, c->request->output_limit);
		renew_deadline(c, from);
	}
	if (!c->ended && (polled[END].revents || c->fds[END] < 0))
		reap(c, WNOHANG);
}

static bool has_said(const struct str *text, const char *what)
{
	return what && text->len && strstr(text->buf, what);
}

/* True once the helper has said too much, or enough, or taken too long. */
static bool is_over_limit(struct capture *c)
{
	if (!c->ended && c->deadline && clock_monotonic_ms() >= c->deadline)
		c->answer->timed_out = true;
	if (!c->ended && has_said(&c->answer->errors, c->request->stop_at))
		c->answer->stopped = true;
	return c->answer->timed_out || c->answer->too_much || c->answer->stopped;
}

static void pump(struct capture *c)
{
	while (!is_finished(c)) {
		step(c);
		if (!is_over_limit(c))
			continue;
		if (!c->ended) {
			kill(c->pid, SIGKILL);
			reap(c, 0);
		}
		return;
	}
}

static int fail_start(const struct proc_request *request, const struct spawn_failure *failure,
		      struct err *err)
{
	const char *name = request->exe ? request->exe : request->argv[0];

	errno = failure->number;
	if (failure->step == SPAWN_CHDIR)
		return err_errno(err, ERR_FAILED, "cannot run '%s' in '%s'", name, request->cwd);
	if (failure->step == SPAWN_EXEC && failure->number == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "cannot run '%s': no such command", name);
	return err_errno(err, ERR_FAILED, "cannot run '%s'", name);
}

/* 'theirs' gets the child's end of a new pipe, '*ours' the other. */
static int open_pipe(int *ours, int *theirs, bool child_reads)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	*ours = fds[child_reads ? 1 : 0];
	*theirs = fds[child_reads ? 0 : 1];
	return fcntl(*ours, F_SETFL, O_NONBLOCK);
}

static int open_streams(struct capture *c, int theirs[3])
{
	if (c->request->input_len) {
		if (open_pipe(&c->fds[IN], &theirs[0], true) < 0)
			return -1;
	} else {
		theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (theirs[0] < 0)
			return -1;
	}
	if (open_pipe(&c->fds[OUT], &theirs[1], false) < 0)
		return -1;
	return open_pipe(&c->fds[ERRORS], &theirs[2], false);
}

static int start(struct capture *c, struct err *err)
{
	const struct proc_request *request = c->request;
	struct spawn_failure failure;
	struct spawn spawn = {
		.argv = request->argv,
		.env = request->env,
		.exe = request->exe,
		.cwd = request->cwd,
		.std = { -1, -1, -1 },
		.pass_fds = request->pass_fds,
		.n_pass_fds = request->n_pass_fds,
		.close_others = true,
	};
	sigset_t none;
	int rc = -1;

	sigemptyset(&none); /* a helper need not know what its caller blocks */
	spawn.mask = &none;
	if (open_streams(c, spawn.std) < 0)
		err_errno(err, ERR_FAILED, "cannot open a pipe to '%s'", request->argv[0]);
	else if (spawn_start(&spawn, &c->pid, &failure) < 0)
		fail_start(request, &failure, err);
	else
		rc = 0;
	for (int i = 0; i < 3; i++)
		close_fd(&spawn.std[i]);
#ifdef SYS_pidfd_open
	if (rc == 0)
		c->fds[END] = (int)syscall(SYS_pidfd_open, c->pid, 0);
#endif
	return rc;
}

int proc_capture(const struct proc_request *request, struct proc_answer *answer, struct err *err)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	struct sigaction old_pipe, old_child;
	bool child_ignored;
	struct capture c = { .request = request,
			     .answer = answer,
			     .fds = { -1, -1, -1, -1 },
			     .renewals = request->renewals };
	int rc;

	/* It may end before it has read its input; and were SIGCHLD ignored (some job runners
	 * leave it so), its status would be lost. Else it stays untouched: setting it, even to what
	 * it is, discards a pending one, and with it the end of a training that goes on beside. */
	sigaction(SIGPIPE, &ignore, &old_pipe);
	sigaction(SIGCHLD, NULL, &old_child);
	child_ignored = old_child.sa_handler == SIG_IGN;
	if (child_ignored)
		sigaction(SIGCHLD, &by_default, NULL);
	if (request->deadline_ms > 0)
		c.deadline = clock_monotonic_ms() + request->deadline_ms;
	rc = start(&c, err);
	if (rc == 0)
		pump(&c);
	if (c.read_errno) {
		errno = c.read_errno;
		rc = err_errno(err, ERR_FAILED, "cannot read what '%s' answers", request->argv[0]);
	}
	for (int i = 0; i < N_POLLED; i++)
		close_fd(&c.fds[i]);
	sigaction(SIGPIPE, &old_pipe, NULL);
	if (child_ignored)
		sigaction(SIGCHLD, &old_child, NULL);
	return rc;
}

void proc_answer_release(struct proc_answer *answer)
{
	str_release(&answer->out);
	str_release(&answer->errors);
}

bool proc_succeeded(const struct proc_answer *answer)
{
	return !answer->timed_out && !answer->too_much && !answer->stopped &&
	       WIFEXITED(answer->status) && WEXITSTATUS(answer->status) == 0;
}

char *proc_self(void)
{
	static const char running[] = "/proc/self/exe";
	char path[4096];
	ssize_t n = readlink(running, path, sizeof(path) - 1);

	path[n > 0 ? n : 0] = '\0';
	/* replaced by an upgrade while it runs: the link still leads to the old file */
	if (!path[0] || has_suffix(path, " (deleted)"))
		return xstrdup(running);
	return xstrdup(path);
}

/* From field 3 of /proc/PID/stat on; NULL if there is no such process. */
static const char *read_stat(pid_t pid, char text[1024])
{
	char path[64];
	const char *name_end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	n = read(fd, text, 1023);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	name_end = strrchr(text, ')'); /* field 2 is the name, which may hold anything */
	return name_end && name_end[1] ? name_end + 2 : NULL;
}

uint64_t proc_start_time(pid_t pid)
{
	char text[1024];
	const char *field = read_stat(pid, text);

	for (int i = 3; field && i < 22; i++) {
		field = strchr(field, ' ');
		field = field ? field + 1 : NULL;
	}
	return field ? strtoull(field, NULL, 10) : 0;
}

bool proc_is_zombie(pid_t pid)
{
	char text[1024];
	const char *state = read_stat(pid, text);

	return state && *state == 'Z';
}

bool proc_exists(pid_t pid)
{
	return kill(pid, 0) == 0 || errno == EPERM;
}

uint64_t proc_pid_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}
