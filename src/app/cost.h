/*
 * cost - what trainings took: steps, time, GPU time; alone and with all that they were begun from.
 *
 *	struct costs *costs = costs_new(session, &roots);
 *	costs_of(costs, &history, number, &own, &total);
 *	costs_free(costs);
 *
 * An entry is counted once, however many records hold a copy of it: by its run id, else by the
 * record that it was first written in and its place there, which an append never changes.
 * Only the records of ancestors are read, each one once. A REF in a record means what it means below
 * the root that the record lies in; a path leads into any of the roots. One that is not there any more
 * is looked for as lineage does (app/pedigree.h): by its place beside the child, its run, its content;
 * only then all records of the roots are gone over. Where several fit it counts as gone.
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
/* 'roots': absolute paths. One that cannot be opened has no ancestors in it. 'session' is borrowed. */
struct costs *costs_new(struct session *session, const struct strv *roots);
void costs_free(struct costs *costs);

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
