/*
 * run_requeue - a training that Slurm has put back into the queue: the same job, begun again.
 *
 *	run_describe_job(&report->run);
 *	...                                        // the stage directory is locked
 *	run_take_up_former(report, session, given_id, &err);
 *
 * After preemption, 'scontrol requeue' or the loss of its node Slurm starts the same script again with
 * the same SLURM_JOB_ID and a SLURM_RESTART_COUNT above that of before. The former attempt is over
 * then, by Slurm's own word: on whatever node it was, and with whatever the journal last heard of it.
 * So this is the one case in which a run of another host is closed.
 */
#ifndef APP_RUN_REQUEUE_H
#define APP_RUN_REQUEUE_H
#include "app/run.h"

/* Fill in what the environment says of the job: run->job_id, run->restarts. */
void run_describe_job(struct run *run);

/* Has Slurm begun the job of 'run' before? */
bool run_is_restarted(const struct run *run);

/* Did Slurm tell the job to end, so that also a child that ended with 0 is not through? */
bool run_was_put_off(const struct run *run, const struct proc_outcome *child);

/*
 * Under the directory's lock, of a run described and not begun; without effect where its job was
 * not restarted. 'given_id' (may be NULL) names the former run, if it is of this job and begun before
 * its restart; else it is the newest such run of the same command, or, where the script has not
 * run this command before (it adds --resume), the newest that has not ended well. The run that
 * has not ended well is taken up: report->run gets its id and its attempts. One that has is left,
 * recorded if that is still to be done, and with 'given_id' there is nothing to run.
 *
 * 0: go on and begin. 1: nothing to run, 'report' tells of the former run (was_over). -1: ERR_BUSY
 * where its training still goes on here, or the journal cannot be read.
 */
int run_take_up_former(struct run_report *report, struct session *session, const char *given_id,
		       struct err *err);

/* The line of the log between two attempts. */
void run_mark_log(int log_fd, const struct run *run);

/* Begin a new line in $THHOST_EVENTS, which a kill may have torn; where this attempt's begin. */
off_t run_mark_events(int events_fd);

#endif
