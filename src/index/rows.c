#include "base/base.h"

#include "index/rows.h"

#include "base/map.h"
#include "base/mem.h"
#include "model/run_text.h"
#include "model/store.h"
#include "sys/path.h"

enum statement {
	PUT_RECORD,
	PUT_ENTRY,
	PUT_METRIC,
	ADD_METRIC,
	PUT_ATTEMPT,
	PUT_NAME,
	ALL_NAMES,
	DROP_METRICS,
	DROP_ENTRIES,
	DROP_ATTEMPTS,
	DROP_RECORDS,
	GET_ATTEMPTS,
	N_STATEMENTS,
};

#define OF_PLACE " WHERE record IN (SELECT id FROM record WHERE place = ?1)"

static const char *const texts[] = {
	[PUT_RECORD] = "INSERT INTO record (place, root, at, ref, exp, name, stage, dataset, error,"
		       " error_code, has_record, text, strict, record_stage, base_model,"
		       " total_steps, created, updated, final_checkpoint, strategy, runs) VALUES"
		       " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[PUT_ENTRY] = "INSERT INTO entry (record, n, dataset, steps, run_id, started, ended,"
		      " seconds, inherited_from, is_last) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[PUT_METRIC] = "INSERT OR REPLACE INTO metric (record, n, name, value) VALUES (?, ?, ?, ?)",
	[ADD_METRIC] = "INSERT OR IGNORE INTO metric (record, n, name, value) VALUES (?, ?, ?, ?)",
	[PUT_ATTEMPT] = "INSERT INTO attempt (record, n, json) VALUES (?, ?, ?)",
	[PUT_NAME] = "INSERT INTO name (name) VALUES (?)",
	[ALL_NAMES] = "SELECT id, name FROM name",
	[DROP_METRICS] = "DELETE FROM metric" OF_PLACE,
	[DROP_ENTRIES] = "DELETE FROM entry" OF_PLACE,
	[DROP_ATTEMPTS] = "DELETE FROM attempt" OF_PLACE,
	[DROP_RECORDS] = "DELETE FROM record WHERE place = ?1",
	[GET_ATTEMPTS] = "SELECT json FROM attempt WHERE record = ? ORDER BY n",
};

struct name {
	int64_t id;
	char text[];
};

struct rows {
	struct db *db;
	struct db_query *q[N_STATEMENTS];
	struct map names; /* of struct name */
	bool has_names;
	int64_t root;
};

struct rows *rows_open(struct db *db)
{
	struct rows *rows = xcalloc(1, sizeof(*rows));

	rows->db = db;
	return rows;
}

void rows_close(struct rows *rows)
{
	if (!rows)
		return;
	for (size_t i = 0; i < N_STATEMENTS; i++)
		db_finish(rows->q[i]);
	for (size_t i = 0; i < rows->names.n_slots; i++)
		free(rows->names.slots[i].value);
	map_release(&rows->names);
	free(rows);
}

static struct db_query *statement(struct rows *rows, enum statement which, struct err *err)
{
	if (!rows->q[which])
		rows->q[which] = db_prepare(rows->db, texts[which], err);
	return rows->q[which];
}

/* ---- names of metrics ---- */

static void keep_name(struct rows *rows, int64_t id, const char *text)
{
	size_t len = strlen(text);
	struct name *name;

	if (map_get(&rows->names, text))
		return; /* a second one with a NUL in it */
	name = xmalloc(sizeof(*name) + len + 1);
	name->id = id;
	memcpy(name->text, text, len + 1);
	map_put(&rows->names, name->text, name);
}

static int load_names(struct rows *rows, struct err *err)
{
	struct db_query *q = statement(rows, ALL_NAMES, err);
	int more = q ? 1 : -1;

	while (more > 0 && (more = db_step(q, err)) > 0)
		keep_name(rows, db_int(q, 0), db_text(q, 1, NULL));
	if (q)
		db_reset(q);
	rows->has_names = more == 0;
	return more;
}

/* The id of that name; -1 with 'err'. */
static int64_t name_id(struct rows *rows, const char *text, struct err *err)
{
	const struct name *name;
	struct db_query *q;

	if (!rows->has_names && load_names(rows, err) < 0)
		return -1;
	name = map_get(&rows->names, text);
	if (name)
		return name->id;
	q = statement(rows, PUT_NAME, err);
	if (!q)
		return -1;
	db_bind_text(q, 1, text);
	if (db_run(q, err) < 0)
		return -1;
	keep_name(rows, db_last_id(rows->db), text);
	return db_last_id(rows->db);
}

/* ---- putting ---- */

struct putting {
	struct rows *rows;
	const struct history *history;
	const struct json *doc;
	int64_t record;
	int64_t n; /* of the entry */
	struct err *err;
};

/* What SQL can compare: false for null, lists and objects. */
static bool bind_scalar(struct db_query *q, int at, const struct json *doc, size_t token,
			struct str *text)
{
	int64_t integer;
	double real;

	switch (json_type(doc, token)) {
	case JSON_FALSE:
	case JSON_TRUE:
		db_bind_int(q, at, json_is(doc, token, JSON_TRUE));
		return true;
	case JSON_INTEGER:
		if (json_int64(doc, token, &integer) == 0) {
			db_bind_int(q, at, integer);
			return true;
		}
		break;
	case JSON_STRING:
		json_string(doc, token, text);
		db_bind_text_n(q, at, text->buf, text->len);
		return true;
	case JSON_REAL:
	case JSON_NONFINITE:
		break;
	case JSON_NULL:
	case JSON_ARRAY:
	case JSON_OBJECT:
		return false;
	}
	if (json_real(doc, token, &real) < 0)
		return false;
	db_bind_real(q, at, real);
	return true;
}

static int put_metric(struct putting *p, enum statement how, const char *name, size_t token)
{
	struct db_query *q = statement(p->rows, how, p->err);
	struct str text = STR_INIT;
	int result = 0;

	if (!q)
		return -1;
	if (bind_scalar(q, 4, p->doc, token, &text)) {
		int64_t id = name_id(p->rows, name, p->err);

		db_bind_int(q, 1, p->record);
		db_bind_int(q, 2, p->n);
		db_bind_int(q, 3, id);
		result = id < 0 ? -1 : db_run(q, p->err);
	}
	db_reset(q);
	str_release(&text);
	return result;
}

/* 'prefix' ends with a dot, or is empty. Scalars of the outermost level first: a key that has the dot
 * in its own name wins, as it does in filters. */
static int put_metrics(struct putting *p, size_t object, const char *prefix, bool nested)
{
	int result = 0;

	for (size_t i = json_first(p->doc, object); i != JSON_NONE && result == 0;
	     i = json_next(p->doc, object, i)) {
		bool is_object = json_is(p->doc, i + 1, JSON_OBJECT);
		char *key;
		char *name;

		if (!*prefix && is_object != nested)
			continue;
		key = json_string_copy(p->doc, i);
		name = xstrf("%s%s%s", prefix, key, is_object ? "." : "");
		if (is_object)
			result = put_metrics(p, i + 1, name, nested);
		else
			result = put_metric(p, nested ? ADD_METRIC : PUT_METRIC, name, i + 1);
		free(name);
		free(key);
	}
	return result;
}

static void bind_nonnegative(struct db_query *q, int at, int64_t value)
{
	if (value >= 0)
		db_bind_int(q, at, value);
}

static int put_entry(struct putting *p, size_t entry, bool is_last)
{
	static const char *const keys[] = { "dataset", "run_id", "start_time", "end_time",
					    "inherited_from" };
	static const int columns[] = { 3, 5, 6, 7, 9 };
	const struct info *info = &p->history->info;
	struct db_query *q = statement(p->rows, PUT_ENTRY, p->err);
	char *words[ARRAY_SIZE(keys)];
	double seconds = entry_seconds(p->doc, entry);
	int result;

	if (!q)
		return -1;
	db_bind_int(q, 1, p->record);
	db_bind_int(q, 2, p->n);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		words[i] = info_entry_string(info, entry, keys[i]);
		db_bind_text(q, columns[i], words[i]);
	}
	bind_nonnegative(q, 4, info_entry_steps(info, entry));
	if (seconds >= 0)
		db_bind_real(q, 8, seconds);
	db_bind_int(q, 10, is_last);
	result = db_run(q, p->err);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		free(words[i]);
	return result;
}

static int put_entries(struct putting *p)
{
	const struct info *info = &p->history->info;
	size_t next;

	for (size_t i = info_first_entry(info); i != JSON_NONE; i = next) {
		size_t metrics = info_entry_member(info, i, "metrics");

		next = info_next_entry(info, i);
		p->n++;
		if (put_entry(p, i, next == JSON_NONE) < 0 ||
		    put_metrics(p, metrics, "", false) < 0 || put_metrics(p, metrics, "", true) < 0)
			return -1;
	}
	return 0;
}

static bool is_attempt(const struct run *run)
{
	return run->state != RUN_RECORDED;
}

static int64_t count_attempts(const struct history *history)
{
	int64_t n = 0;

	for (size_t i = 0; i < history->runs.n; i++)
		n += is_attempt(&history->runs.v[i]);
	return n;
}

static int put_attempts(struct putting *p)
{
	const struct run_list *runs = &p->history->runs;
	struct str text = STR_INIT;
	int64_t n = 0;
	int result = 0;

	for (size_t i = 0; i < runs->n && result == 0; i++) {
		struct db_query *q;

		if (!is_attempt(&runs->v[i]))
			continue;
		q = statement(p->rows, PUT_ATTEMPT, p->err);
		if (!q)
			return -1;
		str_clear(&text);
		run_print(&runs->v[i], &text, 0);
		db_bind_int(q, 1, p->record);
		db_bind_int(q, 2, ++n);
		db_bind_text_n(q, 3, text.buf, text.len);
		result = db_run(q, p->err);
	}
	str_release(&text);
	return result;
}

/* What the record says of itself. 'words' keep what is bound. */
static void bind_info(struct db_query *q, const struct history *history, struct str *strict,
		      char *words[6])
{
	static const char *const keys[] = { "stage", "base_model", "created_at", "last_updated",
					    "final_checkpoint" };
	static const int columns[] = { 14, 15, 17, 18, 19 };
	const struct info *info = &history->info;

	history_strict_json(history, strict);
	if (strict->len != history->text.len ||
	    memcmp(strict->buf, history->text.buf, strict->len) != 0)
		db_bind_text_n(q, 13, strict->buf, strict->len);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		words[i] = info_string(info, keys[i]);
		db_bind_text(q, columns[i], words[i]);
	}
	bind_nonnegative(q, 16, info_total_steps(info));
	words[5] = history_strategy(history);
	db_bind_text(q, 20, words[5]);
}

static int put_record(struct putting *p, const struct rows_where *where)
{
	const struct history *history = p->history;
	const struct stage_dir *dir = &history->dir;
	struct db_query *q = statement(p->rows, PUT_RECORD, p->err);
	struct str strict = STR_INIT;
	char *words[6] = { NULL };
	int result;

	if (!q)
		return -1;
	db_bind_int(q, 1, where->place);
	db_bind_int(q, 2, where->root);
	db_bind_int(q, 3, where->at);
	db_bind_text(q, 4, dir->ref);
	db_bind_text(q, 5, dir->exp);
	db_bind_text(q, 6, dir->name);
	db_bind_text(q, 7, dir->stage);
	db_bind_text(q, 8, dir->dataset);
	if (history->err.code) {
		db_bind_text(q, 9, history->err.msg);
		db_bind_int(q, 10, history->err.code);
	}
	db_bind_int(q, 11, history->has_record);
	if (history->has_text)
		db_bind_blob(q, 12, history->text.buf, history->text.len);
	if (history->has_text && !history->err.code)
		bind_info(q, history, &strict, words);
	db_bind_int(q, 21, count_attempts(history));
	result = db_run(q, p->err);
	p->record = db_last_id(p->rows->db);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		free(words[i]);
	str_release(&strict);
	return result;
}

int rows_put(struct rows *rows, const struct rows_where *where, const struct history *history,
	     struct err *err)
{
	struct putting p = {
		.rows = rows, .history = history, .doc = &history->info.doc, .err = err
	};

	if (put_record(&p, where) < 0 || put_attempts(&p) < 0)
		return -1;
	return history->has_text && !history->err.code ? put_entries(&p) : 0;
}

int rows_drop(struct rows *rows, int64_t place, struct err *err)
{
	for (enum statement i = DROP_METRICS; i <= DROP_RECORDS; i++) {
		struct db_query *q = statement(rows, i, err);

		if (!q)
			return -1;
		db_bind_int(q, 1, place);
		if (db_run(q, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- and back ---- */

static int read_attempts(struct rows *rows, int64_t record, size_t n, struct run_list *out,
			 struct err *err)
{
	struct db_query *q = statement(rows, GET_ATTEMPTS, err);
	int more;

	if (!q)
		return -1;
	out->v = xcalloc(n, sizeof(*out->v));
	db_bind_int(q, 1, record);
	while ((more = db_step(q, err)) > 0 && out->n < n) {
		size_t len;
		const char *text = db_text(q, 0, &len);

		run_init(&out->v[out->n]);
		more = run_parse("attempt", text, len, &out->v[out->n], err);
		out->n++;
		if (more < 0)
			break;
	}
	db_reset(q);
	return more < 0 ? -1 : 0;
}

int rows_read(struct rows *rows, struct db_query *q, const struct layout *layout,
	      struct history *out, struct err *err)
{
	int64_t record = db_int(q, 0);
	int64_t n_runs = db_int(q, 5);
	const char *text;
	size_t len;

	memset(out, 0, sizeof(*out));
	out->info = (struct info)INFO_INIT;
	str_init(&out->text);
	out->dir = (struct stage_dir)STAGE_DIR_INIT;
	layout_fill(layout, &out->dir, db_text(q, 1, NULL), db_text(q, 2, NULL), -1);
	out->path = path_join(out->dir.path, RECORD_NAME);
	out->has_record = db_int(q, 3) != 0;
	out->has_text = db_type(q, 4) != DB_NULL;
	if (out->has_text) {
		text = db_blob(q, 4, &len);
		str_add(&out->text, text, len);
		info_open(&out->info, out->path, out->text.buf, out->text.len, &out->err);
	}
	return n_runs > 0 ? read_attempts(rows, record, (size_t)n_runs, &out->runs, err) : 0;
}
