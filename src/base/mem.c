#include "base/base.h"

#include "base/mem.h"

#include <stdarg.h>
#include <sys/uio.h>
#include <unistd.h>

#define NO_MEMORY "thhost: out of memory"

#define PLAIN_STATUS 70

static int end_status = PLAIN_STATUS;
static const char *end_text = "";

bool mem_end_as(int status, const char *text)
{
	if (end_status != PLAIN_STATUS || end_text[0])
		return false;
	end_status = status;
	end_text = text;
	return true;
}

void mem_end_plainly(void)
{
	end_status = PLAIN_STATUS;
	end_text = "";
}

static NORETURN void out_of_memory(void)
{
	const struct iovec parts[] = {
		{ .iov_base = (void *)(uintptr_t)NO_MEMORY, .iov_len = sizeof(NO_MEMORY) - 1 },
		{ .iov_base = (void *)(uintptr_t)end_text, .iov_len = strlen(end_text) },
		{ .iov_base = (char[]){ '\n' }, .iov_len = 1 },
	};

	/* Nothing that allocates may run here; the result cannot be helped either way. */
	if (writev(STDERR_FILENO, parts, ARRAY_SIZE(parts)) < 0)
		_exit(end_status);
	_exit(end_status);
}

void *xmalloc(size_t size)
{
	void *ptr = malloc(size ? size : 1);

	if (!ptr)
		out_of_memory();
	return ptr;
}

void *xcalloc(size_t n, size_t size)
{
	void *ptr = calloc(n ? n : 1, size ? size : 1);

	if (!ptr)
		out_of_memory();
	return ptr;
}

void *xrealloc(void *ptr, size_t size)
{
	void *fresh = realloc(ptr, size ? size : 1);

	if (!fresh)
		out_of_memory();
	return fresh;
}

void *xreallocarray(void *ptr, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		out_of_memory();
	return xrealloc(ptr, bytes);
}

char *xstrndup(const char *s, size_t len)
{
	char *copy = xmalloc(len + 1);

	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *xstrdup_or_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

char *xstrf(const char *fmt, ...)
{
	va_list args;
	char *text = NULL;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0)
		out_of_memory();
	return text;
}
