#include "base/base.h"

#include "app/executor.h"

#include "app/slurm_cancel.h"
#include "app/slurm_held.h"
#include "app/slurm_submit.h"
#include "base/clock.h"
#include "base/mem.h"

#include <signal.h>

#define CANCEL_MS 10000 /* and once more */
#define CANCEL_MAX 500	/* ids in one command */

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

/* ---- handing over ---- */

static size_t count_section(const struct slurm *s, const struct batch_job *spec)
{
	const struct batch_job *jobs = s->setup.state->batch.jobs;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += strcmp(jobs[s->held[i].job].section, spec->section) == 0;
	return n;
}

/* The limit is for a section: Slurm sees to it within an array, we see to it between those that only
 * a lack of room has made of one. */
static size_t room(const struct executor *e, const struct batch_job *spec, size_t gpus,
		   const char **why)
{
	const struct slurm *s = (const struct slurm *)e;
	size_t limit = s->setup.limit;
	size_t n = slurm_room(&s->rooms, spec, why);
	size_t there;

	(void)gpus;
	if (!n || !limit || !s->is_in_pieces)
		return n;
	there = count_section(s, spec);
	if (!there)
		return n;
	if (there >= limit)
		*why = "as many are there as may run at once";
	return there >= limit ? 0 : n < limit - there ? n : limit - there;
}

/* The group is called by the id of its first run, which nobody else has. */
static void prepare(struct executor *e, const struct executor_task *tasks, size_t n)
{
	const char *group = tasks[0].progress->run_id;

	(void)e;
	for (size_t i = 0; i < n; i++) {
		struct batch_progress *p = tasks[i].progress;

		slurm_set_text(&p->host, NULL); /* Slurm says where, and when */
		slurm_set_text(&p->boot_id, NULL);
		p->pid_ns = 0;
		slurm_set_text(&p->executor_id, n > 1 ? xstrf(SLURM_PREFIX "%s/%zu", group, i)
						      : xstrf(SLURM_PREFIX "%s", group));
	}
}

static int submit(struct executor *e, const struct executor_task *tasks, size_t n, struct err *err)
{
	struct slurm *s = slurm_of(e);
	char *comment = xstrf("thhost %s", tasks[0].progress->run_id);
	struct slurm_id id = { .task = SLURM_NO_TASK };
	enum slurm_submitted what = slurm_submit(&s->setup, tasks, n, comment, &id.job, err);

	free(comment);
	if (what == SLURM_FULL) {
		s->is_in_pieces = true;
		slurm_room_refused(&s->rooms, tasks->spec, n, err->msg);
	}
	if (what == SLURM_FULL || what == SLURM_REFUSED)
		return -1;
	if (what == SLURM_TAKEN)
		slurm_room_taken(&s->rooms, tasks->spec, n);
	for (size_t i = 0; i < n; i++) {
		struct batch_progress *p = tasks[i].progress;

		id.task = n > 1 ? (int64_t)i : SLURM_NO_TASK;
		if (what == SLURM_TAKEN)
			slurm_set_text(&p->executor_id, slurm_id_text(id));
		hold(s, tasks[i].job, p->executor_id);
	}
	return 0; /* without an answer the queue will tell whether it has them */
}

static bool adopt(struct executor *e, size_t job, const struct batch_progress *progress)
{
	if (!executor_is_slurm_id(progress->executor_id))
		return false;
	slurm_of(e)->is_in_pieces = true; /* perhaps, and nobody knows */
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

/* ---- ending them ---- */

static void signal_job(struct executor *e, size_t job, int number)
{
	struct slurm *s = slurm_of(e);

	for (size_t i = 0; i < s->n; i++)
		if (s->held[i].job == job && (number == SIGTERM || number == SIGKILL))
			s->held[i].is_unwanted = true;
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
		strv_push(&ids, held->name + strlen(SLURM_PREFIX));
	}
	if (ids.n) {
		slurm_cancel(&ids, is_first);
		s->next_ms = 0;
	}
	strv_release(&ids);
}

static void withdraw(struct executor *e)
{
	struct slurm *s = slurm_of(e);

	for (size_t i = 0; i < s->n; i++)
		s->held[i].is_withdrawn = true;
}

/* By the numbers of their arrays, whose tasks all are ours: of many that have not begun Slurm makes one
 * job, which has no tasks that could be named. */
static void cancel_withdrawn(struct slurm *s, int64_t now)
{
	struct strv ids = STRV_INIT;

	for (size_t i = 0; i < s->n && ids.n < CANCEL_MAX; i++) {
		struct held *held = &s->held[i];
		char *id;

		if (!held->is_withdrawn || held->has_begun || !held->id.job ||
		    (held->cancel_ms && now - held->cancel_ms < CANCEL_MS))
			continue;
		held->cancel_ms = now;
		id = xstrf("%llu", (unsigned long long)held->id.job);
		if (!ids.n || strcmp(ids.v[ids.n - 1], id) != 0)
			strv_push(&ids, id);
		free(id);
	}
	if (ids.n) {
		slurm_cancel_pending(&ids);
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
	cancel_withdrawn(s, now);
	slurm_watch(s, now, news);
}

static void close_slurm(struct executor *e)
{
	struct slurm *s = slurm_of(e);

	for (size_t i = 0; i < s->n; i++)
		held_release(&s->held[i]);
	free(s->held);
	slurm_question_release(&s->squeue);
	slurm_question_release(&s->sacct);
	slurm_rooms_release(&s->rooms);
	strv_release(&s->options);
	free(s);
}

static const struct executor_ops ops = {
	.name = "slurm",
	.waits_itself = true,
	.room = room,
	.prepare = prepare,
	.submit = submit,
	.adopt = adopt,
	.poll = poll_jobs,
	.is_unsure = is_unsure,
	.withdraw = withdraw,
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
