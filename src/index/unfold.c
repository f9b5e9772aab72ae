#include "base/base.h"

#include "index/unfold.h"

#include "base/mem.h"
#include "model/history.h"

#include <math.h>

static void set_text(struct str *text, struct db_value *out)
{
	out->type = DB_TEXT;
	out->text = text->buf;
	out->len = text->len;
}

static void set_number(const struct json *doc, size_t token, struct str *text, struct db_value *out)
{
	size_t len;
	const char *raw = json_raw(doc, token, &len);

	if (json_int64(doc, token, &out->integer) == 0) {
		out->type = DB_INTEGER;
	} else if (json_is(doc, token, JSON_INTEGER)) {
		str_add(text, raw, len);
		set_text(text, out);
	} else if (json_real(doc, token, &out->real) == 0 && isfinite(out->real)) {
		out->type = DB_REAL;
	}
}

/* On one line, whatever the record looks like. */
static void set_json(const struct json *doc, size_t token, struct str *text, struct db_value *out)
{
	struct jsonw w = jsonw_begin(text, 0);
	struct str strict = STR_INIT;

	strict_json(doc, token, &strict);
	jsonw_raw(&w, strict.buf, strict.len);
	set_text(text, out);
	str_release(&strict);
}

void unfold_token(const struct json *doc, size_t token, struct str *text, struct db_value *out)
{
	*out = (struct db_value){ .type = DB_NULL };
	str_clear(text);
	if (token == JSON_NONE)
		return;
	switch (json_type(doc, token)) {
	case JSON_NULL:
	case JSON_NONFINITE:
		break;
	case JSON_FALSE:
	case JSON_TRUE:
		out->type = DB_INTEGER;
		out->integer = json_is(doc, token, JSON_TRUE);
		break;
	case JSON_INTEGER:
	case JSON_REAL:
		set_number(doc, token, text, out);
		break;
	case JSON_STRING:
		json_string(doc, token, text);
		set_text(text, out);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		set_json(doc, token, text, out);
		break;
	}
}

bool unfold_open(struct db *db, const struct db_value *id, struct str *text, struct info *info)
{
	struct err ignored = ERR_INIT;

	return id->type == DB_INTEGER && db_read_value(db, "record", "text", id->integer, text) &&
	       info_open(info, "record", text->buf, text->len, &ignored) == 0;
}

/* ---- th_value ---- */

/* The record that was asked about last: its trainings are mostly asked for one after the other. It
 * cannot change meanwhile, since a connection asks once. */
struct last_record {
	struct db *db;
	int64_t id; /* -1: none yet */
	struct str text;
	struct str out;
	struct info info;
	size_t *entries;
	size_t n;
	bool is_open;
};

static void forget(struct last_record *last)
{
	info_release(&last->info);
	last->info = (struct info)INFO_INIT;
	free(last->entries);
	last->entries = NULL;
	last->n = 0;
}

static void release_last(void *arg)
{
	struct last_record *last = arg;

	forget(last);
	str_release(&last->text);
	str_release(&last->out);
	free(last);
}

static void read_record(struct last_record *last, const struct db_value *id)
{
	if (last->id == id->integer)
		return;
	forget(last);
	last->id = id->integer;
	last->is_open = unfold_open(last->db, id, &last->text, &last->info);
	if (!last->is_open)
		return;
	last->entries = xcalloc(info_entry_count(&last->info) + 1, sizeof(*last->entries));
	for (size_t i = info_first_entry(&last->info); i != JSON_NONE;
	     i = info_next_entry(&last->info, i))
		last->entries[last->n++] = i;
}

/* Keys with dots between; "" is the token itself. */
static size_t find_path(const struct json *doc, size_t token, const char *path)
{
	while (*path && token != JSON_NONE) {
		size_t len = strcspn(path, ".");
		char *key = xstrndup(path, len);

		token = json_member(doc, token, key);
		free(key);
		path += len + (path[len] == '.');
	}
	return token;
}

static void value_of(void *arg, const struct db_value *args, struct db_value *out)
{
	struct last_record *last = arg;
	int64_t n = args[1].integer;
	size_t token;

	if (args[0].type != DB_INTEGER || args[1].type != DB_INTEGER || args[2].type != DB_TEXT)
		return;
	read_record(last, &args[0]);
	if (!last->is_open || n < 0 || (uint64_t)n > last->n)
		return;
	token = n ? last->entries[n - 1] : 0;
	token = find_path(&last->info.doc, token, args[2].text);
	unfold_token(&last->info.doc, token, &last->out, out);
}

/* ---- th_values ---- */

struct values {
	const struct json *doc;
	int64_t n;
	struct str path;
	struct str text;
	struct db_rows *rows;
};

static void add_row(struct values *values, size_t token)
{
	const struct db_value n = { .type = DB_INTEGER, .integer = values->n };
	struct db_value name = { .type = DB_NULL };
	struct db_value value;

	set_text(&values->path, &name);
	unfold_token(values->doc, token, &values->text, &value);
	db_rows_add(values->rows, &n);
	db_rows_add(values->rows, &name);
	db_rows_add(values->rows, &value);
}

/* No deeper than the parser lets a text be: JSON_MAX_DEPTH. */
static void add_values(struct values *values, size_t token)
{
	const struct json *doc = values->doc;
	size_t len = values->path.len;
	struct str name = STR_INIT;

	for (size_t key = json_first(doc, token); key != JSON_NONE;
	     key = json_next(doc, token, key)) {
		json_string(doc, key, &name);
		if (len)
			str_addch(&values->path, '.');
		str_add(&values->path, name.buf, name.len);
		if (json_is(doc, key + 1, JSON_OBJECT) && json_first(doc, key + 1) != JSON_NONE)
			add_values(values, key + 1);
		else
			add_row(values, key + 1);
		str_truncate(&values->path, len);
	}
	str_release(&name);
}

static void fill_values(struct db *db, const struct db_value *args, struct db_rows *rows)
{
	struct values values = { .path = STR_INIT, .text = STR_INIT, .rows = rows };
	struct info info = INFO_INIT;
	struct str text = STR_INIT;

	if (args[1].type == DB_TEXT && unfold_open(db, &args[0], &text, &info)) {
		values.doc = &info.doc;
		for (size_t i = info_first_entry(&info); i != JSON_NONE;
		     i = info_next_entry(&info, i)) {
			size_t member = info_entry_member(&info, i, args[1].text);

			values.n++;
			if (json_is(&info.doc, member, JSON_OBJECT))
				add_values(&values, member);
		}
	}
	info_release(&info);
	str_release(&text);
	str_release(&values.path);
	str_release(&values.text);
}

static const struct db_table values_table = {
	.name = "th_values",
	.columns = "n, name, value",
	.n_columns = 3,
	.n_args = 2,
	.fill = fill_values,
};

int unfold_add(struct db *db, struct err *err)
{
	struct last_record *last = xcalloc(1, sizeof(*last));
	const struct db_function value = {
		.name = "th_value",
		.n_args = 3,
		.fn = value_of,
		.arg = last,
		.release = release_last,
	};

	str_init(&last->text);
	str_init(&last->out);
	last->info = (struct info)INFO_INIT;
	last->db = db;
	last->id = -1;
	if (db_add_function(db, &value, err) < 0 || db_add_table(db, &values_table, err) < 0 ||
	    db_add_table(db, &unfold_parents, err) < 0)
		return -1;
	return 0;
}
