/*
 * slurm_held - what the two halves of the executor for Slurm share: executor_slurm.c hands jobs over
 * and ends them, slurm_watch.c tells what has become of them. Nobody else includes this.
 */
#ifndef APP_SLURM_HELD_H
#define APP_SLURM_HELD_H
#include "app/slurm_ask.h"
#include "app/slurm_queue.h"
#include "app/slurm_room.h"

#define SLURM_PREFIX "slurm:"

/* One that was handed over and is not over. */
struct held {
	size_t job;
	char *name;	    /* the executor_id: of ours or of Slurm's */
	struct slurm_id id; /* job 0: not known yet */
	int64_t since_ms;
	bool is_absent;	   /* from the queue */
	int64_t absent_ms; /* when sacct was first asked of it; 0: it was not */
	bool was_seen;
	bool is_over;
	bool is_unwanted;
	bool is_withdrawn; /* unwanted until it begins */
	bool has_begun;
	int64_t cancel_ms; /* when that was said last; 0: never */
	char *text;	   /* what the queue said last */
};

struct slurm {
	struct executor base;
	struct executor_slurm_setup setup;
	struct strv options; /* owner of setup.options */
	struct held *held;
	size_t n;
	size_t cap;
	struct slurm_question squeue;
	struct slurm_question sacct;
	int64_t next_ms;
	int64_t accounts_ms;
	struct slurm_rooms rooms;
	bool is_in_pieces; /* what could be one array may be in several */
	bool is_silent;	   /* it did not answer, and the user knows */
	bool has_accounts;
};

void held_release(struct held *held);

/* 'text' is taken. */
void slurm_set_text(char **place, char *text);

/* Ask, or look whether an answer is there, and tell: squeue all the time, sacct of what that has
 * forgotten. Never blocks. */
void slurm_watch(struct slurm *s, int64_t now, const struct executor_news *news);

#endif
