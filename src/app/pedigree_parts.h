/*
 * pedigree_parts - what the files of app/pedigree.h share.
 */
#ifndef APP_PEDIGREE_PARTS_H
#define APP_PEDIGREE_PARTS_H
#include "app/claims.h"
#include "app/pedigree.h"

/* A claim that waits until all records are read; the texts are of the pool. */
struct pedigree_claim {
	struct claim claim;
	size_t child;
};

/* What is needed while the edges are drawn. */
struct pedigree_work {
	struct pedigree *pedigree;
	char *root;	   /* the survey's last */
	size_t root_index; /* of that; LINEAGE_NONE: a root that was seen under another name */
	struct pedigree_claim *claims; /* in the order of the children */
	size_t n_claims;
	size_t claims_cap;
	struct identities trainings;
	struct identities weights;
	char *here;	/* the working directory, links resolved; "" if it cannot be told */
	size_t reading; /* the node whose claims are being read */
};

void pedigree_link(struct pedigree_work *work);

/* The node of 'key', which is new in the graph if need be. */
size_t pedigree_node(struct pedigree *pedigree, const char *key);
size_t pedigree_missing(struct pedigree *pedigree, const char *key, const char *ref, size_t root);
size_t pedigree_outside(struct pedigree *pedigree, const char *name);

/* 'others' (may be NULL) is taken over. */
void pedigree_complain(struct pedigree *pedigree, enum pedigree_trouble kind, size_t node,
		       const char *text, size_t *others, size_t n_others);

/* Where a path or a base model's name leads. */
struct pedigree_place {
	size_t node;	      /* LINEAGE_NONE: nowhere */
	char *checkpoint;     /* what is behind it, or NULL; fresh memory */
	const char *found_by; /* "path" or "path_end" */
	size_t *others;	      /* that fit equally well; then 'node' is none */
	size_t n_others;
};

/* 'child' may be LINEAGE_NONE: then only what is not about its root and experiment. 'make': what lies
 * below a root and is gone becomes a missing node. */
void pedigree_place(struct pedigree *pedigree, size_t child, const char *here, const char *text,
		    bool make, struct pedigree_place *out);
void pedigree_place_release(struct pedigree_place *place);

/* The working directory, links resolved; "" if it cannot be told. */
char *pedigree_here(void);

#endif
