/*
 * Event lines from a file that grows, answers of the progress worker, and the status line they give.
 * The events' source is compiled into this file for small blocks.
 */
#define EVENTS_BLOCK 64
#define EVENTS_LINE 512
#define pread read_input /* no file: what there is of the input by now */
#include "base/base.h"

static ssize_t read_input(int fd, void *buf, size_t size, off_t offset);

#include "app/events.c" /* NOLINT */

#include "fuzz.h"
#include "app/progress.h"
#include "base/utf8.h"
#include "base/width.h"
#include "script/plugin.h"
#include "sys/duplex.h"

#define COLUMNS 60

static const uint8_t *input;
static size_t input_size;

static const char *answer;
static size_t answer_left;
static size_t answer_piece;

enum duplex_result __wrap_duplex_receive(const struct duplex *d, char *buf, size_t size,
					 size_t *len);
void __wrap_duplex_stop(struct duplex *d);

enum duplex_result __wrap_duplex_receive(const struct duplex *d UNUSED, char *buf, size_t size,
					 size_t *len)
{
	*len = answer_left < answer_piece ? answer_left : answer_piece;
	CHECK(*len <= size);
	memcpy(buf, answer, *len);
	answer += *len;
	answer_left -= *len;
	return *len ? DUPLEX_DONE : DUPLEX_GONE;
}

void __wrap_duplex_stop(struct duplex *d UNUSED)
{
}

static ssize_t read_input(int fd UNUSED, void *buf, size_t size, off_t offset)
{
	size_t left = (size_t)offset < input_size ? input_size - (size_t)offset : 0;
	size_t n = left < size ? left : size;

	if (n)
		memcpy(buf, input + offset, n);
	return (ssize_t)n;
}

static int64_t no_time(void)
{
	return 1000;
}

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
	progress_use_clock(no_time);
	return 0;
}

static void begin(void)
{
	static const struct progress_metric metrics[] = { { "f1", PROGRESS_MAX },
							  { "loss", PROGRESS_MIN } };
	static const struct progress_setup setup = {
		.label = "stage1/业务", .metrics = metrics, .n_metrics = 2, .is_quiet = true
	};

	progress_begin(&setup);
}

static void check_line(void)
{
	char *line = progress_text(COLUMNS, 2000);
	size_t len = strlen(line);
	uint32_t c;

	CHECK(display_width(line) <= COLUMNS);
	for (size_t i = 0; i < len; i += utf8_decode(line + i, len - i, &c))
		CHECK(utf8_decode(line + i, len - i, &c) && !utf8_is_control(c));
	free(line);
}

static void set_value(void *arg, const char *name, double value)
{
	size_t *count = arg;

	++*count;
	progress_set(name, value);
}

static void set_answer(void *arg UNUSED, const char *name, double value)
{
	CHECK(isfinite(value) && name[0] && !strchr(name, '\n'));
	progress_set(name, value);
}

static void check_fields(const struct fields *fields)
{
	struct json doc = JSON_INIT;
	struct err err = ERR_INIT;
	struct str out = STR_INIT;

	fields_print(fields, &out);
	CHECK(json_parse(&doc, "fields", out.buf, out.len, JSON_NONFINITE_OK, &err) == 0);
	json_release(&doc);
	str_release(&out);
}

/* In pieces as they are written, or at once: the same in the end. */
static size_t check_events(size_t size, size_t piece, struct str *out)
{
	struct events events;
	size_t count = 0;

	events_init(&events, 0);
	begin();
	for (input_size = 0; input_size < size; events_read(&events, set_value, &count))
		input_size += size - input_size < piece ? size - input_size : piece;
	events_finish(&events, set_value, &count);
	check_fields(events.metrics);
	check_fields(events.final_metrics);
	check_fields(events.final_hyperparams);
	fields_print(events.metrics, out);
	fields_print(events.final_metrics, out);
	check_line();
	events_release(&events);
	return count;
}

static void check_answers(const uint8_t *data, size_t size, size_t piece)
{
	struct plugin_progress p = { .fd = 0, .pid = -1, .pending = STR_INIT };

	answer = (const char *)data;
	answer_left = size;
	answer_piece = piece;
	begin();
	CHECK(plugin_progress_receive(&p, set_answer, NULL) < 0);
	check_line();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str whole = STR_INIT;
	struct str pieces = STR_INIT;
	size_t piece = size / 3 + 1;

	input = data;
	CHECK(check_events(size, size + 1, &whole) == check_events(size, piece, &pieces));
	CHECK(strcmp(whole.buf, pieces.buf) == 0);
	check_answers(data, size, piece);
	str_release(&whole);
	str_release(&pieces);
	return 0;
}
