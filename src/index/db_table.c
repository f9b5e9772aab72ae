/*
 * A table function is a virtual table whose arguments are hidden columns: SQLite tells which of them
 * the statement sets, and a scan makes all rows at once.
 */
#include "base/base.h"

#include "base/mem.h"
#include "base/str.h"
#include "index/db_part.h"

#define MAX_ARGS 4

struct db_rows {
	struct db_value *v;
	size_t n;
	size_t cap;
};

struct table {
	sqlite3_vtab base; /* first, as SQLite wants it */
	const struct db_table *is;
	struct db *db;
};

/* What a connection is told of a table. */
struct known_table {
	const struct db_table *is;
	struct db *db;
};

struct cursor {
	sqlite3_vtab_cursor base;
	struct db_rows rows;
	size_t at; /* of the row's first value */
};

/* ---- values ---- */

static void from_sqlite(sqlite3_value *value, struct db_value *out)
{
	*out = (struct db_value){ .type = DB_NULL };
	switch (sqlite3_value_type(value)) {
	case SQLITE_INTEGER:
		out->type = DB_INTEGER;
		out->integer = sqlite3_value_int64(value);
		break;
	case SQLITE_FLOAT:
		out->type = DB_REAL;
		out->real = sqlite3_value_double(value);
		break;
	case SQLITE_TEXT:
		out->type = DB_TEXT;
		out->text = (const char *)sqlite3_value_text(value);
		out->len = (size_t)sqlite3_value_bytes(value);
		break;
	case SQLITE_BLOB:
		out->type = DB_BLOB;
		out->text = sqlite3_value_blob(value);
		out->len = (size_t)sqlite3_value_bytes(value);
		break;
	default:
		break;
	}
	/* SQLite had no memory for it, and says so itself. */
	if ((out->type == DB_TEXT || out->type == DB_BLOB) && !out->text)
		*out = (struct db_value){ .type = DB_NULL };
}

static void to_sqlite(const struct db_value *value, sqlite3_context *context)
{
	switch (value->type) {
	case DB_NULL:
		sqlite3_result_null(context);
		break;
	case DB_INTEGER:
		sqlite3_result_int64(context, value->integer);
		break;
	case DB_REAL:
		sqlite3_result_double(context, value->real);
		break;
	case DB_TEXT:
		sqlite3_result_text64(context, value->text, value->len, SQLITE_TRANSIENT,
				      SQLITE_UTF8);
		break;
	case DB_BLOB:
		sqlite3_result_blob64(context, value->text, value->len, SQLITE_TRANSIENT);
		break;
	}
}

/* ---- scalar functions ---- */

static void call(sqlite3_context *context, int n, sqlite3_value **values)
{
	const struct db_function *function = sqlite3_user_data(context);
	struct db_value args[MAX_ARGS];
	struct db_value out = { .type = DB_NULL };

	for (int i = 0; i < n; i++)
		from_sqlite(values[i], &args[i]);
	function->fn(function->arg, args, &out);
	to_sqlite(&out, context);
}

static void release_function(void *arg)
{
	struct db_function *function = arg;

	if (function->release)
		function->release(function->arg);
	free(function);
}

int db_add_function(struct db *db, const struct db_function *function, struct err *err)
{
	struct db_function *own = xmalloc(sizeof(*own));
	int rc;

	*own = *function;
	rc = sqlite3_create_function_v2(db->handle, function->name, function->n_args,
					SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, own,
					call, NULL, NULL, release_function);
	return rc == SQLITE_OK ? 0 : db_fail(db, rc, ERR_FAILED, err);
}

/* ---- tables ---- */

void db_rows_add(struct db_rows *rows, const struct db_value *value)
{
	struct db_value *own;

	if (rows->n == rows->cap) {
		rows->cap = rows->cap ? rows->cap * 2 : 64;
		rows->v = xreallocarray(rows->v, rows->cap, sizeof(*rows->v));
	}
	own = &rows->v[rows->n++];
	*own = *value;
	if (value->type == DB_TEXT || value->type == DB_BLOB)
		own->text = xstrndup(value->text, value->len);
	else
		own->text = NULL;
}

static void clear_rows(struct db_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		free((void *)(uintptr_t)rows->v[i].text);
	free(rows->v);
	*rows = (struct db_rows){ .v = NULL };
}

static int table_connect(sqlite3 *handle, void *arg, int argc UNUSED,
			 const char *const *argv UNUSED, sqlite3_vtab **out, char **message UNUSED)
{
	const struct known_table *known = arg;
	const struct db_table *is = known->is;
	struct str text = STR_INIT;
	struct table *table;
	int rc;

	str_addf(&text, "CREATE TABLE x(%s", is->columns);
	for (int i = 0; i < is->n_args; i++)
		str_addf(&text, ", argument_%d HIDDEN", i + 1);
	str_addch(&text, ')');
	rc = sqlite3_declare_vtab(handle, text.buf);
	str_release(&text);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_vtab_config(handle, SQLITE_VTAB_INNOCUOUS);
	table = xcalloc(1, sizeof(*table));
	table->is = is;
	table->db = known->db;
	*out = &table->base;
	return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *base)
{
	free((struct table *)(void *)base);
	return SQLITE_OK;
}

/* Every argument must be known when a scan begins; other conditions are SQLite's business. */
static int table_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
	const struct db_table *is = ((struct table *)(void *)base)->is;
	int found = 0;

	for (int i = 0; i < info->nConstraint; i++) {
		int arg = info->aConstraint[i].iColumn - is->n_columns;

		if (arg < 0 || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
			continue;
		if (!info->aConstraint[i].usable)
			return SQLITE_CONSTRAINT;
		info->aConstraintUsage[i].argvIndex = arg + 1;
		info->aConstraintUsage[i].omit = 1;
		found++;
	}
	if (found != is->n_args)
		return SQLITE_CONSTRAINT;
	/* A record is read whole; it has some ten values. */
	info->estimatedCost = 1000;
	info->estimatedRows = 20;
	return SQLITE_OK;
}

static int table_open(sqlite3_vtab *base UNUSED, sqlite3_vtab_cursor **out)
{
	struct cursor *cursor = xcalloc(1, sizeof(*cursor));

	*out = &cursor->base;
	return SQLITE_OK;
}

static int table_close(sqlite3_vtab_cursor *base)
{
	struct cursor *cursor = (struct cursor *)(void *)base;

	clear_rows(&cursor->rows);
	free(cursor);
	return SQLITE_OK;
}

static int table_filter(sqlite3_vtab_cursor *base, int number UNUSED, const char *text UNUSED,
			int n, sqlite3_value **values)
{
	struct cursor *cursor = (struct cursor *)(void *)base;
	const struct table *table = (const struct table *)(const void *)base->pVtab;
	struct db_value args[MAX_ARGS];

	for (int i = 0; i < n; i++)
		from_sqlite(values[i], &args[i]);
	clear_rows(&cursor->rows);
	cursor->at = 0;
	table->is->fill(table->db, args, &cursor->rows);
	return SQLITE_OK;
}

static int table_next(sqlite3_vtab_cursor *base)
{
	struct cursor *cursor = (struct cursor *)(void *)base;

	cursor->at += (size_t)((struct table *)(void *)base->pVtab)->is->n_columns;
	return SQLITE_OK;
}

static int table_eof(sqlite3_vtab_cursor *base)
{
	struct cursor *cursor = (struct cursor *)(void *)base;

	return cursor->at >= cursor->rows.n;
}

static int table_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
	struct cursor *cursor = (struct cursor *)(void *)base;

	if (column < ((struct table *)(void *)base->pVtab)->is->n_columns)
		to_sqlite(&cursor->rows.v[cursor->at + (size_t)column], context);
	return SQLITE_OK;
}

static int table_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
	*out = (sqlite3_int64)((struct cursor *)(void *)base)->at;
	return SQLITE_OK;
}

static const sqlite3_module module = {
	.iVersion = 0, /* without xCreate it needs no CREATE VIRTUAL TABLE, and allows none */
	.xConnect = table_connect,
	.xBestIndex = table_best_index,
	.xDisconnect = table_disconnect,
	.xOpen = table_open,
	.xClose = table_close,
	.xFilter = table_filter,
	.xNext = table_next,
	.xEof = table_eof,
	.xColumn = table_column,
	.xRowid = table_rowid,
};

int db_add_table(struct db *db, const struct db_table *table, struct err *err)
{
	struct known_table *known = xmalloc(sizeof(*known));
	int rc;

	*known = (struct known_table){ .is = table, .db = db };
	rc = sqlite3_create_module_v2(db->handle, table->name, &module, known, free);
	return rc == SQLITE_OK ? 0 : db_fail(db, rc, ERR_FAILED, err);
}
