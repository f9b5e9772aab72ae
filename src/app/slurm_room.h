/*
 * slurm_room - how much Slurm takes of a batch now.
 *
 * A site limits how many jobs somebody may have in the queue, for each account, partition or QOS, and
 * the queue itself has an end. Nobody tells us how much is left: an array that is refused for that is
 * handed over in halves, and one job that is refused waits, for a second first, then longer and longer,
 * up to a minute, or until something of ours has ended.
 *
 *	n = slurm_room(&room, spec, &why);
 *	if (n) ... at most n like 'spec' are handed over ...
 *	slurm_room_taken(&room, spec, n), or slurm_room_refused(&room, spec, n, words)
 */
#ifndef APP_SLURM_ROOM_H
#define APP_SLURM_ROOM_H
#include "model/batch.h"

struct slurm_target; /* jobs that the same limits hold for, as far as we can see */

struct slurm_rooms {
	struct slurm_target *v;
	size_t n;
};

/* How many like it in one array; SIZE_MAX: as many as there are. 0: none for now, and 'why' is what
 * Slurm said, valid until the next call of another function here. */
size_t slurm_room(const struct slurm_rooms *rooms, const struct batch_job *spec, const char **why);

void slurm_room_refused(struct slurm_rooms *rooms, const struct batch_job *spec, size_t n,
			const char *words);
void slurm_room_taken(struct slurm_rooms *rooms, const struct batch_job *spec, size_t n);

/* Something has ended: there may be room again. */
void slurm_room_made(struct slurm_rooms *rooms);
void slurm_rooms_release(struct slurm_rooms *rooms);

#endif
