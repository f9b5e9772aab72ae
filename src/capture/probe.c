#include "base/base.h"

#include "capture/probe.h"

#include "base/mem.h"

#include <fcntl.h>
#include <unistd.h>

#define READ_LIMIT (64u << 10)

char *probe_path(const char *path)
{
	const char *root = getenv("THHOST_TEST_SYSROOT");

	return root && *root ? xstrf("%s%s", root, path) : xstrdup(path);
}

bool probe_exists(const char *path)
{
	char *real = probe_path(path);
	bool exists = access(real, F_OK) == 0;

	free(real);
	return exists;
}

bool probe_read(const char *path, struct str *out)
{
	char *real = probe_path(path);
	int fd = open(real, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n = -1;

	free(real);
	str_clear(out);
	if (fd < 0)
		return false;
	while (out->len < READ_LIMIT) {
		char part[4096];

		n = read(fd, part, sizeof(part));
		if (n <= 0)
			break;
		str_add(out, part, (size_t)n);
	}
	close(fd);
	str_truncate(out, strlen(out->buf));
	return n >= 0;
}

static void unquote(struct str *s)
{
	if (s->len < 2 || (s->buf[0] != '"' && s->buf[0] != '\'') ||
	    s->buf[s->len - 1] != s->buf[0])
		return;
	str_truncate(s, s->len - 1);
	str_splice(s, 0, 1, "", 0);
}

bool probe_value(const struct str *text, const char *key, char separator, struct str *out)
{
	size_t len = strlen(key);

	for (const char *p = text->buf; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		const char *after = p + len;

		if (strncmp(p, key, len) != 0)
			continue;
		after += strspn(after, " \t");
		if (*after != separator)
			continue;
		str_clear(out);
		str_add(out, after + 1, strcspn(after + 1, "\n"));
		str_trim(out);
		unquote(out);
		return true;
	}
	return false;
}

int probe_deadline(int ms)
{
	const char *text = getenv("THHOST_TEST_DEADLINE_MS");

	return text && *text ? (int)strtol(text, NULL, 10) : ms;
}
