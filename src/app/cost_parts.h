/*
 * cost_parts - what the files of app/cost.h share.
 *
 * cost_read.c has the nodes and what their records say, cost_link.c what each began from, cost.c the
 * sums.
 */
#ifndef APP_COST_PARTS_H
#define APP_COST_PARTS_H
#include "app/claims.h"
#include "app/cost.h"
#include "app/pedigree.h"

/* What one entry took. The texts are of the pool. */
struct cost_spent {
	const char *id;	    /* the same for every copy of the entry, as far as its record tells */
	const char *origin; /* the record that it was first written in, as this one calls it */
	size_t place;	    /* from 0: among the entries of that record, too */
	bool has_run_id;
	bool is_own; /* not inherited */
	struct identity training;
	struct identity weights; /* of its checkpoint */
	int64_t steps;
	double seconds; /* 0: not told */
	int64_t gpus;	/* -1: not told */
};

/* A model: a record of ours, or what a record names as one. */
struct cost_node {
	const char *path; /* of the stage directory, with no link in it: the same from every root */
	struct cost_spent *v;
	size_t n;
	struct claim *claims; /* what the record says of its own parents */
	size_t n_claims;
	size_t *parents; /* indexes of nodes */
	size_t n_parents;
	bool was_tried; /* its record was looked for */
	bool is_read;	/* and could be read */
	bool is_linked; /* its parents are known */
};

struct cost_tree {
	struct layout layout;
	char *path; /* of its root, with no link in it */
};

struct costs {
	struct session *session;
	struct cost_tree *trees;
	size_t n_trees;
	struct cost_node *nodes;
	size_t n;
	size_t cap;
	struct map by_path; /* to the index plus one */
	struct pool pool;
	char *here; /* the working directory, links resolved; "" if it cannot be told */
	struct pedigree pedigree;
	bool has_asked; /* for the pedigree; it may be empty for all that */
};

#define COST_NONE SIZE_MAX

/* ---- cost_read.c ---- */

void costs_add_tree(struct costs *costs, const char *root);

/* The innermost tree that the path lies in, or NULL. */
struct cost_tree *costs_tree_of(const struct costs *costs, const char *path);
bool cost_lies_below(const char *path, const char *root);

/* The node of a directory, which is new if need be; 'path' is absolute and has no link in it. */
size_t costs_node(struct costs *costs, const char *path);

/* The same of a history at hand. */
size_t costs_take(struct costs *costs, const struct history *history);

/* Read the record of that node, unless that was tried before; false: it is gone, or cannot be read, of
 * which a warning tells. */
bool costs_read(struct costs *costs, size_t node);

/* ---- cost_link.c ---- */

/* Read all that 'node' came from; from then on the parents of these are known. */
void costs_link(struct costs *costs, size_t node);

#endif
