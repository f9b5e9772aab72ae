/* What a record derives from its entries, set right without an append. */
#include "base/base.h"

#include "model/info.h"

static size_t last_entry(const struct info *info)
{
	size_t last = JSON_NONE;

	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i))
		last = i;
	return last;
}

static void add_edit(const struct info *info, const char *key, const char *text, size_t len,
		     struct json_edit *edits, size_t *n)
{
	const struct json_token *old = &info->doc.tokens[json_member(&info->doc, 0, key)];

	edits[(*n)++] = (struct json_edit){ old->start, old->end - old->start, text, len };
}

static size_t collect(const struct info *info, int64_t total, char number[32],
		      struct json_edit edits[2])
{
	const struct json *doc = &info->doc;
	size_t last = last_entry(info);
	size_t n = 0;

	if (info_total_steps(info) != total) {
		snprintf(number, 32, "%lld", (long long)total);
		add_edit(info, "total_steps", number, strlen(number), edits, &n);
	}
	if (last != JSON_NONE) {
		size_t dataset = info_entry_member(info, last, "dataset");
		size_t len;
		const char *text = json_raw(doc, dataset, &len);

		if (!json_equal(doc, json_member(doc, 0, "last_dataset"), doc, dataset))
			add_edit(info, "last_dataset", text, len, edits, &n);
	}
	json_sort_edits(edits, n);
	return n;
}

int info_set_derived(const char *name, const struct str *old, struct str *out, struct err *err)
{
	struct info info = INFO_INIT;
	struct info_summary summary;
	struct json_edit edits[2];
	char number[32];
	size_t n = 0;
	int result = info_open(&info, name, old->buf, old->len, err);

	str_clear(out);
	if (result == 0)
		result = info_validate(&info, &summary, err);
	if (result == 0) {
		n = collect(&info, summary.total_steps, number, edits);
		if (n)
			json_splice(old->buf, old->len, edits, n, out);
	}
	info_release(&info);
	return result < 0 ? -1 : n > 0;
}
