#include "base/base.h"

#include "app/run.h"

#include "app/base_files.h"
#include "app/capture_all.h"
#include "app/progress.h"
#include "app/run_command.h"
#include "app/run_intent.h"
#include "app/run_kept.h"
#include "app/run_requeue.h"
#include "app/watch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/lock.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS 100
#define NEWS_INTERVAL_MS 1000	  /* a training that is over by then saves a write */
#define REVOKED_INTERVAL_MS 2000  /* how soon a training ends that another has taken the place of */
#define JOURNAL_INTERVAL_MS 30000 /* how stale the last known step of a killed thhost may be */

/* What the callbacks of proc_supervise() work with. */
struct live {
	struct session *session;
	struct run_report *report;
	struct watch watch;
	struct capture_job job;
	struct capture_texts texts;
	char *usage;
	char *attempts;
	const struct run_options *options;
	struct journal_room room;
	char *end_time;	    /* where it will stand: see on_end() */
	bool clock_was_set; /* back, during the training */
	bool end_is_noted;  /* in the journal, for 'repair' */
	bool is_revoked;
	bool has_news; /* the journal does not know the git state yet */
	int64_t journal_at;
	int64_t looked_at; /* for a revocation */
	uint64_t news_seen;
};

bool run_is_recorder(void)
{
	static const char *const ranks[] = { "RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK",
					     "PMI_RANK" };

	for (size_t i = 0; i < ARRAY_SIZE(ranks); i++) {
		const char *rank = getenv(ranks[i]);

		if (rank && *rank)
			return strcmp(rank, "0") == 0;
	}
	return true;
}

void run_report_release(struct run_report *report)
{
	if (report->draft.values)
		draft_release(&report->draft);
	run_release(&report->run);
	record_outcome_release(&report->outcome);
	strv_release(&report->argv);
	strv_release(&report->env_added);
}

/* ---- while it runs ---- */

static void save_progress(struct live *live)
{
	struct run *run = &live->report->run;
	double step = progress_step();

	run->last_step = isfinite(step) ? (int64_t)step : live->watch.events.step;
	run->last_epoch = progress_epoch();
	free(run->last_metrics);
	run->last_metrics = watch_metrics();
}

/* Where that fails, so did a write that was warned of. */
static void make_room(struct live *live)
{
	struct err ignored = ERR_INIT;

	journal_make_room(live->report->draft.dir.fd, &live->report->run, &live->room, &ignored);
}

static int update_journal(struct live *live)
{
	struct err err = ERR_INIT;
	int result = journal_update(live->report->draft.dir.fd, &live->report->run, &err);

	if (result < 0)
		log_warn("the run's journal is behind: %s", err.msg);
	make_room(live);
	return result;
}

static void on_start(void *arg, pid_t pid)
{
	struct live *live = arg;
	struct run *run = &live->report->run;

	if (pid < 0)
		return;
	run->state = RUN_RUNNING;
	run->child_pid = pid;
	run->child_start = proc_start_time(pid);
	update_journal(live);
	live->journal_at = clock_monotonic_ms();
}

/* Without a record to be made there is nothing to describe. */
static void begin_capture(struct live *live)
{
	struct run_report *report = live->report;
	const struct conf *conf = &live->session->conf;
	struct capture_place place = { .argv = report->argv.v, .cwd = report->run.cwd };
	char *data;

	if (live->options->no_record)
		return;
	place.data = data = conf_dataset_path(conf, report->run.stage, report->run.dataset);
	if (capture_start(&live->job, conf, &place) < 0)
		capture_all(&live->texts, conf, &place);
	free(data);
}

static void take_capture(struct live *live)
{
	struct run *run = &live->report->run;

	if (live->job.pid > 0)
		capture_finish(&live->job, &live->texts);
	if (!run->git && live->texts.git.len)
		run->git = xstrdup(live->texts.git.buf);
	if (!run->environment && live->texts.environment.len)
		run->environment = xstrdup(live->texts.environment.buf);
	if (!run->dataset_digest && live->texts.dataset.len)
		run->dataset_digest = xstrdup(live->texts.dataset.buf);
}

static int on_capture(void *arg)
{
	struct live *live = arg;

	capture_receive(&live->job);
	if (live->job.fd < 0) {
		take_capture(live);
		make_room(live);
		live->has_news = true;
	}
	return live->job.fd;
}

static void before_output(void *arg, enum proc_stream stream)
{
	struct live *live = arg;

	watch_before_output(&live->watch, stream);
}

static void on_output(void *arg, enum proc_stream stream, const char *data, size_t len)
{
	struct live *live = arg;

	watch_output(&live->watch, stream, data, len);
}

static bool is_journal_due(const struct live *live, int64_t now)
{
	if (live->has_news)
		return now - live->journal_at >= NEWS_INTERVAL_MS;
	return now - live->journal_at >= JOURNAL_INTERVAL_MS && progress_news() != live->news_seen;
}

/*
 * Somebody has said that this host is gone, and it is not: another run may train in this directory
 * by now, so ours ends, as if it had been sent SIGTERM.
 */
static void watch_revocation(struct live *live, int64_t now)
{
	const struct run_report *report = live->report;

	if (now - live->looked_at < REVOKED_INTERVAL_MS)
		return;
	live->looked_at = now;
	if (live->is_revoked || !journal_is_revoked(report->draft.dir.fd, report->run.run_id))
		return;
	live->is_revoked = true;
	log_warn("run %.13s was given up, for this host was said to be gone: its training is ended",
		 report->run.run_id);
	kill(getpid(), SIGTERM);
}

static void on_tick(void *arg)
{
	struct live *live = arg;
	int64_t now = clock_monotonic_ms();

	watch_tick(&live->watch);
	watch_revocation(live, now);
	if (!is_journal_due(live, now))
		return;
	live->has_news = false;
	live->journal_at = now;
	live->news_seen = progress_news();
	save_progress(live);
	update_journal(live);
}

static void on_stop(void *arg)
{
	(void)arg;
	progress_hide();
}

/* ---- afterwards ---- */

static bool ended_well(const struct proc_outcome *child)
{
	return !child->start_errno && WIFEXITED(child->status) && WEXITSTATUS(child->status) == 0;
}

static bool was_interrupted(const struct proc_outcome *child)
{
	if (child->start_errno)
		return false;
	if (WIFSIGNALED(child->status) || child->forwarded_signal)
		return true;
	return WEXITSTATUS(child->status) == 128 + SIGINT ||
	       WEXITSTATUS(child->status) == 128 + SIGTERM;
}

static void take_end(struct run *run, const struct proc_outcome *child)
{
	run->wall_ms = child->wall_ms;
	if (WIFSIGNALED(child->status))
		run->signal = WTERMSIG(child->status);
	else
		run->exit_code = WEXITSTATUS(child->status);
	if (run_was_put_off(run, child))
		run->state = RUN_INTERRUPTED;
	else if (ended_well(child))
		run->state = RUN_COMPLETED;
	else
		run->state = was_interrupted(child) ? RUN_INTERRUPTED : RUN_FAILED;
}

/* Now; where the clock was set back meanwhile, the start and how long the training took. */
static void format_end(struct live *live)
{
	const struct run_report *report = live->report;
	double start = 0;
	time_t end = clock_now();

	if (clock_parse(report->run.start_time, &start, NULL) == 0 && end < (time_t)start) {
		end = (time_t)start + (time_t)((report->child.wall_ms + 500) / 1000);
		live->clock_was_set = true;
	}
	clock_format(end, live->end_time);
}

/*
 * The journal learns of it before anything else is done, and without a byte of memory: should we
 * be killed or run out of it from here on, 'repair' knows what there is to record. Until then the
 * run goes on for all who look, for its entry is still ours to make.
 */
static void on_end(void *arg)
{
	struct live *live = arg;
	struct run_report *report = live->report;
	struct run *run = &report->run;
	struct err ignored = ERR_INIT; /* finish() writes once more, and warns */

	take_end(run, &report->child);
	format_end(live);
	run->end_time = live->end_time;
	live->end_time = NULL;
	report->is_wanted = run->state == RUN_COMPLETED && !live->options->no_record;
	if (!report->is_wanted) {
		journal_end(&live->room, run, &ignored);
		mem_end_as(proc_shell_status(&report->child), "");
		return;
	}
	run->state = RUN_RUNNING;
	live->end_is_noted = journal_end(&live->room, run, &ignored) == 0;
	run->state = RUN_COMPLETED;
	mem_end_as(
		live->options->strict ? 125 : 0,
		" after the training had ended well; 'thhost repair' records what is not recorded");
}

/* There was no child to end. */
static void close_unstarted(struct run_report *report)
{
	struct run *run = &report->run;
	char now[CLOCK_TEXT_SIZE];

	clock_format(clock_now(), now);
	run->end_time = xstrdup(now);
	run->state = RUN_FAILED;
	run->trouble = xstrf("cannot start '%s': %s", report->argv.v[0],
			     strerrordesc_np(report->child.start_errno));
}

static void set_known_values(struct run_report *report)
{
	struct values *values = report->draft.values;

	if (!values->start_time)
		values->start_time = run_first_start(&report->run);
	if (!values->end_time)
		values->end_time = xstrdup(report->run.end_time);
}

static int make_entry(struct live *live, struct err *err)
{
	struct run_report *report = live->report;
	struct draft *draft = &report->draft;
	const struct extract_source source = {
		.dirfd = draft->dir.fd,
		.dir_name = draft->dir.name,
		.log = report->run.log,
		.argv = report->argv.v,
	};
	const char *outcome;

	if (run_take_events(draft->values, &live->watch.events, err) < 0 ||
	    run_extract(draft, live->session, &source, err) < 0)
		return -1;
	take_capture(live); /* git and the driver have answered while the plugin read */
	set_known_values(report);
	live->usage = run_usage_text(&report->child);
	live->attempts = run_attempts_text(&report->run);
	outcome = draft->result.outcome;
	draft->additive = true;
	draft->context = (struct run_context){
		.run_id = report->run.run_id,
		/* It ended with status 0: only "early" is the plugin's to say. */
		.status =
			outcome && strcmp(outcome, "completed_early") == 0 ? outcome : "completed",
		.git = live->texts.git.buf,
		.environment = live->texts.environment.buf,
		.command = live->texts.command.buf,
		.usage = live->usage,
		.dataset_digest = live->texts.dataset.buf,
		.base_digest = base_files_digest_of(&report->run, draft),
		.attempts = live->attempts,
	};
	return draft_commit(draft, live->session, SPOOL_ALWAYS, &report->outcome, err);
}

/* Its entry has them. */
static void forget_for_repair(struct run *run)
{
	free(run->said);
	run->said = NULL;
	free(run->environment);
	run->environment = NULL;
}

/* 'repair' asks the plugin again, but nobody else knows these any more. */
static void keep_for_repair(struct live *live)
{
	struct run *run = &live->report->run;

	take_capture(live);
	run->usage = run_usage_text(&live->report->child);
	free(run->said);
	run->said = run_said_text(live->report->draft.values);
}

static void record(struct live *live)
{
	struct run_report *report = live->report;
	struct run *run = &report->run;
	struct err err = ERR_INIT;
	int result = make_entry(live, &err);

	if (result == 0 || err.code == ERR_SPOOLED)
		run->entry = xstrdup(report->outcome.entry.buf);
	if (result == 0) {
		report->is_recorded = true;
		run->state = RUN_RECORDED;
		if (report->outcome.result == STORE_NOT_DURABLE)
			strv_push(&report->outcome.warnings, err.msg);
		return;
	}
	report->trouble = err;
	run->trouble = xstrdup(err.msg);
	run->state = err.code == ERR_SPOOLED ? RUN_SPOOLED : RUN_UNRECORDED;
	if (run->state != RUN_UNRECORDED)
		return;
	keep_for_repair(live);
	err_prefix(&report->trouble, "not recorded");
	if (!report->trouble.hint[0])
		err_hint(&report->trouble,
			 "log and files are kept; mend the cause, then 'thhost repair %s'",
			 report->draft.dir.ref);
}

/* ---- the whole ---- */

static int supervise(struct live *live, int log_fd, struct strv *env, struct err *err)
{
	struct run_report *report = live->report;
	const struct conf *conf = &live->session->conf;
	int grace_s = (int)conf_int(conf, "run.grace_s");
	const struct proc_supervision supervision = {
		.argv = report->argv.v,
		.env = env->v,
		.no_pty = strcmp(conf_get(conf, "run.pty"), "no") == 0,
		.log_fd = log_fd,
		.before_output = before_output,
		.on_output = on_output,
		.on_tick = on_tick,
		.on_start = on_start,
		.on_end = on_end,
		.on_stop = on_stop,
		.extra_fd = live->job.fd,
		.on_extra = on_capture,
		.arg = live,
		.tick_ms = TICK_MS,
		.grace_ms = grace_s ? grace_s * 1000 : -1,
	};

	return proc_supervise(&supervision, &report->child, err);
}

static void warn_of_log(const struct run_report *report)
{
	if (report->child.log_truncated)
		log_warn("the log stops after %llu bytes: %s",
			 (unsigned long long)report->child.log_bytes,
			 strerrordesc_np(report->child.log_errno));
}

static void warn_of_events(const struct events *events)
{
	if (events->bad_lines)
		log_warn("passed over %zu line%s of $THHOST_EVENTS: not a JSON object",
			 events->bad_lines, events->bad_lines == 1 ? "" : "s");
}

static void finish(struct live *live)
{
	struct run_report *report = live->report;

	if (report->child.start_errno)
		close_unstarted(report);
	watch_end(&live->watch, report->run.state != RUN_COMPLETED);
	save_progress(live);
	if (live->clock_was_set)
		log_warn("the clock was set back during the training; its end is told by how "
			 "long it took");
	warn_of_log(report);
	warn_of_events(&live->watch.events);
	if (report->is_wanted)
		record(live);
	take_capture(live);
	if (report->is_recorded)
		forget_for_repair(&report->run);
	if (update_journal(live) < 0 && !live->end_is_noted && report->run.state == RUN_UNRECORDED)
		err_hint(&report->trouble,
			 "log and files are kept, but 'repair' does not know; mend the cause, then "
			 "'thhost record %s -d %s --from %s'",
			 report->run.stage, report->run.dataset, report->draft.dir.path);
}

/* Nothing has run, which is not what an intent without an end would tell. */
static void give_up(struct live *live, const struct err *why)
{
	struct run *run = &live->report->run;
	struct err ignored = ERR_INIT; /* 'why' is the first cause, and is told */
	char now[CLOCK_TEXT_SIZE];

	clock_format(clock_now(), now);
	run->end_time = xstrdup(now);
	run->trouble = xstrdup(why->msg);
	run->state = RUN_FAILED;
	journal_update(live->report->draft.dir.fd, run, &ignored);
}

static bool is_piped(const struct session *session)
{
	return strcmp(conf_get(&session->conf, "run.pty"), "no") == 0 || !isatty(STDOUT_FILENO) ||
	       !isatty(STDERR_FILENO);
}

struct run_files {
	int log_fd;
	int events_fd;
	char *events_path;
};

static int open_files(struct run_report *report, const struct conf *conf, struct run_files *files,
		      struct err *err)
{
	int dirfd = report->draft.dir.fd;
	struct str name = STR_INIT;

	if (conf_bool(conf, "run.log")) {
		files->log_fd = journal_open_log(dirfd, report->run.run_id, &name, err);
		report->run.log = files->log_fd >= 0 ? xstrdup(name.buf) : NULL;
		if (files->log_fd < 0) {
			str_release(&name);
			return -1;
		}
		if (report->run.earlier_attempts)
			run_mark_log(files->log_fd, &report->run);
	}
	files->events_fd = journal_open_events(dirfd, report->run.run_id, &name, err);
	if (files->events_fd >= 0)
		files->events_path = path_join(report->draft.dir.path, name.buf);
	str_release(&name);
	return files->events_fd >= 0 ? 0 : -1;
}

static void close_files(struct run_files *files)
{
	if (files->log_fd >= 0 && close(files->log_fd) < 0)
		log_warn("the log may be incomplete: %s", strerrordesc_np(errno));
	if (files->events_fd >= 0)
		close(files->events_fd);
	free(files->events_path);
}

static bool shows_progress(const struct run_options *options, const struct conf *conf)
{
	return !options->quiet && !options->no_progress &&
	       strcmp(conf_get(conf, "run.progress"), "no") != 0;
}

static int begin(const struct run_report *report, struct err *err)
{
	int dirfd = report->draft.dir.fd;

	return report->run.earlier_attempts ? journal_begin_again(dirfd, &report->run, err)
					    : journal_begin(dirfd, &report->run, err);
}

static int run_in_directory(struct session *session, const struct run_options *options,
			    struct run_report *report, struct err *err)
{
	struct live live = { .session = session,
			     .report = report,
			     .options = options,
			     .room = JOURNAL_ROOM_INIT,
			     .end_time = xmalloc(CLOCK_TEXT_SIZE),
			     .job = CAPTURE_JOB_INIT,
			     .texts = CAPTURE_TEXTS_INIT };
	struct run_files files = { .log_fd = -1, .events_fd = -1, .events_path = NULL };
	struct strv env = STRV_INIT;
	char *label = xstrf("%s/%s", report->run.stage, report->run.dataset);
	bool has_begun;
	int result = -1;

	has_begun = begin(report, err) == 0;
	if (!has_begun || open_files(report, &session->conf, &files, err) < 0)
		goto out;
	run_environment(&report->draft, report->run.run_id, files.events_path, is_piped(session),
			&env, &report->env_added);
	watch_begin(&live.watch, &report->draft.plan, &session->plugins.limits, files.events_fd,
		    label, !shows_progress(options, &session->conf));
	if (report->run.earlier_attempts)
		live.watch.events.offset = run_mark_events(files.events_fd);
	begin_capture(&live);
	result = supervise(&live, files.log_fd, &env, err);
	if (result == 0)
		finish(&live);
	else
		take_capture(&live);
	watch_release(&live.watch);
out:
	if (result < 0 && (has_begun || err->code != ERR_BUSY)) /* else the id is another run's */
		give_up(&live, err);
	close_files(&files);
	strv_release(&env);
	capture_texts_release(&live.texts);
	journal_room_release(&live.room);
	free(live.end_time);
	free(live.usage);
	free(live.attempts);
	free(label);
	return result;
}

static int plan_only(struct run_report *report)
{
	struct strv env = STRV_INIT;

	run_environment(&report->draft, "(a new run id)", "(a file under .thhost/events)", true,
			&env, &report->env_added);
	strv_release(&env);
	return 0;
}

/* One of many processes of a job: it runs, and leaves the record to the first. */
static int run_unrecorded(struct run_report *report, struct err *err)
{
	struct strv env = STRV_INIT;
	struct proc_supervision supervision = {
		.argv = report->argv.v,
		.log_fd = -1,
		.extra_fd = -1,
		.tick_ms = 1000,
	};
	int result;

	run_environment(&report->draft, NULL, NULL, false, &env, &report->env_added);
	supervision.env = env.v;
	result = proc_supervise(&supervision, &report->child, err);
	strv_release(&env);
	return result;
}

/* Nothing is made before all that can be wrong with the command line has been looked at. */
static int open_run(struct session *session, const struct run_options *options,
		    struct run_report *report, struct err *err)
{
	struct draft *draft = &report->draft;

	if (draft_open(draft, session, options->values, false, err) < 0 ||
	    run_command(draft, session, options->argv, options->fill, &report->argv, err) < 0)
		return -1;
	if (run_is_recorder())
		session_tell_plan(&draft->plan);
	if (draft->dir.fd >= 0 || options->dry_run || !run_is_recorder())
		return 0;
	if (draft_make_dir(draft, session, err) < 0)
		return -1;
	strv_release(&report->argv); /* now {stage_dir} is what was made, not what was planned */
	return run_command(draft, session, options->argv, options->fill, &report->argv, err);
}

int run_training(struct session *session, const struct run_options *options,
		 struct run_report *report, struct err *err)
{
	struct lock lock = LOCK_INIT;
	int result;

	memset(report, 0, sizeof(*report));
	run_init(&report->run);
	str_init(&report->outcome.entry);
	str_init(&report->outcome.spooled);
	if (open_run(session, options, report, err) < 0)
		return -1;
	if (options->dry_run)
		return plan_only(report);
	if (!run_is_recorder())
		return run_unrecorded(report, err);
	if (run_describe(report, &session->conf, options->run_id, err) < 0 ||
	    run_lock_directory(&report->draft, run_is_restarted(&report->run) ? -1 : 0, &lock,
			       err) < 0)
		return -1;
	result = run_refuse_beside_orphan(&report->draft, err);
	if (result == 0)
		result = run_take_up_former(report, session, options->run_id, err);
	if (result == 0 && !options->no_record && !report->run.earlier_attempts)
		run_measure_base(report, &session->conf);
	if (result == 0)
		result = run_in_directory(session, options, report, err);
	lock_release(&lock);
	return result < 0 ? -1 : 0;
}
