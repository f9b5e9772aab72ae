/*
 * watch - what is learned from a training while it runs.
 *
 * Takes the blocks that pass, the events file and the plugin's progress rules, and
 * feeds the status line (progress.h). The worker that evaluates the rules starts
 * with the first line that a rule may match, so a training that prints none pays
 * nothing. Slow or dead workers only cost progress.
 */
#ifndef APP_WATCH_H
#define APP_WATCH_H
#include "app/events.h"
#include "app/sample.h"
#include "script/plugin.h"

struct watch {
	const struct plugin_plan *plan;
	struct plugin_limits limits;
	struct sampler sampler;
	const char **needles;
	struct events events;
	struct plugin_progress worker;
	bool is_worker_tried;
};

void watch_begin(struct watch *watch, const struct plugin_plan *plan,
		 const struct plugin_limits *limits, int events_fd, const char *label,
		 bool is_quiet);
void watch_before_output(struct watch *watch, enum proc_stream stream);
void watch_output(struct watch *watch, enum proc_stream stream, const char *data, size_t len);
void watch_tick(struct watch *watch);

/* The child has ended: take in what is left. With 'wait' also what the worker still has to say (at
 * most half a second): for a run that failed, its last step is news. */
void watch_end(struct watch *watch, bool wait);
void watch_release(struct watch *watch);

/* The last value of each metric that was heard of, as a JSON object; NULL if none. Fresh memory. */
char *watch_metrics(void);

#endif
