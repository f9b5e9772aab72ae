#include "base/base.h"

#include "app/batch_judge.h"

#include "base/mem.h"
#include "model/info.h"
#include "model/store.h"
#include "sys/lock.h"
#include "sys/path.h"

#include <fcntl.h>
#include <unistd.h>

#define RUN_LOCK ".run.lock"
#define RECORD_LOCK_MS 10000 /* an append takes milliseconds */

void batch_finding_release(struct batch_finding *finding)
{
	free(finding->why);
	free(finding->host);
	free(finding->start_time);
	free(finding->end_time);
	*finding = (struct batch_finding){ .why = NULL };
}

static enum batch_verdict verdict_of(const struct run *run)
{
	switch (run->state) {
	case RUN_STARTING:
	case RUN_RUNNING:
		return BATCH_GOES_ON;
	case RUN_RECORDED:
	case RUN_COMPLETED:
		return BATCH_ENDED_WELL;
	case RUN_SPOOLED:
	case RUN_UNRECORDED:
		return BATCH_UNSETTLED;
	case RUN_INTERRUPTED:
		return BATCH_INTERRUPTED;
	case RUN_FAILED:
		break;
	}
	return BATCH_FAILED;
}

static char *why_of(const struct run *run)
{
	if (run->trouble)
		return xstrdup(run->trouble);
	if (run->signal)
		return xstrf("ended by SIG%s", sigabbrev_np(run->signal));
	if (run->exit_code > 0)
		return xstrf("exit status %d", run->exit_code);
	return NULL;
}

static void take_run(const struct run *run, struct batch_finding *out)
{
	out->verdict = verdict_of(run);
	out->is_elsewhere = run_is_elsewhere(run);
	out->host = xstrdup_or_null(run->host);
	out->exit_code = run->exit_code;
	out->signal = run->signal;
	out->pid = out->is_elsewhere ? 0 : run->pid;
	out->last_step = run->last_step;
	out->start_time = xstrdup_or_null(run->start_time);
	out->end_time = run_has_ended(run) ? xstrdup_or_null(run->end_time) : NULL;
	out->why = why_of(run);
}

int batch_judge(const struct batch_step *step, const char *run_id, struct batch_finding *out,
		struct err *err)
{
	struct run_list list = { .v = xcalloc(1, sizeof(*list.v)), .n = 1 };
	struct err own = ERR_INIT;
	size_t closed;
	int fd = path_open_dir(step->path, &own);
	int result = fd < 0 ? -1 : journal_find(fd, run_id, &list.v[0], &own);

	*out = (struct batch_finding){ .verdict = BATCH_NOT_BEGUN,
				       .exit_code = -1,
				       .last_step = -1 };
	if (result == 0) {
		journal_close_dead(fd, &list, &closed);
		take_run(&list.v[0], out);
		run_release(&list.v[0]);
	} else if (own.code == ERR_NOT_FOUND) {
		result = 0;
	} else {
		*err = own;
	}
	free(list.v);
	if (fd >= 0)
		close(fd);
	return result;
}

/* ---- given up ---- */

static bool has_entry(int fd, const struct batch_step *step, const char *run_id)
{
	struct str text = STR_INIT;
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;
	bool found = store_read(fd, step->ref, &text, &ignored) == 0 &&
		     info_open(&info, step->ref, text.buf, text.len, &ignored) == 0 &&
		     info_entry_find(&info, run_id) != JSON_NONE;

	info_release(&info);
	str_release(&text);
	return found;
}

/* Its 'thhost run' holds the directory, if its host's locks outlive it. */
static int free_directory(int fd, const char *host, struct err *err)
{
	int journal = path_open_beneath(fd, ".thhost", O_RDONLY | O_DIRECTORY, err);
	int result = journal < 0 ? -1 : lock_break(journal, RUN_LOCK, host, err);

	if (journal >= 0)
		close(journal);
	return result < 0 ? -1 : 0;
}

/* Under the lock of the record: its entry was appended before, or never will be. */
int batch_give_up(const struct batch_step *step, const char *run_id, const char *gone_host,
		  const char *why, struct err *err)
{
	struct lock lock = LOCK_INIT;
	struct err none = ERR_INIT;
	int fd = path_open_dir(step->path, &none);
	int result = 0;

	if (fd < 0 && none.code != ERR_NOT_FOUND) {
		*err = none;
		result = -1;
	} else if (fd >= 0) {
		result = lock_acquire(&lock, fd, RECORD_LOCK, step->ref, RECORD_LOCK_MS, err);
		if (result == 0)
			result = journal_revoke(fd, run_id, why, has_entry(fd, step, run_id), err);
		lock_release(&lock);
		if (result == 0 && gone_host)
			result = free_directory(fd, gone_host, err);
		close(fd);
	}
	return result;
}
