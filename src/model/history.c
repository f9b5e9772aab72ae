#include "base/base.h"

#include "model/history.h"

#include "base/clock.h"
#include "base/mem.h"
#include "model/store.h"
#include "sys/path.h"

#include <sys/stat.h>
#include <unistd.h>

static void read_record(struct history *history)
{
	struct err err = ERR_INIT;

	if (history->dir.fd < 0) {
		err_set(&history->err, ERR_FAILED, "%s: cannot be opened", history->path);
		return;
	}
	history->has_record = true;
	if (store_read(history->dir.fd, history->path, &history->text, &err) < 0) {
		history->has_record = err.code != ERR_NOT_FOUND;
		if (history->has_record)
			history->err = err;
		return;
	}
	history->has_text = true;
	if (info_open(&history->info, history->path, history->text.buf, history->text.len, &err) <
	    0)
		history->err = err;
}

void history_read_record_again(struct history *history)
{
	info_release(&history->info);
	str_clear(&history->text);
	history->err = (struct err)ERR_INIT;
	history->has_text = false;
	read_record(history);
}

/* Before the record: then the entry of a run that is said to be recorded must be there. */
static void read_runs(struct history *history, struct spool_elsewhere *elsewhere)
{
	int fd = history->dir.is_plain ? -1 : history->dir.fd;

	if (fd >= 0)
		journal_load(fd, &history->runs, &history->broken_runs, &history->unread);
	spool_list_with(fd, history->dir.path, elsewhere, &history->waiting, &history->unread);
	if (history->unread.code)
		err_prefix(&history->unread, "%s", history->dir.path);
}

void history_read_with(struct history *history, struct stage_dir *dir,
		       struct spool_elsewhere *elsewhere)
{
	memset(history, 0, sizeof(*history));
	history->dir = *dir;
	*dir = (struct stage_dir)STAGE_DIR_INIT;
	history->info = (struct info)INFO_INIT;
	str_init(&history->text);
	history->path = path_join(history->dir.path, RECORD_NAME);
	if (history->dir.fd >= 0)
		read_runs(history, elsewhere);
	read_record(history);
}

void history_read(struct history *history, struct stage_dir *dir)
{
	struct spool_elsewhere elsewhere = SPOOL_ELSEWHERE_INIT;

	history_read_with(history, dir, &elsewhere);
	spool_elsewhere_release(&elsewhere);
}

static void close_dead(struct history *history)
{
	size_t closed;

	if (history->dir.fd >= 0)
		journal_close_dead(history->dir.fd, &history->runs, &closed);
}

void history_load(struct history *history, struct stage_dir *dir)
{
	history_read(history, dir);
	close_dead(history);
}

void history_release(struct history *history)
{
	info_release(&history->info);
	str_release(&history->text);
	run_list_release(&history->runs);
	strv_release(&history->broken_runs);
	strv_release(&history->waiting);
	stage_dir_release(&history->dir);
	free(history->path);
}

void history_move(struct history *to, struct history *from)
{
	*to = *from;
	memset(from, 0, sizeof(*from));
	from->dir = (struct stage_dir)STAGE_DIR_INIT;
	from->info = (struct info)INFO_INIT;
	str_init(&from->text);
}

static bool has_dataset(const struct history *history, const char *dataset)
{
	const struct info *info = &history->info;

	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i))
		if (json_string_is(&info->doc, info_entry_member(info, i, "dataset"), dataset))
			return true;
	return false;
}

bool history_is_anything(const struct history *history)
{
	/* Only a .bak is left: nothing to list, and 'verify' tells of it. */
	return history->has_record || history->runs.n || history->broken_runs.n ||
	       history->waiting.n || history->err.code;
}

bool history_fits(const struct history *history, const struct history_filter *filter)
{
	char *stage;
	bool is_stage;

	if (!filter || history->err.code)
		return true; /* a broken record is never hidden */
	if (!history->has_record)
		return !filter->stage && !filter->dataset;
	stage = info_string(&history->info, "stage");
	is_stage = !filter->stage || (stage && strcmp(stage, filter->stage) == 0);
	free(stage);
	return is_stage && (!filter->dataset || has_dataset(history, filter->dataset));
}

struct each {
	const struct history_filter *filter;
	history_fn fn;
	void *arg;
	struct spool_elsewhere elsewhere;
};

void history_visit(struct history *history, struct stage_dir *dir,
		   struct spool_elsewhere *elsewhere, const struct err *err)
{
	history_read_with(history, dir, elsewhere);
	close_dead(history);
	if (history->dir.fd < 0 && err->code)
		history->err = *err;
	/* Open directories would run into the limit on descriptors; everything is read by now. */
	if (history->dir.fd >= 0) {
		int fd = history->dir.fd;

		history->dir.fd = -1;
		close(fd);
	}
}

static int visit(void *arg, struct stage_dir *dir, struct err *err)
{
	struct each *each = arg;
	struct history history;
	int result = 0;

	history_visit(&history, dir, &each->elsewhere, err);
	if (history_is_anything(&history) && history_fits(&history, each->filter))
		result = each->fn(each->arg, &history, err);
	history_release(&history);
	return result;
}

int histories_each(struct layout *layout, const char *exp, const struct history_filter *filter,
		   history_fn fn, void *arg, struct err *err)
{
	struct each each = {
		.filter = filter, .fn = fn, .arg = arg, .elsewhere = SPOOL_ELSEWHERE_INIT
	};
	int result = layout_walk(layout, exp, visit, &each, err);

	spool_elsewhere_release(&each.elsewhere);
	return result;
}

int histories_each_in(struct layout *layout, const char *part, const struct history_filter *filter,
		      history_fn fn, void *arg, struct err *err)
{
	struct each each = {
		.filter = filter, .fn = fn, .arg = arg, .elsewhere = SPOOL_ELSEWHERE_INIT
	};
	int result = layout_walk_part(layout, part, NULL, visit, &each, err);

	spool_elsewhere_release(&each.elsewhere);
	return result;
}

static int keep(void *arg, struct history *history, struct err *err UNUSED)
{
	struct histories *all = arg;

	if (all->n == all->cap) {
		all->cap = all->cap ? all->cap * 2 : 16;
		all->v = xreallocarray(all->v, all->cap, sizeof(*all->v));
	}
	history_move(&all->v[all->n++], history);
	return 0;
}

int histories_load(struct histories *all, struct layout *layout, const char *exp,
		   const struct history_filter *filter, struct err *err)
{
	memset(all, 0, sizeof(*all));
	return histories_each(layout, exp, filter, keep, all, err);
}

void histories_release(struct histories *all)
{
	for (size_t i = 0; i < all->n; i++)
		history_release(&all->v[i]);
	free(all->v);
	memset(all, 0, sizeof(*all));
}

char *history_newest_log(int stage_dirfd)
{
	struct run_list runs = { .n = 0 };
	struct err ignored = ERR_INIT;
	char *log = NULL;
	struct stat st;

	if (journal_load_newest(stage_dirfd, &runs, &ignored) == 0 && runs.n && runs.v[0].log &&
	    fstatat(stage_dirfd, runs.v[0].log, &st, 0) == 0)
		log = xstrdup(runs.v[0].log);
	run_list_release(&runs);
	return log;
}

bool run_is_outside(const struct run *run)
{
	return run->state != RUN_RECORDED && run->state != RUN_COMPLETED;
}

size_t history_outside(const struct history *history)
{
	size_t n = history->waiting.n;

	for (size_t i = 0; i < history->runs.n; i++)
		n += run_is_outside(&history->runs.v[i]);
	return n;
}

/* A run of the journal has measured it in milliseconds. */
static bool read_wall_ms(const struct json *doc, size_t object, double *seconds)
{
	int64_t ms;

	if (json_int64(doc, json_member(doc, object, "wall_ms"), &ms) < 0 || ms <= 0)
		return false;
	*seconds = (double)ms / 1e3;
	return true;
}

/* Measured, where 'measured' has a wall_s or 'object' a wall_ms, or from the times of 'object', which
 * are of whole seconds; negative: not told. */
static double seconds_of(const struct json *doc, size_t object, size_t measured)
{
	char *start = json_string_copy(doc, json_member(doc, object, "start_time"));
	char *end = json_string_copy(doc, json_member(doc, object, "end_time"));
	double seconds = -1;

	if (json_real(doc, json_member(doc, measured, "wall_s"), &seconds) < 0 &&
	    !read_wall_ms(doc, object, &seconds) &&
	    (!start || !end || clock_between(start, end, &seconds) < 0))
		seconds = -1;
	free(start);
	free(end);
	return seconds;
}

/* What attempts took together; negative where none of them tells. */
static double attempts_seconds(const struct json *doc, size_t attempts)
{
	double sum = -1;

	for (size_t i = json_first(doc, attempts); i != JSON_NONE;
	     i = json_next(doc, attempts, i)) {
		double seconds = json_is(doc, i, JSON_OBJECT) ? seconds_of(doc, i, i) : -1;

		if (seconds >= 0)
			sum = sum < 0 ? seconds : sum + seconds;
	}
	return sum;
}

/* An entry's attempts are all that there were, while its own times go beyond them and its usage falls
 * short; those of a run in the journal are what came before it. */
double entry_seconds(const struct json *doc, size_t entry)
{
	size_t attempts = json_member(doc, entry, "attempts");
	size_t earlier = json_member(doc, entry, "earlier_attempts");
	double before = json_is(doc, earlier, JSON_ARRAY) ? attempts_seconds(doc, earlier) : -1;
	double seconds = json_is(doc, attempts, JSON_ARRAY) ? attempts_seconds(doc, attempts) : -1;

	if (seconds < 0)
		seconds = seconds_of(doc, entry, json_member(doc, entry, "usage"));
	if (before < 0)
		return seconds;
	return seconds < 0 ? before : before + seconds;
}

size_t entry_attempts(const struct json *doc, size_t entry, size_t *n_interrupted)
{
	size_t attempts = json_member(doc, entry, "attempts");
	size_t n = 0;

	*n_interrupted = 0;
	if (!json_is(doc, attempts, JSON_ARRAY))
		return 1;
	for (size_t i = json_first(doc, attempts); i != JSON_NONE;
	     i = json_next(doc, attempts, i), n++)
		*n_interrupted +=
			json_string_is(doc, json_member(doc, i, "outcome"), "interrupted");
	return n ? n : 1;
}

char *info_strategy_to(const struct info *info, size_t last)
{
	struct str out = STR_INIT;
	char *base = info_string(info, "base_model");

	str_adds(&out, base && *base ? base : "unknown");
	free(base);
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		char *dataset = info_entry_string(info, i, "dataset");

		str_addf(&out, " > %s:%lld", dataset ? dataset : "?",
			 (long long)info_entry_steps(info, i));
		free(dataset);
		if (i == last)
			break;
	}
	return str_detach(&out);
}

char *history_strategy(const struct history *history)
{
	return info_strategy_to(&history->info, JSON_NONE);
}

/* The bytes from 'start' to 'end', between which the tokens from 'first' to 'last' lie. */
static void add_strict(const struct json *doc, size_t start, size_t end, size_t first, size_t last,
		       struct str *out)
{
	size_t from = start;

	str_clear(out);
	for (size_t i = first; i < last; i++) {
		const struct json_token *token = &doc->tokens[i];

		if (json_type(doc, i) != JSON_NONFINITE)
			continue;
		str_add(out, doc->text + from, token->start - from);
		str_adds(out, "null");
		from = token->end;
	}
	str_add(out, doc->text + from, end - from);
}

void strict_json(const struct json *doc, size_t token, struct str *out)
{
	const struct json_token *whole = &doc->tokens[token];

	add_strict(doc, whole->start, whole->end, token, whole->next, out);
}

void history_strict_json(const struct history *history, struct str *out)
{
	const struct json *doc = &history->info.doc;

	add_strict(doc, 0, doc->len, 0, doc->n, out);
}
