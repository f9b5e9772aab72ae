#include "base/base.h"

#include "index/db.h"

#include "base/clock.h"
#include "base/mem.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#define BUSY_MS 10000
#define STEPS_PER_LOOK 20000 /* of SQLite's machine, between two looks at the clock: some 0.2 ms */

struct db {
	sqlite3 *handle;
	char *path;
	bool is_damaged;
	const struct db_limits *limits;
	int64_t started_ms; /* when the first statement under limits began; -1: none has */
	bool is_over_time;
};

struct db_query {
	struct db *db;
	sqlite3_stmt *stmt;
	const char *rest;
};

/* ---- errors ---- */

static enum err_code code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_AUTH:
	case SQLITE_READONLY:
		return ERR_INVALID;
	case SQLITE_INTERRUPT:
		return ERR_INTERRUPTED;
	default:
		return ERR_FAILED;
	}
}

static int fail(struct db *db, int rc, enum err_code code, struct err *err)
{
	if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB || (rc & 0xff) == SQLITE_CORRUPT)
		db->is_damaged = true;
	if (db->is_over_time)
		err_set(err, ERR_INTERRUPTED, "'%s': took longer than %g s", db->path,
			db->limits->seconds);
	else if (rc == SQLITE_NOMEM && db->limits)
		err_set(err, ERR_INTERRUPTED, "'%s': needed more than %lld MiB of memory", db->path,
			(long long)(db->limits->memory >> 20));
	else
		err_set(err, code, "'%s': %s", db->path,
			db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc));
	err_path(err, db->path);
	return -1;
}

/* ---- open and close ---- */

/* SQLite would make it as the umask has it; what it holds is its owner's business. */
static int make_private(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		err_errno(err, ERR_FAILED, "cannot open '%s'", path);
		return -1;
	}
	close(fd);
	return 0;
}

static int set_up(struct db *db, struct err *err)
{
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, BUSY_MS);
	sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return db_exec(db, "PRAGMA secure_delete = OFF; PRAGMA temp_store = MEMORY", err);
}

struct db *db_open(const char *path, enum db_mode mode, struct err *err)
{
	int flags = mode == DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	struct db *db;
	int rc;

	if (mode == DB_WRITE && make_private(path, err) < 0)
		return NULL;
	db = xcalloc(1, sizeof(*db));
	db->path = xstrdup(path);
	db->started_ms = -1;
	rc = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
			     NULL);
	if (rc != SQLITE_OK)
		fail(db, rc, ERR_FAILED, err);
	if (rc != SQLITE_OK || set_up(db, err) < 0) {
		db_close(db);
		return NULL;
	}
	return db;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	sqlite3_close_v2(db->handle);
	free(db->path);
	free(db);
}

bool db_is_damaged(const struct db *db)
{
	return db->is_damaged;
}

void db_set_damaged(struct db *db)
{
	db->is_damaged = true;
}

int db_erase(struct db *db, struct err *err)
{
	int result;

	/* Else a file in WAL mode would leave it, under the feet of others. */
	sqlite3_table_column_metadata(db->handle, NULL, "sqlite_schema", NULL, NULL, NULL, NULL,
				      NULL, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_RESET_DATABASE, 1, NULL);
	sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 1); /* VACUUM writes into one first */
	/* Most of what is kept are records of some kilobytes. */
	result = db_exec(db, "PRAGMA page_size = 16384; VACUUM", err);
	sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_RESET_DATABASE, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (result == 0)
		db->is_damaged = false;
	return result;
}

/* ---- statements ---- */

int db_exec(struct db *db, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : fail(db, rc, code_of(rc), err);
}

struct db_query *db_prepare(struct db *db, const char *sql, struct err *err)
{
	struct db_query *q = xcalloc(1, sizeof(*q));
	int rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->stmt,
				    &q->rest);

	q->db = db;
	if (rc == SQLITE_OK)
		return q;
	fail(db, rc, rc == SQLITE_ERROR ? ERR_INVALID : code_of(rc), err);
	db_finish(q);
	return NULL;
}

void db_finish(struct db_query *q)
{
	if (!q)
		return;
	sqlite3_finalize(q->stmt);
	free(q);
}

void db_bind_int(struct db_query *q, int at, int64_t value)
{
	sqlite3_bind_int64(q->stmt, at, value);
}

void db_bind_real(struct db_query *q, int at, double value)
{
	sqlite3_bind_double(q->stmt, at, value);
}

void db_bind_text(struct db_query *q, int at, const char *text)
{
	sqlite3_bind_text(q->stmt, at, text, -1, SQLITE_STATIC);
}

void db_bind_text_n(struct db_query *q, int at, const char *text, size_t len)
{
	sqlite3_bind_text64(q->stmt, at, text, len, SQLITE_STATIC, SQLITE_UTF8);
}

void db_bind_blob(struct db_query *q, int at, const void *bytes, size_t len)
{
	/* A NULL pointer would be SQL's NULL, which is no empty blob. */
	sqlite3_bind_blob64(q->stmt, at, len ? bytes : "", len, SQLITE_STATIC);
}

void db_bind_null(struct db_query *q, int at)
{
	sqlite3_bind_null(q->stmt, at);
}

int db_step(struct db_query *q, struct err *err)
{
	int rc;

	if (q->db->limits && q->db->started_ms < 0)
		q->db->started_ms = clock_monotonic_ms();
	rc = sqlite3_step(q->stmt);
	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : fail(q->db, rc, code_of(rc), err);
}

void db_reset(struct db_query *q)
{
	sqlite3_reset(q->stmt);
	sqlite3_clear_bindings(q->stmt);
}

int db_run(struct db_query *q, struct err *err)
{
	int result = db_step(q, err);

	db_reset(q);
	return result < 0 ? -1 : 0;
}

/* ---- rows ---- */

int db_column_count(const struct db_query *q)
{
	return sqlite3_column_count(q->stmt);
}

const char *db_column_name(const struct db_query *q, int column)
{
	return sqlite3_column_name(q->stmt, column);
}

enum db_type db_type(struct db_query *q, int column)
{
	switch (sqlite3_column_type(q->stmt, column)) {
	case SQLITE_INTEGER:
		return DB_INTEGER;
	case SQLITE_FLOAT:
		return DB_REAL;
	case SQLITE_TEXT:
		return DB_TEXT;
	case SQLITE_BLOB:
		return DB_BLOB;
	default:
		return DB_NULL;
	}
}

int64_t db_int(struct db_query *q, int column)
{
	return sqlite3_column_int64(q->stmt, column);
}

double db_real(struct db_query *q, int column)
{
	return sqlite3_column_double(q->stmt, column);
}

const char *db_text(struct db_query *q, int column, size_t *len)
{
	const void *text = sqlite3_column_text(q->stmt, column);

	if (len)
		*len = (size_t)sqlite3_column_bytes(q->stmt, column);
	return text;
}

const void *db_blob(struct db_query *q, int column, size_t *len)
{
	const void *bytes = sqlite3_column_blob(q->stmt, column);

	*len = (size_t)sqlite3_column_bytes(q->stmt, column);
	return bytes;
}

int64_t db_changes(const struct db *db)
{
	return sqlite3_changes64(db->handle);
}

int64_t db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

/* ---- statements of a stranger ---- */

static bool is_view(const struct db *db, const char *name)
{
	for (size_t i = 0; name && db->limits->views[i]; i++)
		if (strcmp(db->limits->views[i], name) == 0)
			return true;
	return false;
}

/* What is below a view may be read through it alone: 'via' is the view that asks. */
static int authorize(void *arg, int action, const char *first, const char *second UNUSED,
		     const char *database UNUSED, const char *via)
{
	const struct db *db = arg;

	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_RECURSIVE:
	case SQLITE_FUNCTION:
		return SQLITE_OK;
	case SQLITE_READ:
		return is_view(db, first) || is_view(db, via) ? SQLITE_OK : SQLITE_DENY;
	default:
		return SQLITE_DENY;
	}
}

static int look_at_clock(void *arg)
{
	struct db *db = arg;
	double seconds = (double)(clock_monotonic_ms() - db->started_ms) / 1000;

	db->is_over_time =
		db->limits->seconds > 0 && db->started_ms >= 0 && seconds > db->limits->seconds;
	return db->is_over_time;
}

int db_confine(struct db *db, const struct db_limits *limits, struct err *err)
{
	int rc;

	db->limits = limits;
	if (limits->memory)
		sqlite3_hard_heap_limit64(limits->memory);
	sqlite3_progress_handler(db->handle, STEPS_PER_LOOK, look_at_clock, db);
	rc = sqlite3_set_authorizer(db->handle, authorize, db);
	return rc == SQLITE_OK ? 0 : fail(db, rc, ERR_FAILED, err);
}

/* The end of a "--" or of a C comment that begins at 'at', or 'at'. */
static const char *after_comment(const char *at)
{
	const char *end;

	if (at[0] == '-' && at[1] == '-')
		return at + strcspn(at, "\n");
	if (at[0] != '/' || at[1] != '*')
		return at;
	end = strstr(at + 2, "*/");
	return end ? end + 2 : at + strlen(at);
}

const char *db_rest(const struct db_query *q)
{
	const char *at = q->rest;
	const char *next;

	for (;; at = next) {
		next = at + strspn(at, " \t\r\n;");
		next = after_comment(next);
		if (next == at)
			return at;
	}
}
