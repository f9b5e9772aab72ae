#include "base/base.h"

#include "app/executor.h"

#include "app/slurm_ask.h"
#include "app/slurm_queue.h"
#include "app/slurm_submit.h"
#include "base/clock.h"
#include "base/mem.h"

#include <signal.h>

#define PREFIX "slurm:"
#define QUEUE_MS 1000	   /* between two questions, and ... */
#define QUEUE_MAX_MS 15000 /* ... with many jobs at most */
#define CANCEL_MS 10000	   /* and once more */
#define CANCEL_DO_MS 15000
#define CANCEL_MAX 500 /* ids in one command */
#define ACCOUNTS_MAX 500
#define LAG_MS 120000	/* what sacct may be behind where it does not know the end, and ... */
#define NO_ROW_MS 30000 /* ... where it does not know the job */

/* One that was handed over and is not over. */
struct held {
	size_t job;
	char *name;	    /* the executor_id: of ours or of Slurm's */
	struct slurm_id id; /* job 0: not known yet */
	int64_t since_ms;
	bool is_absent;	   /* from the queue */
	int64_t absent_ms; /* when sacct was first asked of it; 0: it was not */
	bool was_seen;
	bool is_over;
	bool is_unwanted;
	int64_t cancel_ms; /* when that was said last; 0: never */
	char *text;	   /* what the queue said last */
};

struct slurm {
	struct executor base;
	struct executor_slurm_setup setup;
	struct strv options; /* owner of setup.options */
	struct held *held;
	size_t n;
	size_t cap;
	struct slurm_question squeue;
	struct slurm_question sacct;
	int64_t next_ms;
	int64_t accounts_ms;
	bool is_silent; /* it did not answer, and the user knows */
	bool has_accounts;
};

static struct slurm *slurm_of(struct executor *e)
{
	return (struct slurm *)e; /* its first member */
}

static struct held *hold(struct slurm *s, size_t job, const char *name)
{
	struct held *held;

	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->held = xreallocarray(s->held, s->cap, sizeof(*s->held));
	}
	held = &s->held[s->n++];
	*held = (struct held){ .job = job,
			       .name = xstrdup(name),
			       .since_ms = clock_monotonic_ms() };
	slurm_id_parse(name, &held->id);
	return held;
}

static void held_release(struct held *held)
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

/* ---- handing over ---- */

static bool has_room(const struct executor *e, size_t gpus)
{
	(void)e;
	(void)gpus;
	return true;
}

static void set_text(char **place, char *text)
{
	free(*place);
	*place = text;
}

/* The group is called by the id of its first run, which nobody else has. */
static void prepare(struct executor *e, const struct executor_task *tasks, size_t n)
{
	const char *group = tasks[0].progress->run_id;

	(void)e;
	for (size_t i = 0; i < n; i++) {
		struct batch_progress *p = tasks[i].progress;

		set_text(&p->host, NULL); /* Slurm says where, and when */
		set_text(&p->boot_id, NULL);
		p->pid_ns = 0;
		set_text(&p->executor_id,
			 n > 1 ? xstrf(PREFIX "%s/%zu", group, i) : xstrf(PREFIX "%s", group));
	}
}

static int submit(struct executor *e, const struct executor_task *tasks, size_t n, struct err *err)
{
	struct slurm *s = slurm_of(e);
	char *comment = xstrf("thhost %s", tasks[0].progress->run_id);
	struct slurm_id id = { .task = SLURM_NO_TASK };
	int result = slurm_submit(&s->setup, tasks, n, comment, &id.job, err);

	free(comment);
	if (result < 0 && err->code != ERR_BUSY)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct batch_progress *p = tasks[i].progress;

		id.task = n > 1 ? (int64_t)i : SLURM_NO_TASK;
		if (result == 0)
			set_text(&p->executor_id, slurm_id_text(id));
		hold(s, tasks[i].job, p->executor_id);
	}
	return 0; /* without an answer the queue will tell whether it has them */
}

static bool adopt(struct executor *e, size_t job, const struct batch_progress *progress)
{
	if (!executor_is_slurm_id(progress->executor_id))
		return false;
	hold(slurm_of(e), job, progress->executor_id);
	return true;
}

static bool is_unsure(const struct executor *e)
{
	const struct slurm *s = (const struct slurm *)e;

	for (size_t i = 0; i < s->n; i++)
		if (!s->held[i].id.job)
			return true;
	return false;
}

/* ---- what the queue says ---- */

static void end(struct held *held, const struct executor_news *news, const struct executor_end *how)
{
	held->is_over = true;
	news->ended(news->arg, held->job, how);
}

/* By the comment of its group. It is never asked for again once it is known. */
static void look_up(struct held *held, const struct slurm_queue *queue,
		    const struct executor_news *news)
{
	const char *group = held->name + strlen(PREFIX);
	size_t len = strcspn(group, "/");
	char *comment = xstrf("thhost %.*s", (int)len, group);

	held->id.job = slurm_queue_find_comment(queue, comment);
	free(comment);
	if (!held->id.job)
		return;
	held->id.task = group[len] ? strtoll(group + len + 1, NULL, 10) : SLURM_NO_TASK;
	set_text(&held->name, slurm_id_text(held->id));
	news->named(news->arg, held->job, held->name);
}

static void tell_change(struct held *held, const struct slurm_row *row,
			const struct executor_news *news)
{
	char *text = slurm_row_text(row);

	if (held->text && strcmp(held->text, text) == 0) {
		free(text);
		return;
	}
	set_text(&held->text, text);
	news->queued(news->arg, held->job, text, strcmp(row->state, "RUNNING") == 0);
}

static void judge(struct held *held, const struct slurm_row *row, const struct executor_news *news)
{
	struct executor_end how;

	if (slurm_row_is_over(row, &how))
		end(held, news, &how);
	else
		tell_change(held, row, news);
}

/* Nobody knows it any more. */
static void forget(struct held *held, const struct executor_news *news)
{
	const struct executor_end how = { .cause = held->was_seen ? EXECUTOR_VANISHED
								  : EXECUTOR_NEVER,
					  .status = -1 };

	end(held, news, &how);
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
			judge(held, row, news);
		} else if (asked_ms > held->since_ms) {
			if (!held->id.job || !s->has_accounts)
				forget(held, news);
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
		str_addf(&ids, "%s%s", n++ ? "," : "", held->name + strlen(PREFIX));
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
			end(held, news, &how);
		else if (!s->has_accounts || now - held->absent_ms > (row ? LAG_MS : NO_ROW_MS))
			forget(held, news);
	}
	slurm_queue_release(&found);
	drop_those_over(s);
}

/* ---- ending them ---- */

static void signal_job(struct executor *e, size_t job, int number)
{
	struct slurm *s = slurm_of(e);

	for (size_t i = 0; i < s->n; i++)
		if (s->held[i].job == job && (number == SIGTERM || number == SIGKILL))
			s->held[i].is_unwanted = true;
}

/* scancel by itself asks the steps of a job to end, not its script, before it kills both: with --full
 * the script is asked too, and so 'thhost run', which can close its run. */
static void cancel(const struct strv *ids, bool is_first)
{
	struct strv argv = STRV_INIT;
	struct str out = STR_INIT;
	struct err ignored = ERR_INIT; /* what is still there is told once more */

	if (is_first) {
		strv_push(&argv, "scancel");
		strv_push(&argv, "--full");
		strv_push(&argv, "--signal=TERM");
		strv_push(&argv, "--state=RUNNING"); /* for another one it would try and try */
		for (size_t i = 0; i < ids->n; i++)
			strv_push(&argv, ids->v[i]);
		slurm_do(argv.v, NULL, CANCEL_DO_MS, &out, &ignored);
		strv_release(&argv);
	}
	strv_push(&argv, "scancel");
	for (size_t i = 0; i < ids->n; i++)
		strv_push(&argv, ids->v[i]);
	slurm_do(argv.v, NULL, CANCEL_DO_MS, &out, &ignored);
	strv_release(&argv);
	str_release(&out);
}

static void cancel_unwanted(struct slurm *s, int64_t now)
{
	struct strv ids = STRV_INIT;
	bool is_first = true;

	for (size_t i = 0; i < s->n && ids.n < CANCEL_MAX; i++) {
		struct held *held = &s->held[i];

		if (!held->is_unwanted || !held->id.job ||
		    (held->cancel_ms && now - held->cancel_ms < CANCEL_MS))
			continue;
		is_first = is_first && !held->cancel_ms;
		held->cancel_ms = now;
		strv_push(&ids, held->name + strlen(PREFIX));
	}
	if (ids.n) {
		cancel(&ids, is_first);
		s->next_ms = 0;
	}
	strv_release(&ids);
}

/* ---- the whole ---- */

static void poll_jobs(struct executor *e, const struct executor_news *news)
{
	struct slurm *s = slurm_of(e);
	int64_t now = clock_monotonic_ms();

	cancel_unwanted(s, now);
	if (s->squeue.pid)
		look_at_queue(s, news);
	else if (s->sacct.pid)
		look_at_accounts(s, news);
	else if (s->n && now >= s->next_ms)
		ask_queue(s, news);
	else if (s->n && s->has_accounts && now >= s->accounts_ms)
		ask_accounts(s);
}

static void close_slurm(struct executor *e)
{
	struct slurm *s = slurm_of(e);

	for (size_t i = 0; i < s->n; i++)
		held_release(&s->held[i]);
	free(s->held);
	slurm_question_release(&s->squeue);
	slurm_question_release(&s->sacct);
	strv_release(&s->options);
	free(s);
}

static const struct executor_ops ops = {
	.name = "slurm",
	.waits_itself = true,
	.has_room = has_room,
	.prepare = prepare,
	.submit = submit,
	.adopt = adopt,
	.poll = poll_jobs,
	.is_unsure = is_unsure,
	.signal = signal_job,
	.close = close_slurm,
};

int executor_slurm_check(struct err *err)
{
	static const char *const needed[] = { "sbatch", "squeue", "scancel" };

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!slurm_has_command(needed[i])) {
			err_set(err, ERR_FAILED, "no %s in PATH", needed[i]);
			return err_hint(err, "the executor 'slurm' wants the commands of Slurm");
		}
	return 0;
}

struct executor *executor_slurm(const struct executor_slurm_setup *setup, struct err *err)
{
	struct slurm *s;

	if (executor_slurm_check(err) < 0)
		return NULL;
	s = xcalloc(1, sizeof(*s));
	s->base.ops = &ops;
	s->setup = *setup;
	strv_copy(&s->options, setup->options);
	s->setup.options = s->options.v;
	s->squeue = (struct slurm_question)SLURM_QUESTION_INIT;
	s->sacct = (struct slurm_question)SLURM_QUESTION_INIT;
	s->has_accounts = slurm_has_command("sacct");
	return &s->base;
}
