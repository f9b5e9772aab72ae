/*
 * claims - what a record says of where its model came from.
 *
 *	claims_read(&history->info, take, &mine);
 *
 * In this order: "parents" of the record and of its own entries; the record that it inherited entries
 * from; base models. And what it knows by its inherited entries of those that it came from ('of'):
 * all that is left of them where they are gone.
 */
#ifndef APP_CLAIMS_H
#define APP_CLAIMS_H
#include "app/identity.h"

enum claim_kind {
	CLAIM_PARENT,
	CLAIM_INHERITED,
	CLAIM_ENTRY_BASE, /* of one training that names no parents */
	CLAIM_BASE,	  /* of the model */
};

/* The texts are there during the call alone. */
struct claim {
	enum claim_kind kind;
	const char *ref;	/* a REF; of a base: as its training named it */
	const char *relation;	/* "continues", ... */
	const char *checkpoint; /* or NULL */
	const char *path;	/* of the parent as seen from the child's directory, or NULL */
	bool is_declared;
	struct identity training; /* one of the parent's, if known */
	struct identity weights;  /* the content hash of that checkpoint, if known */
	const char *of;		  /* NULL: of the record itself; else the REF of an ancestor */
	struct identity of_training;
};

typedef void claim_fn(void *arg, const struct claim *claim);
void claims_read(const struct info *info, claim_fn *fn, void *arg);

#endif
