/*
 * executor - who carries out the jobs of a batch: this machine, or a cluster's scheduler.
 *
 *	struct executor *e = executor_local(jobs, &gpus);
 *	e->ops->prepare(e, tasks, n);	... the journal of the batch is synced ...
 *	e->ops->submit(e, tasks, n, &err);
 *	while (...) e->ops->poll(e, &news);
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
	struct batch_progress *progress;
	size_t gpus;	 /* how many it wants; SIZE_MAX: leave CUDA_VISIBLE_DEVICES as it is */
	int64_t timeout; /* seconds; 0: none. For ops->waits_itself, others are told to end it */

	/* For an executor that starts it itself; the others' jobs find it all in the batch's state. */
	char *const *argv;  /* argv[0] is this program */
	char *const *added; /* NAME=VALUE for its environment */
	const char *cwd;
	int log_fd; /* its stdout and stderr */

	/* For ops->waits_itself: executor ids of what it waits for, handed over and not over. The
	 * same for all tasks of one submit(). */
	char *const *waits_for;
	size_t n_waits_for;
};

/* What the executor says of the end of a job, before its journal is asked. */
enum executor_cause {
	EXECUTOR_ENDED,	    /* by itself; or nothing is known */
	EXECUTOR_KILLED,    /* by the scheduler, for 'reason': a failure */
	EXECUTOR_PUT_BACK,  /* by the scheduler, and it is not to blame: it may begin once more */
	EXECUTOR_CANCELLED, /* there, by somebody */
	EXECUTOR_WITHDRAWN, /* by ops->withdraw(), before it began */
	EXECUTOR_VANISHED,  /* it was there, and is forgotten: if it never began it was cancelled */
	EXECUTOR_NEVER,	    /* it never came there, or what it waits for has failed */
};

struct executor_end {
	enum executor_cause cause;
	int status;	    /* as a shell shows it; -1: unknown */
	const char *reason; /* static, or NULL */
	time_t started;	    /* as the scheduler has it; 0: unknown */
	time_t ended;
};

/* Whom poll() tells. */
struct executor_news {
	void *arg;
	void (*ended)(void *arg, size_t job, const struct executor_end *end);
	/* What its queue says of a job that is not over has changed: "pending (Resources)".
	 * 'started': since when it runs; 0: it does not. */
	void (*queued)(void *arg, size_t job, const char *text, time_t started);
	/* A job that submit() was not sure of has this executor_id. */
	void (*named)(void *arg, size_t job, const char *executor_id);
	/* One line for the user. */
	void (*said)(void *arg, const char *text);
};

struct executor;

struct executor_ops {
	const char *name;

	/* Takes jobs whose predecessors are not over yet, and sees to their order, their number at
	 * once and their time itself; they go on when nobody watches. Else the functions below which
	 * are for such executors alone may be NULL. */
	bool waits_itself;

	/* How many jobs like 'spec', each of which wants 'gpus', may be submitted now? Asked before
	 * each submit(). 0, with 'why' (until the next call; NULL: all are in use): none yet. */
	size_t (*room)(const struct executor *e, const struct batch_job *spec, size_t gpus,
		       const char **why);

	/* First of all, into the progress: how they can be found should we be killed while they are
	 * handed over. The caller has it on the disk before submit(), with the run's ids. */
	void (*prepare)(struct executor *e, const struct executor_task *tasks, size_t n);

	/* Start it, or hand them over. What tells it again goes into the progress: pid and its start,
	 * or executor_id; gpus. More than one only for ops->waits_itself. -1: none was; ERR_BUSY:
	 * there is no room for so many now, and room() says for how many there may be. */
	int (*submit)(struct executor *e, const struct executor_task *tasks, size_t n,
		      struct err *err);

	/* A job that an earlier process handed over, by its executor_id: is it of this executor? Then
	 * poll() tells of it. */
	bool (*adopt)(struct executor *e, size_t job, const struct batch_progress *progress);

	/* Tell what is new. Must not block. */
	void (*poll)(struct executor *e, const struct executor_news *news);

	/* Does the executor not know yet whether some job was handed over? */
	bool (*is_unsure)(const struct executor *e);

	/* Take all out of the queue that has not begun; poll() tells of each. For ops->waits_itself. */
	void (*withdraw)(struct executor *e);

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

/*
 * Slurm, through sbatch, squeue, sacct and scancel. A job's executor_id is "slurm:4711", or
 * "slurm:4711_3" of an array; before sbatch has answered it is "slurm:GROUP/3" with an id of our own,
 * which the comment of the job in the queue has, too. What Slurm runs is 'thhost batch job'.
 */
struct executor_slurm_setup {
	const struct batch_state *state;
	char *const *options; /* of 'thhost batch job': --root, --config, --plugin, ... */
	size_t limit;	      /* of an array at once; 0: none */
};

/* ERR_FAILED where its commands are not in PATH. */
int executor_slurm_check(struct err *err);

/* NULL with the same error. */
struct executor *executor_slurm(const struct executor_slurm_setup *setup, struct err *err);

/* Is this the id of a job that was given to Slurm, if perhaps in vain? */
bool executor_is_slurm_id(const char *executor_id);

#endif
