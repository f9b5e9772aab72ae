/*
 * batch_record - the recordings of a batch, each file locked and written once for many of them.
 *
 * The entry of a recording has a run_id that is made of what the batch file says of it, so the same
 * recording is not made twice, however often the file is worked through.
 */
#ifndef APP_BATCH_RECORD_H
#define APP_BATCH_RECORD_H
#include "app/batch_plan.h"

enum batch_recording {
	BATCH_PENDING,
	BATCH_RECORDED,
	BATCH_ALREADY, /* the record has it */
	BATCH_SPOOLED, /* kept, but not in the record; 'err' says why */
	BATCH_REFUSED, /* 'err' says why */
	BATCH_BLOCKED, /* one that it waits for could not be recorded */
};

struct batch_recorded {
	enum batch_recording what;
	struct err *err; /* or NULL; owned */
	struct strv warnings;
};

struct batch_recordings {
	struct batch_recorded *v; /* as plan->steps; PENDING for what is not asked for */
	size_t n;
};

void batch_recordings_init(struct batch_recordings *recordings, size_t n);
void batch_recordings_release(struct batch_recordings *recordings);

/*
 * Make the recordings of the plan among 'chosen' (as plan->steps; NULL: all), in its order as far
 * as one waits for another. -1 only if nothing could be done at all; what became of each is in 'out'
 * (initialised).
 */
int batch_record(struct session *session, const struct batch_plan *plan, const bool *chosen,
		 struct batch_recordings *out, struct err *err);

/* The id of the entry that a recording makes. */
void batch_recording_id(const struct batch_step *step, char out[ID_TEXT_SIZE]);

#endif
