/*
 * slurm_queue - what squeue and sacct say of jobs.
 *
 *	struct slurm_queue queue = SLURM_QUEUE_INIT;
 *	slurm_queue_argv(&argv);
 *	... its output ...
 *	slurm_queue_parse(&queue, out.buf);
 *	row = slurm_queue_find(&queue, (struct slurm_id){ 4711, 3 });
 *	slurm_queue_release(&queue);
 */
#ifndef APP_SLURM_QUEUE_H
#define APP_SLURM_QUEUE_H
#include "app/executor.h"

#define SLURM_NO_TASK (-1)     /* not of an array */
#define SLURM_OTHER_TASKS (-2) /* a row for all tasks of an array that have none of their own */

struct slurm_id {
	uint64_t job;
	int64_t task;
};

/* "slurm:4711", "slurm:4711_3"; -1, and job 0, for another text. */
int slurm_id_parse(const char *executor_id, struct slurm_id *out);
char *slurm_id_text(struct slurm_id id); /* fresh memory */

struct slurm_row {
	struct slurm_id id;
	const char *state;  /* "RUNNING"; into the queue's text */
	const char *reason; /* "Resources"; "" */
	const char *comment;
	time_t start; /* of one that has begun; 0: unknown */
	time_t end;   /* of one that is over; 0: unknown */
};

struct slurm_queue {
	char *text;
	struct slurm_row *rows; /* by id */
	size_t n;
};

#define SLURM_QUEUE_INIT     \
	{                    \
		.text = NULL \
	}

/* The command: all jobs of this user that squeue still knows. */
void slurm_queue_argv(struct strv *argv);
void slurm_queue_parse(struct slurm_queue *queue, const char *text);

/* The same of sacct, for jobs that squeue has forgotten: 'ids' is "4711,4712_3". */
void slurm_accounts_argv(const char *ids, struct strv *argv);
void slurm_accounts_parse(struct slurm_queue *queue, const char *text);
void slurm_queue_release(struct slurm_queue *queue);

/* The row of a job or of an array's task, or NULL. */
const struct slurm_row *slurm_queue_find(const struct slurm_queue *queue, struct slurm_id id);

/* The id of the job or array with that comment; 0: there is none. */
uint64_t slurm_queue_find_comment(const struct slurm_queue *queue, const char *comment);

/* Is it over, and how? */
bool slurm_row_is_over(const struct slurm_row *row, struct executor_end *end);

/* "running", "pending (Resources)", "completing": fresh memory. */
char *slurm_row_text(const struct slurm_row *row);

#endif
