#include "base/base.h"

#include "index/seen.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

/* What tells one version from another; zeroed where nothing is there. */
struct look {
	uint64_t dev;
	uint64_t ino;
	int64_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
	uint32_t mode;
	uint32_t is_there;
};

/* In the packed bytes: a look, the length of the name, the name with its NUL. */
#define HEAD (sizeof(struct look) + sizeof(uint16_t))

static int64_t nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What cannot be looked at is as good as absent: who may look later finds another. */
static void take(int rootfd, const char *path, struct look *out)
{
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (fstatat(rootfd, *path ? path : ".", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	*out = (struct look){
		.dev = st.st_dev,
		.ino = st.st_ino,
		.size = st.st_size,
		.mtime_ns = nanoseconds(st.st_mtim),
		.ctime_ns = nanoseconds(st.st_ctim),
		.mode = st.st_mode,
		.is_there = 1,
	};
}

mode_t seen_add(struct seen *seen, int rootfd, const char *place, const char *part)
{
	struct str path = STR_INIT;
	uint16_t len = (uint16_t)(strlen(part) + 1);
	struct look look;
	int64_t newest;

	str_adds(&path, place);
	str_adds(&path, part);
	take(rootfd, path.buf, &look);
	str_release(&path);
	str_add(&seen->bytes, (const char *)&look, sizeof(look));
	str_add(&seen->bytes, (const char *)&len, sizeof(len));
	str_add(&seen->bytes, part, len);
	newest = look.mtime_ns > look.ctime_ns ? look.mtime_ns : look.ctime_ns;
	if (look.is_there && newest / 1000000 > seen->newest_ms)
		seen->newest_ms = newest / 1000000;
	return look.is_there ? look.mode : 0;
}

void seen_release(struct seen *seen)
{
	str_release(&seen->bytes);
	seen->newest_ms = INT64_MIN;
}

/* The next one at '*at'; its name, or NULL where the bytes are none of ours. */
static const char *unpack(const char **at, const char *end, struct look *look)
{
	const char *name = *at + HEAD;
	uint16_t len;

	if ((size_t)(end - *at) < HEAD)
		return NULL;
	memcpy(look, *at, sizeof(*look));
	memcpy(&len, *at + sizeof(*look), sizeof(len));
	if (!len || (size_t)(end - name) < len || name[len - 1])
		return NULL;
	*at = name + len;
	return name;
}

bool seen_is_same(const void *bytes, size_t len, int rootfd, const char *place, int64_t *newest_ms)
{
	const char *at = bytes;
	const char *end = at + len;
	size_t place_len = strlen(place);
	char path[PATH_MAX];

	if (!len || place_len >= sizeof(path))
		return false;
	memcpy(path, place, place_len);
	while (at < end) {
		struct look was;
		struct look is;
		const char *name = unpack(&at, end, &was);
		size_t size = name ? strlen(name) + 1 : 0;

		if (!name || place_len + size > sizeof(path))
			return false;
		memcpy(path + place_len, name, size);
		take(rootfd, path, &is);
		if (memcmp(&was, &is, sizeof(is)) != 0)
			return false;
		if (newest_ms && is.ctime_ns / 1000000 > *newest_ms)
			*newest_ms = is.ctime_ns / 1000000;
	}
	return true;
}
