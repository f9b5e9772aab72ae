#include "base/base.h"

#include "base/log.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <unistd.h>

static enum log_level current_level = LOG_NORMAL;
static void (*guard_before)(void);
static void (*guard_after)(void);

void log_set_level(enum log_level level)
{
	current_level = level;
}

enum log_level log_level(void)
{
	return current_level;
}

void log_set_guard(void (*before)(void), void (*after)(void))
{
	guard_before = before;
	guard_after = after;
}

static void write_all(const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, data, len);

		if (n <= 0)
			return; /* nobody is left to tell */
		data += n;
		len -= (size_t)n;
	}
}

static void emit(const char *prefix, const char *text)
{
	struct str line = STR_INIT;

	str_adds(&line, prefix);
	add_harmless(&line, text, strlen(text));
	str_addch(&line, '\n');
	if (guard_before)
		guard_before();
	write_all(line.buf, line.len);
	if (guard_after)
		guard_after();
	str_release(&line);
}

static PRINTF_LIKE(2, 0) void vemit(const char *prefix, const char *fmt, va_list args)
{
	struct str text = STR_INIT;

	str_vaddf(&text, fmt, args);
	emit(prefix, text.buf);
	str_release(&text);
}

#define EMIT_IF(condition, prefix)        \
	do {                              \
		va_list args;             \
		if (!(condition))         \
			return;           \
		va_start(args, fmt);      \
		vemit(prefix, fmt, args); \
		va_end(args);             \
	} while (0)

void log_info(const char *fmt, ...)
{
	EMIT_IF(current_level >= LOG_VERBOSE, "thhost: ");
}

void log_notice(const char *fmt, ...)
{
	EMIT_IF(current_level >= LOG_NORMAL, "thhost: ");
}

void log_warn(const char *fmt, ...)
{
	EMIT_IF(true, "thhost: warning: ");
}

void log_plain(const char *fmt, ...)
{
	EMIT_IF(true, "thhost: ");
}

void log_error(const struct err *err)
{
	emit("thhost: ", err->msg);
	if (err->hint[0])
		emit("hint: ", err->hint);
}

void add_harmless(struct str *out, const char *text, size_t len)
{
	size_t i = 0;

	while (i < len) {
		uint32_t c;
		size_t width = utf8_decode(text + i, len - i, &c);

		if (!width) {
			str_addf(out, "\\x%02x", (unsigned char)text[i]);
			i++;
			continue;
		}
		if (!utf8_is_control(c))
			str_add(out, text + i, width);
		else if (c < 0x80)
			str_addf(out, "\\x%02x", (unsigned)c);
		else
			str_addf(out, "\\u{%04x}", (unsigned)c);
		i += width;
	}
}
