/*
 * batch_state - what became of a batch so far, on the disk.
 *
 *	<root>/.thhost/batches/<id>/batch.json     the jobs as they were read; never changed
 *	<root>/.thhost/batches/<id>/journal.jsonl  one line for each change of a job; only appended to
 *	<root>/.thhost/batches/<id>/lock           held by the process that works on it
 *	<root>/.thhost/batches/<id>/logs/          what the jobs printed
 *	<root>/.thhost/batches/<id>/cancel         there: it shall begin nothing more, and end what runs
 *
 * A line is the whole of what is known of its job, and the last one counts. It is on the disk before
 * what it says is done: a job that is to start has its run's id there, by which the journal of its
 * stage directory tells what became of it, whoever was killed meanwhile. A line that a crash has cut
 * off was never acted upon, and does not count. Whoever takes the batch signs the journal first, and
 * each of its lines: one that comes behind another's signature is of a process that has lost the batch
 * and did not know it, and does not count either.
 */
#ifndef MODEL_BATCH_STATE_H
#define MODEL_BATCH_STATE_H
#include "base/id.h"
#include "model/batch.h"
#include "sys/lock.h"

enum batch_job_state {
	BATCH_JOB_WAITING,
	BATCH_JOB_RUNNING, /* handed to an executor; it may be over, if nobody looked */
	BATCH_JOB_DONE,
	BATCH_JOB_SKIPPED, /* not chosen, or not needed: who waits for it may begin */
	BATCH_JOB_FAILED,
	BATCH_JOB_BLOCKED, /* what it waits for has failed */
	BATCH_JOB_CANCELLED,
};

struct batch_progress {
	enum batch_job_state state;
	int attempt;		   /* from 1; 0: none yet */
	int failures;		   /* attempts that failed; one that was interrupted is none */
	char run_id[ID_TEXT_SIZE]; /* of this attempt, or "" */
	char *host;		   /* whose process it is; NULL: nobody's yet */
	char *boot_id;
	int64_t pid; /* 0: none */
	uint64_t pid_start;
	uint64_t pid_ns;
	char *executor_id; /* "slurm:4711" (see app/executor.h), or NULL */
	char *gpus;	   /* "0,1", or NULL */
	char *start_time;
	char *end_time;
	int exit_code; /* as a shell shows it; -1: none */
	char *why;     /* why it failed, or was skipped; or NULL */
	char *queue; /* "pending (Priority)": what the queue says now, if it was asked; not kept */
};

void batch_progress_release(struct batch_progress *progress);
const char *batch_job_state_word(enum batch_job_state state);
bool batch_job_is_over(enum batch_job_state state);

/* May what waits for it begin? */
bool batch_job_is_good(enum batch_job_state state);

struct batch_state {
	char id[ID_TEXT_SIZE];
	struct batch batch;
	char *root;	  /* absolute artifact root */
	char *cwd;	  /* where it was started, and its commands run */
	char *common_exp; /* see app/batch_plan.h; or NULL */
	char *created;
	char *host;
	struct batch_progress *jobs; /* as batch.jobs */
	size_t n_torn;		     /* lines that do not count */
	char *signature;	     /* the last one in the journal; NULL: none */
	int dirfd;
	int journal; /* open for appending while the lock is held; -1 */
	struct lock lock;
	struct lock file_lock; /* one at a time for each batch file and root */
	struct str pending;    /* lines that batch_state_sync() has still to write */
};

#define BATCH_STATE_INIT                                                               \
	{                                                                              \
		.dirfd = -1, .journal = -1, .lock = LOCK_INIT, .file_lock = LOCK_INIT, \
		.pending = STR_INIT                                                    \
	}

/* What a new one starts with. */
struct batch_start {
	struct batch *batch; /* taken: it is moved into the state */
	const char *root;
	const char *cwd;
	const char *common_exp;
};

/*
 * First of all, on a BATCH_STATE_INIT: nobody else works on a batch of this file from now on; it and
 * the root are absolute paths. ERR_BUSY where another process does.
 */
int batch_state_reserve(struct batch_state *state, int rootfd, const char *root, const char *path,
			struct err *err);

/* Then make it, locked, with every job waiting. */
int batch_state_create(struct batch_state *state, int rootfd, const struct batch_start *start,
		       struct err *err);

/* Read one, as it is now; it may go on meanwhile. */
int batch_state_open(struct batch_state *state, int rootfd, const char *id, struct err *err);

/* Work on it from now on: take the locks and read it again. ERR_BUSY names who does already.
 * ERR_INVALID where its root has another name on this host: its paths would lead elsewhere. */
int batch_state_take(struct batch_state *state, int rootfd, const char *root, struct err *err);

/*
 * First, where 'host' is said to be gone: take the locks from it, if it has them. Should it live, it
 * finds out before its next note (batch_state_sync()), and what it notes all the same does not count.
 * 1: it had one, 0: it had none.
 */
int batch_state_evict(struct batch_state *state, int rootfd, const char *root, const char *host,
		      struct err *err);

/* A sign of life, given now and then while one works on it. -1: it was taken from us. */
int batch_state_beat(struct batch_state *state, struct err *err);

/* When the last sign was given: by who works on it; by a job that was begun (its log). 0: unknown. */
time_t batch_state_sign(const struct batch_state *state);
time_t batch_state_job_sign(const struct batch_state *state, size_t job);

/* The host of who works on it, in fresh memory; NULL: nobody does, or it is not known. */
char *batch_state_holder(const struct batch_state *state);
void batch_state_release(struct batch_state *state);

/* Does any process work on it? */
bool batch_state_is_taken(const struct batch_state *state);

/* Note what jobs[job] has become; batch_state_sync() puts the notes on the disk. */
void batch_state_note(struct batch_state *state, size_t job);
int batch_state_sync(struct batch_state *state, struct err *err);

/* Ask whoever works on it to end it; was that asked for?; forget it. */
int batch_state_cancel(const struct batch_state *state, struct err *err);
bool batch_state_is_cancelled(const struct batch_state *state);
int batch_state_uncancel(const struct batch_state *state, struct err *err);

/* Open the log of a job's attempt, for appending with 'create'; -1 with 'err' (ERR_NOT_FOUND). */
int batch_state_open_log(const struct batch_state *state, size_t job, int attempt, bool create,
			 struct err *err);

/* What a scheduler kept of the job's own words and of its log before that was open. */
int batch_state_open_output(const struct batch_state *state, const char *executor_id,
			    struct err *err);

/* All ids, oldest first. No batch yet is an empty list. */
int batch_state_list(int rootfd, struct strv *ids, struct err *err);

/*
 * The newest whose id begins with 'text', whose name it is or whose file it names; NULL: the newest of
 * all. ERR_NOT_FOUND. Where a newer one cannot be read, only an id names an older one.
 */
int batch_state_find(struct batch_state *state, int rootfd, const char *text, struct err *err);

#endif
