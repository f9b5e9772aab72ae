#include "base/base.h"

#include "app/slurm_room.h"

#include "base/clock.h"
#include "base/mem.h"

#define PAUSE_MS 1000
#define PAUSE_MAX_MS 60000

struct slurm_target {
	char *key;
	char *words;	  /* why it was full last */
	size_t piece;	  /* at most so many at once */
	bool is_tight;	  /* the last piece was too large: the next one is not larger */
	int64_t until_ms; /* none before; monotonic */
	int64_t pause_ms; /* the last one; 0: something was taken since */
};

/* Limits are set for accounts, partitions and QOS; a QOS is among the options. */
static char *key_of(const struct batch_job *spec)
{
	static const char *const keys[] = { "partition", "account", "sbatch" };
	struct str key = STR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *text = batch_get(spec, keys[i]);

		str_addf(&key, "%s\n", text ? text : "");
	}
	return str_detach(&key);
}

static struct slurm_target *find(const struct slurm_rooms *rooms, const struct batch_job *spec)
{
	char *key = rooms->n ? key_of(spec) : NULL;
	struct slurm_target *found = NULL;

	for (size_t i = 0; i < rooms->n && !found; i++)
		if (strcmp(rooms->v[i].key, key) == 0)
			found = &rooms->v[i];
	free(key);
	return found;
}

static struct slurm_target *add(struct slurm_rooms *rooms, const struct batch_job *spec)
{
	struct slurm_target *target;

	rooms->v = xreallocarray(rooms->v, rooms->n + 1, sizeof(*rooms->v));
	target = &rooms->v[rooms->n++];
	*target = (struct slurm_target){ .key = key_of(spec), .piece = SIZE_MAX };
	return target;
}

size_t slurm_room(const struct slurm_rooms *rooms, const struct batch_job *spec, const char **why)
{
	const struct slurm_target *target = find(rooms, spec);

	*why = NULL;
	if (!target)
		return SIZE_MAX;
	if (clock_monotonic_ms() >= target->until_ms)
		return target->piece;
	*why = target->words;
	return 0;
}

static void wait_longer(struct slurm_target *target)
{
	int64_t next = target->pause_ms ? target->pause_ms * 2 : PAUSE_MS;

	target->pause_ms = next < PAUSE_MAX_MS ? next : PAUSE_MAX_MS;
	target->until_ms = clock_monotonic_ms() + target->pause_ms;
}

void slurm_room_refused(struct slurm_rooms *rooms, const struct batch_job *spec, size_t n,
			const char *words)
{
	struct slurm_target *target = find(rooms, spec);

	if (!target)
		target = add(rooms, spec);
	free(target->words);
	target->words = xstrdup(words);
	target->piece = n > 1 ? n / 2 : 1;
	target->is_tight = n > 1;
	if (n == 1)
		wait_longer(target);
}

void slurm_room_taken(struct slurm_rooms *rooms, const struct batch_job *spec, size_t n)
{
	struct slurm_target *target = find(rooms, spec);

	if (!target)
		return;
	target->pause_ms = 0;
	if (!target->is_tight && n >= target->piece)
		target->piece = n * 2;
}

void slurm_room_made(struct slurm_rooms *rooms)
{
	for (size_t i = 0; i < rooms->n; i++) {
		rooms->v[i].until_ms = 0;
		rooms->v[i].is_tight = false;
	}
}

void slurm_rooms_release(struct slurm_rooms *rooms)
{
	for (size_t i = 0; i < rooms->n; i++) {
		free(rooms->v[i].key);
		free(rooms->v[i].words);
	}
	free(rooms->v);
	*rooms = (struct slurm_rooms){ .n = 0 };
}
