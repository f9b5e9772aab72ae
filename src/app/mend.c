/*
 * A damaged record gives way to a better version of itself: without the byte order mark, or the
 * version before the last append (.bak) and what the journal knows to have come after it. The damaged
 * one gets a name in the quarantine first, then the better one takes its place in one step, under
 * the lock. Whatever was cut off, the next repair begins again: the second name is found there.
 */
#include "base/base.h"

#include "app/repair.h"

#include "app/gone.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/store.h"
#include "sys/aside.h"
#include "sys/file.h"
#include "sys/lock.h"
#include "sys/path.h"

#include <unistd.h>

#define BOM "\xef\xbb\xbf"
#define TEMPORARY "." RECORD_NAME ".tmp."

struct mend {
	struct repair *repair;
	struct history *history;
	struct lock lock;
	struct str old;
	struct file_version version;
	struct str better;
	struct str what; /* "brought back ... as the record": what makes 'better' better */
	const char *code;
	bool keeps_damaged; /* 'old' goes into the quarantine; else it becomes the .bak */
};

static bool parses(const struct mend *m, const char *text, size_t len)
{
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;
	bool fine = info_open(&info, m->history->path, text, len, &ignored) == 0;

	info_release(&info);
	return fine;
}

static bool has_bom(const struct str *text)
{
	return text->len >= 3 && memcmp(text->buf, BOM, 3) == 0;
}

/* ---- the better version ---- */

static bool without_bom(struct mend *m)
{
	if (!has_bom(&m->old) || !parses(m, m->old.buf + 3, m->old.len - 3))
		return false;
	str_add(&m->better, m->old.buf + 3, m->old.len - 3);
	m->code = "bom";
	str_addf(&m->what, "%s the byte order mark from '%s'",
		 repair_word(m->repair, "removed", "would remove"), m->history->path);
	return true;
}

/* Did this training end after the record's last one? What was deleted long ago stays deleted. */
static bool is_later(const struct info *info, const struct training *t)
{
	char *last = info_string(info, "last_updated");
	double seconds = -1;
	bool later = last && t->end_time && clock_between(last, t->end_time, &seconds) == 0 &&
		     seconds >= 0;

	free(last);
	return later;
}

/* Append to 'm->better' what the journal recorded after it; the count. */
static size_t add_later(struct mend *m, const struct info *info)
{
	struct gone gone = { .v = NULL };
	struct entry *entries;
	struct info_append what = { .additive = true };
	struct info_summary after;
	struct str out = STR_INIT;
	struct err ignored = ERR_INIT;

	gone_find_runs(m->history, info, &gone);
	entries = xcalloc(gone.n + 1, sizeof(*entries));
	what.entries = entries;
	for (size_t i = 0; i < gone.n; i++) {
		const char *json = gone.v[i].json;

		if (!json || !is_later(info, &gone.v[i].training))
			continue;
		entry_init(&entries[what.n]);
		if (entry_parse("the journal", json, strlen(json), &entries[what.n], &ignored) < 0)
			entry_release(&entries[what.n]);
		else
			what.n++;
	}
	if (what.n && info_append(m->history->path, &m->better, &what, &out, &after, &ignored) == 0)
		str_splice(&m->better, 0, m->better.len, out.buf, out.len);
	else
		after.n_added = 0;
	for (size_t i = 0; i < what.n; i++)
		entry_release(&entries[i]);
	free(entries);
	str_release(&out);
	gone_release(&gone);
	return what.n ? after.n_added : 0;
}

static bool from_backup(struct mend *m)
{
	struct info info = INFO_INIT;
	struct info_summary summary;
	struct str text = STR_INIT;
	struct err ignored = ERR_INIT;
	size_t added;
	char *last;
	bool found = file_read(m->history->dir.fd, RECORD_BACKUP, FILE_LIMIT, &text, NULL,
			       &ignored) == 0 &&
		     info_open(&info, RECORD_BACKUP, text.buf, text.len, &ignored) == 0 &&
		     info_validate(&info, &summary, &ignored) == 0;

	if (found) {
		str_add(&m->better, text.buf, text.len);
		added = add_later(m, &info);
		m->code = "restored";
		str_addf(&m->what, "%s back '%s' as '%s': %zu %s",
			 repair_word(m->repair, "brought", "would bring"), RECORD_BACKUP,
			 m->history->path, summary.n_entries,
			 summary.n_entries == 1 ? "entry" : "entries");
		last = info_string(&info, "last_updated");
		str_addf(&m->what, ", last updated %s", last ? last : "at an unknown time");
		free(last);
		if (added)
			str_addf(&m->what, ", and %zu that the journal knows to be later", added);
		str_adds(&m->what, "; other entries that were appended last may be missing");
	}
	info_release(&info);
	str_release(&text);
	return found;
}

/* The record parses, but what is derived from its entries disagrees with them. */
static bool with_totals(struct mend *m)
{
	struct err ignored = ERR_INIT;

	if (info_set_derived(m->history->path, &m->old, &m->better, &ignored) <= 0)
		return false;
	m->code = "totals";
	str_addf(&m->what, "%s total_steps and last_dataset of '%s' as its entries have it",
		 repair_word(m->repair, "set", "would set"), m->history->path);
	return true;
}

/* Is there a better version of 'm->old'? */
static bool choose(struct mend *m)
{
	str_clear(&m->better);
	str_clear(&m->what);
	m->keeps_damaged = !parses(m, m->old.buf, m->old.len);
	return m->keeps_damaged ? without_bom(m) || from_backup(m) : with_totals(m);
}

/* ---- the swap ---- */

static int read_old(struct mend *m, struct err *err)
{
	return file_read(m->history->dir.fd, RECORD_NAME, FILE_LIMIT, &m->old, &m->version, err);
}

/* As an append does it: with patience for a program that writes the file in place. */
static int read_settled(struct mend *m, struct err *err)
{
	for (;;) {
		if (read_old(m, err) < 0)
			return -1;
		if (parses(m, m->old.buf, m->old.len) ||
		    !store_changes_soon(m->history->dir.fd, &m->version))
			return 0;
	}
}

static int keep_damaged(struct mend *m, struct str *kept, struct err *err)
{
	int to = journal_open_part(m->history->dir.fd, "quarantine", true, err);
	struct str before = STR_INIT;
	int result = -1;

	if (to < 0)
		return -1;
	str_add(&before, m->old.buf, m->old.len);
	/* Its second name has given the file a new ctime. */
	if (aside_link(m->history->dir.fd, RECORD_NAME, to, kept, err) == 0 &&
	    read_old(m, err) == 0)
		result = 0;
	if (result == 0 &&
	    (before.len != m->old.len || memcmp(before.buf, m->old.buf, before.len) != 0))
		result = err_set(err, ERR_BUSY, "'%s' was changed by another program", RECORD_NAME);
	str_release(&before);
	close(to);
	return result;
}

static int fence(void *arg, struct err *err)
{
	return lock_check(arg, err);
}

static enum file_result swap(struct mend *m, struct err *err)
{
	const struct file_replace_options options = {
		.expected = &m->version,
		.expected_text = &m->old,
		.backup = m->keeps_damaged ? NULL : RECORD_BACKUP,
		.fence = fence,
		.fence_arg = &m->lock,
	};

	return file_replace(m->history->dir.fd, RECORD_NAME, m->better.buf, m->better.len, &options,
			    err);
}

static void say(const struct mend *m, const struct str *kept)
{
	const struct history *history = m->history;

	if (!m->keeps_damaged)
		repair_did(m->repair, history->dir.ref, m->code, history->path, "%s", m->what.buf);
	else if (m->repair->dry)
		repair_did(m->repair, history->dir.ref, m->code, history->path,
			   "%s; would keep the damaged one in '.thhost/quarantine'", m->what.buf);
	else
		repair_did(m->repair, history->dir.ref, m->code, history->path,
			   "%s; the damaged one is kept as '.thhost/quarantine/%s'", m->what.buf,
			   kept->buf);
}

static void say_beyond(const struct mend *m)
{
	const struct history *history = m->history;

	repair_left(m->repair, history->dir.ref, "damaged", history->path,
		    "%s; no valid '%s' is there to bring back: mend it with an editor, or put a "
		    "good copy in its place",
		    history->err.msg, RECORD_BACKUP);
}

/* Under the lock. True if the record was changed. */
static bool mend_locked(struct mend *m, struct err *err)
{
	enum file_result result = FILE_UNCHANGED;
	struct str kept = STR_INIT;

	if (read_settled(m, err) == 0 && choose(m) &&
	    (!m->keeps_damaged || keep_damaged(m, &kept, err) == 0))
		result = swap(m, err);
	if (result != FILE_UNCHANGED)
		say(m, &kept);
	str_release(&kept);
	return result != FILE_UNCHANGED;
}

static bool mend(struct mend *m)
{
	struct history *history = m->history;
	struct err err = ERR_INIT;
	bool changed = false;

	str_add(&m->old, history->text.buf, history->text.len);
	if (!choose(m)) {
		if (m->keeps_damaged)
			say_beyond(m);
		return false;
	}
	if (m->repair->dry) {
		say(m, NULL);
		return false;
	}
	if (lock_acquire(&m->lock, history->dir.fd, RECORD_LOCK, history->dir.ref,
			 session_lock_timeout_ms(m->repair->session), &err) == 0)
		changed = mend_locked(m, &err);
	lock_release(&m->lock);
	if (err.code)
		repair_left(m->repair, history->dir.ref, m->code, history->path, "'%s': %s",
			    history->path, err.msg);
	return changed;
}

static bool mend_record(struct repair *repair, struct history *history)
{
	struct mend m = {
		.repair = repair,
		.history = history,
		.lock = LOCK_INIT,
		.old = STR_INIT,
		.better = STR_INIT,
		.what = STR_INIT,
	};
	bool changed = mend(&m);

	str_release(&m.old);
	str_release(&m.better);
	str_release(&m.what);
	return changed;
}

/* ---- leftovers ---- */

static void list_temporaries(const struct history *history, struct strv *out)
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;

	if (path_list(history->dir.fd, &names, &ignored) == 0)
		for (size_t i = 0; i < names.n; i++)
			if (has_prefix(names.v[i], TEMPORARY))
				strv_push(out, names.v[i]);
	strv_release(&names);
}

static void sweep_locked(struct repair *repair, const struct history *history, struct err *err)
{
	struct lock lock = LOCK_INIT;

	if (lock_acquire(&lock, history->dir.fd, RECORD_LOCK, history->dir.ref,
			 session_lock_timeout_ms(repair->session), err) == 0)
		file_sweep(history->dir.fd, RECORD_NAME, RECORD_BACKUP, 0);
	lock_release(&lock);
}

static void sweep(struct repair *repair, const struct history *history)
{
	struct strv before = STRV_INIT;
	struct strv after = STRV_INIT;
	struct err err = ERR_INIT;

	list_temporaries(history, &before);
	if (before.n && !repair->dry) {
		sweep_locked(repair, history, &err);
		list_temporaries(history, &after);
	}
	for (size_t i = 0; i < before.n; i++) {
		char *path = path_join(history->dir.path, before.v[i]);

		if (strv_has(&after, before.v[i]))
			repair_left(repair, history->dir.ref, "swept", path, "'%s' stays: %s", path,
				    err.code ? err.msg : "it is no file");
		else
			repair_did(repair, history->dir.ref, "swept", path,
				   "%s '%s', left by an append that was cut off",
				   repair_word(repair, "cleared away", "would clear away"), path);
		free(path);
	}
	strv_release(&before);
	strv_release(&after);
}

/* Faults that nobody but the user can judge. */
static void say_broken_rules(struct repair *repair, const struct history *history)
{
	struct info_issues issues = INFO_ISSUES_INIT;
	struct info_summary summary = { .n_entries = 0 };
	const struct info_issue *first = NULL;
	size_t n = 0;

	info_check(history->path, history->text.buf, history->text.len, &issues, &summary);
	for (size_t i = 0; i < issues.n; i++) {
		/* In a dry run the totals are still as they were. */
		if (!issues.v[i].is_error || strcmp(issues.v[i].code, "derived") == 0)
			continue;
		first = first ? first : &issues.v[i];
		n++;
	}
	if (first)
		repair_left(repair, history->dir.ref, "rules", history->path,
			    "%s:%zu: %s%s; mend it with an editor", history->path, first->line,
			    first->message, n > 1 ? " (and more: 'thhost verify')" : "");
	info_issues_release(&issues);
}

void repair_record(struct repair *repair, struct history *history)
{
	if (history->err.code && !history->has_text)
		repair_left(repair, history->dir.ref, "read", history->path, "%s",
			    history->err.msg);
	if (history->dir.fd < 0)
		return;
	sweep(repair, history);
	/* Once more: the totals of what was brought back may be wrong, too. */
	for (int i = 0; i < 2 && history->has_text && mend_record(repair, history); i++)
		history_read_record_again(history);
	if (history->has_text && !history->err.code)
		say_broken_rules(repair, history);
}
