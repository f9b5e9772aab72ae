#include "base/base.h"

#include "sys/aside.h"

#include "base/clock.h"
#include "base/id.h"
#include "sys/file.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A name with random digits is not taken twice; more tries would hide another error. */
#define TRIES 3

/* NAME_MAX less room for the time and the digits. */
#define NAME_ROOM 200

static int make_name(const char *name, int nth, struct str *out, struct err *err)
{
	char when[CLOCK_TEXT_SIZE];
	char hex[17] = "";

	clock_format_name(clock_now(), when);
	str_clear(out);
	str_addf(out, "%.*s.%s", NAME_ROOM, name, when);
	if (nth == 0)
		return 0;
	if (id_random_hex(hex, err) < 0)
		return -1; /* not reached by tests: two faults at once */
	str_addf(out, "-%.8s", hex);
	return 0;
}

/* 0, or the errno. */
static int move_to_new(int dirfd, const char *name, int to, const char *new_name)
{
	if (renameat2(dirfd, name, to, new_name, RENAME_NOREPLACE) == 0)
		return 0;
	if (!path_is_unsupported(errno))
		return errno;
	if (linkat(dirfd, name, to, new_name, 0) < 0)
		return errno;
	return unlinkat(dirfd, name, 0) < 0 ? errno : 0;
}

static int link_to_new(int dirfd, const char *name, int to, const char *new_name)
{
	return linkat(dirfd, name, to, new_name, 0) < 0 ? errno : 0;
}

typedef int placer(int dirfd, const char *name, int to, const char *new_name);

/* The errno of the last try is left in 'number'. */
static int place(placer *put, int dirfd, const char *name, int to, struct str *kept, int *number,
		 struct err *err)
{
	*number = EEXIST;
	for (int i = 0; i < TRIES && *number == EEXIST; i++) {
		if (make_name(name, i, kept, err) < 0)
			return -1; /* not reached by tests: as make_name() says */
		*number = put(dirfd, name, to, kept->buf);
	}
	if (*number == 0)
		return 0;
	errno = *number;
	return err_errno(err, *number == ENOENT ? ERR_NOT_FOUND : ERR_FAILED,
			 "cannot move '%s' aside", name);
}

static int check_regular(int dirfd, const char *name, struct file_version *version, struct err *err)
{
	if (file_version(dirfd, name, version, err) < 0)
		return -1;
	if (!version->exists)
		return err_set(err, ERR_NOT_FOUND, "'%s' is not there any more", name);
	return file_check_regular(version, name, err);
}

static int sync_both(int dirfd, int to, const char *name, struct err *err)
{
	if (path_sync_dir(to) == 0 && path_sync_dir(dirfd) == 0)
		return 0;
	return err_errno(err, ERR_NOT_DURABLE, "'%s' is moved, but its directory cannot be synced",
			 name);
}

int aside_move(int dirfd, const char *name, int to, struct str *kept, struct err *err)
{
	struct file_version version;
	int number;

	if (check_regular(dirfd, name, &version, err) < 0 ||
	    place(move_to_new, dirfd, name, to, kept, &number, err) < 0)
		return -1;
	return sync_both(dirfd, to, name, err);
}

/* The name in 'to' that leads to this very file, if there is one. */
static bool find_link(int to, const char *name, const struct file_version *version,
		      struct str *kept)
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	struct file_version other;
	bool found = false;

	if (path_list(to, &names, &ignored) == 0)
		for (size_t i = 0; !found && i < names.n; i++) {
			found = has_prefix(names.v[i], name) &&
				file_version(to, names.v[i], &other, &ignored) == 0 &&
				other.exists && other.ino == version->ino &&
				other.dev == version->dev;
			if (found)
				str_sets(kept, names.v[i]);
		}
	strv_release(&names);
	return found;
}

static int copy(int dirfd, const char *name, int to, struct str *kept, struct err *err)
{
	const struct file_replace_options options = { .must_be_new = true };
	struct str text = STR_INIT;
	int result = file_read(dirfd, name, FILE_LIMIT, &text, NULL, err);

	if (result == 0 &&
	    file_replace(to, kept->buf, text.buf, text.len, &options, err) != FILE_DONE)
		result = -1;
	str_release(&text);
	return result;
}

int aside_link(int dirfd, const char *name, int to, struct str *kept, struct err *err)
{
	struct err own = ERR_INIT;
	struct file_version version;
	int number;

	if (check_regular(dirfd, name, &version, err) < 0)
		return -1;
	if (find_link(to, name, &version, kept))
		return sync_both(dirfd, to, name, err);
	if (place(link_to_new, dirfd, name, to, kept, &number, &own) == 0)
		return sync_both(dirfd, to, name, err);
	if (path_is_unsupported(number) || number == EPERM || number == EMLINK)
		return copy(dirfd, name, to, kept, err);
	*err = own;
	return -1;
}
