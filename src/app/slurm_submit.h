/*
 * slurm_submit - jobs of a batch, handed over to Slurm.
 */
#ifndef APP_SLURM_SUBMIT_H
#define APP_SLURM_SUBMIT_H
#include "app/executor.h"

enum slurm_submitted {
	SLURM_TAKEN,
	SLURM_UNHEARD, /* it did not answer: it may have it, or not */
	SLURM_FULL,    /* it has no room for so many now */
	SLURM_REFUSED,
};

/*
 * One job, or an array whose task i is tasks[i]. All have the same resources and wait for the same
 * jobs. 'comment' is what they can be found by in the queue. SLURM_TAKEN with the number of the job in
 * 'id', else 'err' has the words of sbatch.
 */
enum slurm_submitted slurm_submit(const struct executor_slurm_setup *setup,
				  const struct executor_task *tasks, size_t n, const char *comment,
				  uint64_t *id, struct err *err);

#endif
