/* What a writer that was killed has left beside a file: see sys/temp_name.h. */
#include "base/base.h"

#include "base/log.h"
#include "sys/conflict.h"
#include "sys/file.h"
#include "sys/path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct sweep {
	int dirfd;
	const char *name;
	const char *backup;
	int age_s;
	char prefix[TEMP_NAME_SIZE];
	struct strv names; /* of all that lies there */
};

/* The version that our own took the place of when a crash came; 'digest': what it should be. */
static bool was_in_place(const struct sweep *sweep, const char *tmp,
			 const struct file_version *found, uint64_t *digest)
{
	uint64_t ino;

	return temp_name_read(tmp, sweep->prefix, &ino, digest) && found->ino != ino;
}

static bool has_digest(const struct sweep *sweep, const char *tmp, uint64_t digest)
{
	struct str text = STR_INIT;
	struct err ignored = ERR_INIT; /* what cannot be read is kept */
	bool has = digest == TEMP_NO_DIGEST ||
		   (file_read(sweep->dirfd, tmp, FILE_LIMIT, &text, NULL, &ignored) == 0 &&
		    temp_name_digest(&text) == digest);

	str_release(&text);
	return has;
}

/* put_back() may have given it its name before the crash. */
static bool has_conflict(const struct sweep *sweep, const struct file_version *version)
{
	struct stat st;

	for (size_t i = 0; i < sweep->names.n; i++)
		if (conflict_is_name(sweep->names.v[i], sweep->name) &&
		    fstatat(sweep->dirfd, sweep->names.v[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_dev == version->dev && st.st_ino == version->ino)
			return true;
	return false;
}

/* The old version becomes the backup, unless it has two names: then it is in the quarantine. True
 * if it may be removed. */
static bool rescue_old(const struct sweep *sweep, const char *tmp)
{
	struct stat st;

	if (!sweep->backup)
		return true;
	if (fstatat(sweep->dirfd, tmp, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink > 1)
		return true;
	if (conflict_spare_backup(sweep->dirfd, sweep->name, tmp, sweep->backup, tmp) < 0 ||
	    renameat(sweep->dirfd, tmp, sweep->dirfd, sweep->backup) < 0)
		log_warn("cannot keep the old version of '%s', which is '%s'", sweep->name, tmp);
	return false;
}

/* True if what lies under 'tmp' may be removed: it is of no use, or kept elsewhere. */
static bool rescue(const struct sweep *sweep, const char *tmp, const struct file_version *found,
		   uint64_t digest)
{
	char kept[TEMP_NAME_SIZE];

	if (has_digest(sweep, tmp, digest))
		return rescue_old(sweep, tmp);
	if (has_conflict(sweep, found))
		return true;
	conflict_move(sweep->dirfd, sweep->name, tmp, tmp, kept);
	log_warn("a version of '%s' by another program was found and kept as '%s'", sweep->name,
		 kept);
	return false;
}

static bool sweep_one(const struct sweep *sweep, const char *tmp)
{
	struct err ignored = ERR_INIT;
	struct file_version found;
	uint64_t digest;
	int64_t newest = ((int64_t)time(NULL) - sweep->age_s) * 1000000000;

	if (file_version(sweep->dirfd, tmp, &found, &ignored) < 0 || !found.exists ||
	    (!S_ISREG(found.mode) && !S_ISLNK(found.mode)))
		return false;
	if (sweep->age_s > 0 && found.ctime_ns > newest)
		return false;
	if (was_in_place(sweep, tmp, &found, &digest) && !rescue(sweep, tmp, &found, digest))
		return true;
	return unlinkat(sweep->dirfd, tmp, 0) == 0;
}

int file_sweep(int dirfd, const char *name, const char *backup, int age_s)
{
	struct sweep sweep = {
		.dirfd = dirfd, .name = name, .backup = backup, .age_s = age_s, .names = STRV_INIT
	};
	struct err ignored = ERR_INIT;
	int count = 0;

	temp_name_prefix(name, sweep.prefix);
	if (path_list(dirfd, &sweep.names, &ignored) == 0)
		for (size_t i = 0; i < sweep.names.n; i++)
			if (has_prefix(sweep.names.v[i], sweep.prefix))
				count += sweep_one(&sweep, sweep.names.v[i]);
	strv_release(&sweep.names);
	return count;
}

int file_sweep_listed(int dirfd, const struct strv *names)
{
	const struct sweep sweep = { .dirfd = dirfd, .age_s = FILE_STALE_S };
	int count = 0;

	for (size_t i = 0; i < names->n; i++)
		if (temp_name_is(names->v[i]))
			count += sweep_one(&sweep, names->v[i]);
	return count;
}
