#include "base/base.h"

#include "base/map.h"

#include "base/mem.h"

/* FNV-1a with 64 bits. */
static size_t hash(const char *key)
{
	uint64_t h = 14695981039346656037u;

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 1099511628211u;
	return (size_t)(h ^ (h >> 32));
}

/* Where 'key' is, or the free slot where it belongs. */
static struct map_slot *find(const struct map *map, const char *key)
{
	size_t i = hash(key) & (map->n_slots - 1);

	while (map->slots[i].key && strcmp(map->slots[i].key, key) != 0)
		i = (i + 1) & (map->n_slots - 1);
	return &map->slots[i];
}

void *map_get(const struct map *map, const char *key)
{
	return map->n ? find(map, key)->value : NULL;
}

static void grow(struct map *map)
{
	struct map larger = { .n_slots = map->n_slots ? map->n_slots * 2 : 16, .n = map->n };

	larger.slots = xcalloc(larger.n_slots, sizeof(*larger.slots));
	for (size_t i = 0; i < map->n_slots; i++)
		if (map->slots[i].key)
			*find(&larger, map->slots[i].key) = map->slots[i];
	free(map->slots);
	*map = larger;
}

void map_put(struct map *map, const char *key, void *value)
{
	if (2 * (map->n + 1) > map->n_slots)
		grow(map);
	*find(map, key) = (struct map_slot){ key, value };
	map->n++;
}

void map_release(struct map *map)
{
	free(map->slots);
	*map = (struct map)MAP_INIT;
}
