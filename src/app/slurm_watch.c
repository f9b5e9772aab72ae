#include "base/base.h"

#include "app/slurm_held.h"

#include "base/clock.h"
#include "base/mem.h"

#define QUEUE_MS 1000	   /* between two questions, and ... */
#define QUEUE_MAX_MS 15000 /* ... with many jobs at most */
#define ACCOUNTS_MAX 500
#define LAG_MS 120000	/* what sacct may be behind where it does not know the end, and ... */
#define NO_ROW_MS 30000 /* ... where it does not know the job */

void held_release(struct held *held)
{
	free(held->name);
	free(held->text);
}

static void drop_those_over(struct slurm *s)
{
	size_t left = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->held[i].is_over)
			held_release(&s->held[i]);
		else
			s->held[left++] = s->held[i];
	s->n = left;
}

void slurm_set_text(char **place, char *text)
{
	free(*place);
	*place = text;
}

/* ---- what the queue says ---- */

/* What we have withdrawn is like what somebody has cancelled. */
static void end(struct slurm *s, struct held *held, struct executor_end how,
		const struct executor_news *news)
{
	bool is_cancel = how.cause == EXECUTOR_CANCELLED || how.cause == EXECUTOR_VANISHED;

	if (is_cancel && held->is_withdrawn && !held->has_begun)
		how.cause = EXECUTOR_WITHDRAWN;
	held->is_over = true;
	slurm_room_made(&s->rooms);
	news->ended(news->arg, held->job, &how);
}

/* By the comment of its group. It is never asked for again once it is known. */
static void look_up(struct held *held, const struct slurm_queue *queue,
		    const struct executor_news *news)
{
	const char *group = held->name + strlen(SLURM_PREFIX);
	size_t len = strcspn(group, "/");
	char *comment = xstrf("thhost %.*s", (int)len, group);

	held->id.job = slurm_queue_find_comment(queue, comment);
	free(comment);
	if (!held->id.job)
		return;
	held->id.task = group[len] ? strtoll(group + len + 1, NULL, 10) : SLURM_NO_TASK;
	slurm_set_text(&held->name, slurm_id_text(held->id));
	news->named(news->arg, held->job, held->name);
}

static void tell_change(struct held *held, const struct slurm_row *row,
			const struct executor_news *news)
{
	char *text = slurm_row_text(row);
	bool runs = strcmp(row->state, "RUNNING") == 0;

	held->has_begun = held->has_begun || runs;
	if (held->text && strcmp(held->text, text) == 0) {
		free(text);
		return;
	}
	slurm_set_text(&held->text, text);
	news->queued(news->arg, held->job, text, !runs ? 0 : row->start ? row->start : clock_now());
}

static void judge(struct slurm *s, struct held *held, const struct slurm_row *row,
		  const struct executor_news *news)
{
	struct executor_end how;

	if (slurm_row_is_over(row, &how))
		end(s, held, how, news);
	else
		tell_change(held, row, news);
}

/* Nobody knows it any more. */
static void forget(struct slurm *s, struct held *held, const struct executor_news *news)
{
	const struct executor_end how = { .cause = held->was_seen ? EXECUTOR_VANISHED
								  : EXECUTOR_NEVER,
					  .status = -1 };

	end(s, held, how, news);
}

/* 'asked_ms': what was handed over later cannot be in the queue. */
static void go_through(struct slurm *s, const struct slurm_queue *queue, int64_t asked_ms,
		       const struct executor_news *news)
{
	for (size_t i = 0; i < s->n; i++) {
		struct held *held = &s->held[i];
		const struct slurm_row *row;

		if (!held->id.job)
			look_up(held, queue, news);
		row = held->id.job ? slurm_queue_find(queue, held->id) : NULL;
		if (row) {
			held->was_seen = true;
			held->is_absent = false;
			held->absent_ms = 0;
			judge(s, held, row, news);
		} else if (asked_ms > held->since_ms) {
			if (!held->id.job || !s->has_accounts)
				forget(s, held, news);
			else
				held->is_absent = true;
		}
	}
	drop_those_over(s);
}

static void tell_silence(struct slurm *s, const char *why, const struct executor_news *news)
{
	char *text;

	if (s->is_silent)
		return;
	s->is_silent = true;
	text = xstrf("Slurm does not answer (%s); its jobs are waited for all the same", why);
	news->said(news->arg, text);
	free(text);
}

static int64_t pause_of(const struct slurm *s)
{
	int64_t pause = QUEUE_MS + (int64_t)s->n * 2;

	return pause < QUEUE_MAX_MS ? pause : QUEUE_MAX_MS;
}

static void ask_queue(struct slurm *s, const struct executor_news *news)
{
	struct strv argv = STRV_INIT;
	struct err err = ERR_INIT;

	s->next_ms = clock_monotonic_ms() + pause_of(s);
	slurm_queue_argv(&argv);
	if (slurm_ask_begin(&s->squeue, argv.v, &err) < 0)
		tell_silence(s, err.msg, news);
	strv_release(&argv);
}

static void look_at_queue(struct slurm *s, const struct executor_news *news)
{
	enum slurm_answer answer = slurm_ask_look(&s->squeue);
	struct slurm_queue queue = SLURM_QUEUE_INIT;

	if (answer == SLURM_ASKED)
		return;
	s->next_ms = clock_monotonic_ms() + pause_of(s);
	if (answer == SLURM_NO_ANSWER) {
		tell_silence(s, s->squeue.errors.buf, news);
		return;
	}
	if (s->is_silent)
		news->said(news->arg, "Slurm answers again");
	s->is_silent = false;
	slurm_queue_parse(&queue, s->squeue.out.buf);
	go_through(s, &queue, s->squeue.began_ms, news);
	slurm_queue_release(&queue);
}

/* ---- those that the queue has forgotten ---- */

static void ask_accounts(struct slurm *s)
{
	struct str ids = STR_INIT;
	struct strv argv = STRV_INIT;
	struct err err = ERR_INIT;
	int64_t now = clock_monotonic_ms();
	size_t n = 0;

	for (size_t i = 0; i < s->n && n < ACCOUNTS_MAX; i++) {
		struct held *held = &s->held[i];

		if (!held->is_absent)
			continue;
		str_addf(&ids, "%s%s", n++ ? "," : "", held->name + strlen(SLURM_PREFIX));
		held->absent_ms = held->absent_ms ? held->absent_ms : now;
	}
	s->accounts_ms = now + QUEUE_MS;
	if (n) {
		slurm_accounts_argv(ids.buf, &argv);
		if (slurm_ask_begin(&s->sacct, argv.v, &err) < 0)
			s->has_accounts = false;
	}
	strv_release(&argv);
	str_release(&ids);
}

/* Without it the journals alone decide, and the user knows why a reason is not told. */
static void give_up_accounts(struct slurm *s, const struct executor_news *news)
{
	const char *why = s->sacct.errors.buf;
	char *text;

	s->has_accounts = false;
	if (strstr(why, "disabled")) /* this cluster has none */
		return;
	text = xstrf("sacct does not say what became of jobs that squeue has forgotten (%s)", why);
	news->said(news->arg, text);
	free(text);
}

static void look_at_accounts(struct slurm *s, const struct executor_news *news)
{
	enum slurm_answer answer = slurm_ask_look(&s->sacct);
	struct slurm_queue found = SLURM_QUEUE_INIT;
	int64_t now = clock_monotonic_ms();

	if (answer == SLURM_ASKED)
		return;
	if (answer == SLURM_ANSWERED)
		slurm_accounts_parse(&found, s->sacct.out.buf);
	else
		give_up_accounts(s, news);
	for (size_t i = 0; i < s->n; i++) {
		struct held *held = &s->held[i];
		const struct slurm_row *row;
		struct executor_end how;

		if (!held->absent_ms)
			continue;
		row = slurm_queue_find(&found, held->id);
		if (row && slurm_row_is_over(row, &how))
			end(s, held, how, news);
		else if (!s->has_accounts || now - held->absent_ms > (row ? LAG_MS : NO_ROW_MS))
			forget(s, held, news);
	}
	slurm_queue_release(&found);
	drop_those_over(s);
}

/* ---- the whole ---- */

void slurm_watch(struct slurm *s, int64_t now, const struct executor_news *news)
{
	if (s->squeue.pid)
		look_at_queue(s, news);
	else if (s->sacct.pid)
		look_at_accounts(s, news);
	else if (s->n && now >= s->next_ms)
		ask_queue(s, news);
	else if (s->n && s->has_accounts && now >= s->accounts_ms)
		ask_accounts(s);
}
