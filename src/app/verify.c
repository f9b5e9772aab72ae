#include "base/base.h"

#include "app/verify.h"

#include "app/gone.h"
#include "app/repair.h"
#include "app/spooled.h"
#include "base/clock.h"
#include "base/mem.h"
#include "model/store.h"
#include "sys/lock.h"
#include "sys/path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY "." RECORD_NAME ".tmp."

enum level { WARNING, ERROR };

static struct finding *add(struct findings *out, const char *ref, enum level level,
			   const char *code, const char *path, char *text)
{
	struct finding *finding;

	if (out->n == out->cap) {
		out->cap = out->cap ? out->cap * 2 : 16;
		out->v = xreallocarray(out->v, out->cap, sizeof(*out->v));
	}
	finding = &out->v[out->n++];
	*finding = (struct finding){
		.ref = xstrdup_or_null(ref),
		.code = xstrdup(code),
		.path = xstrdup(path),
		.text = text,
		.is_error = level == ERROR,
	};
	out->n_errors += level == ERROR;
	return finding;
}

/* ---- the record ---- */

static void check_record(const struct history *history, struct findings *out)
{
	struct info_issues issues = INFO_ISSUES_INIT;
	struct info_summary summary = { .n_entries = 0 };

	out->n_checked++;
	if (!history->has_text) { /* a link, a directory, too large, no permission */
		add(out, history->dir.ref, ERROR, "read", history->path, xstrdup(history->err.msg));
		return;
	}
	info_check(history->path, history->text.buf, history->text.len, &issues, &summary);
	out->n_entries += summary.n_entries;
	for (size_t i = 0; i < issues.n; i++) {
		const struct info_issue *issue = &issues.v[i];
		bool has_column = strcmp(issue->code, "json") == 0; /* "23: expected a value" */
		bool has_bom = has_column && has_prefix(history->text.buf, "\xef\xbb\xbf");

		add(out, history->dir.ref, issue->is_error ? ERROR : WARNING, issue->code,
		    history->path,
		    xstrf("%s:%zu:%s%s%s", history->path, issue->line, has_column ? "" : " ",
			  issue->message,
			  has_bom ? " (a byte order mark: 'thhost repair' removes it)" : ""))
			->line = issue->line;
	}
	info_issues_release(&issues);
}

/* A directory that was moved, or left out by a copy. */
static void check_parents(struct session *session, const struct history *history,
			  struct findings *out)
{
	const struct json *doc = &history->info.doc;
	size_t list = json_member(doc, 0, "parents");

	if (!json_is(doc, list, JSON_ARRAY))
		return;
	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i)) {
		char *ref = json_string_copy(doc, json_member(doc, i, "ref"));
		struct stage_dir parent = STAGE_DIR_INIT;
		struct err err = ERR_INIT;
		size_t line = json_line(doc, i);

		if (ref &&
		    layout_resolve_recorded(&session->layout, NULL, ref, &parent, &err) < 0 &&
		    err.code == ERR_NOT_FOUND)
			add(out, history->dir.ref, WARNING, "parent", history->path,
			    xstrf("%s:%zu: its parent '%s' is not below the root any more",
				  history->path, line, ref))
				->line = line;
		stage_dir_release(&parent);
		free(ref);
	}
}

static bool has_backup(const struct history *history)
{
	struct stat st;

	return history->dir.fd >= 0 &&
	       fstatat(history->dir.fd, RECORD_BACKUP, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void check_missing(const struct history *history, struct findings *out)
{
	size_t recorded = 0;

	for (size_t i = 0; i < history->runs.n; i++)
		recorded += history->runs.v[i].state == RUN_RECORDED;
	if (has_backup(history))
		add(out, history->dir.ref, WARNING, "missing", history->path,
		    xstrf("%s: is missing, and '%s' is there: 'thhost repair --restore %s' brings "
			  "it "
			  "back",
			  history->path, RECORD_BACKUP, history->dir.ref));
	else if (recorded)
		add(out, history->dir.ref, WARNING, "missing", history->path,
		    xstrf("%s: is missing, though %zu run%s recorded in it", history->path,
			  recorded, recorded == 1 ? " was" : "s were"));
}

/* What the record had once. */
static void check_gone(const struct history *history, struct findings *out)
{
	struct strv conflicts = STRV_INIT;
	struct gone gone;

	gone_find(history, &gone);
	for (size_t i = 0; i < gone.n; i++)
		add(out, history->dir.ref, WARNING, "gone", history->path,
		    xstrf("%s: %s is known to %s and no more in the record: %s%s%s", history->path,
			  gone.v[i].what, gone.v[i].source,
			  gone.v[i].json
				  ? "'thhost repair --restore "
				  : "nothing here has its values; 'thhost record' takes them",
			  gone.v[i].json ? history->dir.ref : "",
			  gone.v[i].json ? "' puts it back, if it was not deleted on purpose"
					 : ""));
	gone_release(&gone);
	gone_list_conflicts(history, &conflicts);
	for (size_t i = 0; i < conflicts.n; i++) {
		char *path = path_join(history->dir.path, conflicts.v[i]);

		add(out, history->dir.ref, WARNING, "conflict", path,
		    xstrf("%s: what another program wrote in the moment of an append; look at it "
			  "and "
			  "remove it",
			  path));
		free(path);
	}
	strv_release(&conflicts);
}

/* ---- the journal ---- */

static void check_broken(const struct history *history, struct findings *out)
{
	struct err ignored = ERR_INIT;
	int runs = journal_open_part(history->dir.fd, "runs", false, &ignored);

	for (size_t i = 0; runs >= 0 && i < history->broken_runs.n; i++) {
		const char *name = path_base(history->broken_runs.v[i]);
		char *path = path_join(history->dir.path, history->broken_runs.v[i]);
		struct err err = ERR_INIT;
		enum damage damage = damage_of(runs, name, "thhost.run/1", &err);

		add(out, history->dir.ref, ERROR, "run", path,
		    xstrf("%s: %s%s", path, err.msg,
			  damage == DAMAGE_TEXT ? "; 'thhost repair' moves it into the quarantine"
						: ""));
		free(path);
	}
	if (runs >= 0)
		close(runs);
}

static void check_elsewhere(const struct history *history, const struct run *run, const char *path,
			    struct findings *out)
{
	char when[CLOCK_TEXT_SIZE];

	clock_format(run_last_sign(history->dir.fd, run), when);
	add(out, history->dir.ref, WARNING, "elsewhere", path,
	    xstrf("%s: run %.13s goes on on host '%s' since %s, last sign of life %s; only thhost "
		  "on "
		  "that host can tell whether it does",
		  history->dir.ref, run->run_id, run->host ? run->host : "unknown",
		  run->start_time ? run->start_time : "unknown", when));
}

static void check_run(const struct history *history, const struct run *run, struct findings *out)
{
	const char *ref = history->dir.ref;
	bool readable = history->has_record && !history->err.code;
	bool is_in = readable && info_entry_find(&history->info, run->run_id) != JSON_NONE;
	char *path = xstrf("%s/.thhost/runs/%s.json", history->dir.path, run->run_id);

	if (run_is_elsewhere(run))
		check_elsewhere(history, run, path, out);
	else if (run->state == RUN_RECORDED || (!run_has_ended(run) && !run_is_dead(run)))
		; /* in order, or checked against the record as a whole */
	else if (is_in)
		add(out, ref, WARNING, "journal", path,
		    xstrf("%s: run %.13s is in the record, but the journal says '%s': 'thhost "
			  "repair' "
			  "marks it",
			  ref, run->run_id, run_state_word(run->state)));
	else if (!run_has_ended(run))
		add(out, ref, WARNING, "dead", path,
		    xstrf("%s: run %.13s never ended, and its thhost and its training are gone: "
			  "'thhost repair' closes it",
			  ref, run->run_id));
	else if (run->state == RUN_UNRECORDED)
		add(out, ref, ERROR, "unrecorded", path,
		    xstrf("%s: run %.13s ended well but is not recorded: %s", ref, run->run_id,
			  run->trouble ? run->trouble : "unknown why"));
	else if (repair_is_lost(history, run))
		add(out, ref, ERROR, "lost", path,
		    xstrf("%s: run %.13s waits in a spool, but no spool has it: 'thhost repair' "
			  "records it %s",
			  ref, run->run_id, run->entry ? "from the journal" : "by its plugin"));
	free(path);
}

/* ---- spools ---- */

static void check_spooled(const struct history *history, const char *path, struct findings *out)
{
	struct spooled spooled;
	struct err err = ERR_INIT;
	enum damage damage = spooled_read(path, &spooled, &err);

	if (damage != DAMAGE_NONE)
		add(out, history->dir.ref, ERROR, "spool", path,
		    xstrf("%s: %s%s", path, err.msg,
			  damage == DAMAGE_TEXT ? "; 'thhost repair' moves it into the quarantine"
						: ""));
	else
		add(out, history->dir.ref, ERROR, "spool", path,
		    xstrf("%s: an entry waits in the spool: %s%s%s", history->dir.ref, path,
			  spooled.why && *spooled.why ? ", because of " : "",
			  spooled.why && *spooled.why ? spooled.why : ""));
	spooled_release(&spooled);
}

static void check_stray(const struct session *session, const char *path, const struct strv *visited,
			struct findings *out)
{
	struct spooled spooled;
	struct err err = ERR_INIT;
	struct stat st;

	if (spooled_read(path, &spooled, &err) != DAMAGE_NONE)
		add(out, NULL, ERROR, "spool", path, xstrf("%s: %s", path, err.msg));
	else if (strv_has(visited, spooled.dir))
		; /* told with its directory */
	else if (lstat(spooled.dir, &st) < 0)
		add(out, NULL, ERROR, "stray", path, xstrf(SPOOLED_STRAY, path, spooled.dir));
	else if (spooled_is_below(&spooled, session->layout.root))
		add(out, NULL, ERROR, "spool", path,
		    xstrf("an entry for %s waits in the spool: %s", spooled.dir, path));
	spooled_release(&spooled);
}

/* ---- leftovers ---- */

static void add_leftover(struct findings *out, const char *ref, const char *dir, const char *name)
{
	char *path = path_join(dir, name);

	add(out, ref, WARNING, "temporary", path,
	    xstrf("%s: left by a writer that was cut off; 'thhost repair' clears it away", path));
	free(path);
}

/* Of the journal: only those that nobody can be writing any more. */
static void check_temporaries(const char *ref, const char *dir, struct findings *out)
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	int fd = path_open_dir(dir, &ignored);

	if (fd >= 0 && path_list(fd, &names, &ignored) == 0)
		for (size_t i = 0; i < names.n; i++) {
			char *name = repair_temporary_of(fd, names.v[i]);

			if (name)
				add_leftover(out, ref, dir, names.v[i]);
			free(name);
		}
	if (fd >= 0)
		close(fd);
	strv_release(&names);
}

/* 'above' is the directory that it is in. */
static void check_quarantine(const char *ref, const char *above, struct findings *out)
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	char *dir = path_join(above, "quarantine");
	int fd = path_open_dir(dir, &ignored);

	if (fd >= 0 && path_list(fd, &names, &ignored) == 0 && names.n)
		add(out, ref, WARNING, "quarantine", dir,
		    xstrf("%s: %zu file%s that could not be used; look at %s and remove %s", dir,
			  names.n, names.n == 1 ? "" : "s", names.n == 1 ? "it" : "them",
			  names.n == 1 ? "it" : "them"));
	if (fd >= 0)
		close(fd);
	strv_release(&names);
	free(dir);
}

/*
 * An append at work holds the lock as long as it has a temporary file: one that is still there
 * after the lock was found free belongs to nobody.
 */
static bool is_leftover(int dirfd, const char *name)
{
	return has_prefix(name, TEMPORARY) && !lock_is_held(dirfd, RECORD_LOCK) &&
	       faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void check_leftovers(const struct history *history, struct findings *out)
{
	static const char *const parts[] = { "runs", "spool" };
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	char *journal;

	if (history->dir.fd < 0)
		return;
	if (path_list(history->dir.fd, &names, &ignored) == 0)
		for (size_t i = 0; i < names.n; i++)
			if (is_leftover(history->dir.fd, names.v[i]))
				add_leftover(out, history->dir.ref, history->dir.path, names.v[i]);
	strv_release(&names);
	journal = path_join(history->dir.path, ".thhost");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		char *dir = path_join(journal, parts[i]);

		check_temporaries(history->dir.ref, dir, out);
		free(dir);
	}
	check_quarantine(history->dir.ref, journal, out);
	free(journal);
}

/* ---- the whole ---- */

void verify_history(struct session *session, const struct history *history, struct findings *out)
{
	if (history->has_record || history->err.code)
		check_record(history, out);
	else
		check_missing(history, out);
	if (history->has_record && !history->err.code)
		check_parents(session, history, out);
	check_gone(history, out);
	if (history->unread.code)
		add(out, history->dir.ref, ERROR, "read", history->dir.path,
		    xstrdup(history->unread.msg));
	if (history->broken_runs.n)
		check_broken(history, out);
	for (size_t i = 0; i < history->runs.n; i++)
		check_run(history, &history->runs.v[i], out);
	for (size_t i = 0; i < history->waiting.n; i++)
		check_spooled(history, history->waiting.v[i], out);
	check_leftovers(history, out);
}

/* "current" may lead nowhere: most verbs then stop with that very message. */
static void check_current(struct session *session, struct findings *out)
{
	struct err err = ERR_INIT;
	struct str name = STR_INIT;
	struct stat st;
	char *path = path_join(session->layout.root, "current");

	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) &&
	    layout_find_experiment(&session->layout, NULL, &name, &err) < 0)
		add(out, NULL, WARNING, "link", path,
		    xstrf("%s%s%s", err.msg, err.hint[0] ? ": " : "", err.hint));
	str_release(&name);
	free(path);
}

void verify_places(struct session *session, const struct strv *visited, struct findings *out)
{
	struct strv paths = STRV_INIT;
	struct strv places = STRV_INIT;
	struct strv links = STRV_INIT;
	struct err ignored = ERR_INIT;

	spool_list(-1, NULL, &paths, &ignored);
	for (size_t i = 0; i < paths.n; i++)
		check_stray(session, paths.v[i], visited, out);
	spool_places(&places);
	for (size_t i = 0; i < places.n; i++) {
		check_temporaries(NULL, places.v[i], out);
		check_quarantine(NULL, places.v[i], out);
	}
	repair_list_links(session, &links);
	for (size_t i = 0; i < links.n; i++)
		add_leftover(out, NULL, session->layout.root, links.v[i]);
	strv_release(&links);
	strv_release(&paths);
	strv_release(&places);
	check_current(session, out);
}

void findings_release(struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		free(findings->v[i].ref);
		free(findings->v[i].code);
		free(findings->v[i].path);
		free(findings->v[i].text);
	}
	free(findings->v);
	memset(findings, 0, sizeof(*findings));
}
