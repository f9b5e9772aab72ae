#include "base/base.h"

#include "app/repair.h"

#include "app/gone.h"
#include "base/mem.h"
#include "model/store.h"
#include "sys/file.h"
#include "sys/lock.h"

/* ---- entries ---- */

static int append(const struct repair *repair, const struct history *history,
		  const struct entry *entries, size_t n, struct err *err)
{
	const struct info_append what = { .entries = entries, .n = n, .additive = true };
	const struct store_request request = {
		.dirfd = history->dir.fd,
		.where = history->dir.ref,
		.path = history->path,
		.append = &what,
		.lock_timeout_ms = session_lock_timeout_ms(repair->session),
	};
	enum store_result result = store_append(&request, NULL, err);

	return result == STORE_UNCHANGED || result == STORE_NOT_DURABLE ? -1 : 0;
}

int restore_entries(const struct repair *repair, const struct history *history,
		    char *const *entries, size_t n, struct err *err)
{
	struct entry *parsed = xcalloc(n + 1, sizeof(*parsed));
	int result = 0;

	for (size_t i = 0; i < n; i++)
		entry_init(&parsed[i]);
	for (size_t i = 0; result == 0 && i < n; i++)
		result = entry_parse("entry", entries[i], strlen(entries[i]), &parsed[i], err);
	if (result == 0)
		result = append(repair, history, parsed, n, err);
	for (size_t i = 0; i < n; i++)
		entry_release(&parsed[i]);
	free(parsed);
	return result;
}

/* ---- a record that is not there at all ---- */

static enum file_result put_backup(const struct repair *repair, const struct history *history,
				   const struct str *text, struct err *err)
{
	const struct file_replace_options options = { .must_be_new = true };
	struct lock lock = LOCK_INIT;
	enum file_result result = FILE_UNCHANGED;

	if (lock_acquire(&lock, history->dir.fd, RECORD_LOCK, history->dir.ref,
			 session_lock_timeout_ms(repair->session), err) == 0)
		result = file_replace(history->dir.fd, RECORD_NAME, text->buf, text->len, &options,
				      err);
	lock_release(&lock);
	return result;
}

static void restore_record(struct repair *repair, const struct history *history)
{
	struct info info = INFO_INIT;
	struct info_summary summary = { .n_entries = 0 };
	struct str text = STR_INIT;
	struct err err = ERR_INIT;
	const char *ref = history->dir.ref;
	enum file_result result = FILE_DONE;
	bool fine = file_read(history->dir.fd, RECORD_BACKUP, FILE_LIMIT, &text, NULL, &err) == 0 &&
		    info_open(&info, RECORD_BACKUP, text.buf, text.len, &err) == 0 &&
		    info_validate(&info, &summary, &err) == 0;

	if (fine && !repair->dry)
		result = put_backup(repair, history, &text, &err);
	if (fine && result != FILE_UNCHANGED)
		repair_did(repair, ref, "restored", history->path,
			   "%s back '%s' as '%s', which is missing: %zu %s",
			   repair_word(repair, "brought", "would bring"), RECORD_BACKUP,
			   history->path, summary.n_entries,
			   summary.n_entries == 1 ? "entry" : "entries");
	if (err.code)
		repair_left(repair, ref, "restored", history->path, "'%s' is missing: %s",
			    history->path, err.msg);
	info_release(&info);
	str_release(&text);
}

/* ---- what is asked for ---- */

static void restore_one(struct repair *repair, const struct history *history,
			struct gone_entry *entry)
{
	struct err err = ERR_INIT;

	if (!entry->json) {
		repair_left(repair, history->dir.ref, "gone", history->path,
			    "%s is not in the record, and nothing here has its values: 'thhost "
			    "record' takes them by hand",
			    entry->what);
		return;
	}
	if (repair->dry || restore_entries(repair, history, &entry->json, 1, &err) == 0)
		repair_did(repair, history->dir.ref, "put_back", history->path,
			   "%s %s back into the record, from %s",
			   repair_word(repair, "put", "would put"), entry->what, entry->source);
	else
		repair_left(repair, history->dir.ref, "put_back", history->path, "%s: %s",
			    entry->what, err.msg);
}

void repair_gone(struct repair *repair, struct history *history)
{
	struct gone gone;

	if (!history->has_record) {
		restore_record(repair, history);
		if (!repair->dry)
			history_read_record_again(history);
	}
	gone_find(history, &gone);
	for (size_t i = 0; i < gone.n; i++) {
		const char *run_id = gone.v[i].training.run_id;

		if (!repair->only_run || (run_id && has_prefix(run_id, repair->only_run)))
			restore_one(repair, history, &gone.v[i]);
	}
	gone_release(&gone);
}
