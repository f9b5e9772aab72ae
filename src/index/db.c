#include "base/base.h"

#include "index/db.h"

#include "base/clock.h"
#include "base/mem.h"
#include "index/db_part.h"

#include <fcntl.h>
#include <unistd.h>

#define BUSY_MS 10000

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

/* What a stranger's statement did wrong is no fault of the file, which he does not know. */
static void tell(struct db *db, int rc, enum err_code code, struct err *err)
{
	const char *why = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);

	if (db->is_over_time)
		err_set(err, ERR_INTERRUPTED, "the statement took longer than %g s",
			db->limits->seconds);
	else if (rc == SQLITE_NOMEM && db->limits)
		err_set(err, ERR_INTERRUPTED, "the statement needed more than %lld MiB of memory",
			(long long)(db->limits->memory >> 20));
	else if (db->limits && db->denied[0])
		err_set(err, ERR_INVALID, "%s", db->denied);
	else if (rc == SQLITE_TOOBIG && db->limits)
		err_set(err, ERR_INTERRUPTED, "a value in the statement is longer than %d MiB",
			sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, -1) >> 20);
	else if (db->limits && !db->is_damaged)
		err_set(err, rc == SQLITE_ERROR ? ERR_INVALID : code, "%s", why);
	else
		err_set(err, code, "'%s': %s", db->path, why);
}

int db_fail(struct db *db, int rc, enum err_code code, struct err *err)
{
	/* What we put in breaks no constraint unless something is there that we never put in. */
	if (rc == SQLITE_NOTADB || (rc & 0xff) == SQLITE_CORRUPT ||
	    (rc & 0xff) == SQLITE_CONSTRAINT)
		db->is_damaged = true;
	tell(db, rc, code, err);
	if (!db->limits || db->is_damaged)
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
		db_fail(db, rc, ERR_FAILED, err);
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
	sqlite3_blob_close(db->blob);
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

	return rc == SQLITE_OK ? 0 : db_fail(db, rc, code_of(rc), err);
}

struct db_query *db_prepare(struct db *db, const char *sql, struct err *err)
{
	struct db_query *q = xcalloc(1, sizeof(*q));
	int rc;

	db->denied[0] = '\0';
	rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->stmt, &q->rest);
	q->db = db;
	if (rc == SQLITE_OK)
		return q;
	db_fail(db, rc, rc == SQLITE_ERROR ? ERR_INVALID : code_of(rc), err);
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

bool db_is_empty(const struct db_query *q)
{
	return !q->stmt;
}

bool db_only_reads(const struct db_query *q)
{
	return sqlite3_stmt_readonly(q->stmt);
}

int db_parameter_count(const struct db_query *q)
{
	return sqlite3_bind_parameter_count(q->stmt);
}

const char *db_parameter_name(const struct db_query *q, int at)
{
	return sqlite3_bind_parameter_name(q->stmt, at);
}

int db_error_offset(const struct db *db)
{
	return sqlite3_error_offset(db->handle);
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
	return rc == SQLITE_DONE ? 0 : db_fail(q->db, rc, code_of(rc), err);
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

const char *db_path(const struct db *db)
{
	return db->path;
}

/* A handle goes from row to row; one that has failed is of no more use. */
static bool move_blob(struct db *db, const char *table, const char *column, int64_t id)
{
	if (db->blob && sqlite3_blob_reopen(db->blob, id) == SQLITE_OK)
		return true;
	sqlite3_blob_close(db->blob);
	db->blob = NULL;
	return sqlite3_blob_open(db->handle, "main", table, column, id, 0, &db->blob) == SQLITE_OK;
}

bool db_read_value(struct db *db, const char *table, const char *column, int64_t id,
		   struct str *out)
{
	int len;

	str_clear(out);
	if (!move_blob(db, table, column, id))
		return false;
	len = sqlite3_blob_bytes(db->blob);
	str_reserve(out, (size_t)len);
	if (sqlite3_blob_read(db->blob, out->buf, len, 0) != SQLITE_OK)
		return false;
	out->len = (size_t)len;
	out->buf[len] = '\0';
	return true;
}

int64_t db_changes(const struct db *db)
{
	return sqlite3_changes64(db->handle);
}

int64_t db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
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
