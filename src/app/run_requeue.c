#include "base/base.h"

#include "app/run_requeue.h"

#include "app/repair.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum former {
	FORMER_NONE, /* a run of its own begins */
	FORMER_LEFT, /* it has not ended well: this is the next attempt at it */
	FORMER_OVER, /* it has ended well */
};

/* ---- the job ---- */

void run_describe_job(struct run *run)
{
	const char *job = getenv("SLURM_JOB_ID");
	const char *count = getenv("SLURM_RESTART_COUNT");

	if (!job || !*job)
		return;
	run->job_id = xstrf("slurm:%s", job);
	run->restarts = count ? strtoll(count, NULL, 10) : 0;
	if (run->restarts < 0)
		run->restarts = 0;
}

bool run_is_restarted(const struct run *run)
{
	return run->job_id && run->restarts > 0;
}

bool run_was_put_off(const struct run *run, const struct proc_outcome *child)
{
	return run->job_id && child->was_told_to_end;
}

/* ---- the attempt before ---- */

static bool is_of_same_job(const struct run *run, const struct run *other)
{
	return other->job_id && strcmp(other->job_id, run->job_id) == 0;
}

/* What was begun since the last restart is another training of the same script. */
static bool is_of_earlier_start(const struct run *run, const struct run *other)
{
	return is_of_same_job(run, other) && other->restarts < run->restarts;
}

static bool is_same_command(const struct run *a, const struct run *b)
{
	if (a->command.n != b->command.n)
		return false;
	for (size_t i = 0; i < a->command.n; i++)
		if (strcmp(a->command.v[i], b->command.v[i]) != 0)
			return false;
	return true;
}

static bool has_ended_well(const struct run *run)
{
	switch (run->state) {
	case RUN_RECORDED:
	case RUN_SPOOLED:
	case RUN_UNRECORDED:
	case RUN_COMPLETED:
		return true;
	case RUN_STARTING:
	case RUN_RUNNING:
	case RUN_FAILED:
	case RUN_INTERRUPTED:
		break;
	}
	return !run_has_ended(run) && run->exit_code == 0; /* killed before it was recorded */
}

static struct run *choose_by_id(const struct run *run, const char *id, struct run_list *runs)
{
	for (size_t i = 0; i < runs->n; i++)
		if (strcmp(runs->v[i].run_id, id) == 0 && is_of_earlier_start(run, &runs->v[i]))
			return &runs->v[i];
	return NULL;
}

/* Ids begin with the time of their making, so the last one that fits is the newest. */
static struct run *choose_by_command(const struct run *run, struct run_list *runs)
{
	struct run *same = NULL;
	struct run *left = NULL;
	bool is_known = false; /* the command is one that the script has run before */

	for (size_t i = 0; i < runs->n; i++) {
		struct run *other = &runs->v[i];
		bool is_earlier = is_of_earlier_start(run, other);

		if (is_of_same_job(run, other) && is_same_command(run, other)) {
			is_known = true;
			same = is_earlier ? other : same;
		}
		if (is_earlier && !has_ended_well(other))
			left = other;
	}
	return is_known ? same : left;
}

/*
 * Nobody judges a run of another host by its pids, and this does not: it is Slurm that has started the
 * job again, which it does when all of the former start is gone. A training that still runs on this
 * very host has escaped from it, though, and would write beside the new one.
 */
static int close_former(const struct stage_dir *dir, struct run *former, struct err *err)
{
	if (run_has_ended(former))
		return 0;
	if (run_goes_on(former)) {
		err_set(err, ERR_BUSY,
			"another run is going on: Slurm has restarted the job of run %.13s of "
			"'%s', but its training has not ended (pid %lld)",
			former->run_id, dir->ref, (long long)former->child_pid);
		return -1;
	}
	run_mark_gone(dir->fd, former);
	return 0;
}

/* 'former' is to be released unless it is FORMER_NONE. */
static int find_former(const struct run *run, const char *given_id, const struct stage_dir *dir,
		       struct run *former, enum former *found, struct err *err)
{
	struct run_list runs;
	struct run *chosen;
	int result = journal_load(dir->fd, &runs, NULL, err);

	*found = FORMER_NONE;
	chosen = result < 0 ? NULL
		 : given_id ? choose_by_id(run, given_id, &runs)
			    : choose_by_command(run, &runs);
	if (chosen)
		result = close_former(dir, chosen, err);
	if (result == 0 && chosen) {
		*found = has_ended_well(chosen) ? FORMER_OVER : FORMER_LEFT;
		*former = *chosen;
		run_init(chosen);
	}
	run_list_release(&runs);
	return result;
}

static void take_up(struct run *run, const struct run *former)
{
	bool is_same_base = run->base_model && former->base_model &&
			    strcmp(run->base_model, former->base_model) == 0;

	memcpy(run->run_id, former->run_id, sizeof(run->run_id));
	run_fold_attempt(run, former);
	/* What the first attempt began from: it may have written to it since. */
	if (is_same_base)
		run->base_model_digest = xstrdup_or_null(former->base_model_digest);
}

void run_mark_log(int log_fd, const struct run *run)
{
	struct str line = STR_INIT;
	struct stat st;

	if (fstat(log_fd, &st) < 0 || st.st_size == 0)
		return;
	str_addf(&line, "\nthhost: attempt %zu begins here, %s: Slurm has restarted job %s\n",
		 run_count_attempts(run), run->start_time, run->job_id + strlen("slurm:"));
	if (write(log_fd, line.buf, line.len) < 0)
		log_warn("the log cannot say that attempt %zu begins: %s", run_count_attempts(run),
			 errno_name(errno));
	str_release(&line);
}

off_t run_mark_events(int events_fd)
{
	off_t end = lseek(events_fd, 0, SEEK_END);

	if (end > 0 && write(events_fd, "\n", 1) == 1)
		end++;
	return end < 0 ? 0 : end;
}

/* ---- one that is over ---- */

static void repair_directory(const struct run_report *report, struct session *session)
{
	struct err err = ERR_INIT;
	struct repair repair = { .session = session };
	struct stage_dir dir = STAGE_DIR_INIT;
	struct history history;

	if (session_resolve(session, NULL, report->draft.dir.path, &dir, &err) < 0) {
		log_warn("%s", err.msg);
		return;
	}
	history_read(&history, &dir);
	repair_history(&repair, &history);
	for (size_t i = 0; i < repair.left.n; i++)
		log_warn("%s", repair.left.v[i].text);
	history_release(&history);
	repair_release(&repair);
}

/* If its entry is not in the record, put it there, before a new run overwrites what it left. */
static void settle(const struct run_report *report, struct session *session,
		   const struct run *former)
{
	struct err err = ERR_INIT;

	if (former->state != RUN_SPOOLED && former->state != RUN_UNRECORDED)
		return;
	/* So one of another host is closed, which 'repair' would leave alone. */
	if (journal_update(report->draft.dir.fd, former, &err) < 0)
		log_warn("%s", err.msg);
	repair_directory(report, session);
}

static void look_again(struct run_report *report)
{
	struct run fresh;
	struct err ignored = ERR_INIT; /* then it stays what it was found to be */

	if (journal_find(report->draft.dir.fd, report->run.run_id, &fresh, &ignored) < 0)
		return;
	run_release(&report->run);
	report->run = fresh;
}

/* 'report' becomes that of a former run that ended well, settled. Takes 'former'. */
static void conclude(struct run_report *report, struct session *session, struct run *former)
{
	settle(report, session, former);
	run_release(&report->run);
	report->run = *former;
	run_init(former);
	report->was_over = true;
	report->child = (struct proc_outcome){ .status = 0 };
	report->is_wanted = report->run.state != RUN_COMPLETED;
	look_again(report);
	report->is_recorded = report->run.state == RUN_RECORDED;
	if (report->is_wanted && !report->is_recorded) {
		err_set(&report->trouble,
			report->run.state == RUN_SPOOLED ? ERR_SPOOLED : ERR_FAILED,
			"not recorded: %s",
			report->run.trouble ? report->run.trouble : "its entry waits");
		err_hint(&report->trouble, "mend the cause, then 'thhost repair %s'",
			 report->draft.dir.ref);
	}
}

int run_take_up_former(struct run_report *report, struct session *session, const char *run_id,
		       struct err *err)
{
	struct run former;
	enum former found;

	if (!run_is_restarted(&report->run))
		return 0;
	if (find_former(&report->run, run_id, &report->draft.dir, &former, &found, err) < 0)
		return -1;
	if (found == FORMER_NONE)
		return 0;
	if (found == FORMER_OVER && run_id) {
		conclude(report, session, &former);
		return 1;
	}
	if (found == FORMER_LEFT)
		take_up(&report->run, &former);
	else
		settle(report, session, &former);
	run_release(&former);
	return 0;
}
