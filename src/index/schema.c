#include "base/base.h"

#include "index/schema.h"

/*
 * root       the artifact roots that this index is of
 * place      what was looked at to know what a part of a tree holds, with how it looked then: a
 *            directory directly below a root, or one below that ("exp_1", "exp_1/stage1_hrds")
 * record     what a stage directory holds; all that a history is made of again. 'text' is the record's,
 *            byte by byte, 'strict' the same with null for NaN and Infinity where they differ
 * entry, metric   of it what SQL is quick with
 * attempt    the runs of the journal that are in no record, each as "thhost.run/1"
 */
const char schema_sql[] =
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE root (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE);"
	"CREATE TABLE place (id INTEGER PRIMARY KEY, root INTEGER NOT NULL, path TEXT NOT NULL,"
	" is_live INTEGER NOT NULL, seen BLOB NOT NULL, UNIQUE (root, path));"
	"CREATE TABLE record (id INTEGER PRIMARY KEY, place INTEGER NOT NULL, root INTEGER NOT "
	"NULL,"
	" at INTEGER NOT NULL, ref TEXT NOT NULL, exp TEXT, name TEXT NOT NULL, stage TEXT, "
	"dataset TEXT,"
	" error TEXT, error_code INTEGER, has_record INTEGER NOT NULL, text BLOB, strict TEXT,"
	" record_stage TEXT, base_model TEXT, total_steps INTEGER, created TEXT, updated TEXT,"
	" final_checkpoint TEXT, strategy TEXT);"
	"CREATE INDEX record_by_place ON record (place);"
	"CREATE INDEX record_by_ref ON record (ref);"
	"CREATE TABLE entry (record INTEGER NOT NULL, n INTEGER NOT NULL, dataset TEXT, steps "
	"INTEGER,"
	" run_id TEXT, started TEXT, ended TEXT, seconds REAL, inherited_from TEXT, is_last "
	"INTEGER NOT NULL,"
	" PRIMARY KEY (record, n)) WITHOUT ROWID;"
	"CREATE TABLE name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	"CREATE TABLE metric (record INTEGER NOT NULL, n INTEGER NOT NULL, name INTEGER NOT NULL, "
	"value,"
	" PRIMARY KEY (record, n, name)) WITHOUT ROWID;"
	"CREATE TABLE attempt (record INTEGER NOT NULL, n INTEGER NOT NULL, json TEXT NOT NULL,"
	" PRIMARY KEY (record, n)) WITHOUT ROWID;";

const char *const schema_views[] = {
	"models", "entries", "metrics", "params", "edges", "runs", "json_each", "json_tree", NULL,
};
