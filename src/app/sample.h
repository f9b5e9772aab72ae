/*
 * sample - the newest lines of a running training, for its progress rules.
 *
 * Gets every block that passes and keeps little: at most ten times a second it
 * looks at the newest 64 KiB of a stream, splits them at \n and \r (a progress
 * bar ends its states with \r), and hands on the complete lines that hold one of
 * the needles, oldest first. What it skips is skipped for progress only.
 *
 *	sampler_init(&sampler, needles, n, use_line, arg);
 *	sampler_feed(&sampler, PROC_STDOUT, data, len, clock_monotonic_ms());
 *	sampler_tick(&sampler, clock_monotonic_ms());    from time to time
 *	sampler_finish(&sampler);                        what is left, unfinished line included
 *	sampler_release(&sampler);
 */
#ifndef APP_SAMPLE_H
#define APP_SAMPLE_H
#include "base/str.h"
#include "sys/proc.h"

#define SAMPLE_LIMIT ((size_t)64 << 10)
#define SAMPLE_INTERVAL_MS 100

struct sample_stream {
	struct str tail; /* the newest bytes not looked at yet */
	bool has_gap;	 /* its first line has lost its beginning */
	bool has_looked;
	int64_t looked; /* when */
};

struct sampler {
	const char *const *needles; /* borrowed */
	size_t n_needles;
	/* without the line's end, and without a NUL */
	void (*on_line)(void *arg, const char *line, size_t len);
	void *arg;
	struct sample_stream streams[2];
};

void sampler_init(struct sampler *sampler, const char *const *needles, size_t n_needles,
		  void (*on_line)(void *arg, const char *line, size_t len), void *arg);
void sampler_feed(struct sampler *sampler, enum proc_stream stream, const char *data, size_t len,
		  int64_t now_ms);
void sampler_tick(struct sampler *sampler, int64_t now_ms);
void sampler_finish(struct sampler *sampler);
void sampler_release(struct sampler *sampler);

#endif
