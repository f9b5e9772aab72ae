/* Collecting faults, and the rules that only info_check() applies. */
#include "base/base.h"

#include "model/info_checker.h"

#include "base/clock.h"
#include "base/mem.h"

void info_issues_release(struct info_issues *issues)
{
	for (size_t i = 0; i < issues->n; i++) {
		free(issues->v[i].path);
		free(issues->v[i].message);
	}
	free(issues->v);
	*issues = (struct info_issues)INFO_ISSUES_INIT;
}

static void keep_issue(struct info_issues *issues, struct info_issue issue)
{
	if (issues->n == INFO_MAX_ISSUES) {
		free(issue.path);
		free(issue.message);
		return;
	}
	if (issues->n == issues->cap) {
		issues->cap = issues->cap ? issues->cap * 2 : 16;
		issues->v = xreallocarray(issues->v, issues->cap, sizeof(*issues->v));
	}
	issues->v[issues->n++] = issue;
}

void checker_keep_open_error(struct info_issues *issues, const char *name, const struct err *err)
{
	const char *message = has_prefix(err->msg, name) ? err->msg + strlen(name) : err->msg;
	char *rest = NULL;
	size_t line = 1;

	if (*message == ':') {
		line = (size_t)strtoul(message + 1, &rest, 10);
		message = rest + strspn(rest, ": ");
	}
	keep_issue(issues, (struct info_issue){ .code = "json",
						.is_error = true,
						.line = line,
						.path = xstrdup(""),
						.message = xstrdup(message) });
}

/* As json_line(), going on from the last place asked for where that lies before. */
static size_t line_of(struct checker *c, size_t token)
{
	const char *at = c->doc->text + c->doc->tokens[token].start;

	if (at < c->line_end) {
		c->line = 1;
		c->line_end = c->doc->text;
	}
	while ((c->line_end = memchr(c->line_end, '\n', (size_t)(at - c->line_end)))) {
		c->line_end++;
		c->line++;
	}
	c->line_end = at;
	return c->line;
}

void checker_report(struct checker *c, enum level level, const char *code, size_t token, char *path,
		    const char *fmt, ...)
{
	struct str message = STR_INIT;
	va_list args;

	if (level == ERROR)
		c->summary->n_errors++;
	else
		c->summary->n_warnings++;
	str_addf(&message, "'%s' ", path);
	va_start(args, fmt);
	str_vaddf(&message, fmt, args);
	va_end(args);
	if (c->issues) {
		keep_issue(c->issues, (struct info_issue){ .code = code,
							   .is_error = level == ERROR,
							   .line = line_of(c, token),
							   .path = path,
							   .message = str_detach(&message) });
		return;
	}
	if (level == ERROR && c->summary->n_errors == 1)
		err_set(c->err, ERR_INVALID, "%s:%zu: %s", c->info->name, line_of(c, token),
			message.buf);
	str_release(&message);
	free(path);
}

char *checker_entry_path(const struct checker *c, const char *key)
{
	return key ? xstrf("training_history[%zu].%s", c->index, key)
		   : xstrf("training_history[%zu]", c->index);
}

/* ---- a closer look ---- */

static void check_time(struct checker *c, size_t value, char *path)
{
	char *text = json_string_copy(c->doc, value);
	double seconds;

	if (text && clock_parse(text, &seconds, NULL) < 0)
		checker_report(c, WARNING, "time", value, path, "is no ISO 8601 time");
	else
		free(path);
	free(text);
}

/* The path of token 'target' inside 'token', appended to 'path'. */
static void add_path(const struct json *doc, size_t token, size_t target, struct str *path)
{
	while (token != target) {
		bool is_object = json_is(doc, token, JSON_OBJECT);
		size_t item = json_first(doc, token);
		size_t position = 0;
		char *key;

		while (doc->tokens[is_object ? item + 1 : item].next <= target) {
			item = json_next(doc, token, item);
			position++;
		}
		if (is_object) {
			key = json_string_copy(doc, item);
			str_addf(path, "%s%s", path->len ? "." : "", key);
			free(key);
		} else {
			str_addf(path, "[%zu]", position);
		}
		if (is_object && item == target)
			return;
		token = is_object ? item + 1 : item;
	}
}

/* An issue too many is counted only: its path, which takes a search, is not worked out. */
static char *path_within(const struct checker *c, const char *prefix, size_t token, size_t target)
{
	struct str path = STR_INIT;

	if (c->issues->n == INFO_MAX_ISSUES)
		return xstrdup(prefix);
	str_adds(&path, prefix);
	add_path(c->doc, token, target, &path);
	return str_detach(&path);
}

/* NaN and repeated keys anywhere in 'value'. */
static void check_inside(struct checker *c, size_t value, const char *prefix)
{
	for (size_t i = value; i < c->doc->tokens[value].next; i++) {
		size_t repeated = json_duplicate_key(c->doc, i);

		if (json_is(c->doc, i, JSON_NONFINITE))
			checker_report(c, WARNING, "nonfinite", i, path_within(c, prefix, value, i),
				       "is not finite, which is no JSON");
		if (repeated != JSON_NONE)
			checker_report(c, WARNING, "duplicate", repeated,
				       path_within(c, prefix, value, repeated),
				       "is there more than once");
	}
}

static void check_order_of_times(struct checker *c, const size_t *values)
{
	char *start = json_string_copy(c->doc, values[START_TIME]);
	char *end = json_string_copy(c->doc, values[END_TIME]);
	double seconds;

	if (start && end && clock_between(start, end, &seconds) == 0 && seconds < 0)
		checker_report(c, WARNING, "time", values[END_TIME],
			       checker_entry_path(c, "end_time"), "is before start_time");
	free(start);
	free(end);
}

static void check_attempt(struct checker *c, size_t attempt, const char *path)
{
	static const char *const times[] = { "start_time", "end_time" };

	checker_check_type(c, WARNING, attempt, attempt, xstrdup(path), "an object", true);
	if (!json_is(c->doc, attempt, JSON_OBJECT))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		size_t value = json_member(c->doc, attempt, times[i]);

		checker_check_type(c, WARNING, attempt, value, xstrf("%s.%s", path, times[i]),
				   "a string", true);
		check_time(c, value, xstrf("%s.%s", path, times[i]));
	}
	checker_check_type(c, WARNING, attempt, json_member(c->doc, attempt, "outcome"),
			   xstrf("%s.outcome", path), "a string", true);
}

static void check_attempts(struct checker *c, size_t attempts)
{
	size_t position = 0;

	if (!json_is(c->doc, attempts, JSON_ARRAY))
		return;
	for (size_t i = json_first(c->doc, attempts); i != JSON_NONE;
	     i = json_next(c->doc, attempts, i)) {
		char *inner = xstrf("attempts[%zu]", position++);
		char *path = checker_entry_path(c, inner);

		check_attempt(c, i, path);
		free(path);
		free(inner);
	}
}

void checker_look_into_entry(struct checker *c, size_t entry)
{
	static const struct {
		const char *name;
		const char *wanted;
	} unusual[] = {
		{ "run_id", "a string" },
		{ "status", "a string" },
		{ "inherited_from", "a string" },
		{ "nonfinite", "an object" },
		{ "parents", "an array" },
		{ "tags", "an array" },
		{ "notes", "a string" },
		{ "raw_hyperparams", "an object" },
		{ "best", "an object" },
		{ "evidence", "an object" },
		{ "taken_from", "an object" },
		{ "attempts", "an array" },
		{ "base_model_digest", "a string" },
	};
	const size_t *values = c->entry;
	char *prefix = checker_entry_path(c, NULL);

	check_time(c, values[START_TIME], checker_entry_path(c, "start_time"));
	check_time(c, values[END_TIME], checker_entry_path(c, "end_time"));
	check_order_of_times(c, values);
	if (json_is(c->doc, values[METRICS], JSON_OBJECT) &&
	    json_depth(c->doc, values[METRICS]) > INFO_METRICS_DEPTH)
		checker_report(c, ERROR, "depth", values[METRICS], checker_entry_path(c, "metrics"),
			       "is nested deeper than %d levels", INFO_METRICS_DEPTH);
	for (size_t i = 0; i < ARRAY_SIZE(unusual); i++)
		checker_check_type(c, WARNING, entry, json_member(c->doc, entry, unusual[i].name),
				   checker_entry_path(c, unusual[i].name), unusual[i].wanted,
				   false);
	check_attempts(c, json_member(c->doc, entry, "attempts"));
	check_inside(c, entry, prefix);
	free(prefix);
}

struct run {
	char *id;
	size_t token;
	size_t index;
};

static int compare_runs(const void *left, const void *right)
{
	const struct run *a = left;
	const struct run *b = right;
	int order = strcmp(a->id, b->id);

	if (order)
		return order;
	return a->index < b->index ? -1 : 1;
}

void checker_compare_run_ids(struct checker *c)
{
	struct run *runs = xcalloc(info_entry_count(c->info) + 1, sizeof(*runs));
	size_t n = 0;
	size_t index = 0;

	for (size_t i = info_first_entry(c->info); i != JSON_NONE;
	     i = info_next_entry(c->info, i)) {
		runs[n].token = info_entry_member(c->info, i, "run_id");
		runs[n].id = json_string_copy(c->doc, runs[n].token);
		runs[n].index = index++;
		n += runs[n].id != NULL;
	}
	if (n > 1)
		qsort(runs, n, sizeof(*runs), compare_runs);
	for (size_t i = 1; i < n; i++) {
		c->index = runs[i].index;
		if (strcmp(runs[i].id, runs[i - 1].id) == 0)
			checker_report(c, ERROR, "duplicate", runs[i].token,
				       checker_entry_path(c, "run_id"), "is that of entry %zu, too",
				       runs[i - 1].index);
	}
	for (size_t i = 0; i < n; i++)
		free(runs[i].id);
	free(runs);
}

/* ---- what the host derives ---- */

static bool same_time(const struct json *doc, size_t a, size_t b)
{
	char *text_a = json_string_copy(doc, a);
	char *text_b = json_string_copy(doc, b);
	double seconds;
	bool same = !text_a || !text_b || strcmp(text_a, text_b) == 0;

	if (!same && clock_between(text_a, text_b, &seconds) == 0)
		same = seconds > -1e-6 && seconds < 1e-6;
	free(text_a);
	free(text_b);
	return same;
}

void checker_compare_derived(struct checker *c)
{
	const size_t *last = c->entry;
	int64_t total;

	if (checker_is_count(c->doc, c->top[TOTAL_STEPS]) &&
	    json_int64(c->doc, c->top[TOTAL_STEPS], &total) == 0 &&
	    total != c->summary->total_steps)
		checker_report(c, ERROR, "derived", c->top[TOTAL_STEPS], xstrdup("total_steps"),
			       "is %lld, but the entries add up to %lld", (long long)total,
			       (long long)c->summary->total_steps);
	if (!c->summary->n_entries)
		return;
	if (json_is(c->doc, c->top[LAST_DATASET], JSON_STRING) && last[DATASET] != JSON_NONE &&
	    !json_equal(c->doc, c->top[LAST_DATASET], c->doc, last[DATASET]))
		checker_report(c, ERROR, "derived", c->top[LAST_DATASET], xstrdup("last_dataset"),
			       "is not the last entry's dataset");
	if (!same_time(c->doc, c->top[CREATED_AT], c->first_start))
		checker_report(c, WARNING, "derived", c->top[CREATED_AT], xstrdup("created_at"),
			       "is not the first entry's start_time");
	if (!same_time(c->doc, c->top[LAST_UPDATED], last[END_TIME]))
		checker_report(c, WARNING, "derived", c->top[LAST_UPDATED], xstrdup("last_updated"),
			       "is not the last entry's end_time");
}

/* Members of the top level besides the entries, which are looked at one by one. */
void checker_look_into_top(struct checker *c)
{
	check_time(c, c->top[CREATED_AT], xstrdup("created_at"));
	check_time(c, c->top[LAST_UPDATED], xstrdup("last_updated"));
	for (size_t i = json_first(c->doc, 0); i != JSON_NONE; i = json_next(c->doc, 0, i)) {
		char *key = json_string_copy(c->doc, i);

		if (i + 1 != c->info->history)
			check_inside(c, i + 1, key);
		free(key);
	}
}
