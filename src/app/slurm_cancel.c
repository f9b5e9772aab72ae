#include "base/base.h"

#include "app/slurm_cancel.h"

#include "app/slurm_ask.h"

#define CANCEL_MS 15000

static void cancel(const char *const *options, const struct strv *ids)
{
	struct strv argv = STRV_INIT;
	struct str out = STR_INIT;
	struct err ignored = ERR_INIT;
	struct slurm_command command = { .deadline_ms = CANCEL_MS };

	strv_push(&argv, "scancel");
	for (; *options; options++)
		strv_push(&argv, *options);
	for (size_t i = 0; i < ids->n; i++)
		strv_push(&argv, ids->v[i]);
	command.argv = argv.v;
	slurm_do(&command, &out, &ignored);
	strv_release(&argv);
	str_release(&out);
}

/* scancel by itself asks the steps of a job to end, not its script, before it kills both: with --full
 * the script is asked too, and so 'thhost run', which can close its run. For one that does not run it
 * would try and try. */
void slurm_cancel(const struct strv *ids, bool is_first)
{
	static const char *const ask[] = { "--full", "--signal=TERM", "--state=RUNNING", NULL };
	static const char *const none[] = { NULL };

	if (is_first)
		cancel(ask, ids);
	cancel(none, ids);
}

void slurm_cancel_pending(const struct strv *ids)
{
	static const char *const pending[] = { "--state=PENDING", NULL };

	cancel(pending, ids);
}
