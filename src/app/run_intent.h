/*
 * run_intent - what is settled before the training starts.
 *
 * Two trainings in one directory would overwrite each other's checkpoints: a run
 * holds a lock on its stage directory from before its intent is written until its
 * journal is closed.
 */
#ifndef APP_RUN_INTENT_H
#define APP_RUN_INTENT_H
#include "app/run.h"
#include "sys/lock.h"

/* Fill in report->run: its id ('run_id', NULL: a new one), who runs what, where, from what; the command
 * masked. */
int run_describe(struct run_report *report, const struct conf *conf, const char *run_id,
		 struct err *err);

/*
 * What the base model is, before the training can write to it: its digest, into report->run. The
 * training waits for it, and begins after it. To be called under the directory's lock, which keeps
 * other trainings away.
 */
void run_measure_base(struct run_report *report, const struct conf *conf);

/*
 * ERR_BUSY names the other run. 'timeout_ms' as of lock_acquire(): 0 where another run means
 * another training; more in a restarted job, whose former node may be dead and its lock not given
 * up yet: a file server lets it go when the lease has ended.
 */
int run_lock_directory(const struct draft *draft, int timeout_ms, struct lock *lock,
		       struct err *err);

/*
 * The lock died with a thhost that was killed; its training may still write here. That is the newest
 * run then: as long as it goes on no other one begins (ERR_BUSY).
 */
int run_refuse_beside_orphan(const struct draft *draft, struct err *err);

#endif
