/*
 * batch_task - the commands that a batch starts, and what they said. A part of batch_run.
 */
#ifndef APP_BATCH_TASK_H
#define APP_BATCH_TASK_H
#include "app/batch_run.h"

/* "thhost run STAGE --run-id ID ... [--fill -- COMMAND]" */
void batch_task_command(const struct session_options *options, const char *config_file,
			const struct batch_state *state, const struct batch_step *step,
			const char *run_id, struct strv *argv);

/* "--root R --config C --plugin P ...", as it was given to us. */
void batch_task_options(const struct session_options *options, const char *config_file,
			const char *root, struct strv *argv);

/* What the job's environment has beyond ours: env.NAME, THHOST_BATCH, THHOST_JOB. */
void batch_task_environment(const struct batch_state *state, const struct batch_step *step,
			    struct strv *added);

/* Let 'thhost repair' put in what is not recorded; what comes of it is for the journal to tell. */
void batch_task_repair(const struct batch_work *work, const struct batch_step *step);

/* The last "thhost: ..." in the log of the job's attempt, without that; else the last line of what the
 * scheduler kept of it; NULL if there is neither. */
char *batch_task_last_words(const struct batch_state *state, size_t job);

#endif
