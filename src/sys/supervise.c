#include "base/base.h"

/*
 * Each stream of the child is a channel: read a block, write it to the log and to our own stream,
 * read the next. While our reader is slow the block waits and nothing more is read, so the child
 * feels the same back-pressure as without us; signals and the other stream go on meanwhile. That
 * needs writes that never block, but O_NONBLOCK belongs to the open file, which we share with our
 * caller's shell: so a pipe or terminal is opened anew through /proc/self/fd, and where that is
 * refused we write in steps that poll() has promised room for.
 *
 * After the child's end a channel ends with its pipe; where a grandchild keeps it open, once all
 * that the child itself had written has passed.
 */
#include "sys/proc.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/pty.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a pipe holds. Larger blocks, or larger pipes with them, measured up to 1.5 times slower: the
 * block should still be in the cache when it is written the second time. */
#define BLOCK_SIZE ((size_t)64 << 10)

/* A grandchild may keep the pipe for ever. */
#define DRAIN_MS 200

/* What may lie in a pty: its buffers hold 64 KiB and a page, and FIONREAD does not tell. */
#define PTY_HOLDS ((size_t)128 << 10)

/* What a log on a full disk gives back. */
#define LOG_ROOM ((off_t)64 << 10)

/* Interrupts further apart than this are not one wish to stop; unless the caller says else. */
#define GRACE_MS 10000

struct channel {
	enum proc_stream stream;
	int from; /* our end of the child's pipe or pty; -1: it has ended */
	int to;	  /* our stream, or a non-blocking twin of it; -1: it has gone away */
	bool is_twin;
	bool is_pty;
	bool in_steps;	  /* 'to' may block: write no more than poll() promised */
	bool is_readable; /* as of the last poll */
	char *block;
	size_t start, end; /* the part of 'block' still to be written */
	size_t owed;	   /* after the child's end: what it left in the pipe */
};

struct supervisor {
	const struct proc_supervision *s;
	struct proc_outcome *outcome;
	struct channel channels[2];
	sigset_t old_mask;
	int signals; /* a signalfd */
	int extra_fd;
	pid_t pid;
	bool ended;
	bool hurry; /* asked to end while only our slow reader keeps us */
	bool in_slurm_step;
	bool in_slurm_job;
	bool stop_asked; /* by ^Z, and the child has not stopped yet */
	int interrupts;	 /* Ctrl-C presses within the grace time of each other */
	int64_t interrupted;
	int64_t started;
	int64_t late; /* when to stop waiting for grandchildren */
	int64_t next_tick;
};

static const int watched[] = {
	SIGCHLD, SIGWINCH, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT, SIGTSTP,
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- output ---- */

static int own_fd(const struct channel *c)
{
	return c->stream == PROC_STDOUT ? STDOUT_FILENO : STDERR_FILENO;
}

static bool is_waiting(const struct channel *c)
{
	return c->start < c->end;
}

/*
 * The log ends where the disk does; the training goes on. The last of the log gives way to a line
 * that says so, and to the record and the journal, which want a little of the same disk.
 */
static void end_log(struct supervisor *v, int number)
{
	struct proc_outcome *outcome = v->outcome;
	int fd = v->s->log_fd;
	off_t end = lseek(fd, 0, SEEK_END);
	off_t cut = end / 2 < LOG_ROOM ? end / 2 : LOG_ROOM;
	char line[128];
	int len = snprintf(line, sizeof(line),
			   "\nthhost: the log ends here: %s; the training went on\n",
			   strerrordesc_np(number));

	outcome->log_errno = number;
	outcome->log_truncated = true;
	if (cut > 0 && ftruncate(fd, end - cut) == 0)
		outcome->log_bytes -= (uint64_t)cut;
	if (write(fd, line, (size_t)len) < 0)
		log_info("the log cannot say that it ends: %s", errno_name(errno));
}

static void log_block(struct supervisor *v, const char *data, size_t len)
{
	struct proc_outcome *outcome = v->outcome;

	while (len && v->s->log_fd >= 0 && !outcome->log_truncated) {
		ssize_t n = write(v->s->log_fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			end_log(v, n < 0 ? errno : ENOSPC);
			return;
		}
		outcome->log_bytes += (uint64_t)n;
		data += n;
		len -= (size_t)n;
	}
}

static void lose_output(struct supervisor *v, struct channel *c)
{
	if (c->is_twin)
		close(c->to);
	c->is_twin = false;
	c->to = -1;
	v->outcome->output_lost = true;
}

/* Write what our reader takes without waiting; at the block's end, tell. */
static void write_on(struct supervisor *v, struct channel *c)
{
	while (c->to >= 0 && is_waiting(c)) {
		size_t len = c->end - c->start;
		ssize_t n = write(c->to, c->block + c->start,
				  c->in_steps && len > PIPE_BUF ? PIPE_BUF : len);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && errno != EINTR)
			lose_output(v, c);
		if (n > 0)
			c->start += (size_t)n;
		if (c->in_steps && is_waiting(c) && c->to >= 0)
			return;
	}
	if (v->s->on_output)
		v->s->on_output(v->s->arg, c->stream, c->block, c->end);
	c->start = c->end = 0;
}

static void read_block(struct supervisor *v, struct channel *c)
{
	ssize_t n = read(c->from, c->block, BLOCK_SIZE);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) { /* a pty ends with EIO */
		close_fd(&c->from);
		return;
	}
	c->start = 0;
	c->end = (size_t)n;
	c->owed -= c->owed < c->end ? c->owed : c->end;
	log_block(v, c->block, c->end);
	if (v->s->before_output)
		v->s->before_output(v->s->arg, c->stream);
	if (!c->in_steps || c->to < 0)
		write_on(v, c);
}

/* A grandchild that keeps the pipe gets no more than the time until 'late'. */
static bool is_drained(const struct supervisor *v, const struct channel *c)
{
	if (v->hurry)
		return true;
	if (is_waiting(c))
		return false;
	if (c->from < 0)
		return true;
	return clock_monotonic_ms() >= v->late && (!c->owed || !c->is_readable);
}

static void note_what_is_owed(struct channel *c)
{
	int left = 0;

	if (c->from < 0)
		return;
	c->is_readable = true; /* until a poll says otherwise */
	c->owed = PTY_HOLDS;
	if (!c->is_pty && ioctl(c->from, FIONREAD, &left) == 0)
		c->owed = (size_t)left;
}

/* ---- signals ---- */

/* Slurm signals one process after the other: the child may have ended of it before we read ours. */
static bool is_told_to_end(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 1;
}

static void reap(struct supervisor *v)
{
	struct proc_outcome *outcome = v->outcome;
	pid_t got;

	if (v->ended)
		return;
	do
		got = wait4(v->pid, &outcome->status, WNOHANG, &outcome->usage);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		return;
	v->ended = true;
	if (v->in_slurm_job && is_told_to_end())
		outcome->was_told_to_end = true;
	outcome->wall_ms = clock_monotonic_ms() - v->started;
	if (v->s->on_end)
		v->s->on_end(v->s->arg);
	v->late = clock_monotonic_ms() + DRAIN_MS;
	note_what_is_owed(&v->channels[0]);
	note_what_is_owed(&v->channels[1]);
}

/* What the kernel sent (a key of the terminal) went to the whole group, the child included; a Slurm
 * step signals each process; and what the child sent to its group need not come back to it. But a
 * terminal that goes away tells the leader of its session alone, which we are under 'ssh -t'. */
static bool is_for_us_alone(const struct supervisor *v, const struct signalfd_siginfo *info)
{
	if (info->ssi_code == SI_KERNEL && info->ssi_signo == SIGHUP)
		/* not reached by tests: a terminal that goes away */
		return getsid(0) == getpid();
	return info->ssi_code != SI_KERNEL && !v->in_slurm_step && (pid_t)info->ssi_pid != v->pid;
}

static void forward(struct supervisor *v, const struct signalfd_siginfo *info)
{
	if (v->ended || !is_for_us_alone(v, info))
		return;
	kill(v->pid, (int)info->ssi_signo);
	if (info->ssi_signo != SIGTSTP && info->ssi_signo != SIGCONT)
		v->outcome->forwarded_signal = (int)info->ssi_signo;
}

static void count_interrupt(struct supervisor *v)
{
	int64_t now = clock_monotonic_ms();

	if (now - v->interrupted > (v->s->grace_ms ? v->s->grace_ms : GRACE_MS))
		v->interrupts = 0;
	v->interrupted = now;
	v->interrupts++;
	if (v->interrupts == 2)
		log_plain("the training (pid %ld) has been asked to stop; "
			  "Ctrl-C once more kills it",
			  (long)v->pid);
	else if (v->interrupts > 2)
		kill(v->pid, SIGKILL);
}

/*
 * Once a ^Z has stopped the child, stop as we would have by default. Not before it: the shell takes
 * the terminal back when we stop, and a child still reading would steal from it. And not without
 * it: a child that ignores ^Z, or is in a group that no shell could continue, goes on, and so do we.
 */
static void stop_after_child(struct supervisor *v)
{
	siginfo_t child = { .si_pid = 0 };
	sigset_t stop;

	if (!v->stop_asked || v->ended ||
	    waitid(P_PID, (id_t)v->pid, &child, WSTOPPED | WNOHANG) < 0 || !child.si_pid)
		return;
	v->stop_asked = false;
	if (v->s->on_stop)
		v->s->on_stop(v->s->arg);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &stop, NULL); /* stopped here, until SIGCONT */
	sigprocmask(SIG_BLOCK, &stop, NULL);
}

/* The child may have asked for the size before we set it here, so it is told once more. */
static void follow_size(struct supervisor *v)
{
	bool changed = false;

	for (int i = 0; i < 2; i++) {
		const struct channel *c = &v->channels[i];

		if (c->is_pty && c->from >= 0 && pty_follow_size(c->from, own_fd(c)))
			changed = true;
	}
	if (changed && !v->ended)
		kill(v->pid, SIGWINCH);
}

static void handle_signal(struct supervisor *v, const struct signalfd_siginfo *info)
{
	switch (info->ssi_signo) {
	case SIGCHLD:
		reap(v);
		stop_after_child(v);
		return;
	case SIGWINCH:
		follow_size(v);
		return;
	case SIGCONT:
		v->stop_asked = false;
		follow_size(v);
		forward(v, info);
		return;
	case SIGTSTP:
		forward(v, info);
		v->stop_asked = true;
		stop_after_child(v);
		return;
	case SIGINT:
		if (info->ssi_code == SI_KERNEL && !v->ended)
			count_interrupt(v);
		break;
	}
	if (info->ssi_signo == SIGTERM && !v->ended && (pid_t)info->ssi_pid != v->pid)
		v->outcome->was_told_to_end = true;
	forward(v, info);
	if (v->ended && info->ssi_signo != SIGUSR1 && info->ssi_signo != SIGUSR2)
		v->hurry = true;
}

static void read_signals(struct supervisor *v)
{
	struct signalfd_siginfo infos[8];
	ssize_t n = read(v->signals, infos, sizeof(infos));

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(infos[0]); i++)
		handle_signal(v, &infos[i]);
}

static int watch_signals(struct supervisor *v, struct err *err)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
		sigaddset(&mask, watched[i]);
	sigprocmask(SIG_BLOCK, &mask, &v->old_mask);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
	sigaction(SIGCHLD, &by_default, NULL); /* ignored, there would be no status */
	v->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (v->signals < 0)
		return err_errno(err, ERR_FAILED, "cannot watch signals");
	return 0;
}

/* ---- the pump ---- */

enum { SIGNALS = 2, EXTRA, N_POLLED };

static struct pollfd poll_of_channel(const struct channel *c)
{
	if (is_waiting(c))
		return (struct pollfd){ .fd = c->to, .events = POLLOUT };
	return (struct pollfd){ .fd = c->from, .events = POLLIN };
}

static int poll_timeout(const struct supervisor *v)
{
	int64_t now = clock_monotonic_ms();
	int64_t until = v->s->on_tick ? v->next_tick : INT64_MAX;

	if (v->ended && v->late > now && v->late < until)
		until = v->late;
	if (until == INT64_MAX)
		return -1;
	return until > now ? (int)(until - now) : 0;
}

static void step(struct supervisor *v)
{
	struct pollfd polled[N_POLLED];

	polled[0] = poll_of_channel(&v->channels[0]);
	polled[1] = poll_of_channel(&v->channels[1]);
	polled[SIGNALS] = (struct pollfd){ .fd = v->signals, .events = POLLIN };
	polled[EXTRA] = (struct pollfd){ .fd = v->extra_fd, .events = POLLIN };
	if (poll(polled, N_POLLED, poll_timeout(v)) < 0)
		return;
	for (int i = 0; i < 2; i++) {
		struct channel *c = &v->channels[i];

		if (!is_waiting(c)) /* else it keeps what it was: nobody asked */
			c->is_readable = polled[i].revents;
		if (polled[i].revents && is_waiting(c))
			write_on(v, c);
		else if (polled[i].revents)
			read_block(v, c);
	}
	if (polled[SIGNALS].revents)
		read_signals(v);
	if (polled[EXTRA].revents)
		v->extra_fd = v->s->on_extra(v->s->arg);
}

static void tick(struct supervisor *v)
{
	int64_t now = clock_monotonic_ms();

	if (!v->s->on_tick || now < v->next_tick)
		return;
	v->next_tick = now + (v->s->tick_ms > 0 ? v->s->tick_ms : 1);
	v->s->on_tick(v->s->arg);
	reap(v); /* whatever a callback did to SIGCHLD, no training may wait for us */
}

static void pump(struct supervisor *v)
{
	while (!v->ended || !is_drained(v, &v->channels[0]) || !is_drained(v, &v->channels[1])) {
		step(v);
		tick(v);
	}
	read_signals(v); /* what has come since must not end us when the mask is lifted */
}

/* ---- start and end ---- */

/* Find a way to our own stream that never blocks (see the top). */
static void open_output(struct channel *c)
{
	char path[64];
	struct stat st;
	int fd = own_fd(c);

	c->to = -1;
	if (fstat(fd, &st) < 0)
		return; /* not reached by tests: main() has opened all three */
	c->to = fd;
	if (S_ISREG(st.st_mode))
		return;
	c->in_steps = true;
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return; /* not reached by tests: no /proc, or a terminal of another user */
	c->to = fd;
	c->is_twin = true;
	c->in_steps = false;
}

/* 'theirs' gets the child's end. */
static int open_channel(struct supervisor *v, enum proc_stream stream, int *theirs)
{
	struct channel *c = &v->channels[stream];
	int fds[2];

	c->stream = stream;
	c->block = xmalloc(BLOCK_SIZE);
	open_output(c);
	if (!v->s->no_pty && isatty(own_fd(c)) && pty_open(own_fd(c), &c->from, theirs) == 0) {
		c->is_pty = true;
		return 0;
	}
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	c->from = fds[0];
	*theirs = fds[1];
	return 0;
}

static int start(struct supervisor *v, struct err *err)
{
	struct spawn_failure failure = { .step = SPAWN_PREPARE };
	struct spawn spawn = { .argv = v->s->argv, .env = v->s->env, .std = { -1, -1, -1 } };
	int rc = -1;

	spawn.mask = &v->old_mask;
	v->started = clock_monotonic_ms();
	if (open_channel(v, PROC_STDOUT, &spawn.std[1]) < 0 ||
	    open_channel(v, PROC_STDERR, &spawn.std[2]) < 0) {
		err_errno(err, ERR_FAILED, "cannot open a pipe to '%s'", v->s->argv[0]);
	} else if (spawn_start(&spawn, &v->pid, &failure) == 0) {
		rc = 0;
	} else if (failure.step == SPAWN_EXEC) {
		v->pid = -1;
		v->outcome->start_errno = failure.number;
		rc = 0;
	} else {
		errno = failure.number;
		err_errno(err, ERR_FAILED, "cannot start '%s'", v->s->argv[0]);
	}
	close_fd(&spawn.std[1]);
	close_fd(&spawn.std[2]);
	return rc;
}

static void release(struct supervisor *v)
{
	for (int i = 0; i < 2; i++) {
		struct channel *c = &v->channels[i];

		close_fd(&c->from);
		if (c->is_twin)
			close(c->to);
		free(c->block);
	}
	close_fd(&v->signals);
	sigprocmask(SIG_SETMASK, &v->old_mask, NULL);
}

int proc_supervise(const struct proc_supervision *s, struct proc_outcome *outcome, struct err *err)
{
	const char *slurm = getenv("SLURM_STEP_ID");
	const char *job = getenv("SLURM_JOB_ID");
	struct supervisor v = {
		.s = s,
		.outcome = outcome,
		.channels = { { .from = -1, .to = -1 }, { .from = -1, .to = -1 } },
		.extra_fd = s->on_extra ? s->extra_fd : -1,
		.in_slurm_step = slurm && *slurm,
		.in_slurm_job = job && *job,
	};
	int rc;

	memset(outcome, 0, sizeof(*outcome));
	rc = watch_signals(&v, err);
	if (rc == 0)
		rc = start(&v, err);
	if (rc == 0 && s->on_start)
		s->on_start(s->arg, v.pid);
	if (rc == 0 && v.pid > 0)
		pump(&v);
	release(&v);
	return rc;
}

int proc_shell_status(const struct proc_outcome *outcome)
{
	if (outcome->start_errno)
		return outcome->start_errno == ENOENT ? 127 : 126;
	if (WIFSIGNALED(outcome->status))
		return 128 + WTERMSIG(outcome->status);
	return WEXITSTATUS(outcome->status);
}

void proc_end_as(const struct proc_outcome *outcome)
{
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	const struct rlimit none = { 0, 0 };
	sigset_t one;
	int number;

	if (outcome->start_errno || !WIFSIGNALED(outcome->status))
		exit(proc_shell_status(outcome));
	number = WTERMSIG(outcome->status);
	fflush(NULL);
	setrlimit(RLIMIT_CORE, &none); /* the child's core is the one to look at */
	sigaction(number, &by_default, NULL);
	sigemptyset(&one);
	sigaddset(&one, number);
	raise(number);
	/* not reached by tests: only where the signal was blocked when we were started */
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	_exit(128 + number);
}
