#include "base/base.h"

#include "app/run_intent.h"

#include "app/base_files.h"
#include "app/run_kept.h"
#include "app/run_requeue.h"
#include "base/clock.h"
#include "base/mem.h"
#include "capture/secrets.h"
#include "sys/path.h"

#include <fcntl.h>
#include <unistd.h>

#define RUN_LOCK ".run.lock"

static void describe_process(struct run *run)
{
	char host[256] = "";
	char boot[64];

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	clock_boot_id(boot);
	run->host = xstrdup(host);
	run->boot_id = xstrdup(boot);
	run->pid = getpid();
	run->pid_start = proc_start_time(getpid());
	run->pid_ns = proc_pid_namespace();
	run->cwd = getcwd(NULL, 0);
}

static int name_run(struct run *run, const char *given, struct err *err)
{
	if (!given)
		return id_make(run->run_id, err);
	if (!id_is_valid(given))
		return err_set(err, ERR_USAGE, "'%.100s' is no run id (a UUID)", given);
	snprintf(run->run_id, sizeof(run->run_id), "%s", given);
	return 0;
}

int run_describe(struct run_report *report, const struct conf *conf, const char *run_id,
		 struct err *err)
{
	const struct draft *draft = &report->draft;
	struct run *run = &report->run;
	struct strv mask = STRV_INIT;
	char now[CLOCK_TEXT_SIZE];

	if (name_run(run, run_id, err) < 0)
		return -1;
	clock_format(clock_now(), now);
	run->state = RUN_STARTING;
	run->stage = xstrdup(draft->values->stage);
	run->dataset = xstrdup(draft->values->dataset);
	run->exp = xstrdup_or_null(draft->dir.exp);
	run->start_time = xstrdup(now);
	run->base_model = xstrdup_or_null(draft->base_model);
	run->parents = xstrdup_or_null(draft->parents);
	run->said = run_said_text(draft->values);
	run->init_from = xstrdup_or_null(draft->values->init_from);
	run_describe_job(run);
	describe_process(run);
	conf_list(conf, "record.mask", &mask);
	secrets_mask_argv(report->argv.v, &mask, &run->command);
	strv_release(&mask);
	return 0;
}

void run_measure_base(struct run_report *report, const struct conf *conf)
{
	struct run *run = &report->run;
	struct str digest = STR_INIT;
	char now[CLOCK_TEXT_SIZE];

	base_files_digest(&report->draft, conf, run->cwd, &digest);
	if (digest.len) {
		free(run->base_model_digest);
		run->base_model_digest = xstrdup(digest.buf);
		clock_format(clock_now(), now);
		free(run->start_time);
		run->start_time = xstrdup(now);
	}
	str_release(&digest);
}

int run_refuse_beside_orphan(const struct draft *draft, struct err *err)
{
	struct run_list runs;
	size_t closed;
	int result = journal_load_newest(draft->dir.fd, &runs, err);

	if (result < 0)
		return -1;
	journal_close_dead(draft->dir.fd, &runs, &closed);
	if (runs.n && run_goes_on(&runs.v[0]))
		result = err_set(err, ERR_BUSY,
				 "another run is going on: run %.13s of '%s' has lost its thhost, "
				 "but its training has not ended (pid %lld)",
				 runs.v[0].run_id, draft->dir.ref, (long long)runs.v[0].child_pid);
	run_list_release(&runs);
	return result;
}

int run_lock_directory(const struct draft *draft, int timeout_ms, struct lock *lock,
		       struct err *err)
{
	int fd;
	int result;

	if (path_make_dir(draft->dir.fd, ".thhost", NULL, err) < 0)
		return -1;
	fd = path_open_beneath(draft->dir.fd, ".thhost", O_RDONLY | O_DIRECTORY, err);
	if (fd < 0)
		return -1;
	result = lock_acquire(lock, fd, RUN_LOCK, draft->dir.ref, timeout_ms, err);
	close(fd);
	if (result < 0 && err->code == ERR_BUSY)
		err_prefix(err, "another run is going on");
	return result;
}
