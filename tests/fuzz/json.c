/* The scanner in all modes, whole and streamed; what it accepts is printed and read again. */
#include "base/base.h"

#include "fuzz.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "sys/json.h"

#include <math.h>

static void check_real(double value)
{
	struct str text = STR_INIT;
	bool is_integer;
	double back;

	if (!isfinite(value))
		return;
	json_add_real(&text, value);
	back = strtod(text.buf, NULL);
	CHECK(json_is_number_text(text.buf, text.len, &is_integer) && !is_integer);
	CHECK(memcmp(&back, &value, sizeof(value)) == 0);
	str_release(&text);
}

/* A decoded string is UTF-8 and, printed and read, the same. */
static void check_string(const struct json *doc, size_t token)
{
	struct json again = JSON_INIT;
	struct err err = ERR_INIT;
	struct str text = STR_INIT;
	struct str printed = STR_INIT;
	struct str back = STR_INIT;

	json_string(doc, token, &text);
	CHECK(utf8_is_valid(text.buf, text.len));
	json_add_string(&printed, text.buf, text.len);
	CHECK(json_parse(&again, "again", printed.buf, printed.len, JSON_STRICT, &err) == 0);
	json_string(&again, 0, &back);
	CHECK(back.len == text.len && memcmp(back.buf, text.buf, text.len) == 0);
	json_release(&again);
	str_release(&text);
	str_release(&printed);
	str_release(&back);
}

static void check_token(const struct json *doc, size_t token, unsigned flags)
{
	const struct json_token *t = &doc->tokens[token];
	int64_t integer;
	double real;

	CHECK(t->start < t->end && t->end <= doc->len && t->next > token && t->next <= doc->n);
	CHECK(json_depth(doc, token) <= JSON_MAX_DEPTH);
	if (json_is(doc, token, JSON_STRING))
		check_string(doc, token);
	if (json_int64(doc, token, &integer) == 0)
		CHECK(json_is(doc, token, JSON_INTEGER));
	if (json_real(doc, token, &real) == 0)
		check_real(real);
	if (json_is(doc, token, JSON_OBJECT) && !(flags & JSON_DUPLICATES_OK))
		CHECK(json_duplicate_key(doc, token) == JSON_NONE);
	if (json_is(doc, token, JSON_NONFINITE))
		CHECK(flags & JSON_NONFINITE_OK);
}

static void check_print(const struct json *doc, unsigned flags, int indent)
{
	struct json again = JSON_INIT;
	struct err err = ERR_INIT;
	struct str text = STR_INIT;
	struct jsonw w = jsonw_begin(&text, indent);
	size_t len;
	const char *raw = json_raw(doc, 0, &len);

	jsonw_raw(&w, raw, len);
	CHECK(json_parse(&again, "again", text.buf, text.len, flags, &err) == 0);
	CHECK(again.n == doc->n);
	CHECK(json_equal(doc, 0, &again, 0) && json_equal(&again, 0, doc, 0));
	json_release(&again);
	str_release(&text);
}

struct items {
	const struct json *whole;
	size_t next; /* of the array in 'whole' */
	size_t list;
	size_t n;
};

static void take_item(void *arg, const struct json *doc, size_t item)
{
	struct items *items = arg;
	size_t len;
	size_t whole_len;
	const char *raw = json_raw(doc, item, &len);
	const char *whole;

	items->n++;
	if (!items->whole) /* the text may yet turn out to be wrong */
		return;
	CHECK(items->next != JSON_NONE);
	whole = json_raw(items->whole, items->next, &whole_len);
	CHECK(raw == whole && len == whole_len);
	CHECK(json_equal(doc, item, items->whole, items->next));
	items->next = json_next(items->whole, items->list, items->next);
}

/* 'whole': the same text by json_parse(), or NULL if it was refused with 'want'. */
static void check_stream(const char *text, size_t len, unsigned flags, const struct json *whole,
			 const struct err *want)
{
	struct items items = { .whole = whole, .next = JSON_NONE, .list = JSON_NONE };
	struct json_stream stream = { .key = "a", .item = take_item, .arg = &items };
	struct json doc = JSON_INIT;
	struct err err = ERR_INIT;
	int rc;

	if (whole)
		items.list = json_member(whole, 0, stream.key);
	if (items.list != JSON_NONE && json_is(whole, items.list, JSON_ARRAY))
		items.next = json_first(whole, items.list);
	rc = json_parse_stream(&doc, "t", text, len, flags, &stream, &err);
	CHECK((rc == 0) == (whole != NULL));
	CHECK(whole || strcmp(err.msg, want->msg) == 0);
	CHECK(items.next == JSON_NONE);
	json_release(&doc);
}

static bool check_mode(const char *text, size_t len, unsigned flags)
{
	struct json doc = JSON_INIT;
	struct err err = ERR_INIT;
	bool ok = json_parse(&doc, "t", text, len, flags, &err) == 0;

	if (ok) {
		CHECK(doc.n > 0 && doc.tokens[0].next == doc.n);
		for (size_t i = 0; i < doc.n; i++)
			check_token(&doc, i, flags);
		check_print(&doc, flags, 0);
		check_print(&doc, flags, 2);
	} else {
		CHECK(err.code == ERR_INVALID && has_prefix(err.msg, "t:"));
	}
	if (!(flags & JSON_DUPLICATES_OK))
		check_stream(text, len, flags, ok ? &doc : NULL, &err);
	json_release(&doc);
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	bool strict = check_mode(text, size, JSON_STRICT);
	bool nonfinite = check_mode(text, size, JSON_NONFINITE_OK);
	bool all = check_mode(text, size, JSON_NONFINITE_OK | JSON_DUPLICATES_OK);
	double real;

	CHECK(nonfinite || !strict);
	CHECK(all || !nonfinite);
	if (size >= sizeof(real)) {
		memcpy(&real, data, sizeof(real));
		check_real(real);
	}
	return 0;
}
