#include "base/base.h"

#include "app/sample.h"

/* A flood comes in blocks of this size and more; of those that nobody will look at, the end is
 * enough, so that copying them costs the pass-through next to nothing. */
#define FLOOD_KEEPS ((size_t)8 << 10)

void sampler_init(struct sampler *sampler, const char *const *needles, size_t n_needles,
		  void (*on_line)(void *arg, const char *line, size_t len), void *arg)
{
	memset(sampler, 0, sizeof(*sampler));
	sampler->needles = needles;
	sampler->n_needles = n_needles;
	sampler->on_line = on_line;
	sampler->arg = arg;
	str_init(&sampler->streams[PROC_STDOUT].tail);
	str_init(&sampler->streams[PROC_STDERR].tail);
}

void sampler_release(struct sampler *sampler)
{
	str_release(&sampler->streams[PROC_STDOUT].tail);
	str_release(&sampler->streams[PROC_STDERR].tail);
}

static bool is_line_end(char c)
{
	return c == '\n' || c == '\r';
}

/* The length of the line at 'text', its end not counted; 'len' if it has none. */
static size_t line_length(const char *text, size_t len)
{
	const char *feed = memchr(text, '\n', len);
	const char *back;

	if (feed)
		len = (size_t)(feed - text);
	back = memchr(text, '\r', len);
	return back ? (size_t)(back - text) : len;
}

static void offer(const struct sampler *sampler, const char *line, size_t len)
{
	for (size_t i = 0; len && i < sampler->n_needles; i++) {
		const char *needle = sampler->needles[i];

		if (memmem(line, len, needle, strlen(needle))) {
			sampler->on_line(sampler->arg, line, len);
			return;
		}
	}
}

/* Hand on the complete lines and keep the rest. */
static void look(struct sampler *sampler, struct sample_stream *stream, int64_t now_ms)
{
	struct str *tail = &stream->tail;
	size_t start = 0;
	size_t len;

	while ((len = line_length(tail->buf + start, tail->len - start)) < tail->len - start) {
		if (!stream->has_gap)
			offer(sampler, tail->buf + start, len);
		stream->has_gap = false;
		start += len + 1;
	}
	if (start)
		str_splice(tail, 0, start, "", 0);
	stream->has_looked = true;
	stream->looked = now_ms;
}

static bool is_due(const struct sample_stream *stream, int64_t now_ms)
{
	return !stream->has_looked || now_ms - stream->looked >= SAMPLE_INTERVAL_MS;
}

/* Keep the end of a block that fills 'limit' alone. What came just before that end decides whether
 * the first line kept is whole. */
static void keep_end(struct sample_stream *stream, const char *data, size_t len, size_t limit)
{
	struct str *tail = &stream->tail;

	if (len > limit)
		stream->has_gap = !is_line_end(data[len - limit - 1]);
	else if (tail->len)
		stream->has_gap = !is_line_end(tail->buf[tail->len - 1]);
	str_clear(tail);
	str_add(tail, data + (len - limit), limit);
}

/* Append, and let go of the oldest beyond 'limit'. */
static void keep(struct sample_stream *stream, const char *data, size_t len, size_t limit)
{
	struct str *tail = &stream->tail;
	size_t gone;

	if (len >= limit) {
		keep_end(stream, data, len, limit);
		return;
	}
	if (tail->len + len > limit) {
		/* half of it at once, or each small block would move it all */
		gone = tail->len > limit / 2 ? tail->len - limit / 2 : 0;
		if (tail->len - gone + len > limit)
			gone = tail->len + len - limit;
		stream->has_gap = !is_line_end(tail->buf[gone - 1]);
		str_splice(tail, 0, gone, "", 0);
	}
	str_add(tail, data, len);
}

void sampler_feed(struct sampler *sampler, enum proc_stream stream, const char *data, size_t len,
		  int64_t now_ms)
{
	struct sample_stream *s = &sampler->streams[stream];
	bool due = is_due(s, now_ms);

	if (!sampler->n_needles || !len)
		return;
	keep(s, data, len, !due && len > FLOOD_KEEPS ? FLOOD_KEEPS : SAMPLE_LIMIT);
	if (due)
		look(sampler, s, now_ms);
}

void sampler_tick(struct sampler *sampler, int64_t now_ms)
{
	for (int i = 0; i < 2; i++) {
		struct sample_stream *stream = &sampler->streams[i];

		if (stream->tail.len && is_due(stream, now_ms))
			look(sampler, stream, now_ms);
	}
}

void sampler_finish(struct sampler *sampler)
{
	for (int i = 0; i < 2; i++) {
		struct sample_stream *stream = &sampler->streams[i];

		look(sampler, stream, stream->looked);
		if (!stream->has_gap)
			offer(sampler, stream->tail.buf, stream->tail.len);
		str_clear(&stream->tail);
		stream->has_gap = false;
	}
}
