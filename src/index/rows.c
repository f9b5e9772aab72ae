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
	[PUT_RECORD] =
		"INSERT INTO record (place, root, at, ref, exp, name, stage, dataset, error,"
		" error_code, has_record, text, strict, record_stage, base_model,"
		" total_steps, created, updated, final_checkpoint, strategy, runs, sum) VALUES"
		" (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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

/* ---- what was put in ---- */

/* No more than a check against what befalls files: eight bytes at a time. */
static uint64_t sum_bytes(uint64_t sum, const char *bytes, size_t len)
{
	const uint64_t prime = 0x9e3779b97f4a7c15u;
	uint64_t word;

	sum = (sum ^ len) * prime;
	for (; len >= sizeof(word); len -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		sum = (sum ^ word) * prime;
		sum ^= sum >> 32;
	}
	word = 0;
	memcpy(&word, bytes, len);
	sum = (sum ^ word) * prime;
	return sum ^ sum >> 32;
}

/* All that rows_read() gives back. */
static int64_t sum_of(const struct history *history, const struct strv *attempts)
{
	const struct stage_dir *dir = &history->dir;
	uint64_t sum =
		(history->has_record ? 1 : 0) | (history->has_text ? 2 : 0) | (dir->exp ? 4 : 0);
	int64_t out;

	sum = sum_bytes(sum, dir->exp ? dir->exp : "", dir->exp ? strlen(dir->exp) : 0);
	sum = sum_bytes(sum, dir->name, strlen(dir->name));
	sum = sum_bytes(sum, history->text.buf, history->text.len);
	for (size_t i = 0; i < attempts->n; i++)
		sum = sum_bytes(sum, attempts->v[i], strlen(attempts->v[i]));
	memcpy(&out, &sum, sizeof(out));
	return out;
}

/* ---- putting ---- */

struct putting {
	struct rows *rows;
	const struct history *history;
	struct strv attempts; /* as they are printed */
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

/* What is in the record is told by that. */
static void print_attempts(struct putting *p)
{
	const struct run_list *runs = &p->history->runs;

	for (size_t i = 0; i < runs->n; i++) {
		struct str text = STR_INIT;

		if (runs->v[i].state == RUN_RECORDED)
			continue;
		run_print(&runs->v[i], &text, 0);
		strv_push_take(&p->attempts, str_detach(&text));
	}
}

static int put_attempts(struct putting *p)
{
	for (size_t i = 0; i < p->attempts.n; i++) {
		struct db_query *q = statement(p->rows, PUT_ATTEMPT, p->err);

		if (!q)
			return -1;
		db_bind_int(q, 1, p->record);
		db_bind_int(q, 2, (int64_t)i + 1);
		db_bind_text(q, 3, p->attempts.v[i]);
		if (db_run(q, p->err) < 0)
			return -1;
	}
	return 0;
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
	db_bind_int(q, 21, (int64_t)p->attempts.n);
	db_bind_int(q, 22, sum_of(history, &p->attempts));
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
	struct putting p = { .rows = rows,
			     .history = history,
			     .attempts = STRV_INIT,
			     .doc = &history->info.doc,
			     .err = err };
	int result;

	print_attempts(&p);
	result = put_record(&p, where);
	if (result == 0)
		result = put_attempts(&p);
	if (result == 0 && history->has_text && !history->err.code)
		result = put_entries(&p);
	strv_release(&p.attempts);
	return result;
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

static int load_attempts(struct rows *rows, int64_t record, struct strv *out, struct err *err)
{
	struct db_query *q = statement(rows, GET_ATTEMPTS, err);
	int more = q ? 1 : -1;

	if (q)
		db_bind_int(q, 1, record);
	while (more > 0 && (more = db_step(q, err)) > 0)
		strv_push(out, db_text(q, 0, NULL) ? db_text(q, 0, NULL) : "");
	if (q)
		db_reset(q);
	return more;
}

static int parse_attempts(const struct strv *attempts, struct run_list *out, struct err *err)
{
	if (attempts->n)
		out->v = xcalloc(attempts->n, sizeof(*out->v));
	for (size_t i = 0; i < attempts->n; i++) {
		const char *text = attempts->v[i];

		run_init(&out->v[out->n]);
		if (run_parse("attempt", text, strlen(text), &out->v[out->n++], err) < 0)
			return -1;
	}
	return 0;
}

static int damaged(struct rows *rows, struct err *err)
{
	db_set_damaged(rows->db);
	return err_set(err, ERR_FAILED, "the index holds what was not put in");
}

static void read_text(struct db_query *q, struct history *out)
{
	size_t len;
	const char *text = db_blob(q, 4, &len);

	out->has_text = db_type(q, 4) != DB_NULL;
	if (text)
		str_add(&out->text, text, len);
}

static int read_all(struct rows *rows, struct db_query *q, struct history *out,
		    struct strv *attempts, struct err *err)
{
	struct err own = ERR_INIT;

	out->has_record = db_int(q, 3) != 0;
	read_text(q, out);
	if (db_int(q, 5) && load_attempts(rows, db_int(q, 0), attempts, err) < 0)
		return -1;
	if (sum_of(out, attempts) != db_int(q, 6) || parse_attempts(attempts, &out->runs, &own) < 0)
		return damaged(rows, err);
	if (out->has_text)
		info_open(&out->info, out->path, out->text.buf, out->text.len, &out->err);
	return 0;
}

int rows_read(struct rows *rows, struct db_query *q, const struct layout *layout,
	      struct history *out, struct err *err)
{
	const char *name = db_text(q, 2, NULL);
	struct strv attempts = STRV_INIT;
	int result;

	memset(out, 0, sizeof(*out));
	out->info = (struct info)INFO_INIT;
	str_init(&out->text);
	out->dir = (struct stage_dir)STAGE_DIR_INIT;
	if (!name)
		return damaged(rows, err);
	layout_fill(layout, &out->dir, db_text(q, 1, NULL), name, -1);
	out->path = path_join(out->dir.path, RECORD_NAME);
	result = read_all(rows, q, out, &attempts, err);
	strv_release(&attempts);
	return result;
}
