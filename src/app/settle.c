#include "base/base.h"

#include "app/settle.h"

#include "base/log.h"
#include "base/mem.h"
#include "model/journal.h"

#include <sys/stat.h>

static bool is_same_directory(int a, int b)
{
	struct stat left;
	struct stat right;

	return a >= 0 && b >= 0 && fstat(a, &left) == 0 && fstat(b, &right) == 0 &&
	       left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

int settle_take_run(struct draft *draft, int fromfd, struct err *err)
{
	struct run_list runs = { .v = NULL, .n = 0 };
	size_t closed;
	int result;

	if (!is_same_directory(draft->dir.fd, fromfd))
		return 0;
	result = journal_load_newest(draft->dir.fd, &runs, err);
	journal_close_dead(draft->dir.fd, &runs,
			   &closed); /* one that was killed ended well, perhaps */
	if (result == 0 && runs.n && runs.v[0].state == RUN_UNRECORDED)
		snprintf(draft->run_id, sizeof(draft->run_id), "%s", runs.v[0].run_id);
	run_list_release(&runs);
	return result;
}

void settle_run(const struct draft *draft, const char *entry)
{
	struct run run;
	struct err err = ERR_INIT;

	run_init(&run);
	if (draft->run_id[0] && journal_find(draft->dir.fd, draft->run_id, &run, &err) == 0 &&
	    run.state == RUN_UNRECORDED) {
		run.state = RUN_RECORDED;
		free(run.trouble);
		run.trouble = NULL;
		free(run.entry);
		run.entry = xstrdup(entry);
		if (journal_update(draft->dir.fd, &run, &err) < 0)
			log_warn("the journal does not know of it: %s", err.msg);
	}
	run_release(&run);
}
