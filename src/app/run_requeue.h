/*
 * run_requeue - a training that Slurm has put back into the queue: the same job, begun again.
 *
 *	if (run_is_restarted(&run)) ...              // of this process's environment
 *	run_find_former(&run, given_id, dirfd, &former, &found, &err);
 *
 * After preemption, 'scontrol requeue' or the loss of its node Slurm starts the same script again with
 * the same SLURM_JOB_ID and a SLURM_RESTART_COUNT above that of before. The former attempt is over
 * then, by Slurm's own word: on whatever node it was, and with whatever the journal last heard of it.
 * So this is the one case in which a run of another host is closed.
 */
#ifndef APP_RUN_REQUEUE_H
#define APP_RUN_REQUEUE_H
#include "app/run.h"

enum former {
	FORMER_NONE, /* a run of its own begins */
	FORMER_LEFT, /* it has not ended well: this is the next attempt at it */
	FORMER_OVER, /* it has ended well: there is nothing to train */
};

/* Fill in what the environment says of the job: run->job_id, run->restarts. */
void run_describe_job(struct run *run);

/* Has Slurm begun the job of 'run' before? */
bool run_is_restarted(const struct run *run);

/* Did Slurm tell the job to end, so that also a child that ended with 0 is not through? */
bool run_was_put_off(const struct run *run, const struct proc_outcome *child);

/*
 * Under the directory's lock: the attempt before, closed, if 'run' (described, not begun) is of a
 * restarted job. With 'given_id' it is that run, if it is of this job and begun before its restart.
 * Without, the newest such run of the same command; where none has the same command (a script that
 * adds --resume) the newest that has not ended well. One that ended well counts as FORMER_OVER only with
 * 'given_id': else the script is taken by its word and trains again. 'former' is to be released
 * unless it is FORMER_NONE. -1: ERR_BUSY where its training still goes on here, or the journal cannot be
 * read.
 */
int run_find_former(const struct run *run, const char *given_id, const struct stage_dir *dir,
		    struct run *former, enum former *found, struct err *err);

/* Make 'run' the next attempt at 'former'. */
void run_take_up(struct run *run, const struct run *former);

/* The line of the log between two attempts. */
void run_mark_log(int log_fd, const struct run *run);

/* Begin a new line in $THHOST_EVENTS, which a kill may have torn; where what is told from now on begins. */
off_t run_mark_events(int events_fd);

/* Of a former run that ended well: if its entry is not in the record, put it there as 'repair' does,
 * before a new run overwrites what it left. */
void run_settle_former(const struct run_report *report, struct session *session,
		       const struct run *former);

/* 'report' becomes that of a former run that ended well, settled. Takes 'former'. */
void run_conclude_former(struct run_report *report, struct session *session, struct run *former);

#endif
