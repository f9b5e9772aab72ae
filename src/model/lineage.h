/*
 * lineage - which model came from which.
 *
 * A graph of models (by their REF, or by another name that is theirs alone) and of what lies outside
 * the tree (a Hub id, a path). Edges are told apart: declared by a user or inferred. A parent that is
 * named but not there is kept as missing; cycles are found, not followed. Plain data: reading records
 * is the caller's. To put in 'n' nodes and edges takes time and memory in proportion to 'n'.
 */
#ifndef MODEL_LINEAGE_H
#define MODEL_LINEAGE_H
#include "base/pool.h"

struct lineage_node {
	const char *ref; /* of the graph's pool */
	bool is_outside; /* no record of ours: a pretrained model, a foreign path */
	bool is_missing; /* named as a parent, but its record is gone */
	size_t *parents; /* indexes of edges */
	size_t n_parents;
	size_t *children;
	size_t n_children;
};

/* The texts are of the graph's pool. */
struct lineage_edge {
	size_t from; /* the parent */
	size_t to;
	const char *relation;	/* "continues", "starts_from", "uses" */
	const char *checkpoint; /* or NULL */
	const char *named;    /* what the record calls a parent that was found elsewhere; or NULL */
	const char *found_by; /* static: "ref", "run_id", ...; or NULL */
	bool is_declared;
};

struct lineage {
	struct lineage_node *nodes;
	size_t n_nodes;
	size_t nodes_cap;
	struct lineage_edge *edges;
	size_t n_edges;
	size_t edges_cap;
	struct map by_ref;  /* index of the node plus one */
	size_t *edge_slots; /* hash table over the two ends: index of an edge plus one, 0: free */
	size_t n_edge_slots;
	struct pool pool;
};

#define LINEAGE_NONE SIZE_MAX

/* The node of 'ref'; made as missing if it is new (lineage_define() makes it real). */
size_t lineage_node(struct lineage *lineage, const char *ref);
void lineage_define(struct lineage *lineage, size_t node, bool is_outside);

/*
 * The edge between the two, which may have been there: the same edge twice is one edge, declared beats
 * inferred, the first checkpoint that was named stays. NULL for an edge to itself, which is none. The
 * edge is where it is until the next one comes.
 */
struct lineage_edge *lineage_connect(struct lineage *lineage, size_t from, size_t to,
				     const char *relation, const char *checkpoint,
				     bool is_declared);

/* What of 'node' began from 'checkpoint' begins from now on at 'as', a node without children. */
void lineage_split(struct lineage *lineage, size_t node, const char *checkpoint, size_t as);

/* Does 'text', the checkpoint of an edge, mean 'checkpoint' or a file in it? NULL means none. */
bool lineage_is_checkpoint(const char *text, const char *checkpoint);

size_t lineage_find(const struct lineage *lineage, const char *ref);

/* Mark in 'seen' (n_nodes entries) 'node' and everything above (up) or below it. */
void lineage_reach(const struct lineage *lineage, size_t node, bool up, bool *seen);

/*
 * Fresh memory with a number for each node: 0 where no way leads back to it, else that of the cycle
 * (from 1, in the order in which their first nodes came in); all of one number reach each other.
 */
size_t *lineage_cycles(const struct lineage *lineage);
void lineage_release(struct lineage *lineage);

#endif
