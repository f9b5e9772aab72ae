#include "base/base.h"

#include "sys/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int open_slave(int master)
{
	char name[64];

	if (grantpt(master) < 0 || unlockpt(master) < 0)
		return -1;
	errno = ptsname_r(master, name, sizeof(name));
	if (errno)
		return -1; /* not reached by tests: grantpt() has asked for the same name */
	return open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static int make_raw(int slave)
{
	struct termios mode;

	if (tcgetattr(slave, &mode) < 0)
		return -1;
	cfmakeraw(&mode);
	return tcsetattr(slave, TCSANOW, &mode);
}

bool pty_follow_size(int master, int terminal)
{
	struct winsize now, was;

	if (ioctl(terminal, TIOCGWINSZ, &now) < 0 || ioctl(master, TIOCGWINSZ, &was) < 0 ||
	    !memcmp(&now, &was, sizeof(now)))
		return false;
	return ioctl(master, TIOCSWINSZ, &now) == 0;
}

int pty_open(int terminal, int *master, int *slave)
{
	int saved;

	*slave = -1;
	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*master < 0)
		return -1;
	*slave = open_slave(*master);
	if (*slave >= 0 && make_raw(*slave) == 0) {
		pty_follow_size(*master, terminal);
		return 0;
	}
	saved = errno;
	if (*slave >= 0)
		close(*slave);
	close(*master);
	errno = saved;
	return -1;
}
