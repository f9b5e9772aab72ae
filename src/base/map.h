/*
 * map - from strings to pointers.
 *
 *	struct map map = MAP_INIT;
 *	if (!map_get(&map, name))
 *		map_put(&map, thing->name, thing);
 *	map_release(&map);
 *
 * Keys and values are borrowed: a key stays where it is, unchanged, as long as the map. Nothing is ever
 * taken out.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H
#include "base/base.h"

struct map_slot {
	const char *key; /* NULL: free */
	void *value;
};

struct map {
	struct map_slot *slots;
	size_t n;
	size_t n_slots; /* a power of two, at least twice 'n'; or 0 */
};

#define MAP_INIT                                    \
	{                                           \
		.slots = NULL, .n = 0, .n_slots = 0 \
	}

/* What is kept under 'key', or NULL. */
void *map_get(const struct map *map, const char *key);

/* Keep 'value' under 'key', which must not be there yet. */
void map_put(struct map *map, const char *key, void *value);
void map_release(struct map *map);

#endif
