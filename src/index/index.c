#include "base/base.h"

#include "index/index.h"

#include "base/log.h"
#include "base/mem.h"
#include "index/index_part.h"
#include "index/schema.h"
#include "model/journal.h"
#include "sys/lock.h"
#include "sys/path.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LOCK_MS 10000

/* ---- what it is of ---- */

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* File systems whose stamps another machine makes, or where memory shared by processes is not. */
static bool is_remote(int fd)
{
	static const uint32_t magics[] = {
		0x6969,	    0x517b,	0xfe534d42, 0xff534d42, 0x65735546,
		0x0bd00bd0, 0x47504653, 0x01021997, 0x00c36400, 0x7461636f,
		0x19830326, 0xaad7aaea, 0x5346414f, 0x6b414653, 0x013111a8,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if ((uint32_t)fs.f_type == magics[i])
			return true;
	return false;
}

/* The directories that 'options->roots' name, each once, in an order of their own. */
static int find_roots(const struct index_options *options, struct strv *out, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < options->roots->n; i++) {
		char *path = realpath(options->roots->v[i], NULL);

		if (!path)
			return err_errno(err, path_is_absent(errno) ? ERR_NOT_FOUND : ERR_FAILED,
					 "the artifact root '%s'", options->roots->v[i]);
		strv_push_take(out, path);
	}
	qsort(out->v, out->n, sizeof(*out->v), compare_text);
	for (size_t i = 0; i < out->n; i++) {
		if (n && strcmp(out->v[n - 1], out->v[i]) == 0)
			free(out->v[i]);
		else
			out->v[n++] = out->v[i];
	}
	out->n = n;
	out->v[n] = NULL;
	return 0;
}

static int open_roots(struct index *index, const struct strv *paths, struct err *err)
{
	index->roots = xcalloc(paths->n, sizeof(*index->roots));
	for (size_t i = 0; i < paths->n; i++) {
		struct index_root *root = &index->roots[i];

		if (layout_open(&root->layout, paths->v[i], index->options->stages, err) < 0)
			return -1;
		index->n_roots++;
		root->path = xstrdup(paths->v[i]);
		root->is_remote = is_remote(root->layout.rootfd);
		root->newest_ms = INT64_MIN;
	}
	return 0;
}

/* All that decides what a walk finds, and what of it may be read. */
static char *identity_of(const struct index *index)
{
	const struct stage_map *stages = index->options->stages;
	struct str out = STR_INIT;
	int n_groups = getgroups(0, NULL);
	gid_t *groups = n_groups > 0 ? xcalloc((size_t)n_groups, sizeof(*groups)) : NULL;

	str_addf(&out, "%u %u", geteuid(), getegid());
	if (n_groups > 0)
		n_groups = getgroups(n_groups, groups);
	for (int i = 0; i < n_groups; i++)
		str_addf(&out, ",%u", groups[i]);
	free(groups);
	str_addch(&out, '\n');
	for (size_t i = 0; stages && i < stages->n; i++)
		str_addf(&out, "%s:%s\n", stages->v[i].stage,
			 stages->v[i].dir ? stages->v[i].dir : "");
	for (size_t i = 0; i < index->n_roots; i++)
		str_addf(&out, "%s\n", index->roots[i].path);
	return str_detach(&out);
}

/* FNV-1a, twice: no more than a name, what it is of is in the file. */
static char *name_of(const char *identity)
{
	uint64_t a = 14695981039346656037u;
	uint64_t b = 0x9e3779b97f4a7c15u;

	for (; *identity; identity++) {
		a = (a ^ (unsigned char)*identity) * 1099511628211u;
		b = (b ^ (unsigned char)*identity) * 0x100000001b3u;
		b ^= b >> 29;
	}
	return xstrf("%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
}

/* ---- where it is ---- */

static char *place_of_indexes(struct err *err)
{
	const char *xdg = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	if (xdg && xdg[0] == '/')
		return path_join(xdg, "thhost/index");
	if (home && home[0] == '/')
		return path_join(home, ".cache/thhost/index");
	err_set(err, ERR_FAILED, "neither HOME nor XDG_CACHE_HOME names a directory");
	return NULL;
}

static int make_dirs(const char *dir, struct err *err)
{
	char *up;
	int result;

	if (mkdir(dir, 0700) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return err_errno(err, ERR_FAILED, "cannot make the directory '%s'", dir);
	up = path_dir(dir);
	result = make_dirs(up, err);
	free(up);
	if (result == 0 && mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, ERR_FAILED, "cannot make the directory '%s'", dir);
	return result;
}

/* Who can write there could make us say anything. */
static int check_private(int fd, const char *dir, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, ERR_FAILED, "cannot look at '%s'", dir);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_FAILED, "the directory '%s' belongs to another user", dir);
	if (st.st_mode & 022)
		return err_set(err, ERR_FAILED, "others may write to the directory '%s'", dir);
	return 0;
}

static int find_file(struct index *index, struct err *err)
{
	char *dir = place_of_indexes(err);
	struct stat st;

	if (!dir)
		return -1;
	index->identity = identity_of(index);
	index->name = name_of(index->identity);
	index->dir = dir;
	index->path = xstrf("%s/%s.sqlite", dir, index->name);
	return lstat(index->path, &st) == 0;
}

static int open_dir(struct index *index, struct err *err)
{
	char *real;

	if (make_dirs(index->dir, err) < 0)
		return -1;
	index->dirfd = path_open_dir(index->dir, err);
	if (index->dirfd < 0 || check_private(index->dirfd, index->dir, err) < 0)
		return -1;
	real = realpath(index->dir, NULL); /* SQLite is told to follow no links */
	if (!real)
		return err_errno(err, ERR_FAILED, "'%s'", index->dir);
	free(index->dir);
	free(index->path);
	index->dir = real;
	index->path = xstrf("%s/%s.sqlite", real, index->name);
	return 0;
}

/* ---- how large the trees are ---- */

static int count_stage(void *arg, struct stage_dir *dir UNUSED, struct err *err UNUSED)
{
	size_t *n = arg;

	return ++*n >= INDEX_MIN_STAGES;
}

static bool is_small(struct index *index)
{
	struct err ignored = ERR_INIT;
	size_t n = 0;

	for (size_t i = 0; i < index->n_roots && n < INDEX_MIN_STAGES; i++)
		layout_walk(&index->roots[i].layout, NULL, count_stage, &n, &ignored);
	return n < INDEX_MIN_STAGES;
}

/* ---- the file ---- */

int index_begin(struct index *index, const char *how, struct err *err)
{
	char *sql = xstrf("BEGIN %s", how);
	int result = db_exec(index->db, sql, err);

	free(sql);
	index->is_in = result == 0;
	return result;
}

int index_end(struct index *index, struct err *err)
{
	int result = db_exec(index->db, "COMMIT", err);

	if (result == 0)
		index->is_in = false;
	else
		index_undo(index);
	return result;
}

void index_undo(struct index *index)
{
	struct err ignored = ERR_INIT;

	if (index->is_in)
		db_exec(index->db, "ROLLBACK", &ignored); /* it may have been undone already */
	index->is_in = false;
}

static int ask_int(struct index *index, const char *sql, int64_t *out, struct err *err)
{
	struct db_query *q = db_prepare(index->db, sql, err);
	int more = q ? db_step(q, err) : -1;

	*out = more > 0 ? db_int(q, 0) : 0;
	db_finish(q);
	return more < 0 ? -1 : 0;
}

/* 1: of this version and of these roots; 0: it is to be made; -1: 'err', or damaged. */
static int is_ours(struct index *index, struct err *err)
{
	static const char text[] = "SELECT 1 FROM meta WHERE key = 'identity' AND value = ?";
	struct db_query *q;
	int64_t version;
	int more;

	if (ask_int(index, "PRAGMA user_version", &version, err) < 0)
		return -1;
	if (version != SCHEMA_VERSION)
		return 0;
	q = db_prepare(index->db, text, err);
	if (!q)
		return err->code == ERR_INVALID ? 0 : -1; /* no such table */
	db_bind_text(q, 1, index->identity);
	more = db_step(q, err);
	db_finish(q);
	return more;
}

static int write_schema(struct index *index, struct err *err)
{
	char *version = xstrf("PRAGMA user_version = %d", SCHEMA_VERSION);
	struct db_query *q = NULL;
	int result = -1;

	if (index_begin(index, "IMMEDIATE", err) == 0 && db_exec(index->db, schema_sql, err) == 0 &&
	    db_exec(index->db, version, err) == 0)
		q = db_prepare(index->db, "INSERT INTO meta VALUES ('identity', ?)", err);
	if (q) {
		db_bind_text(q, 1, index->identity);
		result = db_run(q, err);
	}
	db_finish(q);
	free(version);
	if (result == 0)
		result = index_end(index, err);
	index_undo(index);
	return result;
}

static int set_up(struct index *index, struct err *err)
{
	/* What is read over a network by several has no shared memory, which WAL needs. */
	const char *how = is_remote(index->dirfd)
				  ? "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL"
				  : "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
				    "PRAGMA wal_autocheckpoint = 4000";

	return db_exec(index->db, how, err) < 0 ||
			       db_exec(index->db, "PRAGMA cache_size = -8000", err) < 0
		       ? -1
		       : 0;
}

static int lock_index(struct index *index, struct lock *lock, struct err *err)
{
	char *name = xstrf("%s.lock", index->name);
	int result = lock_acquire(lock, index->dirfd, name, index->path, LOCK_MS, err);

	free(name);
	return result;
}

/* Under the lock: another may have made it meanwhile. */
static int make_anew(struct index *index, bool in_any_case, struct err *err)
{
	struct err ignored = ERR_INIT;
	int ours = in_any_case ? 0 : is_ours(index, &ignored);

	if (ours > 0)
		return 0;
	rows_close(index->rows);
	index->rows = NULL;
	log_info("the index '%s' is made anew", index->path);
	if (db_erase(index->db, err) < 0 || set_up(index, err) < 0 || write_schema(index, err) < 0)
		return -1;
	index->rows = rows_open(index->db);
	return 0;
}

static int renew(struct index *index, bool in_any_case, struct err *err)
{
	struct lock lock = LOCK_INIT;
	int result;

	index_undo(index);
	if (lock_index(index, &lock, err) < 0)
		return -1;
	result = make_anew(index, in_any_case, err);
	lock_release(&lock);
	return result;
}

static int open_file(struct index *index, struct err *err)
{
	struct err own = ERR_INIT;
	int ours;

	index->db = db_open(index->path, DB_WRITE, err);
	if (!index->db)
		return -1;
	index->rows = rows_open(index->db);
	ours = is_ours(index, &own);
	if (ours > 0)
		return set_up(index, err);
	if (index->options->absent != INDEX_LEAVE && (ours == 0 || db_is_damaged(index->db)))
		return renew(index, false, err);
	if (ours == 0)
		return err_set(err, ERR_FAILED, "'%s': of another version", index->path);
	*err = own;
	return -1;
}

static int open_index(struct index *index, struct err *err)
{
	struct strv paths = STRV_INIT;
	int result = find_roots(index->options, &paths, err);

	if (result == 0)
		result = open_roots(index, &paths, err);
	strv_release(&paths);
	if (result == 0)
		result = spool_dirs(&index->waiting, err);
	if (result == 0)
		result = find_file(index, err);
	if (result == 0 && (index->options->absent == INDEX_LEAVE ||
			    (index->options->absent == INDEX_MAKE_IF_LARGE && is_small(index))))
		return 1;
	if (result < 0 || open_dir(index, err) < 0)
		return -1;
	return open_file(index, err);
}

int index_open(struct index **out, const struct index_options *options, struct err *err)
{
	struct index *index = xcalloc(1, sizeof(*index));
	int result;

	index->options = options;
	index->dirfd = -1;
	result = open_index(index, err);
	*out = result == 0 ? index : NULL;
	if (result != 0)
		index_close(index);
	return result;
}

void index_close(struct index *index)
{
	if (!index)
		return;
	rows_close(index->rows);
	if (index->db)
		index_undo(index);
	db_close(index->db);
	for (size_t i = 0; i < index->n_roots; i++) {
		layout_close(&index->roots[i].layout);
		free(index->roots[i].path);
	}
	if (index->dirfd >= 0)
		close(index->dirfd);
	free(index->roots);
	free(index->identity);
	free(index->dir);
	free(index->name);
	free(index->path);
	strv_release(&index->waiting);
	free(index);
}

int index_erase(struct index *index, struct err *err)
{
	return renew(index, true, err);
}

struct db *index_db(struct index *index)
{
	return index->db;
}

/* ---- up to date ---- */

/* Another number than before: other processes have written since. */
static int read_version(struct index *index, int64_t *out, struct err *err)
{
	return ask_int(index, "PRAGMA data_version", out, err);
}

static int check(struct index *index, struct dirty_list *dirty, int64_t *version, struct err *err)
{
	dirty_list_release(dirty);
	if (index_begin(index, "", err) < 0 || read_version(index, version, err) < 0)
		return -1;
	return index_check(index, dirty, err);
}

static int fill_locked(struct index *index, struct dirty_list *dirty, int64_t version,
		       struct err *err)
{
	int64_t now;

	index_undo(index);
	if (read_version(index, &now, err) < 0 ||
	    (now != version && check(index, dirty, &now, err) < 0))
		return -1;
	index_undo(index);
	return dirty->n ? index_fill(index, dirty, err) : 0;
}

/* Of all who find that something has changed one reads it, and the others what he found. */
static int fill(struct index *index, struct dirty_list *dirty, int64_t version, struct err *err)
{
	struct lock lock = LOCK_INIT;
	int64_t ignored;
	int result;

	index_undo(index);
	if (lock_index(index, &lock, err) < 0)
		return -1;
	result = fill_locked(index, dirty, version, err);
	/* The answers are as of now: what others read from here on is not seen. */
	if (result == 0)
		result = index_begin(index, "", err);
	if (result == 0)
		result = ask_int(index, "SELECT count(*) FROM root", &ignored, err);
	lock_release(&lock);
	return result;
}

static int sync_once(struct index *index, struct err *err)
{
	struct dirty_list dirty = { .v = NULL };
	int64_t version;
	int result = check(index, &dirty, &version, err);

	if (result == 0 && dirty.n)
		result = fill(index, &dirty, version, err);
	dirty_list_release(&dirty);
	return result;
}

int index_sync(struct index *index, struct err *err)
{
	struct err own = ERR_INIT;

	index_undo(index);
	if (sync_once(index, &own) == 0)
		return 0;
	index_undo(index);
	if (!db_is_damaged(index->db)) {
		*err = own;
		return -1;
	}
	if (renew(index, true, err) == 0 && sync_once(index, err) == 0)
		return 0;
	index_undo(index);
	return -1;
}

/* ---- how it stands ---- */

static int64_t size_of(const char *path, const char *suffix)
{
	char *name = xstrf("%s%s", path, suffix);
	struct stat st;
	int64_t size = stat(name, &st) == 0 ? (int64_t)st.st_size : 0;

	free(name);
	return size;
}

static int count_stale(struct index *index, int64_t *out, struct err *err)
{
	struct dirty_list dirty = { .v = NULL };
	int result;

	index_undo(index);
	result = index_begin(index, "", err);
	if (result == 0)
		result = index_check(index, &dirty, err);
	*out = (int64_t)dirty.n;
	dirty_list_release(&dirty);
	return result;
}

int index_state(struct index *index, bool has_synced, struct index_state *out, struct err *err)
{
	*out = (struct index_state){ .path = xstrdup(index->path), .version = SCHEMA_VERSION };
	out->bytes = size_of(index->path, "") + size_of(index->path, "-wal") +
		     size_of(index->path, "-shm");
	if (!has_synced && count_stale(index, &out->n_stale, err) < 0)
		return -1;
	if (ask_int(index, "SELECT count(*) FROM place", &out->n_places, err) < 0 ||
	    ask_int(index, "SELECT count(*) FROM place WHERE is_live", &out->n_live, err) < 0 ||
	    ask_int(index, "SELECT count(*) FROM place WHERE racy_since IS NOT NULL", &out->n_racy,
		    err) < 0 ||
	    ask_int(index, "SELECT count(*) FROM record", &out->n_records, err) < 0)
		return -1;
	if (has_synced)
		out->n_stale = out->n_racy;
	return 0;
}

void index_state_release(struct index_state *state)
{
	free(state->path);
}
