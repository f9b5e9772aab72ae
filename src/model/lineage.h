/*
 * lineage - which model came from which.
 *
 * A graph of models (by their REF) and of what lies outside the tree (a Hub id, a
 * path). Edges are told apart: declared by a user or inferred. A parent that is
 * named but not there is kept as missing; cycles are found, not followed. Plain
 * data: reading records is the caller's.
 */
#ifndef MODEL_LINEAGE_H
#define MODEL_LINEAGE_H
#include "base/str.h"

struct lineage_node {
	char *ref;
	char *label;	 /* checkpoint and what else is worth a word; may be NULL */
	bool is_outside; /* no record of ours: a pretrained model, a foreign path */
	bool is_missing; /* named as a parent, but its record is gone */
	size_t *parents; /* indexes of edges */
	size_t n_parents;
	size_t *children;
	size_t n_children;
};

struct lineage_edge {
	size_t from; /* the parent */
	size_t to;
	char *relation;	  /* "continues", "starts_from", "uses" */
	char *checkpoint; /* or NULL */
	bool is_declared;
};

struct lineage {
	struct lineage_node *nodes;
	size_t n_nodes;
	size_t nodes_cap;
	struct lineage_edge *edges;
	size_t n_edges;
	size_t *slots;	/* hash table over the REFs: index of a node plus one, 0: free */
	size_t n_slots; /* a power of two, at least twice n_nodes */
};

#define LINEAGE_NONE SIZE_MAX

/* The node of 'ref'; made as missing if it is new (lineage_define() makes it real). */
size_t lineage_node(struct lineage *lineage, const char *ref);
void lineage_define(struct lineage *lineage, size_t node, const char *label, bool is_outside);

/* The same edge twice is one edge; declared beats inferred. An edge to itself is none. */
void lineage_connect(struct lineage *lineage, size_t from, size_t to, const char *relation,
		     const char *checkpoint, bool is_declared);

size_t lineage_find(const struct lineage *lineage, const char *ref);

/* Mark in 'seen' (n_nodes entries) 'node' and everything above (up) or below it. */
void lineage_reach(const struct lineage *lineage, size_t node, bool up, bool *seen);

/* Is there a way from 'node' back to itself? */
bool lineage_has_cycle(const struct lineage *lineage, size_t node);
void lineage_release(struct lineage *lineage);

#endif
