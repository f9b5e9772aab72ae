#include "base/base.h"

#include "index/ask.h"

#include "base/mem.h"
#include "sys/json.h"

#include <errno.h>

void reply_release(struct reply *reply)
{
	size_t n = reply->n_rows * reply->columns.n;

	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)reply->values[i].text);
	free(reply->values);
	strv_release(&reply->columns);
	*reply = (struct reply)REPLY_INIT;
}

/* ---- parameters ---- */

static void bind_param(struct db_query *q, int at, const char *value)
{
	bool is_integer;
	char *end;

	if (json_is_number_text(value, strlen(value), &is_integer)) {
		long long integer;

		errno = 0;
		integer = strtoll(value, &end, 10);
		if (!is_integer || errno)
			db_bind_real(q, at, strtod(value, NULL));
		else
			db_bind_int(q, at, integer);
		return;
	}
	db_bind_text(q, at, value);
}

static const struct ask_param *find_param(const struct ask *what, const char *name)
{
	for (size_t i = what->n_params; i > 0; i--)
		if (strcmp(what->params[i - 1].name, name) == 0)
			return &what->params[i - 1];
	return NULL;
}

static bool has_parameter(const struct db_query *q, const char *name)
{
	for (int at = 1; at <= db_parameter_count(q); at++) {
		const char *there = db_parameter_name(q, at);

		if (there && strcmp(there + 1, name) == 0)
			return true;
	}
	return false;
}

static int bind_all(struct db_query *q, const struct ask *what, struct err *err)
{
	for (int at = 1; at <= db_parameter_count(q); at++) {
		const char *name = db_parameter_name(q, at);
		const struct ask_param *param;

		if (!name || name[0] == '?')
			return err_set(err, ERR_USAGE,
				       "a parameter needs a name: ':NAME', not '%s'",
				       name ? name : "?");
		param = find_param(what, name + 1);
		if (!param) {
			err_set(err, ERR_USAGE, "parameter '%s' has no value", name);
			return err_hint(err, "'--param %s=VALUE' gives it one", name + 1);
		}
		bind_param(q, at, param->value);
	}
	for (size_t i = 0; i < what->n_params; i++)
		if (!has_parameter(q, what->params[i].name))
			return err_set(err, ERR_USAGE, "the statement has no parameter ':%s'",
				       what->params[i].name);
	return 0;
}

/* ---- rows ---- */

static int need_less(const struct ask *what, const char *of, struct err *err)
{
	return err_set(err, ERR_INTERRUPTED, "%s needed more than %lld MiB of memory", of,
		       (long long)(what->limits.memory >> 20));
}

static int read_value(struct db_query *q, int column, const struct ask *what, struct db_value *out,
		      struct err *err)
{
	const char *bytes = NULL;

	*out = (struct db_value){ .type = db_type(q, column) };
	switch (out->type) {
	case DB_NULL:
		break;
	case DB_INTEGER:
		out->integer = db_int(q, column);
		break;
	case DB_REAL:
		out->real = db_real(q, column);
		break;
	case DB_TEXT:
		bytes = db_text(q, column, &out->len);
		break;
	case DB_BLOB:
		bytes = db_blob(q, column, &out->len);
		if (!bytes && !out->len)
			bytes = "";
		break;
	}
	if (bytes)
		out->text = xstrndup(bytes, out->len);
	else if (out->type == DB_TEXT || out->type == DB_BLOB)
		return need_less(what, "the statement", err);
	return 0;
}

static int add_row(struct db_query *q, const struct ask *what, struct reply *out, struct err *err)
{
	size_t n = out->columns.n;
	size_t base = out->n_rows * n;

	if (base + n > out->cap) {
		out->cap = out->cap ? out->cap * 2 : 64 * n;
		out->values = xreallocarray(out->values, out->cap, sizeof(*out->values));
	}
	memset(&out->values[base], 0, n * sizeof(*out->values));
	out->n_rows++; /* now, so that what is read of it is released in any case */
	for (size_t i = 0; i < n; i++) {
		struct db_value *value = &out->values[base + i];

		if (read_value(q, (int)i, what, value, err) < 0)
			return -1;
		out->bytes += (int64_t)(sizeof(*value) + value->len);
	}
	return what->limits.memory && out->bytes > what->limits.memory
		       ? need_less(what, "the answer", err)
		       : 0;
}

static int read_rows(struct db_query *q, const struct ask *what, struct reply *out, struct err *err)
{
	int more;

	for (int i = 0; i < db_column_count(q); i++)
		strv_push(&out->columns, db_column_name(q, i));
	while ((more = db_step(q, err)) > 0) {
		if (out->n_rows == what->limit) {
			out->has_more = true;
			return 0;
		}
		if (add_row(q, what, out, err) < 0)
			return -1;
	}
	return more;
}

/* ---- the statement ---- */

/* Where the second statement begins; it is the one that is too much. */
static int refuse_second(const struct ask *what, const char *rest, int *fault, struct err *err)
{
	*fault = (int)(rest - what->sql);
	return err_set(err, ERR_USAGE, "a second statement is not allowed");
}

static struct db_query *compile(struct db *db, const struct ask *what, int *fault, struct err *err)
{
	struct db_query *q = db_prepare(db, what->sql, err);

	if (!q) {
		*fault = db_error_offset(db);
		if (err->code == ERR_INVALID)
			err->code = ERR_USAGE;
		return NULL;
	}
	if (*db_rest(q))
		refuse_second(what, db_rest(q), fault, err);
	else if (db_is_empty(q))
		err_set(err, ERR_USAGE, "there is no statement");
	else if (!db_only_reads(q))
		err_set(err, ERR_USAGE, "a statement can only read the views");
	else if (bind_all(q, what, err) == 0)
		return q;
	db_finish(q);
	return NULL;
}

int ask(struct db *db, struct ask *what, struct reply *out, int *fault, struct err *err)
{
	struct db_query *q;
	int result;

	*fault = -1;
	what->limits.views = view_names;
	what->limits.inner = what->inner;
	if (views_make(db, what->inner, err) < 0 || db_confine(db, &what->limits, err) < 0)
		return -1;
	q = compile(db, what, fault, err);
	if (!q)
		return -1;
	result = read_rows(q, what, out, err);
	db_finish(q);
	return result;
}
