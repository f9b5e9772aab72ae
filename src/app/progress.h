/*
 * progress - what is known of a running training, and its status line.
 *
 *   stage1/hrds  step 4,500/10,000 (45%)  epoch 1.8  18m12s, 22m left  f1 0.841 (best 0.846 @ 4,000)
 *
 * The line lives below the training's own output and leaves no trace: it is
 * painted at most ten times a second and is gone before any other byte goes out.
 * Where the training has begun a line (its own progress bar) it stands under that
 * line and the cursor goes back; where the cursor's column is not known
 * (cursor.h) there is none. There is one
 * terminal, so there is one progress; log.h's guards are set while it runs.
 *
 *	progress_begin(&setup);
 *	progress_before_output(); ... progress_after_output(stream, data, len);
 *	progress_set("step", 4500); progress_set("eval_f1", 0.841);
 *	progress_tick();                every 100 ms or so
 *	progress_end();                 the values can still be asked for
 */
#ifndef APP_PROGRESS_H
#define APP_PROGRESS_H
#include "base/base.h"
#include "sys/proc.h"

enum progress_goal { PROGRESS_NO_GOAL, PROGRESS_MAX, PROGRESS_MIN };

struct progress_metric {
	const char *name;
	enum progress_goal goal;
};

struct progress_setup {
	const char *label;		       /* "stage1/hrds" */
	const struct progress_metric *metrics; /* the most telling first: the line shows one */
	size_t n_metrics;
	double steps_total; /* 0: not known */
	double epochs_total;
	bool is_quiet; /* keep the values, paint nothing */
};

/* Forget the last training and start with this one. Paints only if stderr is a terminal that can
 * erase a line (TERM is set and not "dumb"). */
void progress_begin(const struct progress_setup *setup);

/* Around each block that passes to our stdout or stderr. */
void progress_before_output(enum proc_stream stream);
void progress_after_output(enum proc_stream stream, const char *data, size_t len);

/* "step", "steps_total", "epoch", "epochs_total", or a metric; what is not finite is not news. A
 * metric that the setup did not name has no goal. */
void progress_set(const char *name, double value);

void progress_tick(void);

/* Take the line away until the next tick (^Z). */
void progress_hide(void);
void progress_end(void);

/* ---- what was last heard, for the journal and the record ---- */

struct progress_value {
	char name[64];
	enum progress_goal goal;
	bool is_known;
	double value;
	double step; /* when it was reported; NaN if no step was known */
	double best; /* with a goal */
	double best_step;
};

/* NaN: not known. */
double progress_step(void);
double progress_steps_total(void);
double progress_epoch(void);

/* The metrics, declared ones first; NULL at the end. */
const struct progress_value *progress_metric_at(size_t i);

/* How often any value came in: tells whether there is news to keep. */
uint64_t progress_news(void);

/* The line as it would be painted at 'now_ms' (monotonic) in 'columns' columns; fresh memory. */
char *progress_text(int columns, int64_t now_ms);

/* Tests: another clock; NULL: the monotonic one. */
void progress_use_clock(int64_t (*now_ms)(void));

#endif
