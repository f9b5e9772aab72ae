/*
 * slurm_submit - jobs of a batch, handed over to Slurm.
 */
#ifndef APP_SLURM_SUBMIT_H
#define APP_SLURM_SUBMIT_H
#include "app/executor.h"

/*
 * One job, or an array whose task i is tasks[i]. All have the same resources and wait for the same
 * jobs. 'comment' is what they can be found by in the queue. 0 with the number of the job; ERR_BUSY
 * where Slurm did not answer: it may have it, or not; ERR_FAILED where it was refused.
 */
int slurm_submit(const struct executor_slurm_setup *setup, const struct executor_task *tasks,
		 size_t n, const char *comment, uint64_t *id, struct err *err);

#endif
