#include "base/base.h"

#include "app/repair.h"

#include "app/spooled.h"
#include "base/mem.h"
#include "model/store.h"
#include "sys/file.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAGE_SPOOL "/.thhost/spool"

/* ---- out of the way ---- */

/* For a stage directory's spool the quarantine beside it, else one inside the place. */
static int open_quarantine(const char *spool, struct err *err)
{
	char *above = has_suffix(spool, STAGE_SPOOL) ? path_dir(spool) : xstrdup(spool);
	int dirfd = path_open_dir(above, err);
	int fd = -1;

	if (dirfd >= 0 && path_make_dir(dirfd, "quarantine", NULL, err) == 0)
		fd = path_open_beneath(dirfd, "quarantine", O_RDONLY | O_DIRECTORY, err);
	if (dirfd >= 0)
		close(dirfd);
	free(above);
	return fd;
}

static void quarantine(struct repair *repair, const char *ref, const char *path, const char *why)
{
	struct err err = ERR_INIT;
	char *spool = path_dir(path);
	int dirfd = repair->dry ? -1 : path_open_dir(spool, &err);
	int to = dirfd < 0 ? -1 : open_quarantine(spool, &err);

	if (err.code)
		repair_left(repair, ref, "quarantined", path, "'%s': %s", path, err.msg);
	else
		repair_quarantine(repair, ref, spool, dirfd, path_base(path), to, why);
	if (to >= 0)
		close(to);
	if (dirfd >= 0)
		close(dirfd);
	free(spool);
}

/* ---- into the record ---- */

/* The journal's run of this entry, if there is one and it does not know yet. */
static void mark_recorded(struct repair *repair, struct history *history,
			  const struct spooled *spooled)
{
	for (size_t i = 0; history && spooled->run_id && i < history->runs.n; i++)
		if (strcmp(history->runs.v[i].run_id, spooled->run_id) == 0)
			repair_mark_recorded(repair, history, &history->runs.v[i], spooled->entry);
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 || errno != ENOENT;
}

/* Put it in; 'history' is that of its directory, or NULL. */
static void put(struct repair *repair, const char *ref, struct history *history, const char *path,
		const struct spooled *spooled)
{
	struct info_summary after;
	struct err err = ERR_INIT;
	enum store_result result;

	if (repair->dry) {
		repair_did(repair, ref, "spool", path,
			   "would put the entry of '%s' into the record", path);
		return;
	}
	result = store_unspool(path, session_lock_timeout_ms(repair->session), &after, &err);
	if (result == STORE_UNCHANGED) {
		if (is_there(path)) /* else another repair has done it */
			repair_left(repair, ref, "spool", path, "'%s' stays in the spool: %s", path,
				    err.msg);
		return;
	}
	repair_did(repair, ref, "spool", path,
		   result == STORE_ALREADY
			   ? "removed '%s' from the spool: its entry is in the record already"
			   : "put the entry of '%s' into the record",
		   path);
	if (result == STORE_NOT_DURABLE)
		repair_left(repair, ref, "spool", path, "%s", err.msg);
	mark_recorded(repair, history, spooled);
}

/* True if the file still waits. */
static bool repair_one(struct repair *repair, struct history *history, const char *path)
{
	struct spooled spooled;
	struct err err = ERR_INIT;
	const char *ref = history->dir.ref;
	enum damage damage = spooled_read(path, &spooled, &err);
	bool waits = true;

	if (damage == DAMAGE_TEXT) {
		quarantine(repair, ref, path, err.msg);
		waits = false;
	} else if (damage == DAMAGE_OTHER && err.code != ERR_NOT_FOUND) {
		repair_left(repair, ref, "spool", path, "'%s': %s", path, err.msg);
	} else if (damage == DAMAGE_NONE && spooled_disagrees(&spooled, &history->info)) {
		quarantine(repair, ref, path, "the record has another entry of that run");
		waits = false;
	} else if (damage == DAMAGE_NONE) {
		put(repair, ref, history, path, &spooled);
	}
	spooled_release(&spooled);
	return waits;
}

/* ---- what a writer that was killed has left in a spool ---- */

/* A complete one is an entry that nobody else has; what is none goes out of the way. */
static void adopt(struct repair *repair, const char *ref, int dirfd, const char *spool,
		  const char *tmp, char *name)
{
	char *path = path_join(spool, tmp);
	struct spooled spooled;
	struct err err = ERR_INIT;
	enum damage damage = spooled_read(path, &spooled, &err);
	bool linked = false;

	if (damage == DAMAGE_NONE && !repair->dry)
		linked = linkat(dirfd, tmp, dirfd, name, 0) == 0 && path_sync_dir(dirfd) == 0;
	if (damage == DAMAGE_TEXT)
		quarantine(repair, ref, path, err.msg);
	else if (damage == DAMAGE_NONE && (repair->dry || linked))
		repair_did(repair, ref, "adopted", path,
			   "%s '%s', an entry whose writer was killed",
			   repair_word(repair, "took up", "would take up"), path);
	else if (err.code != ERR_NOT_FOUND)
		repair_left(repair, ref, "adopted", path, "'%s' stays: %s", path,
			    damage == DAMAGE_NONE ? "it cannot get a proper name" : err.msg);
	if (linked)
		unlinkat(dirfd, tmp, 0);
	spooled_release(&spooled);
	free(path);
}

static void adopt_all(struct repair *repair, const char *ref, int dirfd, const char *spool)
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	struct file_version version;

	if (path_list(dirfd, &names, &ignored) == 0)
		for (size_t i = 0; i < names.n; i++) {
			char *name = repair_temporary_of(dirfd, names.v[i]);

			if (name && file_version(dirfd, name, &version, &ignored) == 0) {
				if (!version.exists)
					adopt(repair, ref, dirfd, spool, names.v[i], name);
				else
					repair_sweep(repair, ref, dirfd, spool, names.v[i]);
			}
			free(name);
		}
	strv_release(&names);
}

void repair_spool(struct repair *repair, struct history *history)
{
	struct err err = ERR_INIT;
	char *spool = path_join(history->dir.path, &STAGE_SPOOL[1]);
	int dirfd = journal_open_part(history->dir.fd, "spool", false, &err);
	size_t n = 0;

	if (dirfd >= 0) {
		adopt_all(repair, history->dir.ref, dirfd, spool);
		strv_release(&history->waiting);
		spool_list(history->dir.fd, history->dir.path, &history->waiting, &err);
		close(dirfd);
	}
	if (err.code && err.code != ERR_NOT_FOUND)
		repair_left(repair, history->dir.ref, "spool", spool, "'%s': %s", spool, err.msg);
	for (size_t i = 0; i < history->waiting.n; i++) {
		char *path = history->waiting.v[i];

		if (repair_one(repair, history, path))
			history->waiting.v[n++] = path;
		else
			free(path);
	}
	if (history->waiting.n)
		history->waiting.v[n] = NULL;
	history->waiting.n = n;
	free(spool);
}

/* ---- the places outside of the tree ---- */

static void repair_stray(struct repair *repair, const char *path, const struct strv *visited)
{
	struct spooled spooled;
	struct err err = ERR_INIT;
	enum damage damage = spooled_read(path, &spooled, &err);

	if (damage == DAMAGE_TEXT) {
		quarantine(repair, NULL, path, err.msg);
	} else if (damage == DAMAGE_OTHER) {
		if (err.code != ERR_NOT_FOUND)
			repair_left(repair, NULL, "spool", path, "'%s': %s", path, err.msg);
	} else if (strv_has(visited, spooled.dir)) {
		/* it was looked at with its directory */
	} else if (!is_there(spooled.dir)) {
		repair_left(repair, NULL, "stray", path, SPOOLED_STRAY, path, spooled.dir);
	} else if (spooled_is_below(&spooled, repair->session->layout.root)) {
		put(repair, NULL, NULL, path, &spooled);
	}
	spooled_release(&spooled);
}

void repair_places(struct repair *repair, const struct strv *visited)
{
	struct strv places = STRV_INIT;
	struct strv paths = STRV_INIT;
	struct strv links = STRV_INIT;
	struct err ignored = ERR_INIT;

	spool_places(&places);
	for (size_t i = 0; i < places.n; i++) {
		int dirfd = path_open_dir(places.v[i], &ignored);

		if (dirfd >= 0) {
			adopt_all(repair, NULL, dirfd, places.v[i]);
			close(dirfd);
		}
	}
	repair_list_links(repair->session, &links);
	for (size_t i = 0; i < links.n; i++)
		repair_sweep(repair, NULL, repair->session->layout.rootfd,
			     repair->session->layout.root, links.v[i]);
	strv_release(&links);
	spool_list(-1, NULL, &paths, &ignored);
	for (size_t i = 0; i < paths.n; i++)
		repair_stray(repair, paths.v[i], visited);
	strv_release(&places);
	strv_release(&paths);
}
