/*
 * identity - trainings and checkpoints known again, whatever they are called now.
 *
 *	struct identities all = IDENTITIES_INIT;
 *	identities_add(&all, identity_of_text(run_id), node);
 *	identities_sort(&all);
 *	n = identities_find(&all, identity_of_entry(info, entry), &first);
 *
 * 128 bits of a run id, of a content hash, or, for an entry without a run id, of what tells it from
 * all others: dataset, steps, times and metrics.
 */
#ifndef APP_IDENTITY_H
#define APP_IDENTITY_H
#include "model/info.h"

struct identity {
	uint64_t v[2]; /* both 0: not known */
};

/* NULL and "" are not known. */
struct identity identity_of_text(const char *text);
struct identity identity_of_entry(const struct info *info, size_t entry);
bool identity_is_known(struct identity identity);
bool identity_equal(struct identity a, struct identity b);

/* Whose they are: several may have one. */
struct identity_owner {
	struct identity identity;
	size_t owner;
};

struct identities {
	struct identity_owner *v;
	size_t n;
	size_t cap;
};

#define IDENTITIES_INIT                     \
	{                                   \
		.v = NULL, .n = 0, .cap = 0 \
	}

void identities_add(struct identities *all, struct identity identity, size_t owner);

/* Before the first search, and after the last was added. */
void identities_sort(struct identities *all);

/* The number of those that have it; the first of them at 'first', by their owners. */
size_t identities_find(const struct identities *all, struct identity identity,
		       const struct identity_owner **first);
bool identities_has(const struct identities *all, struct identity identity, size_t owner);
void identities_release(struct identities *all);

#endif
