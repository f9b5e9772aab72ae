#include "base/base.h"

#include "app/events.h"

#include "sys/json.h"

#include <math.h>
#include <unistd.h>

/* A tick must stay short whatever the child writes; a longer line is not an event. */
#ifndef EVENTS_BLOCK
#define EVENTS_BLOCK (1 << 20)
#endif
#ifndef EVENTS_LINE
#define EVENTS_LINE (256 << 10)
#endif

typedef void setter(void *arg, const char *name, double value);

void events_init(struct events *events, int fd)
{
	memset(events, 0, sizeof(*events));
	str_init(&events->partial);
	events->fd = fd;
	events->step = -1;
	events->epoch = NAN;
	events->final_steps = -1;
	events->metrics = fields_new();
	events->final_metrics = fields_new();
	events->final_hyperparams = fields_new();
}

void events_release(struct events *events)
{
	str_release(&events->partial);
	fields_free(events->metrics);
	fields_free(events->final_metrics);
	fields_free(events->final_hyperparams);
}

static void merge_member(struct fields *into, const struct json *doc, size_t object,
			 const char *key)
{
	size_t value = json_member(doc, object, key);
	struct err ignored = ERR_INIT;
	char *raw;

	if (!json_is(doc, value, JSON_OBJECT))
		return;
	raw = json_raw_copy(doc, value);
	fields_merge(into, "event", raw, &ignored); /* it parsed as part of its line already */
	free(raw);
}

static void report_metrics(const struct json *doc, setter *set, void *arg)
{
	size_t metrics = json_member(doc, 0, "metrics");

	for (size_t i = json_first(doc, metrics); i != JSON_NONE; i = json_next(doc, metrics, i)) {
		char *name = json_string_copy(doc, i);
		double value;

		if (json_real(doc, i + 1, &value) == 0)
			set(arg, name, value);
		free(name);
	}
}

static void take_progress(struct events *events, const struct json *doc, setter *set, void *arg)
{
	size_t step = json_member(doc, 0, "step");
	size_t epoch = json_member(doc, 0, "epoch");

	if (step != JSON_NONE && json_int64(doc, step, &events->step) == 0 && set)
		set(arg, "step", (double)events->step);
	if (epoch != JSON_NONE && json_real(doc, epoch, &events->epoch) == 0 && set)
		set(arg, "epoch", events->epoch);
	merge_member(events->metrics, doc, 0, "metrics");
	if (set)
		report_metrics(doc, set, arg);
}

static void take_final(struct events *events, const struct json *doc, size_t final)
{
	size_t steps = json_member(doc, final, "steps");

	merge_member(events->final_metrics, doc, final, "metrics");
	merge_member(events->final_hyperparams, doc, final, "hyperparams");
	if (steps != JSON_NONE)
		json_int64(doc, steps, &events->final_steps);
}

static void take_line(struct events *events, const char *line, size_t len, setter *set, void *arg)
{
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	size_t final;

	if (!len)
		return;
	if (json_parse(&doc, "event", line, len, JSON_NONFINITE_OK | JSON_DUPLICATES_OK, &ignored) <
		    0 ||
	    !json_is(&doc, 0, JSON_OBJECT)) {
		events->bad_lines++;
		json_release(&doc);
		return;
	}
	final = json_member(&doc, 0, "final");
	if (json_is(&doc, final, JSON_OBJECT))
		take_final(events, &doc, final);
	take_progress(events, &doc, set, arg);
	json_release(&doc);
}

static void take_lines(struct events *events, setter *set, void *arg)
{
	size_t start = 0;
	char *end;

	while ((end = memchr(events->partial.buf + start, '\n', events->partial.len - start))) {
		size_t len = (size_t)(end - events->partial.buf) - start;

		take_line(events, events->partial.buf + start, len, set, arg);
		start += len + 1;
	}
	str_splice(&events->partial, 0, start, "", 0);
	if (events->partial.len > EVENTS_LINE) {
		events->bad_lines++;
		str_clear(&events->partial);
	}
}

bool events_read(struct events *events, setter *set, void *arg)
{
	struct str *partial = &events->partial;
	ssize_t n;

	if (events->fd < 0)
		return false;
	str_reserve(partial, EVENTS_BLOCK);
	n = pread(events->fd, partial->buf + partial->len, EVENTS_BLOCK, events->offset);
	if (n > 0) {
		events->offset += n;
		partial->len += (size_t)n;
		partial->buf[partial->len] = '\0';
		take_lines(events, set, arg);
	}
	return n == EVENTS_BLOCK;
}

void events_finish(struct events *events, setter *set, void *arg)
{
	while (events_read(events, set, arg))
		;
	take_line(events, events->partial.buf, events->partial.len, set, arg);
	str_clear(&events->partial);
}
