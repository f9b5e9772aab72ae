#include "base/base.h"

#include "app/repair.h"

#include "base/clock.h"
#include "base/mem.h"
#include "sys/aside.h"
#include "sys/file.h"
#include "sys/path.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the report ---- */

static void add(struct action_list *list, const char *ref, const char *code, const char *path,
		char *text)
{
	if (list->n == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 16;
		list->v = xreallocarray(list->v, list->cap, sizeof(*list->v));
	}
	list->v[list->n++] = (struct action){
		.ref = xstrdup_or_null(ref),
		.code = xstrdup(code),
		.path = xstrdup(path),
		.text = text,
	};
}

static PRINTF_LIKE(2, 0) char *line(const char *ref, const char *fmt, va_list args)
{
	struct str text = STR_INIT;

	if (ref)
		str_addf(&text, "%s: ", ref);
	str_vaddf(&text, fmt, args);
	return str_detach(&text);
}

void repair_did(struct repair *repair, const char *ref, const char *code, const char *path,
		const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(&repair->done, ref, code, path, line(ref, fmt, args));
	va_end(args);
}

void repair_left(struct repair *repair, const char *ref, const char *code, const char *path,
		 const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(&repair->left, ref, code, path, line(ref, fmt, args));
	va_end(args);
}

const char *repair_word(const struct repair *repair, const char *did, const char *would)
{
	return repair->dry ? would : did;
}

static void release(struct action_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->v[i].ref);
		free(list->v[i].code);
		free(list->v[i].path);
		free(list->v[i].text);
	}
	free(list->v);
}

void repair_release(struct repair *repair)
{
	release(&repair->done);
	release(&repair->left);
}

/* ---- quarantine ---- */

void repair_quarantine(struct repair *repair, const char *ref, const char *path, int dirfd,
		       const char *name, int to, const char *why)
{
	struct str kept = STR_INIT;
	struct err err = ERR_INIT;
	char *file = path_join(path, name);

	if (repair->dry)
		repair_did(repair, ref, "quarantined", file,
			   "would move '%s' into the quarantine: %s", file, why);
	else if (aside_move(dirfd, name, to, &kept, &err) == 0)
		repair_did(repair, ref, "quarantined", file,
			   "moved '%s' into the quarantine as '%s': %s", file, kept.buf, why);
	else if (err.code != ERR_NOT_FOUND) /* another repair has done it */
		repair_left(repair, ref, "quarantined", file, "'%s': %s", file, err.msg);
	free(file);
	str_release(&kept);
}

/* ---- leftovers of writers ---- */

static bool is_stale(int dirfd, const char *tmp, mode_t kind)
{
	struct err ignored = ERR_INIT;
	struct file_version version;

	return file_version(dirfd, tmp, &version, &ignored) == 0 && version.exists &&
	       (version.mode & S_IFMT) == kind &&
	       version.ctime_ns / 1000000000 < clock_now() - FILE_STALE_S;
}

char *repair_temporary_of(int dirfd, const char *tmp)
{
	const char *end = strstr(tmp, ".json.tmp.");

	if (tmp[0] != '.' || !end || !is_stale(dirfd, tmp, S_IFREG))
		return NULL;
	return xstrndup(tmp + 1, (size_t)(end - tmp) - 1 + strlen(".json"));
}

void repair_list_links(const struct session *session, struct strv *out)
{
	int rootfd = session->layout.rootfd;
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;

	if (path_list(rootfd, &names, &ignored) == 0)
		for (size_t i = 0; i < names.n; i++)
			if (has_prefix(names.v[i], ".current.tmp.") &&
			    is_stale(rootfd, names.v[i], S_IFLNK))
				strv_push(out, names.v[i]);
	strv_release(&names);
}

void repair_sweep(struct repair *repair, const char *ref, int dirfd, const char *dir,
		  const char *tmp)
{
	char *path = path_join(dir, tmp);

	if (repair->dry || unlinkat(dirfd, tmp, 0) == 0)
		repair_did(repair, ref, "swept", path, "%s '%s', left by a writer that was killed",
			   repair_word(repair, "cleared away", "would clear away"), path);
	else if (errno != ENOENT) /* another repair has done it */
		repair_left(repair, ref, "swept", path, "'%s' stays: %s", path, errno_name(errno));
	free(path);
}

/* ---- one directory ---- */

void repair_history(struct repair *repair, struct history *history)
{
	repair_record(repair, history);
	if (history->unread.code)
		repair_left(repair, history->dir.ref, "read", history->dir.path, "%s",
			    history->unread.msg);
	if (history->dir.fd < 0)
		return;
	repair_spool(repair, history);
	if (!repair->dry)
		history_read_record_again(history);
	repair_runs(repair, history);
	if (repair->restore)
		repair_gone(repair, history);
}
