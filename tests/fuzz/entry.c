/* An entry as --json-input and the spool bring it; values of --metric and --param. */
#include "base/base.h"

#include "fuzz.h"
#include "app/fields.h"
#include "model/info.h"

static void print(const struct entry *entry, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 0);

	entry_print(entry, &w);
}

/* What was read prints as JSON, and that reads as the same. */
static void check_entry(const struct entry *entry)
{
	struct json doc = JSON_INIT;
	struct entry again = ENTRY_INIT;
	struct err err = ERR_INIT;
	struct str first = STR_INIT;
	struct str second = STR_INIT;

	entry_init(&again);
	print(entry, &first);
	CHECK(json_parse(&doc, "printed", first.buf, first.len, JSON_STRICT, &err) == 0);
	CHECK(entry_parse("printed", first.buf, first.len, &again, &err) == 0);
	print(&again, &second);
	CHECK(strcmp(first.buf, second.buf) == 0);
	entry_release(&again);
	json_release(&doc);
	str_release(&first);
	str_release(&second);
}

static void check_fields(const char *text, size_t size)
{
	struct fields *fields = fields_new();
	struct json doc = JSON_INIT;
	struct err err = ERR_INIT;
	struct str word = STR_INIT;
	struct str out = STR_INIT;

	str_add(&word, text, size);
	fields_merge(fields, "text", word.buf, &err);
	fields_set_metric(fields, word.buf, &err);
	fields_set_param(fields, word.buf, &err);
	fields_print(fields, &out);
	CHECK(json_parse(&doc, "fields", out.buf, out.len, JSON_NONFINITE_OK, &err) == 0);
	json_release(&doc);
	str_release(&word);
	str_release(&out);
	fields_free(fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct entry entry = ENTRY_INIT;
	struct err err = ERR_INIT;

	entry_init(&entry);
	if (entry_parse("entry", (const char *)data, size, &entry, &err) < 0)
		CHECK(err.code == ERR_INVALID && err.msg[0]);
	else if (entry_check(&entry, &err) == 0)
		check_entry(&entry);
	entry_release(&entry);
	check_fields((const char *)data, size);
	return 0;
}
