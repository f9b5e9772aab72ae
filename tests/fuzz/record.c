/* Any document as training_info.json: checked, skimmed, appended to. */
#include "base/base.h"

#include "fuzz.h"
#include "base/mem.h"
#include "model/info.h"

#define NAME "training_info.json"

static const char *const entries[] = {
	"{\"dataset\":\"hrds\",\"steps\":10,\"metrics\":{\"f1\":0.85},\"start_time\":\"2025-12-"
	"11T10:30:00\","
	"\"end_time\":\"2025-12-11T11:30:00\"}",
	"{\"dataset\":\"业务数据\",\"steps\":0,\"epochs\":1.50,\"metrics\":{\"val_loss\":NaN,"
	"\"per\":{\"t\":1}},"
	"\"hyperparams\":{\"lr\":2e-05},\"start_time\":\"2025-12-11T10:30:00+08:00\","
	"\"end_time\":\"2025-12-11T11:30:00+08:00\",\"run_id\":\"0199f6a0-7a3c-7c44-9c51-"
	"1b2f7f3f2a10\","
	"\"tags\":[\"a\",{\"b\":[]}]}",
	"{\"dataset\":\"d\",\"steps\":9223372036854775807,\"metrics\":{},\"start_time\":\"2025-12-"
	"11T10:30:00\","
	"\"end_time\":\"2025-12-11T11:30:00\"}",
};

static struct entry parsed[ARRAY_SIZE(entries)];

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		entry_init(&parsed[i]);
		CHECK(entry_parse("entry", entries[i], strlen(entries[i]), &parsed[i], &err) == 0);
		CHECK(entry_check(&parsed[i], &err) == 0);
	}
	return 0;
}

static void check_same_summary(const struct info_summary *a, const struct info_summary *b)
{
	CHECK(a->n_entries == b->n_entries && a->total_steps == b->total_steps);
	CHECK(a->n_errors == b->n_errors);
}

/* True if an append would take it; 'model' and 'stage' are what it must then agree with. */
static bool check_old(const struct str *old, struct info_summary *summary, char **model,
		      char **stage)
{
	struct info info = INFO_INIT;
	struct info skimmed = INFO_INIT;
	struct info_summary skim = { .n_entries = 0 };
	struct err err = ERR_INIT;
	struct err skim_err = ERR_INIT;
	char *const ids[] = { parsed[1].n_extras
				      ? (char[]){ "0199f6a0-7a3c-7c44-9c51-1b2f7f3f2a10" }
				      : NULL };
	bool found = false;
	struct info_skim_runs runs = { .ids = ids, .found = &found, .n = 1 };
	bool ok = info_open(&info, NAME, old->buf, old->len, &err) == 0 &&
		  info_validate(&info, summary, &err) == 0;
	bool skim_ok = info_skim(&skimmed, NAME, old->buf, old->len, &runs, &skim, &skim_err) == 0;

	CHECK(ok == skim_ok);
	if (ok) {
		check_same_summary(summary, &skim);
		CHECK(info_entry_count(&info) == summary->n_entries);
		CHECK(info_entry_count(&skimmed) == summary->n_entries);
		CHECK(found == (info_entry_find(&info, ids[0]) != JSON_NONE));
		*model = info_string(&info, "model_name");
		*stage = info_string(&info, "stage");
		CHECK(*model && *stage);
	} else {
		CHECK(err.code == ERR_INVALID && has_prefix(err.msg, NAME));
		CHECK(strcmp(err.msg, skim_err.msg) == 0);
	}
	info_release(&info);
	info_release(&skimmed);
	return ok;
}

static void check_issues(const struct str *text, bool can_append)
{
	struct info_issues issues = INFO_ISSUES_INIT;
	struct info_summary summary = { .n_entries = 0 };
	bool ok = info_check(NAME, text->buf, text->len, &issues, &summary);
	size_t errors = 0;

	for (size_t i = 0; i < issues.n; i++) {
		CHECK(issues.v[i].message && issues.v[i].path && issues.v[i].code);
		errors += issues.v[i].is_error;
	}
	CHECK(ok == (summary.n_errors == 0));
	CHECK(issues.n == INFO_MAX_ISSUES || errors == summary.n_errors);
	CHECK(can_append || !ok); /* all that an append insists on is an error here */
	info_issues_release(&issues);
}

/* Every old byte outside the edits stands where it must. */
static void check_kept(const struct str *old, const struct str *fresh,
		       const struct info_change *change)
{
	size_t at = 0;
	size_t out = 0;

	for (size_t i = 0; i < change->n; i++) {
		const struct json_edit *edit = &change->edits[i];

		CHECK(edit->start >= at && edit->start + edit->old_len <= old->len);
		CHECK(memcmp(fresh->buf + out, old->buf + at, edit->start - at) == 0);
		out += edit->start - at + edit->len;
		at = edit->start + edit->old_len;
	}
	CHECK(fresh->len - out == old->len - at);
	CHECK(memcmp(fresh->buf + out, old->buf + at, old->len - at) == 0);
}

static void check_new(const struct str *fresh, const struct info_summary *before,
		      const struct info_append *what, const struct info_summary *after)
{
	struct info info = INFO_INIT;
	struct info_summary summary = { .n_entries = 0 };
	struct err err = ERR_INIT;
	bool gets_base =
		what->additive && what->head.base_model; /* then the entry may get it, too */
	int64_t added = 0;

	CHECK(info_open(&info, NAME, fresh->buf, fresh->len, &err) == 0);
	CHECK(info_validate(&info, &summary, &err) == 0);
	CHECK(summary.n_entries == before->n_entries + after->n_added);
	CHECK(info_entry_count(&info) == summary.n_entries);
	if (after->n_added == what->n) {
		for (size_t i = 0; i < what->n; i++) {
			CHECK(gets_base || info_entry_same(&info, &what->entries[i]) != JSON_NONE);
			added += what->entries[i].steps;
		}
		CHECK(summary.total_steps == before->total_steps + added);
	}
	if (after->n_added) {
		CHECK(info_total_steps(&info) == summary.total_steps);
	}
	CHECK(after->total_steps == summary.total_steps);
	info_release(&info);
}

/* A second time: what has a run_id is there already. */
static void check_again(const struct str *fresh, const struct info_append *what)
{
	struct info_change change = INFO_CHANGE_INIT;
	struct info_summary after;
	struct err err = ERR_INIT;
	int rc = info_change_make(NAME, fresh, what, &change, &after, &err);

	CHECK(rc == 0 && after.already && after.n_added == 0 && change.n == 0);
	info_change_release(&change);
}

static void check_append(const struct str *old, const struct info_summary *before,
			 const struct info_append *what, bool has_id)
{
	struct info_change change = INFO_CHANGE_INIT;
	struct info_summary after = { .n_entries = 0 };
	struct info_summary again = { .n_entries = 0 };
	struct err err = ERR_INIT;
	struct str fresh = STR_INIT;
	struct str whole = STR_INIT;
	int rc = info_change_make(NAME, old, what, &change, &after, &err);

	CHECK(rc == 0 || err.code == ERR_INVALID || err.code == ERR_USAGE);
	if (rc == 0) {
		json_splice(old->buf, old->len, change.edits, change.n, &fresh);
		CHECK(fresh.len == change.len);
		check_kept(old, &fresh, &change);
		check_new(&fresh, before, what, &after);
		CHECK(info_append(NAME, old, what, &whole, &again, &err) == 0);
		CHECK(whole.len == fresh.len && memcmp(whole.buf, fresh.buf, fresh.len) == 0);
		if (has_id)
			check_again(&fresh, what);
	}
	info_change_release(&change);
	str_release(&fresh);
	str_release(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const head_keys[] = { "model_name", "stage", "base_model" };
	struct str old = STR_INIT;
	struct info_summary before = { .n_entries = 0 };
	char *model = NULL;
	char *stage = NULL;
	uint32_t hash = fuzz_hash(data, size);
	size_t variant = hash % (ARRAY_SIZE(entries) + 1);
	bool can_append;

	str_add(&old, (const char *)data, size);
	can_append = check_old(&old, &before, &model, &stage);
	check_issues(&old, can_append);
	free(info_head_string((const char *)data, hash % (size + 1), head_keys[hash % 3]));
	if (can_append) {
		/* the last variant: two at once */
		struct info_append what = {
			.head = { .model_name = model,
				  .stage = stage,
				  .final_checkpoint = hash & 16 ? "checkpoint-\"10\"" : NULL,
				  .base_model = hash & 32 ? "base" : NULL },
			.entries = variant < ARRAY_SIZE(entries) ? &parsed[variant] : parsed,
			.n = variant < ARRAY_SIZE(entries) ? 1 : 2,
			.additive = hash & 64,
		};

		check_append(&old, &before, &what, variant == 1);
	}
	free(model);
	free(stage);
	str_release(&old);
	return 0;
}
