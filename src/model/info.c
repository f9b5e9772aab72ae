#include "base/base.h"

#include "model/info.h"

#include "base/mem.h"
#include "model/info_checker.h"

int info_open_stream(struct info *info, const char *name, const char *text, size_t len,
		     const struct json_stream *stream, struct err *err)
{
	info->name = name;
	info->history = JSON_NONE;
	if (json_parse_stream(&info->doc, name, text, len, JSON_NONFINITE_OK | JSON_DUPLICATES_OK,
			      stream, err) < 0)
		return -1;
	if (!json_is(&info->doc, 0, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "%s:1: the record must be an object", name);
	info->history = json_member(&info->doc, 0, "training_history");
	if (info->history == JSON_NONE)
		return err_set(err, ERR_INVALID, "%s:1: 'training_history' is missing", name);
	if (!json_is(&info->doc, info->history, JSON_ARRAY))
		return err_set(err, ERR_INVALID, "%s:%zu: 'training_history' must be an array",
			       name, json_line(&info->doc, info->history));
	return 0;
}

int info_open(struct info *info, const char *name, const char *text, size_t len, struct err *err)
{
	return info_open_stream(info, name, text, len, NULL, err);
}

void info_release(struct info *info)
{
	json_release(&info->doc);
	*info = (struct info)INFO_INIT;
}

static int64_t integer_or_minus_one(const struct json *doc, size_t token)
{
	int64_t value;

	return json_int64(doc, token, &value) < 0 ? -1 : value;
}

char *info_string(const struct info *info, const char *key)
{
	return json_string_copy(&info->doc, json_member(&info->doc, 0, key));
}

char *info_head_string(const char *text, size_t len, const char *key)
{
	struct json doc = JSON_INIT;
	struct err cut = ERR_INIT; /* the text ends too early; the tokens before that are sound */
	char *found = NULL;

	json_parse(&doc, key, text, len, JSON_NONFINITE_OK | JSON_DUPLICATES_OK, &cut);
	if (!doc.n || !json_is(&doc, 0, JSON_OBJECT)) {
		json_release(&doc);
		return NULL;
	}
	for (size_t i = 1; !found && i + 1 < doc.n; i += 2) {
		if (json_is(&doc, i + 1, JSON_OBJECT) || json_is(&doc, i + 1, JSON_ARRAY))
			break;
		if (json_string_is(&doc, i, key))
			found = json_string_copy(&doc, i + 1);
	}
	json_release(&doc);
	return found;
}

int64_t info_total_steps(const struct info *info)
{
	return integer_or_minus_one(&info->doc, json_member(&info->doc, 0, "total_steps"));
}

size_t info_entry_count(const struct info *info)
{
	return info->doc.tokens[info->history].size;
}

size_t info_first_entry(const struct info *info)
{
	return json_first(&info->doc, info->history);
}

size_t info_next_entry(const struct info *info, size_t entry)
{
	return json_next(&info->doc, info->history, entry);
}

size_t info_entry_member(const struct info *info, size_t entry, const char *key)
{
	return json_member(&info->doc, entry, key);
}

char *info_entry_string(const struct info *info, size_t entry, const char *key)
{
	return json_string_copy(&info->doc, info_entry_member(info, entry, key));
}

int64_t info_entry_steps(const struct info *info, size_t entry)
{
	return integer_or_minus_one(&info->doc, info_entry_member(info, entry, "steps"));
}

bool info_entry_is_inherited(const struct info *info, size_t entry)
{
	return info_entry_member(info, entry, "inherited_from") != JSON_NONE;
}

size_t info_entry_find(const struct info *info, const char *run_id)
{
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i))
		if (json_string_is(&info->doc, info_entry_member(info, i, "run_id"), run_id))
			return i;
	return JSON_NONE;
}

size_t info_entry_same(const struct info *info, const struct entry *entry)
{
	struct str text = STR_INIT;
	struct jsonw w = jsonw_begin(&text, 0);
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	size_t found = JSON_NONE;

	entry_print(entry, &w);
	if (json_parse(&doc, "entry", text.buf, text.len, JSON_STRICT, &ignored) == 0) {
		found = info_first_entry(info);
		while (found != JSON_NONE && !json_equal(&info->doc, found, &doc, 0))
			found = info_next_entry(info, found);
	}
	json_release(&doc);
	str_release(&text);
	return found;
}
