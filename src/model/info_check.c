/*
 * The rules of a record. info_validate() and info_check() walk the same way through the document;
 * the first keeps the first fault that forbids an append, the second collects all there is.
 */
#include "base/base.h"

#include "model/info.h"

#include "base/mem.h"
#include "model/info_checker.h"

static const char *const entry_names[] = {
	"dataset",    "steps",	  "epochs", "metrics",	      "hyperparams",
	"start_time", "end_time", "run_id", "inherited_from",
};

static const char *const top_names[] = {
	"model_name",	    "stage",	      "final_checkpoint", "base_model",
	"created_at",	    "last_updated",   "total_steps",	  "last_dataset",
	"training_history", "schema_version", "parents",
};

/*
 * The value tokens of the named members of 'object', JSON_NONE for absent ones. Members mostly come
 * in the order of the names, so each is first compared with the name after the last one found. The
 * result is the key of a name that is there once more, or JSON_NONE.
 */
static size_t find_members(const struct json *doc, size_t object, const char *const *names,
			   size_t n, size_t *values)
{
	size_t repeated = JSON_NONE;
	size_t likely = 0; /* at most n */

	for (size_t i = 0; i < n; i++)
		values[i] = JSON_NONE;
	for (size_t key = json_first(doc, object); key != JSON_NONE;
	     key = json_next(doc, object, key)) {
		for (size_t tried = 0; tried < n; tried++) {
			size_t name = likely + tried < n ? likely + tried : likely + tried - n;

			if (!json_string_is(doc, key, names[name]))
				continue;
			if (values[name] != JSON_NONE)
				repeated = key;
			values[name] = key + 1;
			likely = name + 1;
			break;
		}
	}
	return repeated;
}

static const char *type_name(const struct json *doc, size_t token)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",	       [JSON_FALSE] = "a boolean",
		[JSON_TRUE] = "a boolean",     [JSON_INTEGER] = "an integer",
		[JSON_REAL] = "a real number", [JSON_NONFINITE] = "not finite",
		[JSON_STRING] = "a string",    [JSON_ARRAY] = "an array",
		[JSON_OBJECT] = "an object",
	};

	return names[json_type(doc, token)];
}

bool checker_is_count(const struct json *doc, size_t token)
{
	int64_t value;

	return json_int64(doc, token, &value) == 0 && value >= 0;
}

#define COUNT_WORDS "an integer, 0 or more"

static bool fits(const struct json *doc, size_t token, const char *wanted)
{
	if (strcmp(wanted, COUNT_WORDS) == 0)
		return checker_is_count(doc, token);
	if (strcmp(wanted, "a string") == 0)
		return json_is(doc, token, JSON_STRING);
	if (strcmp(wanted, "an object") == 0)
		return json_is(doc, token, JSON_OBJECT);
	if (strcmp(wanted, "an array") == 0)
		return json_is(doc, token, JSON_ARRAY);
	if (strcmp(wanted, "a number or null") == 0)
		return json_is_number(doc, token) || json_is(doc, token, JSON_NULL);
	return json_is(doc, token, JSON_OBJECT) || json_is(doc, token, JSON_NULL);
}

/* A negative or a huge integer where a count is due. */
static bool is_misfit_count(const struct json *doc, size_t token, const char *wanted)
{
	return json_is(doc, token, JSON_INTEGER) && strcmp(wanted, COUNT_WORDS) == 0;
}

/* 'owner' is where a missing member should be. */
void checker_check_type(struct checker *c, enum level level, size_t owner, size_t value, char *path,
			const char *wanted, bool is_required)
{
	if (value == JSON_NONE && is_required)
		checker_report(c, level, "required", owner, path, "is missing");
	else if (value != JSON_NONE && !fits(c->doc, value, wanted))
		checker_report(c, level, "type", value, path, "must be %s, but is %s", wanted,
			       is_misfit_count(c->doc, value, wanted) ? "out of range"
								      : type_name(c->doc, value));
	else
		free(path);
}

/* ---- entries ---- */

static void add_steps(struct checker *c, size_t value)
{
	int64_t steps;

	if (json_int64(c->doc, value, &steps) < 0 || steps < 0)
		return;
	if (__builtin_add_overflow(c->summary->total_steps, steps, &c->summary->total_steps)) {
		c->summary->total_steps = INT64_MAX;
		checker_report(c, ERROR, "overflow", value, checker_entry_path(c, "steps"),
			       "makes a total that does not fit 64 bits");
	}
}

static void check_origin(struct checker *c, size_t entry, size_t inherited)
{
	if (inherited == JSON_NONE)
		c->seen_own = true;
	else if (c->seen_own)
		checker_report(c, ERROR, "order", entry, checker_entry_path(c, NULL),
			       "is inherited, but follows an entry that is not");
}

#define TYPE(type) (1u << (type))

static void check_entry(struct checker *c, size_t entry)
{
	static const struct {
		size_t name;
		const char *wanted;
		unsigned types; /* that fit whatever the value, for a quick answer */
		bool is_required;
	} rules[] = {
		{ DATASET, "a string", TYPE(JSON_STRING), true },
		{ STEPS, COUNT_WORDS, 0, true },
		{ EPOCHS, "a number or null", TYPE(JSON_NULL) | TYPE(JSON_REAL), false },
		{ METRICS, "an object", TYPE(JSON_OBJECT), true },
		{ HYPERPARAMS, "an object or null", TYPE(JSON_OBJECT), false },
		{ START_TIME, "a string", TYPE(JSON_STRING), true },
		{ END_TIME, "a string", TYPE(JSON_STRING), true },
	};
	size_t *values = c->entry;

	if (!json_is(c->doc, entry, JSON_OBJECT)) {
		checker_report(c, ERROR, "type", entry, checker_entry_path(c, NULL),
			       "must be an object, but is %s", type_name(c->doc, entry));
		return;
	}
	find_members(c->doc, entry, entry_names, N_ENTRY, values);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		size_t value = values[rules[i].name];

		if (value != JSON_NONE && rules[i].types & TYPE(json_type(c->doc, value)))
			continue;
		if (value == JSON_NONE ? rules[i].is_required
				       : !fits(c->doc, value, rules[i].wanted))
			checker_check_type(c, ERROR, entry, value,
					   checker_entry_path(c, entry_names[rules[i].name]),
					   rules[i].wanted, rules[i].is_required);
	}
	if (!c->index)
		c->first_start = values[START_TIME];
	add_steps(c, values[STEPS]);
	check_origin(c, entry, values[INHERITED]);
	if (c->issues)
		checker_look_into_entry(c, entry);
}

static void check_entries(struct checker *c)
{
	for (size_t i = info_first_entry(c->info); i != JSON_NONE;
	     i = info_next_entry(c->info, i)) {
		check_entry(c, i);
		c->index++;
	}
	c->summary->n_entries = c->index;
}

/* ---- the top level ---- */

/* 'known': the key of a member of ours that is there once more, or JSON_NONE. */
static void check_repeated_top(struct checker *c, size_t known)
{
	struct str key = STR_INIT;
	size_t repeated = known == JSON_NONE ? json_duplicate_key(c->doc, 0) : known;

	if (repeated == JSON_NONE)
		return;
	json_string(c->doc, repeated, &key);
	checker_report(c, known == JSON_NONE ? WARNING : ERROR, "duplicate", repeated,
		       str_detach(&key), "is there more than once");
}

static void check_version(struct checker *c)
{
	size_t value = c->top[SCHEMA_VERSION];
	int64_t version;

	if (value == JSON_NONE)
		return;
	if (json_int64(c->doc, value, &version) < 0 || version < 1)
		checker_report(c, ERROR, "version", value, xstrdup("schema_version"), "must be %d",
			       INFO_SCHEMA_VERSION);
	else if (version > INFO_SCHEMA_VERSION)
		checker_report(c, ERROR, "version", value, xstrdup("schema_version"),
			       "is %lld, but this thhost knows no version above %d",
			       (long long)version, INFO_SCHEMA_VERSION);
}

static void check_top(struct checker *c)
{
	size_t repeated = find_members(c->doc, 0, top_names, N_TOP, c->top);

	for (size_t i = 0; i <= LAST_DATASET; i++)
		checker_check_type(c, ERROR, 0, c->top[i], xstrdup(top_names[i]),
				   i == TOTAL_STEPS ? COUNT_WORDS : "a string", true);
	checker_check_type(c, ERROR, 0, c->top[PARENTS], xstrdup("parents"), "an array", false);
	check_version(c);
	check_repeated_top(c, repeated);
}

static void checker_begin(struct checker *c, const char *text)
{
	*c->summary = (struct info_summary){ 0 };
	c->doc = &c->info->doc;
	c->line = 1;
	c->line_end = text;
	c->first_start = JSON_NONE;
	for (size_t i = 0; i < N_ENTRY; i++)
		c->entry[i] = JSON_NONE;
}

static void run_checks(struct checker *c)
{
	checker_begin(c, c->info->doc.text);
	check_top(c);
	if (c->issues)
		checker_look_into_top(c);
	check_entries(c);
	if (!c->issues)
		return;
	checker_compare_derived(c);
	checker_compare_run_ids(c);
}

int info_validate(const struct info *info, struct info_summary *summary, struct err *err)
{
	struct checker c = { .info = info, .summary = summary, .err = err };

	run_checks(&c);
	return summary->n_errors ? -1 : 0;
}

/* ---- in passing ---- */

struct skim {
	struct checker checker;
	const struct info_skim_runs *runs;
};

static void skim_entry(void *arg, const struct json *doc, size_t entry)
{
	struct skim *skim = arg;
	const struct info_skim_runs *runs = skim->runs;

	skim->checker.entry[RUN_ID] = JSON_NONE;
	check_entry(&skim->checker, entry);
	skim->checker.index++;
	if (skim->checker.entry[RUN_ID] == JSON_NONE)
		return;
	for (size_t i = 0; i < runs->n; i++)
		if (runs->ids[i] && json_string_is(doc, skim->checker.entry[RUN_ID], runs->ids[i]))
			runs->found[i] = true;
}

/* True if there is no fault at all; what the first one is, info_validate() tells better. */
static bool skim_text(struct info *info, const char *name, const char *text, size_t len,
		      const struct info_skim_runs *runs, struct info_summary *summary)
{
	struct err first = ERR_INIT;
	struct skim skim = {
		.checker = { .info = info, .summary = summary, .err = &first },
		.runs = runs,
	};
	const struct json_stream stream = { "training_history", skim_entry, &skim };

	checker_begin(&skim.checker, text);
	if (info_open_stream(info, name, text, len, &stream, &first) < 0)
		return false;
	check_top(&skim.checker);
	summary->n_entries = skim.checker.index;
	return !summary->n_errors && summary->n_entries == info_entry_count(info);
}

int info_skim(struct info *info, const char *name, const char *text, size_t len,
	      const struct info_skim_runs *runs, struct info_summary *summary, struct err *err)
{
	if (skim_text(info, name, text, len, runs, summary))
		return 0;
	info_release(info);
	if (info_open(info, name, text, len, err) < 0 || info_validate(info, summary, err) < 0)
		return -1;
	/* not reached by tests: a fault of ours */
	return err_set(err, ERR_INTERNAL, "%s: two readings of it disagree", name);
}

bool info_check(const char *name, const char *text, size_t len, struct info_issues *issues,
		struct info_summary *summary)
{
	struct info info = INFO_INIT;
	struct checker c = { .info = &info, .summary = summary, .issues = issues };
	struct err err = ERR_INIT;

	if (info_open(&info, name, text, len, &err) < 0) {
		*summary = (struct info_summary){ .n_errors = 1 };
		checker_keep_open_error(issues, name, &err);
	} else {
		run_checks(&c);
	}
	info_release(&info);
	return !summary->n_errors;
}
