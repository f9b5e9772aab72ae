#include "base/base.h"

#include "app/batch_judge.h"

#include "base/mem.h"
#include "sys/path.h"

#include <unistd.h>

void batch_finding_release(struct batch_finding *finding)
{
	free(finding->why);
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
	out->signal = run->signal;
	out->pid = out->is_elsewhere ? 0 : run->pid;
	out->last_step = run->last_step;
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

	*out = (struct batch_finding){ .verdict = BATCH_NOT_BEGUN, .last_step = -1 };
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
