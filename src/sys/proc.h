/*
 * proc - other programs.
 *
 * Two ways to run one: proc_capture() for a helper that answers (git,
 * nvidia-smi, our own worker), with a deadline and a limit on what it may say;
 * and proc_supervise() for the training: its streams pass through untouched, its
 * signals reach it, its status becomes ours. Commands are argv vectors; no shell.
 * Knows nothing of stages or records.
 */
#ifndef SYS_PROC_H
#define SYS_PROC_H
#include "base/err.h"
#include "base/str.h"

#include <sys/resource.h>

/* ---- asking a helper ---- */

struct proc_request {
	char *const *argv;
	char *const *env;  /* NULL: ours; an empty vector: none */
	const char *cwd;   /* NULL: ours */
	const char *exe;   /* run this file whatever argv[0] says; NULL: argv[0] in PATH */
	const char *input; /* fed to its stdin, then closed */
	size_t input_len;
	const int *pass_fds; /* ours; the child finds them as 10, 11, ... */
	size_t n_pass_fds;   /* at most SPAWN_MAX_PASSED */
	size_t output_limit; /* bytes of stdout kept; more is an error */
	int deadline_ms;     /* wall clock; then SIGKILL. 0: none */
	size_t renewals;     /* so many lines of its stdout start the deadline anew */
	const char *stop_at; /* once its stderr has this it is killed; NULL: never */
};

struct proc_answer {
	struct str out;
	struct str errors; /* stderr, at most 64 KiB of it */
	int status;	   /* as from waitpid() */
	bool timed_out;
	bool too_much; /* output_limit passed; the child was killed */
	bool stopped;  /* at request->stop_at */
	struct rusage usage;
};

#define PROC_ANSWER_INIT                            \
	{                                           \
		.out = STR_INIT, .errors = STR_INIT \
	}

/* 0 when the child was started and is gone; how it went is in 'answer'. ERR_NOT_FOUND: no such
 * command. */
int proc_capture(const struct proc_request *request, struct proc_answer *answer, struct err *err);
void proc_answer_release(struct proc_answer *answer);
bool proc_succeeded(const struct proc_answer *answer);

/* The path of the running program (for starting ourselves again), fresh memory. */
char *proc_self(void);

/* Start time of process 'pid' in clock ticks since boot (/proc/PID/stat, field 22), or 0. */
uint64_t proc_start_time(pid_t pid);

/* True if there is a process 'pid', although /proc may not show those of others (hidepid). */
bool proc_exists(pid_t pid);

/* The pid namespace of this process (of a container), as a number of this boot; 0: unknown. */
uint64_t proc_pid_namespace(void);

/* Has it ended, and its parent has not asked for its status yet? */
bool proc_is_zombie(pid_t pid);

/* ---- running the training ---- */

enum proc_stream { PROC_STDOUT, PROC_STDERR };

struct proc_supervision {
	char *const *argv;
	char *const *env; /* the child's whole environment */
	bool no_pty;	  /* pipes even where ours is a terminal */
	int log_fd;	  /* all goes here too, in order of arrival; -1: no log */

	/* Called before a block goes out, so that a status line can step aside. NULL: none. */
	void (*before_output)(void *arg, enum proc_stream stream);
	/* Called with each block that passed, once for each before_output; must return quickly. A
	 * slow reader of ours may let time, ticks and the other stream pass between the two. NULL:
	 * none. */
	void (*on_output)(void *arg, enum proc_stream stream, const char *data, size_t len);
	/* Called at least every 'tick_ms' while the child runs; NULL: none. */
	void (*on_tick)(void *arg);
	/* One more descriptor to poll for input (the progress worker's); the callback returns the
	 * descriptor to poll from now on, -1 for none. */
	int extra_fd;
	int (*on_extra)(void *arg);
	/* The child is running (pid known), or could not be started (pid -1). */
	void (*on_start)(void *arg, pid_t pid);
	/* The child has ended; what it left in its pipes is still to come. NULL: none. */
	void (*on_end)(void *arg);
	/* ^Z: the child has stopped, and we are about to. NULL: none. */
	void (*on_stop)(void *arg);
	void *arg;
	int tick_ms;
	int grace_ms; /* a third Ctrl-C within it of the one before
				    * kills; 0: 10 s; negative: never */
};

struct proc_outcome {
	int status;	 /* as from waitpid() */
	int start_errno; /* exec failed with this; status is then meaningless */
	int64_t wall_ms; /* from the start to the child's end */
	struct rusage usage;
	uint64_t log_bytes; /* bytes that reached the log */
	int log_errno;	    /* the log stopped there, with this */
	bool log_truncated;
	int forwarded_signal; /* the last one passed on, TSTP and CONT not counted; 0: none */
	bool was_told_to_end; /* SIGTERM came while it ran, for us alone or for all of the job */
	bool output_lost;     /* our own stdout or stderr went away (EPIPE) or refused (ENOSPC) */
};

/*
 * Start the child in our session and process group, with our stdin; pump its output until it has
 * ended and the pipes are dry (or 200 ms later, if a grandchild keeps them). -1 only when thhost
 * itself failed before the start; a command that cannot be executed is reported in 'outcome'.
 *
 * A signal sent to us alone goes on to the child; what the terminal sent has reached it already,
 * and a Slurm step signals all of its processes itself. The third Ctrl-C within the grace time
 * kills the child. On return the signal mask is as before; SIGPIPE and SIGXFSZ stay ignored,
 * because our output may be gone while the record is still to be written.
 */
int proc_supervise(const struct proc_supervision *s, struct proc_outcome *outcome, struct err *err);

/* End as the child ended: the same status, or the same signal raised again. Never returns. */
void proc_end_as(const struct proc_outcome *outcome) NORETURN;

/* The status a shell would show: 0-255, 128+signal, 126 or 127 for a failed start. */
int proc_shell_status(const struct proc_outcome *outcome);

#endif
