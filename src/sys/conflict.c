#include "base/base.h"

#include "sys/conflict.h"

#include "base/clock.h"
#include "base/log.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFLICT_FORMAT ".%.180s.conflict-"

bool conflict_is_name(const char *other, const char *name)
{
	char prefix[TEMP_NAME_SIZE];

	snprintf(prefix, sizeof(prefix), CONFLICT_FORMAT, name);
	return has_prefix(other, prefix);
}

/*
 * A free name of this temporary, whose digits no other one has: several foreign versions may have to
 * be kept for one temporary, some of them by a process that was killed. "" if none can be found.
 */
static void conflict_name(int dirfd, const char *name, const char *tmp, char out[TEMP_NAME_SIZE])
{
	char prefix[TEMP_NAME_SIZE];
	char when[CLOCK_TEXT_SIZE];
	unsigned int number;
	struct stat st;

	temp_name_prefix(name, prefix);
	number = temp_name_number(tmp, prefix);
	clock_format_name(clock_now(), when);
	for (int i = 0; i <= CONFLICT_MAX; i++) {
		snprintf(out, TEMP_NAME_SIZE, CONFLICT_FORMAT "%s-%08x", name, when, number++);
		if (fstatat(dirfd, out, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			return;
	}
	out[0] = '\0'; /* not reached by tests: put_back() stops before */
}

void conflict_link(int dirfd, const char *name, const char *tmp, const char *from,
		   char out[TEMP_NAME_SIZE])
{
	conflict_name(dirfd, name, tmp, out);
	if (linkat(dirfd, from, dirfd, out, 0) < 0)
		out[0] = '\0';
}

int conflict_move(int dirfd, const char *name, const char *tmp, const char *from,
		  char out[TEMP_NAME_SIZE])
{
	conflict_name(dirfd, name, tmp, out);
	if (renameat(dirfd, from, dirfd, out) == 0)
		return 0;
	snprintf(out, TEMP_NAME_SIZE, "%s", from);
	return -1;
}

int conflict_keep(int dirfd, const char *name, const char *tmp, const char *from,
		  char out[TEMP_NAME_SIZE])
{
	conflict_link(dirfd, name, tmp, from, out);
	return out[0] ? 0 : conflict_move(dirfd, name, tmp, from, out);
}

/* When a file was made; 'otherwise' where that is not kept. */
static int64_t birth_of(int dirfd, const char *name, int64_t otherwise)
{
	struct statx stx;

	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &stx) < 0 ||
	    !(stx.stx_mask & STATX_BTIME))
		return otherwise;
	return stx.stx_btime.tv_sec * 1000000000 + stx.stx_btime.tv_nsec;
}

int conflict_spare_backup(int dirfd, const char *name, const char *tmp, const char *backup,
			  const char *from)
{
	struct file_version version;
	struct file_version next;
	struct err ignored = ERR_INIT;
	char kept[TEMP_NAME_SIZE];

	if (file_version(dirfd, backup, &version, &ignored) < 0 ||
	    file_version(dirfd, from, &next, &ignored) < 0)
		return -1;
	/* The same file: a crash came after backup_by_link(). */
	if (!version.exists || !S_ISREG(version.mode) ||
	    (version.dev == next.dev && version.ino == next.ino) ||
	    version.mtime_ns <= birth_of(dirfd, from, next.mtime_ns))
		return 0;
	if (conflict_keep(dirfd, name, tmp, backup, kept) < 0)
		return -1; /* not reached by tests: link and rename fail, and the backup is foreign */
	log_warn("'%s' is younger than '%s', which another program must have written; it is kept "
		 "as '%s'",
		 backup, name, kept);
	return 0;
}
