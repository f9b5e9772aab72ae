#include "base/base.h"

#include "cli/deadline.h"

#include <math.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

/* For the handler, which can be given nothing. */
static struct str last_words = STR_INIT;
static int last_status;

static void end_here(int signal UNUSED)
{
	ssize_t ignored = write(STDERR_FILENO, last_words.buf, last_words.len);

	(void)ignored;
	_exit(last_status);
}

static void set_timer(double seconds)
{
	const double whole = floor(seconds);
	const struct itimerval timer = {
		.it_value = { .tv_sec = (time_t)whole,
			      .tv_usec = (suseconds_t)((seconds - whole) * 1e6) },
	};

	setitimer(ITIMER_REAL, &timer, NULL);
}

void deadline_set(double seconds, int status, struct str *text)
{
	struct sigaction action = { .sa_handler = end_here };
	sigset_t mask;

	str_release(&last_words);
	last_words = *text;
	str_init(text);
	last_status = status;
	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &mask, NULL); /* whatever our parent did to it */
	set_timer(seconds);
}

void deadline_clear(void)
{
	set_timer(0);
	signal(SIGALRM, SIG_DFL);
	str_release(&last_words);
}
