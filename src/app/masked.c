#include "base/base.h"

#include "app/masked.h"

#include "capture/secrets.h"
#include "sys/json.h"

struct masker {
	const struct json *doc;
	const struct strv *patterns;
	bool strict;
	size_t from; /* what of the text is not copied yet */
	struct str *out;
};

static void replace(struct masker *m, size_t token, const char *text)
{
	const struct json_token *at = &m->doc->tokens[token];

	str_add(m->out, m->doc->text + m->from, at->start - m->from);
	str_adds(m->out, text);
	m->from = at->end;
}

static void mask_string(struct masker *m, size_t token, bool is_secret)
{
	struct str text = STR_INIT;
	struct str masked = STR_INIT;
	struct str json = STR_INIT;

	json_string(m->doc, token, &text);
	if (!is_secret)
		secrets_mask_text(text.buf, &masked);
	else if (text.len)
		str_adds(&masked, "***");
	if (strlen(text.buf) == text.len && strcmp(text.buf, masked.buf) != 0) {
		json_add_string(&json, masked.buf, masked.len);
		replace(m, token, json.buf);
	}
	str_release(&text);
	str_release(&masked);
	str_release(&json);
}

static void mask_value(struct masker *m, size_t token, bool is_secret)
{
	bool is_object = json_is(m->doc, token, JSON_OBJECT);

	if (json_is(m->doc, token, JSON_STRING))
		mask_string(m, token, is_secret);
	else if (m->strict && json_is(m->doc, token, JSON_NONFINITE))
		replace(m, token, "null");
	if (!is_object && !json_is(m->doc, token, JSON_ARRAY))
		return;
	for (size_t i = json_first(m->doc, token); i != JSON_NONE;
	     i = json_next(m->doc, token, i)) {
		char *key = is_object ? json_string_copy(m->doc, i) : NULL;

		mask_value(m, is_object ? i + 1 : i,
			   is_secret || (key && secrets_is_name(key, m->patterns)));
		free(key);
	}
}

int masked_json(const char *json, const struct conf *conf, bool strict, struct str *out,
		struct err *err)
{
	struct json doc = JSON_INIT;
	struct strv patterns = STRV_INIT;
	struct masker m = { .doc = &doc, .patterns = &patterns, .strict = strict, .out = out };
	size_t len = strlen(json);
	int result;

	conf_list(conf, "record.mask", &patterns);
	result =
		json_parse(&doc, "reading", json, len, JSON_NONFINITE_OK | JSON_DUPLICATES_OK, err);
	if (result == 0) {
		mask_value(&m, 0, false);
		str_add(out, json + m.from, len - m.from);
	}
	strv_release(&patterns);
	json_release(&doc);
	return result;
}
