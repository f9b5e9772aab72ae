#include "base/base.h"

#include "base/pool.h"

#include "base/mem.h"

/* Large enough that the blocks' own cost is lost among the texts, small beside any graph. */
#define BLOCK_SIZE 16384

struct pool_block {
	struct pool_block *next;
	size_t used;
	size_t size;
	char text[];
};

static char *room_for(struct pool *pool, size_t len)
{
	struct pool_block *block = pool->blocks;
	char *at;

	if (!block || block->size - block->used < len) {
		size_t size = len > BLOCK_SIZE ? len : BLOCK_SIZE;

		block = xmalloc(sizeof(*block) + size);
		*block = (struct pool_block){ .next = pool->blocks, .size = size };
		pool->blocks = block;
	}
	at = block->text + block->used;
	block->used += len;
	return at;
}

const char *pool_text(struct pool *pool, const char *text)
{
	size_t len;
	char *kept;

	if (!text)
		return NULL;
	kept = map_get(&pool->texts, text);
	if (kept)
		return kept;
	len = strlen(text) + 1;
	kept = room_for(pool, len);
	memcpy(kept, text, len);
	map_put(&pool->texts, kept, kept);
	return kept;
}

void pool_release(struct pool *pool)
{
	struct pool_block *block = pool->blocks;

	while (block) {
		struct pool_block *next = block->next;

		free(block);
		block = next;
	}
	map_release(&pool->texts);
	*pool = (struct pool)POOL_INIT;
}
