#include "base/base.h"

#include "app/batch_queue.h"

#include "app/slurm_ask.h"
#include "app/slurm_queue.h"

#define ASK_MS 2000

static bool is_there(const struct batch_progress *p)
{
	return p->state == BATCH_JOB_RUNNING && executor_is_slurm_id(p->executor_id);
}

bool batch_queue_has_any(const struct batch_state *state)
{
	for (size_t i = 0; i < state->batch.n_jobs; i++)
		if (is_there(&state->jobs[i]))
			return true;
	return false;
}

void batch_queue_ask(struct batch_state *state)
{
	struct slurm_queue queue = SLURM_QUEUE_INIT;
	struct strv argv = STRV_INIT;
	struct str out = STR_INIT;
	struct err ignored = ERR_INIT; /* the journal is shown all the same */
	struct slurm_command command = { .deadline_ms = ASK_MS };

	if (!batch_queue_has_any(state))
		return;
	slurm_queue_argv(&argv);
	command.argv = argv.v;
	if (slurm_do(&command, &out, &ignored) == 0)
		slurm_queue_parse(&queue, out.buf);
	for (size_t i = 0; i < state->batch.n_jobs; i++) {
		struct batch_progress *p = &state->jobs[i];
		const struct slurm_row *row = NULL;
		struct slurm_id id;

		if (is_there(p) && slurm_id_parse(p->executor_id, &id) == 0)
			row = slurm_queue_find(&queue, id);
		if (row) {
			free(p->queue);
			p->queue = slurm_row_text(row);
		}
	}
	slurm_queue_release(&queue);
	strv_release(&argv);
	str_release(&out);
}
