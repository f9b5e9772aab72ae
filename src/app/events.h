/*
 * events - what a training tells through $THHOST_EVENTS.
 *
 * The child appends JSON lines to that file:
 *
 *	{"step": 100, "epoch": 0.5, "metrics": {"loss": 0.3}}
 *	{"final": {"metrics": {"f1": 0.85}, "steps": 10000, "hyperparams": {"lr": 2e-05}}}
 *
 * A line that is no such object is passed over and counted: a training may not
 * fail because of what it says. Lines are read as they come; a half-written last
 * line waits for its end, or for that of the training.
 */
#ifndef APP_EVENTS_H
#define APP_EVENTS_H
#include "app/fields.h"

struct events {
	int fd;		/* borrowed */
	int64_t offset; /* read so far */
	struct str partial;
	int64_t step;		/* last one seen; -1: none */
	double epoch;		/* NAN: none */
	struct fields *metrics; /* last value of each */
	struct fields *final_metrics;
	struct fields *final_hyperparams;
	int64_t final_steps; /* -1: none */
	size_t bad_lines;
};

void events_init(struct events *events, int fd);
void events_release(struct events *events);

/*
 * Read what is new, at most 1 MiB a call; 'set' (may be NULL) gets each step, epoch and number.
 * Returns whether there may be more.
 */
bool events_read(struct events *events, void (*set)(void *arg, const char *name, double value),
		 void *arg);

/* The same for all that is left, the last line without its newline included. */
void events_finish(struct events *events, void (*set)(void *arg, const char *name, double value),
		   void *arg);

#endif
