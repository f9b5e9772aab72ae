#include "base/base.h"

#include "app/repair.h"

#include "app/base_files.h"
#include "app/record.h"
#include "app/run_kept.h"
#include "app/spooled.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sys/path.h"

#include <unistd.h>

#define RUNS ".thhost/runs"

static char *path_of(const struct history *history, const struct run *run)
{
	return xstrf("%s/" RUNS "/%s.json", history->dir.path, run->run_id);
}

/* ---- what the journal should know ---- */

void repair_mark_recorded(struct repair *repair, const struct history *history, struct run *run,
			  const char *entry)
{
	struct err err = ERR_INIT;
	char *path = path_of(history, run);

	run->state = RUN_RECORDED;
	free(run->trouble);
	run->trouble = NULL;
	if (!run->entry)
		run->entry = xstrdup_or_null(entry);
	if (journal_update(history->dir.fd, run, &err) < 0)
		repair_left(repair, history->dir.ref, "marked", path, "%s", err.msg);
	free(path);
}

static void mark(struct repair *repair, const struct history *history, struct run *run,
		 size_t entry)
{
	char *text = json_raw_copy(&history->info.doc, entry);
	char *path = path_of(history, run);

	repair_did(repair, history->dir.ref, "marked", path,
		   "%s run %.13s as recorded, not %s: its entry is in the record",
		   repair_word(repair, "marked", "would mark"), run->run_id,
		   run_state_word(run->state));
	if (!repair->dry)
		repair_mark_recorded(repair, history, run, text);
	free(path);
	free(text);
}

static void close_dead(struct repair *repair, const struct history *history, struct run *run)
{
	struct run_list one = { .v = run, .n = 1 };
	char *path = path_of(history, run);
	char step[48] = "";
	size_t closed = 0;

	if (!repair->dry)
		journal_close_dead(history->dir.fd, &one, &closed);
	if (run->last_step >= 0)
		snprintf(step, sizeof(step), ", last step %lld", (long long)run->last_step);
	if (repair->dry || closed)
		repair_did(repair, history->dir.ref, "closed", path,
			   "%s run %.13s as interrupted%s: its thhost and its training are gone",
			   repair_word(repair, "closed", "would close"), run->run_id, step);
	else if (!run_has_ended(run))
		repair_left(repair, history->dir.ref, "closed", path,
			    "run %.13s is dead, but '%s' cannot be written", run->run_id, path);
	free(path);
}

/* ---- the plugin, once more ---- */

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
	values->start_time = run_first_start(run);
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

/* Of a thhost that was killed the journal knows how long the training took, and no more. */
static char *usage_of(const struct run *run)
{
	if (run->usage)
		return xstrdup(run->usage);
	return run->wall_ms > 0 ? xstrf("{\"wall_s\": %.3f}", (double)run->wall_ms / 1e3) : NULL;
}

static int record_again(struct session *session, const struct run *run, struct draft *draft,
			struct str *entry, struct err *err)
{
	const struct extract_source source = {
		.dirfd = draft->dir.fd,
		.dir_name = draft->dir.name,
		.log = run->log,
		.argv = run->command.v,
	};
	struct record_outcome outcome = { .entry = STR_INIT, .spooled = STR_INIT };
	struct str command = STR_INIT;
	char *usage = usage_of(run);
	char *attempts = run_attempts_text(run);
	int result;

	print_command(run, &command);
	result = run_extract(draft, session, &source, err);
	if (result == 0) {
		draft->additive = true;
		draft->context.run_id = run->run_id;
		draft->context.status = "completed";
		draft->context.git = run->git;
		draft->context.environment = run->environment;
		draft->context.usage = usage;
		draft->context.attempts = attempts;
		draft->context.command = command.buf;
		draft->context.dataset_digest = run->dataset_digest;
		draft->context.base_digest = base_files_digest_of(run, draft);
		result = draft_commit(draft, session, SPOOL_DAMAGE, &outcome, err);
		str_sets(entry, outcome.entry.buf);
	}
	record_outcome_release(&outcome);
	str_release(&command);
	free(attempts);
	free(usage);
	return result;
}

static void ask_again(struct repair *repair, const struct history *history, struct run *run)
{
	struct values values;
	struct draft draft;
	struct str entry = STR_INIT;
	struct err err = ERR_INIT;
	char *path = path_of(history, run);
	int result;

	values_of(run, history, &values);
	result = draft_open(&draft, repair->session, &values, false, &err);
	if (result == 0)
		result = record_again(repair->session, run, &draft, &entry, &err);
	if (result == 0) {
		repair_did(repair, history->dir.ref, "recorded", path,
			   "recorded run %.13s: its plugin has read it again", run->run_id);
		repair_mark_recorded(repair, history, run, entry.buf);
	} else {
		repair_left(repair, history->dir.ref, "recorded", path,
			    "run %.13s stays unrecorded: %s", run->run_id, err.msg);
	}
	draft_release(&draft);
	values_release(&values);
	str_release(&entry);
	free(path);
}

/* An older run may have begun again since, when its job was restarted. */
static bool began_again_after(const struct run *other, const struct run *run)
{
	double seconds;

	return other->earlier_attempts && other->start_time && run->start_time &&
	       clock_between(run->start_time, other->start_time, &seconds) == 0 && seconds > 0;
}

/* Did a later run start in this directory? Then its files are what a plugin would read. */
static bool was_followed(const struct history *history, const struct run *run)
{
	for (size_t i = 0; i < history->runs.n; i++) {
		const struct run *other = &history->runs.v[i];

		if (other != run && other->child_pid &&
		    (strcmp(other->run_id, run->run_id) > 0 || began_again_after(other, run)))
			return true;
	}
	return false;
}

static void record_missed(struct repair *repair, const struct history *history, struct run *run)
{
	char *path = path_of(history, run);

	if (was_followed(history, run))
		repair_left(repair, history->dir.ref, "recorded", path,
			    "run %.13s stays unrecorded: a later run has written into this "
			    "directory, so its values would be taken; record it by hand ('thhost "
			    "record') and move '%s' away",
			    run->run_id, path);
	else if (repair->dry)
		repair_did(repair, history->dir.ref, "recorded", path,
			   "would record run %.13s: its plugin would read it again", run->run_id);
	else
		ask_again(repair, history, run);
	free(path);
}

/* Its thhost was killed, but after it had noted that the training ended with 0: that is no interrupted
 * run, its entry is missing. */
static void record_dead(struct repair *repair, const struct history *history, struct run *run)
{
	struct run_list one = { .v = run, .n = 1 };
	size_t closed;

	if (!repair->dry)
		journal_close_dead(history->dir.fd, &one, &closed);
	if (repair->dry || run->state == RUN_UNRECORDED)
		record_missed(repair, history, run);
}

/* ---- spooled, and in no spool ---- */

bool repair_is_lost(const struct history *history, const struct run *run)
{
	if (run->state != RUN_SPOOLED)
		return false;
	for (size_t i = 0; i < history->waiting.n; i++)
		if (has_prefix(path_base(history->waiting.v[i]), run->run_id))
			return false;
	return true;
}

/* Its spool file was removed, or lies where it cannot be seen from here (another host's $TMPDIR). */
static void find_lost(struct repair *repair, const struct history *history, struct run *run)
{
	struct err err = ERR_INIT;
	char *path;

	if (!run->entry || !history->has_record || history->err.code) {
		record_missed(repair, history, run);
		return;
	}
	path = path_of(history, run);
	if (repair->dry || restore_entries(repair, history, &run->entry, 1, &err) == 0) {
		repair_did(repair, history->dir.ref, "recorded", path,
			   "%s run %.13s from the journal: its entry is in no spool any more",
			   repair_word(repair, "recorded", "would record"), run->run_id);
		if (!repair->dry)
			repair_mark_recorded(repair, history, run, run->entry);
	} else {
		repair_left(repair, history->dir.ref, "recorded", path,
			    "run %.13s stays unrecorded: %s", run->run_id, err.msg);
	}
	free(path);
}

/* ---- files of the journal ---- */

static void repair_broken(struct repair *repair, const struct history *history, int runs,
			  const char *name)
{
	struct err err = ERR_INIT;
	char *dir = path_join(history->dir.path, RUNS);
	char *path = path_join(dir, name);
	enum damage damage = damage_of(runs, name, "thhost.run/1", &err);
	struct err trouble = ERR_INIT;
	int to = -1;

	if (damage == DAMAGE_TEXT && !repair->dry)
		to = journal_open_part(history->dir.fd, "quarantine", true, &trouble);
	if (damage == DAMAGE_TEXT && !trouble.code)
		repair_quarantine(repair, history->dir.ref, dir, runs, name, to, err.msg);
	else if (err.code != ERR_NOT_FOUND)
		repair_left(repair, history->dir.ref, "run", path, "'%s': %s", path,
			    trouble.code ? trouble.msg : err.msg);
	if (to >= 0)
		close(to);
	free(path);
	free(dir);
}

/* ".ID.json.tmp.PID.HEX": the run's own file is there, or it never began. */
static void sweep_runs(struct repair *repair, const struct history *history, int runs)
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	char *dir = path_join(history->dir.path, RUNS);

	if (path_list(runs, &names, &ignored) == 0)
		for (size_t i = 0; i < names.n; i++) {
			char *name = repair_temporary_of(runs, names.v[i]);

			if (name)
				repair_sweep(repair, history->dir.ref, runs, dir, names.v[i]);
			free(name);
		}
	strv_release(&names);
	free(dir);
}

static void repair_files(struct repair *repair, const struct history *history)
{
	struct err err = ERR_INIT;
	int runs = journal_open_part(history->dir.fd, "runs", false, &err);

	if (runs < 0) {
		if (err.code != ERR_NOT_FOUND)
			repair_left(repair, history->dir.ref, "run", history->dir.path, "%s",
				    err.msg);
		return;
	}
	for (size_t i = 0; i < history->broken_runs.n; i++)
		repair_broken(repair, history, runs, path_base(history->broken_runs.v[i]));
	sweep_runs(repair, history, runs);
	close(runs);
}

void repair_runs(struct repair *repair, struct history *history)
{
	bool readable = history->has_record && !history->err.code;

	repair_files(repair, history);
	for (size_t i = 0; i < history->runs.n; i++) {
		struct run *run = &history->runs.v[i];
		bool is_dead = run_is_dead(run);
		size_t entry = readable ? info_entry_find(&history->info, run->run_id) : JSON_NONE;

		if (run->state == RUN_RECORDED || (!run_has_ended(run) && !is_dead))
			continue;
		if (entry != JSON_NONE)
			mark(repair, history, run, entry);
		else if (is_dead && run->exit_code == 0)
			record_dead(repair, history, run);
		else if (is_dead)
			close_dead(repair, history, run);
		else if (run->state == RUN_UNRECORDED)
			record_missed(repair, history, run);
		else if (repair_is_lost(history, run))
			find_lost(repair, history, run);
	}
}
