#include "base/base.h"

#include "cli/reading.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/render.h"

#include <unistd.h>

#define PATIENCE_MS 1000
#define PAINT_MS 100

static struct {
	bool is_on;
	bool paints;
	bool is_painted;
	int64_t next_ms;
} line;

static void erase(void)
{
	if (line.is_painted)
		fputs("\r\033[K", stderr);
	line.is_painted = false;
}

static void ignore(void)
{
}

static void begin(void)
{
	const char *term = getenv("TERM");

	line.is_on = true;
	line.paints = log_level() > LOG_QUIET && isatty(STDERR_FILENO) && term && *term &&
		      strcmp(term, "dumb") != 0;
	line.next_ms = clock_monotonic_ms() + PATIENCE_MS;
	if (line.paints)
		log_set_guard(erase, ignore);
}

static void end(void)
{
	erase();
	if (line.paints)
		log_set_guard(NULL, NULL);
	line.is_on = false;
}

static void paint(size_t n_read)
{
	struct str text = STR_INIT;

	str_adds(&text, "\r reading the files: ");
	add_count(&text, (int64_t)n_read);
	str_adds(&text, " directories\033[K");
	fputs(text.buf, stderr);
	line.is_painted = true;
	str_release(&text);
}

void show_reading(size_t n_read)
{
	if (n_read == 0) {
		if (line.is_on)
			end();
		return;
	}
	if (!line.is_on)
		begin();
	if (!line.paints || clock_monotonic_ms() < line.next_ms)
		return;
	line.next_ms = clock_monotonic_ms() + PAINT_MS;
	paint(n_read);
}
