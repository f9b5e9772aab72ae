#include "base/base.h"

#include "model/batch.h"

#include "base/mem.h"
#include "base/utf8.h"

/*
 * CSV as RFC 4180 has it: commas, '"' around what holds a comma, a quote (doubled) or a line's end.
 * Blanks around a plain field do not count.
 */
struct csv {
	const char *name;
	const char *p;
	const char *end;
	size_t line;
};

static struct batch_row *add_row(struct batch_rows *rows, size_t line)
{
	/* Powers of two: the first, and then whenever they are full. */
	if ((rows->n & (rows->n - 1)) == 0)
		rows->v = xreallocarray(rows->v, rows->n ? rows->n * 2 : 1, sizeof(*rows->v));
	rows->v[rows->n] = (struct batch_row){ .line = line };
	return &rows->v[rows->n++];
}

void batch_rows_release(struct batch_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		strv_release(&rows->v[i].keys);
		strv_release(&rows->v[i].values);
	}
	free(rows->v);
	*rows = (struct batch_rows){ .v = NULL };
}

static int refuse(const struct csv *csv, struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID, "%s:%zu: %s", csv->name, csv->line, what);
}

static bool at_line_end(const struct csv *csv)
{
	return csv->p == csv->end || *csv->p == '\n' ||
	       (*csv->p == '\r' && (csv->p + 1 == csv->end || csv->p[1] == '\n'));
}

static void skip_line_end(struct csv *csv)
{
	if (csv->p < csv->end && *csv->p == '\r')
		csv->p++;
	if (csv->p < csv->end)
		csv->p++;
	csv->line++;
}

static void skip_blanks(struct csv *csv)
{
	while (csv->p < csv->end && (*csv->p == ' ' || *csv->p == '\t'))
		csv->p++;
}

/* Behind the opening quote. */
static int take_quoted(struct csv *csv, struct str *field, struct err *err)
{
	size_t line = csv->line;

	for (; csv->p < csv->end; csv->p++) {
		if (*csv->p == '"' && (csv->p + 1 == csv->end || csv->p[1] != '"')) {
			csv->p++;
			skip_blanks(csv);
			if (at_line_end(csv) || *csv->p == ',')
				return 0;
			return refuse(csv, err, "expected ',' or the line's end after a quote");
		}
		csv->p += *csv->p == '"';
		csv->line += *csv->p == '\n';
		str_addch(field, *csv->p);
	}
	csv->line = line;
	return refuse(csv, err, "a quote has no end");
}

static int take_field(struct csv *csv, struct str *field, struct err *err)
{
	str_clear(field);
	skip_blanks(csv);
	if (csv->p < csv->end && *csv->p == '"') {
		csv->p++;
		return take_quoted(csv, field, err);
	}
	while (!at_line_end(csv) && *csv->p != ',')
		str_addch(field, *csv->p++);
	str_trim(field);
	return 0;
}

static int take_line(struct csv *csv, struct strv *fields, struct err *err)
{
	struct str field = STR_INIT;
	int result;

	for (;;) {
		result = take_field(csv, &field, err);
		if (result < 0)
			break;
		strv_push(fields, field.buf);
		if (at_line_end(csv))
			break;
		csv->p++; /* the comma */
	}
	if (result == 0)
		skip_line_end(csv);
	str_release(&field);
	return result;
}

/* Nothing but blanks, or a remark. */
static bool is_empty_line(const struct csv *csv)
{
	struct csv look = *csv;

	skip_blanks(&look);
	return at_line_end(&look) || *look.p == '#';
}

static void skip_empty_lines(struct csv *csv)
{
	while (csv->p < csv->end && is_empty_line(csv)) {
		while (!at_line_end(csv))
			csv->p++;
		skip_line_end(csv);
	}
}

static int check_titles(const struct csv *csv, const struct strv *titles, struct err *err)
{
	for (size_t i = 0; i < titles->n; i++) {
		if (!*titles->v[i])
			return refuse(csv, err, "a column has no name");
		for (size_t k = 0; k < i; k++)
			if (strcmp(titles->v[i], titles->v[k]) == 0)
				return err_set(err, ERR_INVALID,
					       "%s:%zu: the column '%s' is there twice", csv->name,
					       csv->line, titles->v[i]);
	}
	return 0;
}

static int take_row(struct csv *csv, const struct strv *titles, struct batch_rows *out,
		    struct err *err)
{
	struct batch_row *row = add_row(out, csv->line);
	struct strv fields = STRV_INIT;
	int result = take_line(csv, &fields, err);

	if (result == 0 && fields.n != titles->n)
		result = err_set(err, ERR_INVALID, "%s:%zu: %zu fields, but there are %zu columns",
				 csv->name, row->line, fields.n, titles->n);
	for (size_t i = 0; result == 0 && i < fields.n; i++)
		if (*fields.v[i]) {
			strv_push(&row->keys, titles->v[i]);
			strv_push(&row->values, fields.v[i]);
		}
	strv_release(&fields);
	return result;
}

/* Line by line, so that the message says where. */
static int check_bytes(const char *name, const char *text, size_t len, struct err *err)
{
	struct csv at = { .name = name, .p = text, .end = text + len, .line = 1 };

	for (; at.p < at.end; at.line++) {
		const char *newline = memchr(at.p, '\n', (size_t)(at.end - at.p));
		size_t n = newline ? (size_t)(newline - at.p) + 1 : (size_t)(at.end - at.p);

		if (memchr(at.p, '\0', n) || !utf8_is_valid(at.p, n))
			return refuse(&at, err, "not a text in UTF-8");
		at.p += n;
	}
	return 0;
}

static int read_csv(const char *name, const char *text, size_t len, struct batch_rows *out,
		    struct err *err)
{
	struct csv csv = { .name = name, .p = text, .end = text + len, .line = 1 };
	struct strv titles = STRV_INIT;
	int result = 0;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		csv.p += 3;
	if (check_bytes(name, text, len, err) < 0)
		return -1;
	skip_empty_lines(&csv);
	if (csv.p == csv.end)
		result = refuse(&csv, err, "expected a line with the names of the columns");
	if (result == 0)
		result = take_line(&csv, &titles, err);
	if (result == 0) {
		csv.line--; /* the titles' own */
		result = check_titles(&csv, &titles, err);
		csv.line++;
	}
	while (result == 0) {
		skip_empty_lines(&csv);
		if (csv.p == csv.end)
			break;
		result = take_row(&csv, &titles, out, err);
	}
	strv_release(&titles);
	return result;
}

/* ---- JSON ---- */

/* A scalar as text; NULL for null. -1: neither. */
static int scalar(const struct json *doc, size_t token, char **out)
{
	enum json_type type = json_type(doc, token);

	*out = NULL;
	if (type == JSON_NULL)
		return 0;
	if (type == JSON_ARRAY || type == JSON_OBJECT || type == JSON_NONFINITE)
		return -1;
	*out = type == JSON_STRING ? json_string_copy(doc, token) : json_raw_copy(doc, token);
	return *out ? 0 : -1;
}

static int take_members(const char *name, const struct json *doc, size_t object,
			struct batch_row *row, struct err *err)
{
	for (size_t key = json_first(doc, object); key != JSON_NONE;
	     key = json_next(doc, object, key)) {
		char *title = json_string_copy(doc, key);
		char *value;
		int result = title ? scalar(doc, key + 1, &value) : -1;

		if (result < 0)
			err_set(err, ERR_INVALID, "%s:%zu: '%s' must be a text, a number or a bool",
				name, json_line(doc, key + 1), title ? title : "");
		else if (value && *value) {
			strv_push(&row->keys, title);
			strv_push(&row->values, value);
		}
		free(title);
		if (result < 0)
			return -1;
		free(value);
	}
	return 0;
}

static int read_json(const char *name, const char *text, size_t len, struct batch_rows *out,
		     struct err *err)
{
	struct json doc = JSON_INIT;
	int result = json_parse(&doc, name, text, len, JSON_STRICT, err);

	if (result == 0 && !json_is(&doc, 0, JSON_ARRAY))
		result = err_set(err, ERR_INVALID, "%s:1: expected a list of objects", name);
	for (size_t i = result == 0 ? json_first(&doc, 0) : JSON_NONE;
	     i != JSON_NONE && result == 0; i = json_next(&doc, 0, i)) {
		if (json_is(&doc, i, JSON_OBJECT))
			result = take_members(name, &doc, i, add_row(out, json_line(&doc, i)), err);
		else
			result = err_set(err, ERR_INVALID, "%s:%zu: expected an object", name,
					 json_line(&doc, i));
	}
	json_release(&doc);
	return result;
}

int batch_read_trials(const char *name, const char *text, size_t len, struct batch_rows *out,
		      struct err *err)
{
	int result;

	*out = (struct batch_rows){ .v = NULL };
	if (has_suffix(name, ".json"))
		result = read_json(name, text, len, out, err);
	else
		result = read_csv(name, text, len, out, err);
	if (result == 0 && !out->n)
		result = err_set(err, ERR_INVALID, "%s:1: there are no trials", name);
	if (result < 0)
		batch_rows_release(out);
	return result;
}
