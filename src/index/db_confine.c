/*
 * Two fences: what compiles is decided by the authorizer, from lists of what is allowed; what runs is
 * stopped by a look at the clock and by SQLite's own limits of memory and sizes.
 */
#include "base/base.h"

#include "base/clock.h"
#include "index/db_part.h"

#define STEPS_PER_LOOK 20000  /* of SQLite's machine, between two looks at the clock: some 0.2 ms */
#define MAX_VALUE (1 << 27)   /* bytes: twice the longest record */
#define MAX_STATEMENT 1000000 /* bytes */

/* All that computes and does no more, in the order of their names. */
static const char *const functions[] = {
	"->",
	"->>",
	"abs",
	"acos",
	"acosh",
	"asin",
	"asinh",
	"atan",
	"atan2",
	"atanh",
	"avg",
	"ceil",
	"ceiling",
	"char",
	"coalesce",
	"cos",
	"cosh",
	"count",
	"cume_dist",
	"current_date",
	"current_time",
	"current_timestamp",
	"date",
	"datetime",
	"degrees",
	"dense_rank",
	"exp",
	"first_value",
	"floor",
	"format",
	"glob",
	"group_concat",
	"hex",
	"ifnull",
	"iif",
	"instr",
	"json",
	"json_array",
	"json_array_length",
	"json_extract",
	"json_group_array",
	"json_group_object",
	"json_insert",
	"json_object",
	"json_patch",
	"json_quote",
	"json_remove",
	"json_replace",
	"json_set",
	"json_type",
	"json_valid",
	"julianday",
	"lag",
	"last_value",
	"lead",
	"length",
	"like",
	"likelihood",
	"likely",
	"ln",
	"log",
	"log10",
	"log2",
	"lower",
	"ltrim",
	"max",
	"min",
	"mod",
	"nth_value",
	"ntile",
	"nullif",
	"percent_rank",
	"pi",
	"pow",
	"power",
	"printf",
	"quote",
	"radians",
	"random",
	"randomblob",
	"rank",
	"replace",
	"round",
	"row_number",
	"rtrim",
	"sign",
	"sin",
	"sinh",
	"sqlite_version",
	"sqrt",
	"strftime",
	"substr",
	"substring",
	"sum",
	"tan",
	"tanh",
	"time",
	"total",
	"trim",
	"trunc",
	"typeof",
	"unicode",
	"unixepoch",
	"unlikely",
	"upper",
	"zeroblob",
};

static int compare_names(const void *name, const void *at)
{
	return strcasecmp(name, *(const char *const *)at);
}

static bool is_view(const struct db *db, const char *name)
{
	for (size_t i = 0; name && db->limits->views[i]; i++)
		if (strcmp(db->limits->views[i], name) == 0)
			return true;
	return false;
}

PRINTF_LIKE(2, 3) static int deny(struct db *db, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(db->denied, sizeof(db->denied), fmt, args);
	va_end(args);
	return SQLITE_DENY;
}

/* Is it one of the views that read the tables? Nobody can know their names: a statement may call what
 * it makes itself (WITH) as it likes, and SQLite tells no difference. */
static bool is_inner(const struct db *db, const char *name)
{
	return name && has_prefix(name, db->limits->inner);
}

/*
 * A table may be read through an inner view alone: 'via' is the view that asks. Where no column is
 * read the rows of 'name' are counted, and 'via' may have been lost on the way: that is a part of a
 * view, or something that the statement itself makes. Of a table of ours it would tell the number of
 * its rows, and no more.
 */
static int authorize_read(struct db *db, const char *name, const char *column, const char *via)
{
	bool is_count = !column || !*column;

	if (is_inner(db, via) || is_inner(db, name) || is_view(db, name))
		return SQLITE_OK;
	if (is_count && !has_prefix(name, "sqlite_") && !has_prefix(name, "pragma_"))
		return SQLITE_OK;
	return deny(db, "'%.80s' is none of the views", name);
}

static int authorize_call(struct db *db, const char *name, const char *via)
{
	if (is_inner(db, via) ||
	    bsearch(name, functions, ARRAY_SIZE(functions), sizeof(functions[0]), compare_names))
		return SQLITE_OK;
	return deny(db, "function '%.80s' is not allowed", name);
}

/* DROP and ALTER begin with a look at what they change in the schema; a table function is entered there
 * when it is first named. */
static const char *word_of(int action, const char *table)
{
	if (table && has_prefix(table, "sqlite_"))
		return action == SQLITE_UPDATE ? "another table" : "a change of tables or views";
	switch (action) {
	case SQLITE_ATTACH:
		return "ATTACH";
	case SQLITE_DETACH:
		return "DETACH";
	case SQLITE_PRAGMA:
		return "PRAGMA";
	case SQLITE_INSERT:
		return "INSERT";
	case SQLITE_UPDATE:
		return "UPDATE";
	case SQLITE_DELETE:
		return "DELETE";
	case SQLITE_TRANSACTION:
	case SQLITE_SAVEPOINT:
		return "a transaction";
	case SQLITE_ANALYZE:
		return "ANALYZE";
	case SQLITE_REINDEX:
		return "REINDEX";
	default:
		return "a change of tables or views";
	}
}

static int authorize(void *arg, int action, const char *first, const char *second,
		     const char *database UNUSED, const char *via)
{
	struct db *db = arg;

	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		return authorize_call(db, second, via);
	case SQLITE_READ:
		return authorize_read(db, first, second, via);
	default:
		return deny(db, "%s is not allowed: a statement can only read the views",
			    word_of(action, first));
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
	sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, MAX_VALUE);
	sqlite3_limit(db->handle, SQLITE_LIMIT_SQL_LENGTH, MAX_STATEMENT);
	sqlite3_limit(db->handle, SQLITE_LIMIT_WORKER_THREADS, 0);
	sqlite3_progress_handler(db->handle, STEPS_PER_LOOK, look_at_clock, db);
	rc = sqlite3_set_authorizer(db->handle, authorize, db);
	return rc == SQLITE_OK ? 0 : db_fail(db, rc, ERR_FAILED, err);
}
