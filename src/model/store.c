#include "base/base.h"

#include "model/store.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/journal.h"
#include "sys/file.h"
#include "sys/lock.h"
#include "sys/path.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each try means that another program, one without our lock, wrote into the same moment. */
#define TRIES 5

/* Every append rewrites the file, so a large one is slow, and says so. */
#define LARGE_FILE (8u << 20)

/* A damaged file this young may be one that a program is just writing in place: look again for a
 * while, a few times a second. */
#define YOUNG_NS 5000000000
#define REREAD_MS 2000
#define REREAD_NAP_NS 20000000

/* The members before training_history, with room for long names. */
#define HEAD_SIZE 4096

/* A spooled entry may carry the record that a new one inherits from, escaped. */
#define SPOOL_LIMIT (2 * FILE_LIMIT)
#define SPOOL_SCHEMA "thhost.spool/1"

struct append {
	const struct store_request *request;
	struct lock lock;
	struct str old;
	struct info_change change;   /* what becomes of 'old' */
	struct file_version version; /* of 'old' */
	struct info_summary *after;
	struct err *err;
	bool is_taken;	  /* a new record was asked for, and there is one */
	bool was_there;	  /* in a version that another program has replaced since */
	bool refuse_same; /* an entry without a run_id that is already there is not written again */
};

/* ---- messages ---- */

/* The one thing a user wants to know of a failed append. */
static void say_unchanged(const struct append *a)
{
	struct err *err = a->err;
	size_t len = strlen(err->msg);

	if (a->version.exists && err->code != ERR_BUSY && err->code != ERR_NOT_DURABLE)
		snprintf(err->msg + len, sizeof(err->msg) - len, "; file unchanged");
}

/* Messages of the lower layers name the file in its directory; this says which directory. */
static int name_path(const struct append *a)
{
	return err_prefix(a->err, "%s", a->request->path);
}

/* ---- damaged files ---- */

static bool is_damaged(const struct append *a)
{
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;
	bool damaged = info_open(&info, a->request->path, a->old.buf, a->old.len, &ignored) < 0;

	info_release(&info);
	return damaged;
}

static bool is_young(const struct file_version *version)
{
	int64_t now_ns = (int64_t)time(NULL) * 1000000000;

	return version->mtime_ns > now_ns - YOUNG_NS;
}

bool store_changes_soon(int dirfd, const struct file_version *version)
{
	const struct timespec nap = { .tv_nsec = REREAD_NAP_NS };
	int64_t deadline = clock_monotonic_ms() + REREAD_MS;
	struct err ignored = ERR_INIT;
	struct file_version now;

	while (is_young(version) && clock_monotonic_ms() < deadline) {
		if (file_version(dirfd, RECORD_NAME, &now, &ignored) < 0)
			return false; /* not reached by tests: a fault besides the damage */
		if (!file_version_equal(&now, version))
			return true;
		nanosleep(&nap, NULL);
	}
	return false;
}

static void hint_at_backup(const struct append *a)
{
	struct str text = STR_INIT;
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;

	if (file_read(a->request->dirfd, RECORD_BACKUP, FILE_LIMIT, &text, NULL, &ignored) == 0 &&
	    info_open(&info, RECORD_BACKUP, text.buf, text.len, &ignored) == 0)
		err_hint(a->err, "the version before is in '%s' beside it (%zu %s)", RECORD_BACKUP,
			 info_entry_count(&info),
			 info_entry_count(&info) == 1 ? "entry" : "entries");
	info_release(&info);
	str_release(&text);
}

/* ---- one append ---- */

static int read_old(struct append *a)
{
	struct err err = ERR_INIT;

	a->version = (struct file_version){ .exists = false };
	if (file_read(a->request->dirfd, RECORD_NAME, FILE_LIMIT, &a->old, &a->version, &err) == 0)
		return 0;
	str_clear(&a->old);
	if (err.code == ERR_NOT_FOUND)
		return 0;
	a->version.exists = true; /* something is there, and it stays as it is */
	*a->err = err;
	return name_path(a);
}

static bool has_same(const struct append *a)
{
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;
	const struct info_append *what = a->request->append;
	bool same = false;

	if (a->version.exists && what->n == 1 && !entry_extra(what->entries, "run_id") &&
	    info_open(&info, RECORD_NAME, a->old.buf, a->old.len, &ignored) == 0)
		same = info_entry_same(&info, what->entries) != JSON_NONE;
	info_release(&info);
	return same;
}

/* An entry that is there already still gets a fresh inode and both syncs: the earlier append may
 * have ended without knowing whether it reached the disk. */
static int keep_as_it_is(struct append *a)
{
	struct info info = INFO_INIT;
	int result = info_open(&info, a->request->path, a->old.buf, a->old.len, a->err);

	if (result == 0)
		result = info_validate(&info, a->after, a->err);
	a->after->already = true;
	a->after->n_added = 0;
	info_change_release(&a->change);
	a->change.len = a->old.len;
	info_release(&info);
	return result;
}

static int build_text(struct append *a)
{
	if (a->refuse_same && has_same(a))
		return keep_as_it_is(a);
	return info_change_make(a->request->path, a->version.exists ? &a->old : NULL,
				a->request->append, &a->change, a->after, a->err);
}

/* Read the record and make the new text, with patience for a program that writes it in place. */
static int prepare(struct append *a)
{
	for (;;) {
		if (read_old(a) < 0)
			return -1;
		a->is_taken = a->request->only_new && a->version.exists;
		if (a->is_taken)
			return -1;
		if (build_text(a) == 0)
			break;
		if (a->err->code != ERR_INVALID || !a->version.exists || !is_damaged(a))
			return -1;
		if (store_changes_soon(a->request->dirfd, &a->version))
			continue;
		hint_at_backup(a);
		return -1;
	}
	if (a->change.len > FILE_LIMIT)
		/* not reached by tests: takes a record of 64 MiB */
		return err_set(a->err, ERR_INVALID, "%s: would be larger than %u bytes",
			       a->request->path, FILE_LIMIT);
	if (a->change.len > LARGE_FILE)
		log_warn("'%s' has %zu bytes; each append rewrites them all", a->request->path,
			 a->change.len);
	return 0;
}

static int fence(void *arg, struct err *err)
{
	return lock_check(arg, err);
}

/*
 * The new text as it is written: the old one's bytes where they lie, and what the edits put in
 * between. The number of pieces.
 */
static size_t cut_pieces(const struct append *a, struct file_piece pieces[2 * INFO_MAX_EDITS + 1])
{
	size_t n = 0;
	size_t at = 0;

	for (size_t i = 0; i < a->change.n; i++) {
		const struct json_edit *edit = &a->change.edits[i];

		pieces[n++] = (struct file_piece){ a->old.buf + at, edit->start - at };
		pieces[n++] = (struct file_piece){ edit->data, edit->len };
		at = edit->start + edit->old_len;
	}
	pieces[n++] = (struct file_piece){ a->old.buf + at, a->old.len - at };
	return n;
}

static enum file_result replace(struct append *a)
{
	struct file_piece pieces[2 * INFO_MAX_EDITS + 1];
	size_t n = cut_pieces(a, pieces);

	const struct file_replace_options options = {
		.expected = &a->version,
		.expected_text = a->version.exists ? &a->old : NULL,
		.backup = RECORD_BACKUP,
		.fence = fence,
		.fence_arg = &a->lock,
		.must_be_new = !a->version.exists,
		.was_there = &a->was_there,
	};
	bool is_ours =
		mem_end_as(err_exit_status(ERR_NOT_DURABLE),
			   " when the record may have the entry already: look before you repeat");
	enum file_result result =
		file_replace_pieces(a->request->dirfd, RECORD_NAME, pieces, n, &options, a->err);

	if (is_ours && result == FILE_UNCHANGED)
		mem_end_plainly();
	return result;
}

static enum store_result append_locked(struct append *a)
{
	enum file_result result = FILE_UNCHANGED;

	file_sweep(a->request->dirfd, RECORD_NAME, RECORD_BACKUP, 0);
	for (int i = 0; i < TRIES; i++) {
		bool had_same;

		if (prepare(a) < 0)
			return a->is_taken ? STORE_TAKEN : STORE_UNCHANGED;
		result = replace(a);
		if (result != FILE_UNCHANGED || a->err->code != ERR_BUSY)
			break;
		/* It may be part of what came after. */
		had_same = has_same(a);
		a->refuse_same = a->refuse_same || (a->was_there && !had_same);
	}
	if (result == FILE_UNCHANGED && a->err->code == ERR_BUSY && a->was_there)
		err_set(a->err, ERR_NOT_DURABLE,
			"another program writes '%s' all the time, and may have taken the entry "
			"over",
			RECORD_NAME);
	if (result != FILE_DONE) {
		name_path(a);
		return result == FILE_NOT_DURABLE ? STORE_NOT_DURABLE : STORE_UNCHANGED;
	}
	return a->after->already && a->after->n_added == 0 ? STORE_ALREADY : STORE_DONE;
}

/* True only if the directory that we hold is certainly not where the user has named it. */
static bool is_elsewhere(const struct store_request *request)
{
	char *dir = path_dir(request->path);
	struct stat named;
	struct stat held;
	bool elsewhere = false;

	if (fstat(request->dirfd, &held) == 0) {
		if (stat(dir, &named) < 0)
			elsewhere = errno == ENOENT;
		else
			elsewhere = named.st_dev != held.st_dev || named.st_ino != held.st_ino;
	}
	free(dir);
	return elsewhere;
}

/* Only a run's own append can be of one that was given up. */
static int refuse_revoked(const struct append *a)
{
	const struct info_append *what = a->request->append;
	const char *json = what->n == 1 ? entry_extra(what->entries, "run_id") : NULL;
	char id[ID_TEXT_SIZE];

	if (!json || strlen(json) != ID_TEXT_SIZE + 1) /* two quotes, no NUL */
		return 0;
	snprintf(id, sizeof(id), "%s", json + 1);
	if (!journal_is_revoked(a->request->dirfd, id))
		return 0;
	return err_set(a->err, ERR_INVALID,
		       "run %.13s was given up, for its host was said to be gone: another may "
		       "have taken its place",
		       id);
}

static enum store_result lock_and_append(struct append *a)
{
	const struct store_request *request = a->request;
	enum store_result result = STORE_UNCHANGED;

	if (lock_acquire(&a->lock, request->dirfd, RECORD_LOCK, request->where,
			 request->lock_timeout_ms, a->err) == 0 &&
	    refuse_revoked(a) == 0)
		result = append_locked(a);
	lock_release(&a->lock);
	return result;
}

static enum store_result append_to(const struct store_request *request, bool refuse_same,
				   struct info_summary *after, struct err *err)
{
	enum store_result result;
	bool was_elsewhere = is_elsewhere(request); /* a 'path' for show: nothing to compare */
	struct info_summary unused = { .n_entries = 0 };
	struct err own = ERR_INIT;
	struct append a = {
		.request = request,
		.lock = LOCK_INIT,
		.old = STR_INIT,
		.change = INFO_CHANGE_INIT,
		.after = after ? after : &unused,
		.err = &own,
		.refuse_same = refuse_same,
	};

	*a.after = (struct info_summary){ .n_entries = 0 };
	result = lock_and_append(&a);
	/* Over NFS another host has replaced what we had open: its successor has the name now. */
	if (result == STORE_UNCHANGED && own.number == ESTALE) {
		own = (struct err)ERR_INIT;
		result = lock_and_append(&a);
	}
	if (result == STORE_UNCHANGED)
		say_unchanged(&a);
	else if (!was_elsewhere && is_elsewhere(request))
		log_warn("the directory of '%s' was moved meanwhile; the entry went with it",
			 request->path);
	if (result == STORE_UNCHANGED || result == STORE_NOT_DURABLE) {
		err_path(&own, request->path);
		*err = own;
	}
	if (result == STORE_NOT_DURABLE && !err->hint[0])
		err_hint(err, "repeat the command: what is there already is not written twice");
	str_release(&a.old);
	info_change_release(&a.change);
	return result;
}

enum store_result store_append(const struct store_request *request, struct info_summary *after,
			       struct err *err)
{
	return append_to(request, false, after, err);
}

int store_read(int dirfd, const char *path, struct str *out, struct err *err)
{
	if (file_read(dirfd, RECORD_NAME, FILE_LIMIT, out, NULL, err) == 0)
		return 0;
	err_path(err, path);
	return err_prefix(err, "%s", path);
}

char *store_string(int dirfd, const char *path, const char *key)
{
	struct str text = STR_INIT;
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;
	char *value = NULL;

	if (file_read_head(dirfd, RECORD_NAME, HEAD_SIZE, &text, &ignored) == 0)
		value = info_head_string(text.buf, text.len, key);
	if (!value && text.len == HEAD_SIZE && store_read(dirfd, path, &text, &ignored) == 0 &&
	    info_open(&info, path, text.buf, text.len, &ignored) == 0)
		value = info_string(&info, key);
	info_release(&info);
	str_release(&text);
	return value;
}

/* ---- into the spool ---- */

static void print_head(struct jsonw *w, const struct info_append *what)
{
	jsonw_key(w, "head");
	jsonw_object(w);
	jsonw_pair_string(w, "model_name", what->head.model_name);
	jsonw_pair_string(w, "stage", what->head.stage);
	jsonw_pair_string(w, "final_checkpoint", what->head.final_checkpoint);
	jsonw_pair_string(w, "base_model", what->head.base_model);
	if (what->head.parents)
		jsonw_pair_raw(w, "parents", what->head.parents);
	jsonw_end(w);
}

/* The record that a new one inherits from goes in as a string: to the byte. */
static void print_inherited(struct jsonw *w, const struct info_append *what)
{
	if (!what->inherited)
		return;
	jsonw_pair_string(w, "inherited_ref", what->inherited_ref);
	jsonw_key(w, "inherited");
	jsonw_stringn(w, what->inherited->buf, what->inherited->len);
}

static void print_spooled(const struct store_request *request, const char *stage_dir,
			  const char *run_id, const char *why, struct str *out)
{
	const struct info_append *what = request->append;
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", SPOOL_SCHEMA);
	jsonw_pair_string(&w, "run_id", run_id);
	jsonw_pair_string(&w, "dir", stage_dir);
	jsonw_pair_string(&w, "why", why);
	print_head(&w, what);
	jsonw_key(&w, "additive");
	jsonw_bool(&w, what->additive);
	print_inherited(&w, what);
	jsonw_key(&w, "entries");
	jsonw_array(&w);
	for (size_t i = 0; i < what->n; i++)
		entry_print(&what->entries[i], &w);
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

int store_spool(const struct store_request *request, const char *stage_dir, const char *run_id,
		const struct err *why, struct str *where, struct err *err)
{
	struct str text = STR_INIT;
	int result;

	print_spooled(request, stage_dir, run_id, why ? why->msg : "", &text);
	result = spool_put(request->dirfd, stage_dir, run_id, text.buf, text.len, where, err);
	if (result < 0)
		fprintf(stderr,
			"thhost: no place takes the entry; keep what is between the marks as "
			"%s.json\n"
			"-----BEGIN THHOST ENTRY-----\n%s-----END THHOST ENTRY-----\n",
			run_id, text.buf);
	str_release(&text);
	return result;
}

/* ---- out of the spool ---- */

struct spooled {
	struct json doc;
	struct str text;
	struct str inherited;
	char *strings[5]; /* owners of what 'append' borrows */
	char *parents;
	struct entry *entries;
	struct info_append append;
	char *stage_dir;
};

static void spooled_release(struct spooled *s)
{
	for (size_t i = 0; i < s->append.n; i++)
		entry_release(&s->entries[i]);
	free(s->entries);
	for (size_t i = 0; i < ARRAY_SIZE(s->strings); i++)
		free(s->strings[i]);
	free(s->parents);
	free(s->stage_dir);
	str_release(&s->inherited);
	str_release(&s->text);
	json_release(&s->doc);
}

static int parse_entries(struct spooled *s, const char *path, struct err *err)
{
	size_t list = json_member(&s->doc, 0, "entries");
	size_t n = json_is(&s->doc, list, JSON_ARRAY) ? s->doc.tokens[list].size : 0;

	if (n == 0)
		return err_set(err, ERR_INVALID, "%s: no 'entries'", path);
	s->entries = xcalloc(n, sizeof(*s->entries));
	s->append.entries = s->entries;
	for (size_t i = json_first(&s->doc, list); i != JSON_NONE;
	     i = json_next(&s->doc, list, i)) {
		struct entry *entry = &s->entries[s->append.n++];
		size_t len;
		const char *text = json_raw(&s->doc, i, &len);

		entry_init(entry);
		if (entry_parse(path, text, len, entry, err) < 0)
			return -1;
	}
	return 0;
}

static void parse_head(struct spooled *s)
{
	static const char *const keys[] = { "model_name", "stage", "final_checkpoint",
					    "base_model" };
	const struct json *doc = &s->doc;
	size_t head = json_member(doc, 0, "head");
	size_t inherited = json_member(doc, 0, "inherited");
	struct info_append *what = &s->append;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		s->strings[i] = json_string_copy(doc, json_member(doc, head, keys[i]));
	s->strings[4] = json_string_copy(doc, json_member(doc, 0, "inherited_ref"));
	if (json_is(doc, json_member(doc, head, "parents"), JSON_ARRAY))
		s->parents = json_raw_copy(doc, json_member(doc, head, "parents"));
	what->head = (struct info_head){ s->strings[0], s->strings[1], s->strings[2], s->strings[3],
					 s->parents };
	what->inherited_ref = s->strings[4];
	what->additive = json_is(doc, json_member(doc, 0, "additive"), JSON_TRUE);
	if (json_is(doc, inherited, JSON_STRING)) {
		json_string(doc, inherited, &s->inherited);
		what->inherited = &s->inherited;
	}
}

/* In a stage directory's own spool the place tells the directory, also after a move. */
static char *stage_dir_of(const struct spooled *s, const char *path)
{
	char *spool = path_dir(path);
	char *dir = NULL;

	if (strcmp(spool, ".thhost/spool") == 0)
		dir = xstrdup(".");
	else if (has_suffix(spool, "/.thhost/spool"))
		dir = xstrndup(spool, strlen(spool) - strlen("/.thhost/spool"));
	else
		dir = json_string_copy(&s->doc, json_member(&s->doc, 0, "dir"));
	free(spool);
	return dir;
}

static int spooled_read(struct spooled *s, const char *path, struct err *err)
{
	if (file_read_path(path, SPOOL_LIMIT, &s->text, err) < 0 ||
	    json_parse(&s->doc, path, s->text.buf, s->text.len, JSON_STRICT, err) < 0)
		return -1;
	if (!json_string_is(&s->doc, json_member(&s->doc, 0, "schema"), SPOOL_SCHEMA))
		return err_set(err, ERR_INVALID, "%s: not a spooled entry (%s)", path,
			       SPOOL_SCHEMA);
	parse_head(s);
	if (!s->append.head.model_name || !s->append.head.stage)
		return err_set(err, ERR_INVALID, "%s: 'head' is incomplete", path);
	s->stage_dir = stage_dir_of(s, path);
	if (!s->stage_dir)
		return err_set(err, ERR_INVALID, "%s: 'dir' is missing", path);
	return parse_entries(s, path, err);
}

int store_check_spooled(const char *spool_path, struct err *err)
{
	struct spooled s = { .doc = JSON_INIT, .text = STR_INIT, .inherited = STR_INIT };
	int result = spooled_read(&s, spool_path, err);

	spooled_release(&s);
	return result;
}

/* "exp_1/stage1_hrds" of ".../exp_1/stage1_hrds" */
static const char *last_two(const char *dir)
{
	const char *base = path_base(dir);

	if (base == dir || base - 1 == dir)
		return dir; /* not reached by tests: a stage directory beside the root */
	for (base--; base > dir && base[-1] != '/';)
		base--;
	return base;
}

static enum store_result unspool(struct spooled *s, int lock_timeout_ms, struct info_summary *after,
				 struct err *err)
{
	enum store_result result;
	char *record = path_join(s->stage_dir, RECORD_NAME);
	struct store_request request = {
		.dirfd = path_open_dir(s->stage_dir, err),
		.where = last_two(s->stage_dir),
		.path = record,
		.append = &s->append,
		.lock_timeout_ms = lock_timeout_ms,
	};

	if (request.dirfd < 0) {
		result = STORE_UNCHANGED;
	} else {
		result = append_to(&request, true, after, err);
		close(request.dirfd);
	}
	free(record);
	return result;
}

static int remove_spooled(const char *path, struct err *err)
{
	char *dir = path_dir(path);
	int fd = path_open_dir(dir, err);
	int result = fd < 0 ? -1 : file_remove(fd, path_base(path), err);

	if (fd >= 0)
		close(fd);
	free(dir);
	return result;
}

/*
 * Append, then remove. A crash in between leaves the file in the spool, and the next time the entry
 * is found in the record: by its run_id, or, where a plain record keeps that out of the entry, by
 * being the same in every value (two trainings do not start and end in the same seconds with the
 * same results). The search is made under the record's lock, so two at once do no harm either.
 */
enum store_result store_unspool(const char *spool_path, int lock_timeout_ms,
				struct info_summary *after, struct err *err)
{
	enum store_result result = STORE_UNCHANGED;
	struct err removal = ERR_INIT;
	struct spooled s = { .doc = JSON_INIT, .text = STR_INIT, .inherited = STR_INIT };

	if (spooled_read(&s, spool_path, err) == 0)
		result = unspool(&s, lock_timeout_ms, after, err);
	if ((result == STORE_DONE || result == STORE_ALREADY) &&
	    remove_spooled(spool_path, &removal) < 0) {
		*err = removal;
		err_prefix(err, "%s: the entry is recorded, but its spool file stays", spool_path);
		result = STORE_NOT_DURABLE;
	}
	spooled_release(&s);
	return result;
}
