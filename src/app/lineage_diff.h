/*
 * lineage_diff - what two models have in common, and where they part.
 *
 *	struct lineage_diff diff;
 *	lineage_diff_make(&pedigree, a, b, &diff);
 *	lineage_diff_release(&diff);
 *
 * Common are the ancestors of both (a model counts as its own), and the trainings that are in the
 * history of both. A training is one however many records hold a copy of it. To the history of a
 * model belong its own entries and those of all that it came from; of a model that it went on with,
 * those that it has inherited, not what that one did later.
 */
#ifndef APP_LINEAGE_DIFF_H
#define APP_LINEAGE_DIFF_H
#include "app/pedigree.h"

/* The texts are of the pedigree's pool; NULL: not known. */
struct lineage_training {
	const char *dataset;
	const char *digest;
	const char *end_time;
	int64_t steps;
	size_t node; /* whose record it was read from */
	struct identity identity;
};

struct lineage_side {
	size_t *models; /* ancestors first */
	size_t n_models;
	struct lineage_training *trainings;
	size_t n_trainings;
	int64_t steps; /* saturates */
};

struct lineage_diff {
	size_t nodes[2];
	size_t *last; /* the common ancestors that no other common one came from */
	size_t n_last;
	struct lineage_side common;
	struct lineage_side sides[2]; /* what only the one has */
};

/* Records that cannot be read, or are gone meanwhile, have no trainings. */
void lineage_diff_make(struct pedigree *pedigree, size_t a, size_t b, struct lineage_diff *diff);
void lineage_diff_release(struct lineage_diff *diff);

#endif
