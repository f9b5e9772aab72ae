#include "base/base.h"

#include "capture/digest_cache.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/path.h"

#include <unistd.h>

/* Reading a smaller file costs no more than looking it up. */
#define SIZE_MIN (1 << 20)

/* A file written within the clock's last ticks may be written again without a new mtime. */
#define SETTLED_S 2

#define ENTRY_LIMIT 4096

/* $XDG_CACHE_HOME/thhost/digest, or NULL without a home. */
static char *cache_dir(void)
{
	const char *xdg = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	if (xdg && *xdg)
		return xstrf("%s/thhost/digest", xdg);
	return home && *home ? xstrf("%s/.cache/thhost/digest", home) : NULL;
}

static char *entry_name(const struct stat *st)
{
	return xstrf("%llx-%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
}

/* Everything but the digest itself: an entry that starts otherwise is of another version. */
static void entry_head(const struct stat *st, struct str *out)
{
	str_addf(out, "thhost-digest 1 %lld %lld.%09ld %lld.%09ld ", (long long)st->st_size,
		 (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec,
		 st->st_ctim.tv_nsec);
}

static bool is_sum(const char *text)
{
	return strspn(text, "0123456789abcdef") == 64 && strcmp(text + 64, "\n") == 0;
}

bool digest_cache_get(const struct stat *st, char *out)
{
	char *dir = st->st_size >= SIZE_MIN ? cache_dir() : NULL;
	char *name = entry_name(st);
	char *path = dir ? path_join(dir, name) : NULL;
	struct str text = STR_INIT;
	struct str head = STR_INIT;
	struct err ignored = ERR_INIT;
	bool found = false;

	entry_head(st, &head);
	if (path && file_read_path(path, ENTRY_LIMIT, &text, &ignored) == 0)
		found = has_prefix(text.buf, head.buf) && is_sum(text.buf + head.len);
	if (found) {
		memcpy(out, text.buf + head.len, 64);
		out[64] = '\0';
	}
	str_release(&head);
	str_release(&text);
	free(path);
	free(name);
	free(dir);
	return found;
}

static void make_dirs(const char *dir)
{
	char *up = path_dir(dir);

	if (strcmp(up, dir) != 0 && access(up, F_OK) < 0)
		make_dirs(up);
	free(up);
	if (mkdir(dir, 0700) < 0)
		return; /* opening it will tell */
}

void digest_cache_put(const struct stat *st, const char *sha256)
{
	char *dir = st->st_size >= SIZE_MIN ? cache_dir() : NULL;
	struct str text = STR_INIT;
	struct err ignored = ERR_INIT;
	char *name;
	int fd;

	if (!dir || time(NULL) - st->st_mtim.tv_sec < SETTLED_S) {
		free(dir);
		return;
	}
	make_dirs(dir);
	fd = path_open_dir(dir, &ignored);
	free(dir);
	if (fd < 0)
		return;
	name = entry_name(st);
	entry_head(st, &text);
	str_addf(&text, "%s\n", sha256);
	file_replace(fd, name, text.buf, text.len, NULL, &ignored);
	str_release(&text);
	free(name);
	close(fd);
}
