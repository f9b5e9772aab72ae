#include "base/base.h"

#include "app/watch.h"

#include "app/progress.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/json.h"

#include <math.h>
#include <poll.h>

#define LAST_WORDS_MS 500

static void set_value(void *arg, const char *name, double value)
{
	(void)arg;
	progress_set(name, value);
}

static void start_worker(struct watch *watch)
{
	struct err err = ERR_INIT;

	watch->is_worker_tried = true;
	if (plugin_progress_start(&watch->worker, watch->plan, &watch->limits, &err) < 0)
		log_info("no live progress: %s", err.msg);
}

static void take_line(void *arg, const char *line, size_t len)
{
	struct watch *watch = arg;

	if (!watch->is_worker_tried)
		start_worker(watch);
	plugin_progress_send(&watch->worker, line, len);
}

static void begin_progress(const struct plugin_plan *plan, const char *label, bool is_quiet)
{
	struct progress_metric *metrics = xcalloc(plan->n_metrics, sizeof(*metrics));
	struct progress_setup setup = {
		.label = label,
		.metrics = metrics,
		.n_metrics = plan->n_metrics,
		.is_quiet = is_quiet,
	};

	for (size_t i = 0; i < plan->n_metrics; i++) {
		char goal = plan->metrics[i].goal;

		metrics[i].name = plan->metrics[i].name;
		metrics[i].goal = goal == '+'	? PROGRESS_MAX
				  : goal == '-' ? PROGRESS_MIN
						: PROGRESS_NO_GOAL;
	}
	progress_begin(&setup);
	free(metrics);
}

void watch_begin(struct watch *watch, const struct plugin_plan *plan,
		 const struct plugin_limits *limits, int events_fd, const char *label,
		 bool is_quiet)
{
	memset(watch, 0, sizeof(*watch));
	watch->plan = plan;
	watch->limits = *limits;
	watch->worker.fd = -1;
	str_init(&watch->worker.pending);
	watch->needles = xcalloc(plan->n_rules, sizeof(*watch->needles));
	for (size_t i = 0; i < plan->n_rules; i++)
		watch->needles[i] = plan->rules[i].find;
	sampler_init(&watch->sampler, watch->needles, plan->n_rules, take_line, watch);
	events_init(&watch->events, events_fd);
	begin_progress(plan, label, is_quiet);
}

void watch_before_output(struct watch *watch, enum proc_stream stream)
{
	(void)watch;
	progress_before_output(stream);
}

void watch_output(struct watch *watch, enum proc_stream stream, const char *data, size_t len)
{
	if (watch->plan->n_rules)
		sampler_feed(&watch->sampler, stream, data, len, clock_monotonic_ms());
	progress_after_output(stream, data, len);
}

static void receive(struct watch *watch)
{
	if (watch->worker.fd >= 0)
		plugin_progress_receive(&watch->worker, set_value, NULL);
}

void watch_tick(struct watch *watch)
{
	if (watch->plan->n_rules)
		sampler_tick(&watch->sampler, clock_monotonic_ms());
	receive(watch);
	events_read(&watch->events, set_value, NULL);
	progress_tick();
}

/* Answers come within a few milliseconds; silence for 50 ms is the end of them. */
static void wait_for_answers(struct watch *watch)
{
	int64_t deadline = clock_monotonic_ms() + LAST_WORDS_MS;
	bool heard = false;

	while (watch->worker.fd >= 0 && clock_monotonic_ms() < deadline) {
		struct pollfd ready = { .fd = watch->worker.fd, .events = POLLIN };

		if (poll(&ready, 1, heard ? 50 : LAST_WORDS_MS) <= 0)
			return;
		receive(watch);
		heard = true;
	}
}

void watch_end(struct watch *watch, bool wait)
{
	progress_end();
	if (watch->plan->n_rules)
		sampler_finish(&watch->sampler);
	events_finish(&watch->events, set_value, NULL);
	if (wait)
		wait_for_answers(watch);
	plugin_progress_stop(&watch->worker);
}

void watch_release(struct watch *watch)
{
	sampler_release(&watch->sampler);
	events_release(&watch->events);
	free(watch->needles);
}

char *watch_metrics(void)
{
	const struct progress_value *value;
	struct str out = STR_INIT;
	struct jsonw w = jsonw_begin(&out, 0);
	bool any = false;

	jsonw_object(&w);
	for (size_t i = 0; (value = progress_metric_at(i)); i++) {
		if (!value->is_known)
			continue;
		jsonw_key(&w, value->name);
		jsonw_real(&w, value->value);
		any = true;
	}
	jsonw_end(&w);
	if (!any)
		str_release(&out);
	return any ? str_detach(&out) : NULL;
}
