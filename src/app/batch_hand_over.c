#include "base/base.h"

#include "app/batch_worker.h"

#include "base/mem.h"

/* sbatch takes 1001 in an array, unless the administrator says otherwise. */
#define GROUP_MAX 1000

/* Those that go as one array: of one section, with the same resources, waiting for the same jobs. */
struct group {
	size_t *jobs;
	size_t n;
	size_t cap;
	char *key;
	struct strv waits_for; /* executor ids */
};

struct groups {
	struct group *v;
	size_t n;
};

/* An id of our own is a UUID: Slurm has not said its number yet. */
static bool is_unsure(const struct batch_progress *p)
{
	return strchr(p->executor_id, '-');
}

/* May it be handed over? 'waits_for': executor ids of those that are on their way. */
static bool can_wait_there(const struct worker *w, size_t job, struct strv *waits_for)
{
	const struct batch_needs *needs = &w->plan->order.of[job];

	for (size_t i = 0; i < needs->n; i++) {
		size_t on = needs->v[i].on;
		const struct batch_progress *p = &w->state->jobs[on];

		if (batch_job_is_good(p->state))
			continue;
		if (!w->live[on].is_handed || !p->executor_id || is_unsure(p) ||
		    w->live[on].was_asked)
			return false;
		if (!strv_has(waits_for, p->executor_id))
			strv_push(waits_for, p->executor_id);
	}
	return true;
}

static char *key_of(const struct worker *w, size_t job, struct strv *waits_for)
{
	static const char *const keys[] = { "partition", "account", "gres",   "time",
					    "sbatch",	 "gpus",    "timeout" };
	const struct batch_job *spec = w->plan->steps[job].job;
	struct str key = STR_INIT;

	str_addf(&key, "%s\n", spec->section);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *text = batch_get(spec, keys[i]);

		str_addf(&key, "%s\n", text ? text : "");
	}
	if (waits_for->n > 1)
		strv_sort(waits_for);
	for (size_t i = 0; i < waits_for->n; i++)
		str_addf(&key, "%s\n", waits_for->v[i]);
	return str_detach(&key);
}

static struct group *open_group(struct groups *groups, char *key, const struct strv *waits_for)
{
	struct group *group;

	groups->v = xreallocarray(groups->v, groups->n + 1, sizeof(*groups->v));
	group = &groups->v[groups->n++];
	*group = (struct group){ .key = key, .waits_for = STRV_INIT };
	if (waits_for->n)
		strv_copy(&group->waits_for, waits_for->v);
	return group;
}

/* Of few groups the newest is looked at first: the jobs of a section come one after another. */
static struct group *find_group(struct groups *groups, const char *key)
{
	for (size_t i = groups->n; i > 0; i--)
		if (groups->v[i - 1].n < GROUP_MAX && strcmp(groups->v[i - 1].key, key) == 0)
			return &groups->v[i - 1];
	return NULL;
}

static void add_job(const struct worker *w, struct groups *groups, size_t job,
		    struct strv *waits_for)
{
	char *key = key_of(w, job, waits_for);
	struct group *group = find_group(groups, key);

	if (group)
		free(key);
	else
		group = open_group(groups, key, waits_for);
	if (group->n == group->cap) {
		group->cap = group->cap ? group->cap * 2 : 8;
		group->jobs = xreallocarray(group->jobs, group->cap, sizeof(*group->jobs));
	}
	group->jobs[group->n++] = job;
}

static void groups_release(struct groups *groups)
{
	for (size_t i = 0; i < groups->n; i++) {
		free(groups->v[i].jobs);
		free(groups->v[i].key);
		strv_release(&groups->v[i].waits_for);
	}
	free(groups->v);
}

/* What waits for nothing that is under way may be skipped; what does is needed, for its inputs will be
 * new. One that waits for room is asked about once. */
static bool is_meant(struct worker *w, size_t job, const struct strv *waits_for)
{
	struct live_job *live = &w->live[job];

	if (!waits_for->n && !w->state->jobs[job].attempt && !live->is_needed)
		live->is_needed = !worker_skips(w, job);
	return waits_for->n || w->state->jobs[job].attempt || live->is_needed;
}

static void collect(struct worker *w, struct groups *groups)
{
	for (size_t i = w->first; i < w->plan->n; i++) {
		size_t job = w->plan->order.sorted[i];
		struct strv waits_for = STRV_INIT;

		if (w->state->jobs[job].state == BATCH_JOB_WAITING &&
		    !w->plan->steps[job].is_recording && can_wait_there(w, job, &waits_for) &&
		    is_meant(w, job, &waits_for))
			add_job(w, groups, job, &waits_for);
		strv_release(&waits_for);
	}
}

/* While it is not sure of some it does not answer: more would wait for that, one after another. */
static bool may_go_on(const struct worker *w)
{
	const struct executor *executor = w->work->executor;

	return !w->is_stopping && !w->trouble.code && !executor->ops->is_unsure(executor);
}

/* Those of a group that there is no room for. Silently: there may be hundreds. */
static void wait_for_room(struct worker *w, const size_t *jobs, size_t n, const char *why)
{
	char *text = xstrf("waits for room in the queue (%s)", why);

	for (size_t i = 0; i < n; i++) {
		struct batch_progress *p = &w->state->jobs[jobs[i]];

		if (p->why && strcmp(p->why, text) == 0)
			continue;
		worker_set_text(&p->why, text);
		batch_state_note(w->state, jobs[i]);
	}
	free(text);
	if (w->has_said_room || !w->work->said)
		return;
	w->has_said_room = true;
	text = xstrf("the queue has no room now (%s); what is left waits for it", why);
	w->work->said(w->work->arg, text);
	free(text);
}

/* All at once, or in as many pieces as there is room for; the number of those that had it. */
static size_t begin_group(struct worker *w, const struct group *group)
{
	size_t at = 0;

	while (at < group->n && may_go_on(w)) {
		const char *why = NULL;
		size_t room = worker_room(w, group->jobs[at], &why);
		size_t n = room < group->n - at ? room : group->n - at;

		if (!n) {
			w->has_no_room = true;
			wait_for_room(w, group->jobs + at, group->n - at, why);
			break;
		}
		if (worker_begin(w, group->jobs + at, n, &group->waits_for, true))
			at += n;
	}
	return at;
}

/* Level by level: an array must have its number before others can wait for it. */
void worker_hand_over(struct worker *w)
{
	size_t n_begun = 1;

	w->has_no_room = false;
	while (n_begun && may_go_on(w)) {
		struct groups groups = { .n = 0 };

		collect(w, &groups);
		n_begun = 0;
		for (size_t i = 0; i < groups.n && may_go_on(w); i++)
			n_begun += begin_group(w, &groups.v[i]);
		groups_release(&groups);
	}
}
