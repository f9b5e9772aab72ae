#include "base/base.h"

#include "index/schema.h"

/*
 * root       the artifact roots that this index is of
 * place      a part of a tree: the root itself (""), a directory directly below it ("exp_1"), or one
 *            below that ("exp_1/stage1_hrds"). 'sort' is the path so that bytes compare as walks go
 *            (index/place.h), 'seen' all that was looked at there with how it looked (index/seen.h).
 *            'is_live': what it holds is read from the files each time, its records here serve SQL
 *            alone. 'racy_since': ms since 1970 at which it was first seen so, while a change could
 *            still go unnoticed; NULL: it could not
 * record     what a stage directory holds; all that a history is made of again. 'text' is the record's,
 *            byte by byte, 'strict' the same with null for NaN and Infinity where they differ
 *            'at' is its turn in its place, 'runs' the count of its attempts, 'sum' tells whether what
 *            is read of it is what was written
 * entry, metric   of it what SQL is quick with; 'n' counts from 1, and the keys of objects in metrics
 *            are joined by dots
 * attempt    the runs of the journal that are in no record, each as "thhost.run/1"
 */
const char schema_sql[] =
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE root (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE);"
	"CREATE TABLE place (id INTEGER PRIMARY KEY, root INTEGER NOT NULL, path TEXT NOT NULL,"
	" sort BLOB NOT NULL, is_live INTEGER NOT NULL, racy_since INTEGER, seen BLOB NOT NULL,"
	" UNIQUE (root, sort));"
	"CREATE INDEX place_racy ON place (root) WHERE racy_since IS NOT NULL;"
	"CREATE INDEX place_live ON place (root, sort) WHERE is_live;"
	"CREATE TABLE record (id INTEGER PRIMARY KEY, place INTEGER NOT NULL, root INTEGER NOT "
	"NULL,"
	" at INTEGER NOT NULL, ref TEXT NOT NULL, exp TEXT, name TEXT NOT NULL, stage TEXT, "
	"dataset TEXT,"
	" error TEXT, error_code INTEGER, has_record INTEGER NOT NULL,"
	" record_stage TEXT, base_model TEXT, total_steps INTEGER, created TEXT, updated TEXT,"
	" final_checkpoint TEXT, strategy TEXT,"
	" runs INTEGER NOT NULL, sum INTEGER NOT NULL, text BLOB, strict TEXT);"
	"CREATE UNIQUE INDEX record_by_place ON record (place, at);"
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
