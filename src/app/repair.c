#include "base/base.h"

#include "app/verify.h"

#include "app/record.h"
#include "app/run_kept.h"
#include "base/mem.h"
#include "model/store.h"

#include <unistd.h>

void repair_report_release(struct repair_report *report)
{
	strv_release(&report->done);
	strv_release(&report->left);
}

/* The journal's run whose id is the name of this spool file. */
static struct run *run_of(const struct history *history, const char *spool_path)
{
	for (size_t i = 0; i < history->runs.n; i++)
		if (strstr(spool_path, history->runs.v[i].run_id))
			return &history->runs.v[i];
	return NULL;
}

static void mark_recorded(const struct history *history, struct run *run,
			  struct repair_report *report)
{
	struct err err = ERR_INIT;

	if (!run)
		return;
	run->state = RUN_RECORDED;
	free(run->trouble);
	run->trouble = NULL;
	if (journal_update(history->dir.fd, run, &err) < 0)
		strv_push(&report->left, err.msg);
}

static void unspool(struct session *session, const struct history *history, const char *path,
		    bool dry, struct repair_report *report)
{
	struct info_summary after;
	struct err err = ERR_INIT;
	enum store_result result;

	if (dry) {
		strv_pushf(&report->done, "would put the entry of %s into %s", path,
			   history->dir.ref);
		return;
	}
	result = store_unspool(path, session_lock_timeout_ms(session), &after, &err);
	if (result == STORE_UNCHANGED) {
		strv_pushf(&report->left, "%s stays in the spool: %s", path, err.msg);
		return;
	}
	strv_pushf(&report->done, "%s: %s", history->dir.ref,
		   result == STORE_ALREADY ? "the spooled entry was there already"
					   : "a spooled entry is in the record now");
	if (result == STORE_NOT_DURABLE)
		strv_push(&report->left, err.msg);
	mark_recorded(history, run_of(history, path), report);
}

/* Its thhost may have been gone before the journal knew of them. */
static void take_events(const struct run *run, const struct history *history, struct values *values)
{
	struct err ignored = ERR_INIT;
	struct str name = STR_INIT;
	struct events events;
	int fd = journal_open_events(history->dir.fd, run->run_id, &name, &ignored);

	events_init(&events, fd);
	if (fd >= 0) {
		events_finish(&events, NULL, NULL);
		run_take_events(values, &events, &ignored);
		close(fd);
	}
	events_release(&events);
	str_release(&name);
}

/* The values that a run of the journal left behind. */
static void values_of(const struct run *run, const struct history *history, struct values *values)
{
	struct err ignored = ERR_INIT; /* then the plugin's word stands alone */

	values_init(values);
	if (run->said)
		values_read_json(values, "said", run->said, &ignored);
	take_events(run, history, values);
	values->stage = xstrdup_or_null(run->stage);
	values->dataset = xstrdup_or_null(run->dataset);
	values->into = xstrdup(history->dir.ref);
	values->start_time = xstrdup_or_null(run->start_time);
	values->end_time = xstrdup_or_null(run->end_time);
	values->base_model = xstrdup_or_null(run->base_model);
	values->init_from = xstrdup_or_null(run->init_from);
}

static void print_command(const struct run *run, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 0);

	jsonw_array(&w);
	for (size_t i = 0; i < run->command.n; i++)
		jsonw_string(&w, run->command.v[i]);
	jsonw_end(&w);
}

static int record_again(struct session *session, const struct run *run, struct draft *draft,
			struct err *err)
{
	const struct extract_source source = {
		.dirfd = draft->dir.fd,
		.dir_name = draft->dir.name,
		.log = run->log,
		.argv = run->command.v,
	};
	struct record_outcome outcome = { .entry = STR_INIT, .spooled = STR_INIT };
	struct str command = STR_INIT;
	int result;

	print_command(run, &command);
	result = run_extract(draft, session, &source, err);
	if (result == 0) {
		draft->additive = true;
		draft->context.run_id = run->run_id;
		draft->context.status = "completed";
		draft->context.git = run->git;
		draft->context.environment = run->environment;
		draft->context.usage = run->usage;
		draft->context.command = command.buf;
		result = draft_commit(draft, session, SPOOL_DAMAGE, &outcome, err);
	}
	record_outcome_release(&outcome);
	str_release(&command);
	return result;
}

static void ask_again(struct session *session, const struct history *history, struct run *run,
		      bool dry, struct repair_report *report)
{
	struct values values;
	struct draft draft;
	struct err err = ERR_INIT;

	if (dry) {
		strv_pushf(&report->done, "would read run %.13s of %s again", run->run_id,
			   history->dir.ref);
		return;
	}
	values_of(run, history, &values);
	if (draft_open(&draft, session, &values, false, &err) == 0 &&
	    record_again(session, run, &draft, &err) == 0) {
		strv_pushf(&report->done, "%s: run %.13s is recorded now", history->dir.ref,
			   run->run_id);
		mark_recorded(history, run, report);
	} else {
		strv_pushf(&report->left, "run %.13s of %s stays unrecorded: %s", run->run_id,
			   history->dir.ref, err.msg);
	}
	draft_release(&draft);
	values_release(&values);
}

void repair_history(struct session *session, const struct history *history, bool dry,
		    struct repair_report *report)
{
	for (size_t i = 0; i < history->waiting.n; i++)
		unspool(session, history, history->waiting.v[i], dry, report);
	for (size_t i = 0; i < history->runs.n; i++)
		if (history->runs.v[i].state == RUN_UNRECORDED)
			ask_again(session, history, &history->runs.v[i], dry, report);
}
