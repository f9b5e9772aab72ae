#include "base/base.h"

#include "sys/duplex.h"

#include "sys/proc.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int start_on(struct duplex *d, int theirs, int null, char *const *argv, struct err *err)
{
	char *env[] = { NULL };
	char *self = proc_self();
	sigset_t mask;
	struct spawn_failure failure;
	struct spawn spawn = { .argv = argv,
			       .env = env,
			       .exe = self,
			       .std = { theirs, theirs, null },
			       .close_others = true,
			       .mask = &mask };
	int result;

	sigemptyset(&mask);
	result = spawn_start(&spawn, &d->pid, &failure);
	free(self);
	if (result == 0)
		return 0;
	errno = failure.number;
	return err_errno(err, ERR_FAILED, "cannot start a helper process");
}

int duplex_start(struct duplex *d, char *const *argv, struct err *err)
{
	int pair[2];
	int null;
	int result;

	*d = (struct duplex)DUPLEX_INIT;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(err, ERR_FAILED, "cannot make a socket pair");
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	result = start_on(d, pair[1], null, argv, err);
	close(pair[1]);
	if (null >= 0)
		close(null);
	if (result < 0)
		close(pair[0]);
	else
		d->fd = pair[0];
	return result;
}

enum duplex_result duplex_send(const struct duplex *d, const char *data, size_t len)
{
	ssize_t n;

	do
		n = send(d->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return DUPLEX_DONE;
	return errno == EAGAIN || errno == ENOBUFS ? DUPLEX_LATER : DUPLEX_GONE;
}

enum duplex_result duplex_receive(const struct duplex *d, char *buf, size_t size, size_t *len)
{
	ssize_t n;

	do
		n = recv(d->fd, buf, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	*len = n > 0 ? (size_t)n : 0;
	if (n > 0)
		return DUPLEX_DONE;
	return n < 0 && errno == EAGAIN ? DUPLEX_LATER : DUPLEX_GONE;
}

void duplex_stop(struct duplex *d)
{
	pid_t got;

	if (d->fd >= 0)
		close(d->fd);
	if (d->pid > 0) {
		kill(d->pid, SIGKILL);
		do
			got = waitpid(d->pid, NULL, 0);
		while (got < 0 && errno == EINTR);
	}
	*d = (struct duplex)DUPLEX_INIT;
}
