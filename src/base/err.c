#include "base/base.h"

#include "base/err.h"

#include <errno.h>
#include <stdarg.h>

static const struct {
	enum err_code code;
	int status;
	const char *word;
} codes[] = {
	{ ERR_NONE, 0, "ok" },
	{ ERR_FAILED, 1, "failed" },
	{ ERR_USAGE, 2, "usage" },
	{ ERR_NOT_FOUND, 3, "not_found" },
	{ ERR_BUSY, 4, "busy" },
	{ ERR_INVALID, 5, "invalid" },
	{ ERR_PLUGIN, 6, "plugin" },
	{ ERR_SPOOLED, 7, "spooled" },
	{ ERR_NOT_DURABLE, 8, "not_durable" },
	{ ERR_INTERNAL, 70, "internal" },
	{ ERR_INTERRUPTED, 130, "interrupted" },
};

int err_exit_status(enum err_code code)
{
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].code == code)
			return codes[i].status;
	return 70;
}

const char *err_word(enum err_code code)
{
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].code == code)
			return codes[i].word;
	return "internal";
}

const char *errno_name(int number)
{
	const char *name = strerrorname_np(number);

	return name ? name : "E?";
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list args;

	err->code = code;
	err->number = 0;
	va_start(args, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	va_end(args);
	return -1;
}

int err_errno(struct err *err, enum err_code code, const char *fmt, ...)
{
	int saved = errno;
	va_list args;
	size_t len;

	err->code = code;
	err->number = saved;
	va_start(args, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	va_end(args);
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s (%s)", strerrordesc_np(saved),
		 errno_name(saved));
	errno = saved;
	return -1;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	char old[sizeof(err->msg)];
	va_list args;
	size_t len;

	memcpy(old, err->msg, sizeof(old));
	va_start(args, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	va_end(args);
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", old);
	return -1;
}

int err_hint(struct err *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, args);
	va_end(args);
	return -1;
}

void err_path(struct err *err, const char *path)
{
	snprintf(err->path, sizeof(err->path), "%s", path);
}
