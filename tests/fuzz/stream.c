/* A training's output as it passes: the lines that rules see, and where the cursor stands. */
#include "base/base.h"

#include "fuzz.h"
#include "app/cursor.h"
#include "app/sample.h"

static void take_line(void *arg, const char *line, size_t len)
{
	struct str *lines = arg;

	CHECK(!memchr(line, '\n', len) && !memchr(line, '\r', len));
	CHECK(memmem(line, len, "a", 1) || memmem(line, len, "%|", 2));
	str_add(lines, line, len);
	str_addch(lines, '\n');
}

static void feed(const uint8_t *data, size_t size, size_t piece, struct str *lines)
{
	static const char *const needles[] = { "a", "%|" };
	struct sampler sampler;
	struct cursor cursor = CURSOR_INIT;
	int64_t now = 1000;

	sampler_init(&sampler, needles, 2, take_line, lines);
	for (size_t at = 0; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		sampler_feed(&sampler, PROC_STDOUT, (const char *)data + at, n, now);
		now += SAMPLE_INTERVAL_MS / 2;
		sampler_tick(&sampler, now);
		cursor_follow(&cursor, (const char *)data + at, n, 80);
		CHECK(cursor.column >= CURSOR_UNKNOWN && cursor.column <= 80);
	}
	sampler_finish(&sampler);
	sampler_release(&sampler);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str whole = STR_INIT;
	struct str pieces = STR_INIT;

	feed(data, size, size + 1, &whole);
	feed(data, size, fuzz_hash(data, size) % 7 + 1, &pieces);
	/* nothing is skipped where all of it fits */
	CHECK(size > SAMPLE_LIMIT ||
	      (whole.len == pieces.len && memcmp(whole.buf, pieces.buf, whole.len) == 0));
	str_release(&whole);
	str_release(&pieces);
	return 0;
}
