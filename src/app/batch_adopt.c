#include "base/base.h"

#include "app/batch_worker.h"

#include "base/clock.h"
#include "base/mem.h"
#include "sys/proc.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

#define LOOK_MS 500 /* how often the journal of a run that is not our child is read */

/* Is the process that was to begin it still on its way? */
static bool is_on_its_way(const struct batch_progress *p)
{
	char host[HOST_NAME_MAX + 1] = "";
	char boot[64];

	gethostname(host, sizeof(host) - 1);
	clock_boot_id(boot);
	return p->pid > 0 && p->pid <= INT_MAX && p->host && strcmp(p->host, host) == 0 &&
	       p->boot_id && strcmp(p->boot_id, boot) == 0 && p->pid_ns == proc_pid_namespace() &&
	       proc_start_time((pid_t)p->pid) == p->pid_start && p->pid_start;
}

static void adopt(struct worker *w, size_t job)
{
	w->live[job] =
		(struct live_job){ .is_adopted = true, .deadline_ms = worker_deadline(w, job) };
	w->n_running++;
	if (w->work->changed)
		w->work->changed(w->work->arg, job);
}

/* One that was handed over: its executor tells of it, unless its journal has told already. */
static bool is_handed_over(struct worker *w, size_t job, const struct batch_finding *finding)
{
	struct executor *e = w->work->executor;

	if (finding->verdict == BATCH_ENDED_WELL || !e->ops->adopt ||
	    !e->ops->adopt(e, job, &w->state->jobs[job]))
		return false;
	w->live[job] = (struct live_job){ .is_handed = true };
	w->n_running++;
	if (w->work->changed)
		w->work->changed(w->work->arg, job);
	return true;
}

static bool is_same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* Of a host that is gone: it has ended, whatever its journal says. */
static int give_up(struct worker *w, size_t job, struct batch_finding *finding)
{
	struct batch_progress *p = &w->state->jobs[job];
	const struct batch_step *step = &w->plan->steps[job];
	const char *host = finding->host ? finding->host : p->executor_id ? NULL : p->host;
	bool is_meant = finding->verdict == BATCH_NOT_BEGUN || finding->is_elsewhere;
	char *why;
	int result;

	if (!is_meant || !is_same(host, w->work->gone_host))
		return 0;
	why = xstrf("given up: its host '%s' was said to be gone", host);
	result = batch_give_up(step, p->run_id, host, why, &w->trouble);
	free(why);
	if (result < 0)
		return -1;
	if (finding->verdict == BATCH_NOT_BEGUN) {
		finding->verdict = BATCH_INTERRUPTED;
		return 0;
	}
	batch_finding_release(finding);
	return batch_judge(step, p->run_id, finding, &w->trouble);
}

static void tell_elsewhere(struct worker *w, size_t job, const struct batch_finding *finding)
{
	char *text;

	if (!finding->is_elsewhere || !w->work->said || w->state->jobs[job].executor_id)
		return;
	text = xstrf("%s goes on, on %s, and is waited for; if that host is gone for good, begin "
		     "again with --host-is-gone %s",
		     worker_name(w, job), finding->host, finding->host);
	w->work->said(w->work->arg, text);
	free(text);
}

static void conclude(struct worker *w, size_t job, const struct batch_finding *finding)
{
	worker_take_times(w, job, finding, NULL);
	worker_conclude(w, job, -1, finding);
}

static void take_over(struct worker *w, size_t job)
{
	struct batch_progress *p = &w->state->jobs[job];
	struct batch_finding finding;

	if (batch_judge(&w->plan->steps[job], p->run_id, &finding, &w->trouble) < 0)
		return;
	if (is_handed_over(w, job, &finding)) {
		batch_finding_release(&finding);
		return;
	}
	if (give_up(w, job, &finding) < 0) {
		batch_finding_release(&finding);
		return;
	}
	tell_elsewhere(w, job, &finding);
	if (finding.verdict == BATCH_GOES_ON ||
	    (finding.verdict == BATCH_NOT_BEGUN && is_on_its_way(p)))
		adopt(w, job);
	else if (finding.verdict == BATCH_NOT_BEGUN && w->work->executor->ops->waits_itself)
		worker_put_back(w, job, NULL);
	else if (finding.verdict == BATCH_NOT_BEGUN)
		worker_begin(w, &job, 1, &(struct strv)STRV_INIT, false);
	else
		conclude(w, job, &finding);
	batch_finding_release(&finding);
}

void worker_take_over(struct worker *w)
{
	for (size_t i = 0; i < w->plan->n && !w->trouble.code; i++)
		if (w->state->jobs[i].state == BATCH_JOB_RUNNING)
			take_over(w, i);
}

void worker_look_at_adopted(struct worker *w, int64_t now)
{
	for (size_t i = 0; i < w->plan->n; i++) {
		struct live_job *live = &w->live[i];
		struct batch_finding finding;
		struct err ignored = ERR_INIT; /* the next look may see more */

		if (!live->is_adopted || now - live->look_ms < LOOK_MS)
			continue;
		live->look_ms = now;
		if (batch_judge(&w->plan->steps[i], w->state->jobs[i].run_id, &finding, &ignored) <
		    0)
			continue;
		if (live->lag_ms && now >= live->lag_ms &&
		    (finding.verdict == BATCH_NOT_BEGUN || finding.verdict == BATCH_GOES_ON))
			worker_fail(w, i, "it ended, and its run is not in its journal");
		else if (finding.verdict == BATCH_NOT_BEGUN && !live->lag_ms &&
			 !is_on_its_way(&w->state->jobs[i]))
			worker_put_back(w, i, "it did not begin");
		else if (finding.verdict != BATCH_NOT_BEGUN && finding.verdict != BATCH_GOES_ON)
			conclude(w, i, &finding);
		batch_finding_release(&finding);
	}
}

/* An adopted run is no child of ours, but one of this host may be told all the same. It leads its
 * process group, as all that executor_local starts. */
void worker_signal_adopted(struct worker *w, size_t job, int number)
{
	struct batch_finding finding;
	struct err ignored = ERR_INIT;

	if (batch_judge(&w->plan->steps[job], w->state->jobs[job].run_id, &finding, &ignored) < 0)
		return;
	if (finding.verdict == BATCH_GOES_ON && finding.pid > 0 &&
	    is_on_its_way(&w->state->jobs[job]))
		kill((pid_t)(number == SIGKILL ? -finding.pid : finding.pid), number);
	batch_finding_release(&finding);
}

bool worker_is_elsewhere(const struct worker *w, size_t job)
{
	struct batch_finding finding;
	struct err ignored = ERR_INIT;
	bool found = batch_judge(&w->plan->steps[job], w->state->jobs[job].run_id, &finding,
				 &ignored) == 0 &&
		     finding.is_elsewhere;

	batch_finding_release(&finding);
	return found;
}
