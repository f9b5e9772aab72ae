#include "base/base.h"

#include "sys/spawn.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* Where close_range() is missing: everything of ours is O_CLOEXEC anyway, this is for what we
 * inherited, and nobody inherits more. */
#define CLOSE_BY_HAND_BELOW 1024

/* All that the child needs. It shares our memory until it runs exec: it allocates nothing and
 * changes nothing here. */
struct plan {
	const struct spawn *spawn;
	char *const *candidates; /* files to try in turn */
	char *const *env;
	bool searched; /* they come from PATH */
	int report;    /* the O_CLOEXEC pipe that carries a failure */
};

static NORETURN void give_up(int report, enum spawn_step step, int number)
{
	struct spawn_failure failure = { .step = (int)step, .number = number };
	ssize_t n = write(report, &failure, sizeof(failure));

	_exit(n == (ssize_t)sizeof(failure) ? 127 : 126);
}

/* A handler of ours must not run in the child. What is ignored stays so (nohup), but for the
 * signals that thhost itself ignores or must not inherit as ignored. */
static void reset_signals(const sigset_t *mask)
{
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	struct sigaction old;

	for (int number = 1; number < NSIG; number++) {
		if (sigaction(number, NULL, &old) < 0 || old.sa_handler == SIG_DFL)
			continue;
		if (old.sa_handler != SIG_IGN || number == SIGPIPE || number == SIGXFSZ ||
		    number == SIGCHLD)
			sigaction(number, &by_default, NULL);
	}
	sigprocmask(SIG_SETMASK, mask, NULL);
}

static void close_on_exec(unsigned first, unsigned last)
{
	long rc = -1;

#ifdef SYS_close_range
	rc = syscall(SYS_close_range, first, last, CLOSE_RANGE_CLOEXEC);
#endif
	for (unsigned fd = first; rc < 0 && fd <= last && fd < CLOSE_BY_HAND_BELOW; fd++)
		fcntl((int)fd, F_SETFD, FD_CLOEXEC);
}

/* The descriptors that are passed, on their way to their places: 10, 11, ... */
struct moves {
	int n;
	int at[SPAWN_MAX_PASSED]; /* where each is; -1: in its place */
	int on[SPAWN_MAX_PASSED]; /* how many that wait stand on place 10 + i */
};

/* One more or less waits on the place where 'fd' is, if that is a place. */
static void count(struct moves *moves, int fd, int change)
{
	int place = fd - SPAWN_FIRST_PASSED;

	if (place >= 0 && place < moves->n)
		moves->on[place] += change;
}

/* Move descriptor 'i' to its place: 1; 0: another one still stands there; -1 with errno. */
static int move(struct moves *moves, int i)
{
	int place = SPAWN_FIRST_PASSED + i;
	int from = moves->at[i];

	if (moves->on[i] > (from == place))
		return 0;
	if (from == place ? fcntl(place, F_SETFD, 0) < 0 : dup2(from, place) < 0)
		return -1;
	count(moves, from, -1);
	moves->at[i] = -1;
	return 1;
}

/* Those that wait stand in one another's way in a circle: copy one to the side. */
static int open_circle(struct moves *moves)
{
	int i = 0;

	while (moves->at[i] < 0)
		i++;
	count(moves, moves->at[i], -1);
	moves->at[i] = fcntl(moves->at[i], F_DUPFD_CLOEXEC, SPAWN_FIRST_PASSED + moves->n);
	return moves->at[i] < 0 ? -1 : 0;
}

/*
 * Put the passed descriptors in their places with next to none beside them: there may be nearly as
 * many as the limit allows. Up and down in turn, for most lie in order, shifted by a few.
 */
static int place_passed(const struct spawn *spawn)
{
	struct moves moves = { .n = (int)spawn->n_pass_fds };
	int left = moves.n;

	for (int i = 0; i < moves.n; i++) {
		moves.at[i] = spawn->pass_fds[i];
		count(&moves, moves.at[i], 1);
	}
	for (bool is_down = true; left; is_down = !is_down) {
		int before = left;

		for (int k = 0; k < moves.n; k++) {
			int i = is_down ? moves.n - 1 - k : k;
			int moved = moves.at[i] < 0 ? 0 : move(&moves, i);

			if (moved < 0)
				return -1;
			left -= moved;
		}
		if (left == before && !is_down && open_circle(&moves) < 0)
			/* not reached by tests: where that few are allowed, no pipe could be made */
			return -1;
	}
	return 0;
}

/*
 * Put each descriptor in its place. What becomes 0, 1 and 2 may lie where a passed one belongs: it is
 * lifted above all places first. Returns the new place of the report pipe, or -1.
 */
static int place_descriptors(const struct spawn *spawn, int report)
{
	int above = SPAWN_FIRST_PASSED + (int)spawn->n_pass_fds;
	int lifted[3];

	report = fcntl(report, F_DUPFD_CLOEXEC, above);
	if (report < 0)
		return -1;
	for (int i = 0; i < 3; i++) {
		int fd = spawn->std[i];

		lifted[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, above);
		if (fd >= 0 && lifted[i] < 0)
			return -1;
	}
	if (place_passed(spawn) < 0)
		return -1;
	for (int i = 0; i < 3; i++)
		if (lifted[i] >= 0 && dup2(lifted[i], i) < 0)
			return -1;
	if (spawn->close_others) {
		close_on_exec(3, SPAWN_FIRST_PASSED - 1);
		close_on_exec((unsigned)above, ~0U);
	}
	return report;
}

/* The errno that matters once every candidate has failed, as execvp() has it. */
static int try_candidates(const struct plan *plan)
{
	bool denied = false;

	for (char *const *file = plan->candidates; *file; file++) {
		execve(*file, plan->spawn->argv, plan->env);
		if (!plan->searched)
			return errno;
		if (errno == EACCES)
			denied = true;
		else if (errno != ENOENT && errno != ENOTDIR && errno != ENODEV &&
			 errno != ESTALE && errno != ETIMEDOUT)
			return errno;
	}
	return denied ? EACCES : ENOENT;
}

static NORETURN void become(const struct plan *plan)
{
	const struct spawn *spawn = plan->spawn;
	int report = place_descriptors(spawn, plan->report);

	if (report < 0)
		give_up(plan->report, SPAWN_PREPARE, errno);
	if (spawn->own_group && setpgid(0, 0) < 0)
		give_up(report, SPAWN_PREPARE, errno);
	if (spawn->cwd && chdir(spawn->cwd) < 0)
		give_up(report, SPAWN_CHDIR, errno);
	reset_signals(spawn->mask);
	give_up(report, SPAWN_EXEC, try_candidates(plan));
}

static bool is_searched(const struct spawn *spawn)
{
	return !spawn->exe && spawn->argv[0] && spawn->argv[0][0] && !strchr(spawn->argv[0], '/');
}

/* The files that 'spawn' may mean: one, or one for each directory of PATH. */
static void list_candidates(const struct spawn *spawn, struct strv *files)
{
	const char *path = getenv("PATH");
	const char *name = spawn->exe ? spawn->exe : spawn->argv[0];

	if (!is_searched(spawn)) {
		strv_push(files, name ? name : "");
		return;
	}
	if (!path)
		path = "/usr/local/bin:/usr/bin:/bin";
	for (;;) {
		size_t len = strcspn(path, ":");

		/* an empty entry is the current directory */
		strv_pushf(files, "%.*s%s%s", (int)len, path, len ? "/" : "", name);
		if (!path[len])
			return;
		path += len + 1;
	}
}

/* Signals are blocked meanwhile: a handler must not run on memory that two processes share. */
static pid_t start_blocked(const struct plan *plan)
{
	sigset_t all, old;
	pid_t pid;
	int saved;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = vfork();
	if (pid == 0)
		become(plan);
	saved = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	return pid;
}

/* The child's last words, if exec failed: true. The pipe ends without any when exec went well. */
static bool read_report(int fd, struct spawn_failure *failure)
{
	ssize_t n;

	do
		n = read(fd, failure, sizeof(*failure));
	while (n < 0 && errno == EINTR);
	close(fd);
	return n == (ssize_t)sizeof(*failure);
}

static int fail_early(struct spawn_failure *failure)
{
	failure->step = SPAWN_PREPARE;
	failure->number = errno;
	return -1;
}

int spawn_start(const struct spawn *spawn, pid_t *pid, struct spawn_failure *failure)
{
	struct strv files = STRV_INIT;
	struct plan plan = { .spawn = spawn, .env = spawn->env ? spawn->env : environ };
	int report[2];
	int rc = -1;

	if (spawn->n_pass_fds > SPAWN_MAX_PASSED) {
		/* not reached by tests: inputs.c, the only one that passes files, stops before */
		errno = EMFILE;
		return fail_early(failure);
	}
	if (pipe2(report, O_CLOEXEC) < 0)
		return fail_early(failure);
	list_candidates(spawn, &files);
	plan.candidates = files.v;
	plan.searched = is_searched(spawn);
	plan.report = report[1];
	*pid = start_blocked(&plan);
	if (*pid < 0)
		rc = fail_early(failure);
	close(report[1]);
	if (*pid < 0)
		close(report[0]);
	else if (!read_report(report[0], failure))
		rc = 0;
	else
		while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
			;
	strv_release(&files);
	return rc;
}
