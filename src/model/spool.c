#include "base/base.h"

#include "model/journal.h"

#include "base/log.h"
#include "base/mem.h"
#include "sys/file.h"
#include "sys/json.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAGE_SPOOL ".thhost/spool"

/* Only its "dir" is read here, but the whole file has to be JSON. */
#define SPOOL_LIMIT (2 * FILE_LIMIT)

/* ---- places ---- */

/* $XDG_STATE_HOME/thhost/spool, or NULL where neither that nor a home is known. */
static char *state_place(void)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (state && state[0] == '/')
		return path_join(state, "thhost/spool");
	return home && home[0] == '/' ? path_join(home, ".local/state/thhost/spool") : NULL;
}

/* One directory per user: /tmp is everybody's. */
static char *temporary_place(void)
{
	const char *dir = getenv("TMPDIR");

	return xstrf("%s/thhost-spool-%u", dir && dir[0] == '/' ? dir : "/tmp", geteuid());
}

void spool_places(struct strv *paths)
{
	char *state = state_place();

	if (state)
		strv_push_take(paths, state);
	strv_push_take(paths, temporary_place());
}

/* Like "mkdir -p", private; false if that does not work. */
static bool make_path(const char *path)
{
	char *parent;
	bool made;

	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return true;
	if (errno != ENOENT)
		return false;
	parent = path_dir(path);
	made = strcmp(parent, path) != 0 && make_path(parent) &&
	       (mkdir(path, 0700) == 0 || errno == EEXIST);
	free(parent);
	return made;
}

/* Somebody else's directory, or a link to one, would give them our entries. */
static int open_private(const char *path, struct err *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, ERR_FAILED, "cannot open the directory '%s'", path);
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid())
		return fd;
	close(fd);
	return err_set(err, ERR_FAILED, "the directory '%s' belongs to another user", path);
}

static int open_place(const char *path, bool create, struct err *err)
{
	if (create && !make_path(path))
		return err_errno(err, ERR_FAILED, "cannot make the directory '%s'", path);
	return open_private(path, err);
}

/* ---- keeping ---- */

static int put_into(int fd, const char *name, const char *text, size_t len, struct err *err)
{
	enum file_result result = file_replace(fd, name, text, len, NULL, err);

	if (result == FILE_NOT_DURABLE)
		log_warn("%s", err->msg);
	return result == FILE_UNCHANGED ? -1 : 0;
}

static int put_in_stage(int stage_dirfd, const char *stage_dir, const char *name, const char *text,
			size_t len, struct str *where, struct err *err)
{
	int fd = journal_open_part(stage_dirfd, "spool", true, err);
	int result;

	if (fd < 0)
		return -1;
	result = put_into(fd, name, text, len, err);
	close(fd);
	if (result == 0) {
		char *dir = path_join(stage_dir, STAGE_SPOOL);

		str_clear(where);
		str_addf(where, "%s/%s", dir, name);
		free(dir);
	}
	return result;
}

static int put_in_place(char *place, const char *name, const char *text, size_t len,
			struct str *where, struct err *err)
{
	int fd = place ? open_place(place, true, err) : -1;
	int result = fd < 0 ? -1 : put_into(fd, name, text, len, err);

	if (fd >= 0)
		close(fd);
	if (result == 0) {
		str_clear(where);
		str_addf(where, "%s/%s", place, name);
	}
	free(place);
	return result;
}

int spool_put(int stage_dirfd, const char *stage_dir, const char *run_id, const char *text,
	      size_t len, struct str *where, struct err *err)
{
	char name[ID_TEXT_SIZE + 5];
	struct err first = ERR_INIT;
	struct err other = ERR_INIT;

	if (!id_is_valid(run_id))
		return err_set(err, ERR_INVALID, "'%.100s' is not a run id", run_id);
	snprintf(name, sizeof(name), "%s.json", run_id);
	if (put_in_stage(stage_dirfd, stage_dir, name, text, len, where, &first) == 0 ||
	    put_in_place(state_place(), name, text, len, where, &other) == 0 ||
	    put_in_place(temporary_place(), name, text, len, where, &other) == 0)
		return 0;
	*err = first;
	return -1;
}

/* ---- listing ---- */

static bool is_entry_name(const char *name)
{
	return name[0] != '.' && has_suffix(name, ".json");
}

/* 1 or 0 (also for what is no entry at all); -1: it could not be read. */
static int belongs_to(int fd, const char *name, const char *stage_dir, struct err *err)
{
	struct str text = STR_INIT;
	struct json doc = JSON_INIT;
	struct err own = ERR_INIT;
	int result = 0;

	if (file_read(fd, name, SPOOL_LIMIT, &text, NULL, &own) < 0)
		result = own.code == ERR_FAILED ? -1 : 0;
	else if (json_parse(&doc, name, text.buf, text.len, JSON_STRICT, &own) == 0)
		result = json_string_is(&doc, json_member(&doc, 0, "dir"), stage_dir);
	if (result < 0)
		*err = own;
	json_release(&doc);
	str_release(&text);
	return result;
}

/* 'stage_dir' NULL: whatever lies there. */
static int list_in(int fd, const char *place, const char *stage_dir, struct strv *paths,
		   struct err *err)
{
	struct strv names = STRV_INIT;
	int result = path_list(fd, &names, err);

	file_sweep_listed(fd, &names);
	for (size_t i = 0; result == 0 && i < names.n; i++) {
		int wanted = is_entry_name(names.v[i]);

		if (wanted && stage_dir)
			wanted = belongs_to(fd, names.v[i], stage_dir, err);
		if (wanted > 0)
			strv_push_take(paths, path_join(place, names.v[i]));
		result = wanted < 0 ? -1 : 0;
	}
	strv_release(&names);
	return result < 0 ? err_prefix(err, "%s", place) : 0;
}

/* One that is not there, or not ours, holds nothing of ours. */
static int list_in_place(char *place, const char *stage_dir, struct strv *paths, struct err *err)
{
	struct err own = ERR_INIT;
	int fd = place ? open_place(place, false, &own) : -1;
	int result = 0;

	if (fd >= 0) {
		result = list_in(fd, place, stage_dir, paths, err);
		close(fd);
	} else if (own.number && !path_is_absent(own.number)) {
		*err = own;
		result = -1;
	}
	free(place);
	return result;
}

/* Run ids begin with the time of their making. */
static int compare_names(const void *a, const void *b)
{
	return strcmp(path_base(*(char *const *)a), path_base(*(char *const *)b));
}

int spool_list(int stage_dirfd, const char *stage_dir, struct strv *paths, struct err *err)
{
	struct err own = ERR_INIT;
	int fd = stage_dirfd < 0 ? -1 : journal_open_part(stage_dirfd, "spool", false, &own);
	int result = 0;

	if (fd >= 0) {
		char *place = path_join(stage_dir, STAGE_SPOOL);

		result = list_in(fd, place, NULL, paths, err);
		free(place);
		close(fd);
	} else if (stage_dirfd >= 0 && own.code != ERR_NOT_FOUND) {
		*err = own;
		result = -1;
	}
	if (list_in_place(state_place(), stage_dir, paths, err) < 0)
		result = -1;
	if (list_in_place(temporary_place(), stage_dir, paths, err) < 0)
		result = -1;
	if (paths->n > 1)
		qsort(paths->v, paths->n, sizeof(*paths->v), compare_names);
	return result;
}
