#include "base/base.h"

#include "model/journal.h"

#include "base/clock.h"
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

/* The stage directory that an entry is for, in fresh memory; NULL for what is no entry, or if it could
 * not be read ('err' is set). */
static char *dir_of(int fd, const char *name, struct err *err)
{
	struct str text = STR_INIT;
	struct json doc = JSON_INIT;
	struct err own = ERR_INIT;
	char *dir = NULL;

	if (file_read(fd, name, SPOOL_LIMIT, &text, NULL, &own) < 0) {
		if (own.code == ERR_FAILED)
			*err = own;
	} else if (json_parse(&doc, name, text.buf, text.len, JSON_STRICT, &own) == 0) {
		dir = json_string_copy(&doc, json_member(&doc, 0, "dir"));
	}
	json_release(&doc);
	str_release(&text);
	return dir;
}

/* With 'dirs' only entries that say which directory they are for, and that in there. */
static int list_in(int fd, const char *place, struct strv *paths, struct strv *dirs,
		   struct err *err)
{
	struct strv names = STRV_INIT;
	struct err own = ERR_INIT;
	int result = path_list(fd, &names, &own);

	file_sweep_listed(fd, &names);
	for (size_t i = 0; result == 0 && i < names.n; i++) {
		char *dir = NULL;

		if (!is_entry_name(names.v[i]))
			continue;
		if (dirs)
			dir = dir_of(fd, names.v[i], &own);
		if (dir)
			strv_push_take(dirs, dir);
		if (dir || !dirs)
			strv_push_take(paths, path_join(place, names.v[i]));
		result = own.code ? -1 : 0;
	}
	strv_release(&names);
	if (result < 0) {
		*err = own;
		err_prefix(err, "%s", place);
	}
	return result;
}

/* One that is not there, or not ours, holds nothing of ours. */
static int list_in_place(char *place, struct strv *paths, struct strv *dirs, struct err *err)
{
	struct err own = ERR_INIT;
	int fd = place ? open_place(place, false, &own) : -1;
	int result = 0;

	if (fd >= 0) {
		result = list_in(fd, place, paths, dirs, err);
		close(fd);
	} else if (own.number && !path_is_absent(own.number)) {
		*err = own;
		result = -1;
	}
	free(place);
	return result;
}

static int list_in_stage(int stage_dirfd, const char *stage_dir, struct strv *paths,
			 struct err *err)
{
	struct err own = ERR_INIT;
	int fd = journal_open_part(stage_dirfd, "spool", false, &own);
	char *place;
	int result;

	if (fd < 0 && own.code == ERR_NOT_FOUND)
		return 0;
	if (fd < 0) {
		*err = own;
		return -1;
	}
	place = path_join(stage_dir, STAGE_SPOOL);
	result = list_in(fd, place, paths, NULL, err);
	free(place);
	close(fd);
	return result;
}

/* Run ids begin with the time of their making. */
static int compare_names(const void *a, const void *b)
{
	return strcmp(path_base(*(char *const *)a), path_base(*(char *const *)b));
}

static void sort_paths(struct strv *paths)
{
	if (paths->n > 1)
		qsort(paths->v, paths->n, sizeof(*paths->v), compare_names);
}

/* ---- the fallback places ---- */

#define ELSEWHERE_MS 100 /* for so long what was seen there holds */

void spool_elsewhere_release(struct spool_elsewhere *elsewhere)
{
	strv_release(&elsewhere->paths);
	strv_release(&elsewhere->dirs);
	*elsewhere = (struct spool_elsewhere)SPOOL_ELSEWHERE_INIT;
}

static void look_elsewhere(struct spool_elsewhere *elsewhere)
{
	int64_t now = clock_monotonic_ms();

	if (elsewhere->read && now - elsewhere->read < ELSEWHERE_MS)
		return;
	spool_elsewhere_release(elsewhere);
	list_in_place(state_place(), &elsewhere->paths, &elsewhere->dirs, &elsewhere->err);
	list_in_place(temporary_place(), &elsewhere->paths, &elsewhere->dirs, &elsewhere->err);
	elsewhere->read = now;
}

static int add_elsewhere(struct spool_elsewhere *elsewhere, const char *stage_dir,
			 struct strv *paths, struct err *err)
{
	look_elsewhere(elsewhere);
	for (size_t i = 0; i < elsewhere->paths.n; i++)
		if (strcmp(elsewhere->dirs.v[i], stage_dir) == 0)
			strv_push(paths, elsewhere->paths.v[i]);
	if (!elsewhere->err.code)
		return 0;
	*err = elsewhere->err;
	return -1;
}

int spool_list_with(int stage_dirfd, const char *stage_dir, struct spool_elsewhere *elsewhere,
		    struct strv *paths, struct err *err)
{
	int result = 0;

	if (stage_dirfd >= 0)
		result = list_in_stage(stage_dirfd, stage_dir, paths, err);
	if (add_elsewhere(elsewhere, stage_dir, paths, err) < 0)
		result = -1;
	sort_paths(paths);
	return result;
}

static int list_all_elsewhere(struct strv *paths, struct err *err)
{
	int result = list_in_place(state_place(), paths, NULL, err);

	if (list_in_place(temporary_place(), paths, NULL, err) < 0)
		result = -1;
	sort_paths(paths);
	return result;
}

int spool_list(int stage_dirfd, const char *stage_dir, struct strv *paths, struct err *err)
{
	struct spool_elsewhere elsewhere = SPOOL_ELSEWHERE_INIT;
	int result;

	if (!stage_dir)
		return list_all_elsewhere(paths, err);
	result = spool_list_with(stage_dirfd, stage_dir, &elsewhere, paths, err);
	spool_elsewhere_release(&elsewhere);
	return result;
}

int spool_dirs(struct strv *dirs, struct err *err)
{
	struct spool_elsewhere elsewhere = SPOOL_ELSEWHERE_INIT;

	look_elsewhere(&elsewhere);
	for (size_t i = 0; i < elsewhere.dirs.n; i++)
		strv_push(dirs, elsewhere.dirs.v[i]);
	if (elsewhere.err.code)
		*err = elsewhere.err;
	spool_elsewhere_release(&elsewhere);
	return err->code ? -1 : 0;
}
