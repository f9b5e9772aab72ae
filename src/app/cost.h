/*
 * cost - what trainings took: steps, time, GPU time; alone and with all that they were begun from.
 *
 *	struct costs *costs = costs_new(session, &roots);
 *	costs_add(costs, &history);
 *	costs_of(costs, &history, number, &own, &total);
 *	costs_free(costs);
 *
 * What a model came from is what lineage shows (app/pedigree.h): a parent that was moved or renamed, or
 * whose name another model has now, is known by its run, the content of its checkpoint and its place
 * beside the child, in all roots. One that is deleted is gone, and so is one of which several fit; what
 * inherited entries tell of them counts. An entry is counted once, however many records hold a copy of
 * it: by its run id, else by the record that it was first written in and its place there, which an
 * append never changes.
 *
 * As long as every parent is for sure the one that lies where the record says, only the records of
 * ancestors are read, each one once; else the pedigree is loaded, once.
 */
#ifndef APP_COST_H
#define APP_COST_H
#include "app/session.h"
#include "model/history.h"

struct cost {
	size_t n_entries;
	int64_t steps;	  /* saturates */
	double seconds;	  /* of the entries that tell */
	size_t n_untimed; /* entries that do not */
	double gpu_seconds;
	size_t n_gpu_untold; /* entries that do not tell their time or their GPUs */
	size_t n_gone;	     /* ancestors whose entries are not to be had */
};

struct costs;
/* One of the roots that cannot be opened has no ancestors in it. 'session' is borrowed; it is moved to
 * other roots in between, and back. */
struct costs *costs_new(struct session *session, const struct strv *roots);
void costs_free(struct costs *costs);

/*
 * Before the first costs_of(): each model that will be asked for. One that lies in none of the roots
 * brings its own, two levels up.
 */
void costs_add(struct costs *costs, const struct history *history);

/*
 * The cost of a model, or with 'number' (from 1) of that entry of it. 'total' adds every entry before,
 * and all of its ancestors. An ancestor that cannot be read is warned of and counts as gone.
 */
void costs_of(struct costs *costs, const struct history *history, size_t number, struct cost *own,
	      struct cost *total);

/* How many GPUs the training of entry token 'entry' could see: CUDA_VISIBLE_DEVICES if that was
 * recorded, else those of the host; -1 if the record does not tell. */
int64_t entry_gpus(const struct json *doc, size_t entry);

#endif
