/*
 * slurm_ask - the client commands of Slurm.
 *
 * They may try for minutes where the controller is down. So none is waited for without an end: either
 * within a deadline, or looked at now and then while other work goes on:
 *
 *	struct slurm_question q = SLURM_QUESTION_INIT;
 *	slurm_ask_begin(&q, argv, &err);
 *	while ((what = slurm_ask_look(&q)) == SLURM_ASKED) ...
 *	slurm_question_release(&q);
 *
 * Of our environment they do not see what would make them do something else than they are told: see
 * slurm_environment().
 */
#ifndef APP_SLURM_ASK_H
#define APP_SLURM_ASK_H
#include "sys/proc.h"

/*
 * Our environment without SLURM_* (of the job that we may be in), SBATCH_*, SQUEUE_*, SACCT_* and
 * SCANCEL_*, and without CUDA_VISIBLE_DEVICES, which is about this machine. What stays says which
 * Slurm it is and in whose name the user works: SLURM_CONF, SLURM_CONF_SERVER, SLURM_JWT,
 * SBATCH_ACCOUNT, SBATCH_PARTITION, SBATCH_QOS, SBATCH_RESERVATION, SBATCH_TIMELIMIT.
 */
void slurm_environment(struct strv *env);

/* Is there such a command in PATH? */
bool slurm_has_command(const char *name);

struct slurm_command {
	char *const *argv;
	const char *input;   /* a script on its stdin, or NULL */
	int deadline_ms;     /* then it is killed */
	const char *stop_at; /* and once it says this on its stderr; NULL: never */
};

/*
 * 0 with what it said, -1 where it failed: ERR_BUSY where the controller did not answer in time, or
 * the command was killed, and nobody knows whether it is done; else ERR_FAILED. Both with its own
 * words.
 */
int slurm_do(const struct slurm_command *command, struct str *out, struct err *err);

/* ---- questions ---- */

struct slurm_question {
	pid_t pid; /* 0: none is open */
	int out_fd;
	int errors_fd;
	int64_t began_ms; /* monotonic: it knows of nothing that came later */
	struct str out;
	struct str errors;
};

#define SLURM_QUESTION_INIT                                                        \
	{                                                                          \
		.out_fd = -1, .errors_fd = -1, .out = STR_INIT, .errors = STR_INIT \
	}

enum slurm_answer { SLURM_ASKED, SLURM_ANSWERED, SLURM_NO_ANSWER };

int slurm_ask_begin(struct slurm_question *q, char *const *argv, struct err *err);

/* After SLURM_ANSWERED the answer is in 'out', after SLURM_NO_ANSWER what was said is in 'errors'; then
 * the next one may begin. */
enum slurm_answer slurm_ask_look(struct slurm_question *q);
void slurm_question_release(struct slurm_question *q);

#endif
