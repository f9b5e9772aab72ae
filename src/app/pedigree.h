/*
 * pedigree - what came from what, over all records of one or more roots.
 *
 *	struct pedigree pedigree = PEDIGREE_INIT;
 *	if (pedigree_load(&pedigree, session, &roots, &err) < 0) ...
 *	if (pedigree_find(&pedigree, session, exp, text, &node, &err) < 0) ...
 *	pedigree_settle(&pedigree);
 *	shown = pedigree_select(&pedigree, &node, 1, &reach);
 *	pedigree_release(&pedigree);
 *
 * The records are read one at a time (app/survey.h); what stays in memory is the graph.
 *
 * A parent is looked for where its record says: by its REF below the same root, by its place as
 * seen from the child, then by the run that the child was begun from and by the content hash of its
 * checkpoint in all roots, then by its REF in another root. So edges survive renaming and moving;
 * where several fit equally well none is taken, and that is a problem (struct pedigree_problem).
 * A base model is looked for by its path, links resolved; a path that is no more is compared with
 * the ends of the paths that are.
 */
#ifndef APP_PEDIGREE_H
#define APP_PEDIGREE_H
#include "app/identity.h"
#include "app/session.h"
#include "model/lineage.h"

enum pedigree_kind {
	PEDIGREE_MISSING, /* only its children know of it */
	PEDIGREE_MODEL,
	PEDIGREE_BROKEN,  /* its record cannot be read */
	PEDIGREE_OUTSIDE, /* a pretrained model, a foreign path */
	PEDIGREE_DATASET,
	PEDIGREE_CHECKPOINT,
};

/* One of each for every node of the graph. All texts are of the graph's pool; NULL: not known. */
struct pedigree_node {
	enum pedigree_kind kind;
	const char *ref; /* below its root */
	const char *
		name; /* its own among all that are here: the ref, or a path where roots share it */
	size_t root;  /* index of pedigree->roots, LINEAGE_NONE for what lies in none */
	const char *model_name;
	const char *stage;
	const char *dataset; /* the last one */
	const char *updated;
	const char *checkpoint; /* the final one; of a checkpoint its own name */
	const char *metric;	/* the first of the last entry */
	double metric_value;
	int64_t steps;
	size_t n_entries;
	bool is_heir; /* some of the entries are inherited */
	size_t cycle; /* 0: in none; else which (lineage_cycles()) */
};

struct pedigree_root {
	char *path;
	char *real; /* links resolved: what the graph knows its nodes by, with the REF behind it */
};

enum pedigree_trouble {
	TROUBLE_MISSING,   /* a parent that is nowhere */
	TROUBLE_AMBIGUOUS, /* a parent that may be one of several */
	TROUBLE_CYCLE,	   /* models that come from themselves */
	TROUBLE_BROKEN,	   /* a record that cannot be read */
};

struct pedigree_problem {
	enum pedigree_trouble kind;
	size_t node;	  /* whose it is; of a cycle the first in it */
	const char *text; /* what the record calls the parent; why it cannot be read */
	size_t *others;	  /* that may be meant; all of a cycle */
	size_t n_others;
};

/* That a model was trained on a dataset. */
struct pedigree_use {
	size_t node;
	const char *dataset;
	const char *digest; /* or NULL */
	int64_t steps;
	bool is_declared;
};

struct pedigree {
	struct lineage graph;
	struct pedigree_node *nodes; /* as many as graph.n_nodes */
	size_t nodes_cap;
	struct pedigree_root *roots;
	size_t n_roots;
	struct pedigree_use *uses; /* in the order of the models; all of one together */
	size_t n_uses;
	size_t uses_cap;
	struct pedigree_problem *problems;
	size_t n_problems;
	size_t problems_cap;
	struct map homes; /* directories that models lie in: experiments */
};

#define PEDIGREE_INIT         \
	{                     \
		.nodes = NULL \
	}

/* 'roots' NULL or empty: the configured one. */
int pedigree_load(struct pedigree *pedigree, struct session *session, const struct strv *roots,
		  struct err *err);
void pedigree_release(struct pedigree *pedigree);

/*
 * The node that 'text' names: a REF, a pretrained model, a dataset, a checkpoint ("REF/checkpoint-10",
 * or a path as records have it). Datasets and checkpoints become nodes when they are asked for.
 * ERR_NOT_FOUND; ERR_INVALID where several are meant.
 */
int pedigree_find(struct pedigree *pedigree, struct session *session, const char *exp,
		  const char *text, size_t *node, struct err *err);

/* Make every dataset a node. */
void pedigree_add_datasets(struct pedigree *pedigree);

/* After the last of those calls: names and cycles. */
void pedigree_settle(struct pedigree *pedigree);

struct pedigree_reach {
	bool up;       /* ancestors */
	bool down;     /* descendants; neither: all that have an ancestor in common with them */
	int64_t depth; /* steps from there, or from where each line begins; negative: any number */
};

/* For each node whether it belongs to the answer; no targets: all. Fresh memory. Outside models and
 * datasets do not make relatives of those that they are common to, unless they are asked for. */
bool *pedigree_select(const struct pedigree *pedigree, const size_t *targets, size_t n,
		      const struct pedigree_reach *reach);

/* What a model itself was trained on, 'n' of them. */
const struct pedigree_use *pedigree_uses(const struct pedigree *pedigree, size_t node, size_t *n);

/* The digests that records have of a dataset that is a node, each once; texts of the graph's pool,
 * the list fresh memory. */
const char **pedigree_digests(const struct pedigree *pedigree, size_t node, size_t *n);

/* The directory of a model, or of a missing one where it was; NULL for others. */
const char *pedigree_path(const struct pedigree *pedigree, size_t node);

/* Is that checkpoint of the model still on the disk? True where it cannot be told. */
bool pedigree_has_checkpoint(const struct pedigree *pedigree, size_t node, const char *checkpoint);

/* Has the directory outlived its record? */
bool pedigree_has_directory(const struct pedigree *pedigree, size_t node);

#endif
