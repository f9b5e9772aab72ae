/*
 * executor - who carries out the jobs of a batch: this machine, or a cluster's scheduler.
 *
 *	struct executor *e = executor_local(&setup, &err);
 *	e->ops->submit(e, &task, &state->jobs[job], &err);
 *	while (...) e->ops->poll(e, ended, arg);
 *	e->ops->close(e);
 *
 * A task is a command, 'thhost run ... -- COMMAND', which keeps its own journal in the stage directory
 * and records there. So an executor starts it, ends it, and tells when it is over; what became of the
 * training is read from that journal by the run's id, and an executor that forgets everything loses
 * nothing.
 */
#ifndef APP_EXECUTOR_H
#define APP_EXECUTOR_H
#include "base/err.h"
#include "model/batch_state.h"

struct executor_task {
	size_t job;
	const struct batch_job *spec; /* for what an executor wants to know beyond: resources */
	char *const *argv;	      /* argv[0] is this program */
	char *const *added;	      /* NAME=VALUE for its environment */
	const char *cwd;
	int log_fd;  /* its stdout and stderr */
	size_t gpus; /* how many it wants; SIZE_MAX: leave CUDA_VISIBLE_DEVICES as it is */
	const size_t *waits_for; /* jobs that are handed over and not over, for ops->waits_itself */
	size_t n_waits_for;
};

struct executor;

struct executor_ops {
	const char *name;

	/* Takes jobs whose predecessors are not over yet, and sees to their order itself. */
	bool waits_itself;

	/* Is there room for a job that wants 'gpus'? Asked before each submit(). */
	bool (*has_room)(const struct executor *e, size_t gpus);

	/* Start it, or hand it over. What tells it again goes into 'progress': pid and its start, or
	 * executor_id; gpus. The caller has noted the run's id on the disk before. */
	int (*submit)(struct executor *e, const struct executor_task *task,
		      struct batch_progress *progress, struct err *err);

	/* Call 'ended' for each job that is over, with its status as a shell shows it (-1:
	 * unknown). Must not block. */
	void (*poll)(struct executor *e, void (*ended)(void *arg, size_t job, int status),
		     void *arg);

	/* Pass a signal on to a job that runs; SIGKILL ends all of its processes. */
	void (*signal)(struct executor *e, size_t job, int number);
	void (*close)(struct executor *e);
};

struct executor {
	const struct executor_ops *ops;
};

/*
 * This machine: 'jobs' at a time, each in a process group of its own. 'gpus' are the names given out
 * through CUDA_VISIBLE_DEVICES; none: a job that wants some has no room.
 */
struct executor *executor_local(size_t jobs, const struct strv *gpus);

#endif
