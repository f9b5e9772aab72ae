/*
 * pool - each text once.
 *
 *	struct pool pool = POOL_INIT;
 *	const char *relation = pool_text(&pool, text);
 *	pool_release(&pool);
 *
 * For the many equal names of a large graph: they take the memory of one, and two of one pool are equal
 * if their addresses are. They stay where they are until the pool is released.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H
#include "base/map.h"

struct pool {
	struct map texts;
	struct pool_block *blocks; /* the newest first */
};

#define POOL_INIT                                  \
	{                                          \
		.texts = MAP_INIT, .blocks = NULL, \
	}

/* The pool's copy of 'text'; NULL for NULL. */
const char *pool_text(struct pool *pool, const char *text);
void pool_release(struct pool *pool);

#endif
