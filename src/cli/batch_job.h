/*
 * batch_job - 'thhost batch job BATCH JOB RUN_ID': what a scheduler runs.
 *
 * It becomes 'thhost run ... -- COMMAND' of that job, as the batch's state has it, with the job's log,
 * environment and directory. Refused where the batch was cancelled or the job has got another run
 * since. The state is only read. For scripts that 'thhost batch run' makes.
 */
#ifndef CLI_BATCH_JOB_H
#define CLI_BATCH_JOB_H
#include "cli/command.h"

/* Returns only with an error: -1. */
int batch_job_verb(struct cli *cli, struct err *err);

#endif
