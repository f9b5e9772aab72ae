#include "base/base.h"

#include "cli/batch_page.h"

#include "app/batch_queue.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/render.h"
#include "sys/json.h"

#include <limits.h>
#include <unistd.h>

static size_t count(const struct batch_state *state, enum batch_job_state what)
{
	size_t n = 0;

	for (size_t i = 0; i < state->batch.n_jobs; i++)
		n += state->jobs[i].state == what;
	return n;
}

/* Whoever works on a batch gives a sign every few seconds; a server may keep it from us for a while. */
#define SILENT_S 60

/* The host of who works on it, if that is not us; "" where it cannot be told. NULL: nobody, or us. */
static char *other_host(const struct batch_state *state)
{
	char name[HOST_NAME_MAX + 1] = "";
	char *host;

	if (state->journal >= 0 || !batch_state_is_taken(state))
		return NULL;
	host = batch_state_holder(state);
	gethostname(name, sizeof(name) - 1);
	if (!host || strcmp(host, name) != 0)
		return host ? host : xstrdup("");
	free(host);
	return NULL;
}

static double age_of(time_t when)
{
	return when ? (double)(clock_now() - when) : -1;
}

/* Its host alone can tell whether it lives; we only know for how long we have heard nothing. */
static bool is_silent(const struct batch_state *state)
{
	char *host = other_host(state);
	bool silent = host && age_of(batch_state_sign(state)) > SILENT_S;

	free(host);
	return silent;
}

/* "running", "done", "failed"; "queued" where nobody watches what a cluster has, "stopped" where there
 * is more to do and nobody does it; "silent" where another host has it and gave no sign for long. While
 * the state is ours we have just stopped. */
static const char *word_of(const struct batch_state *state)
{
	if (state->journal < 0 && batch_state_is_taken(state))
		return is_silent(state) ? "silent" : "running";
	if (batch_queue_has_any(state))
		return "queued";
	if (count(state, BATCH_JOB_WAITING) || count(state, BATCH_JOB_RUNNING))
		return "stopped";
	if (count(state, BATCH_JOB_FAILED) || count(state, BATCH_JOB_BLOCKED))
		return "failed";
	return count(state, BATCH_JOB_CANCELLED) ? "cancelled" : "done";
}

static enum tone tone_of(const char *word)
{
	if (strcmp(word, "done") == 0)
		return TONE_GOOD;
	if (strcmp(word, "running") == 0)
		return TONE_RUNNING;
	if (strcmp(word, "failed") == 0 || strcmp(word, "blocked") == 0)
		return TONE_BAD;
	return TONE_PLAIN;
}

static void add_counts(const struct batch_state *state, struct str *out)
{
	bool is_first = true;

	for (int i = 0; i <= BATCH_JOB_CANCELLED; i++) {
		size_t n = count(state, (enum batch_job_state)i);

		if (!n)
			continue;
		str_addf(out, "%s%zu %s", is_first ? "" : ", ", n,
			 batch_job_state_word((enum batch_job_state)i));
		is_first = false;
	}
}

static double seconds_of(const struct batch_progress *p)
{
	double seconds = -1;

	if (p->start_time && p->end_time && clock_between(p->start_time, p->end_time, &seconds) < 0)
		seconds = -1;
	return seconds;
}

/* Where the batch goes on, for people: " on gpu03, which gave no sign for 7m12s". */
static void add_holder(const struct batch_state *state, struct str *out)
{
	char *host = state->journal < 0 ? batch_state_holder(state) : NULL;

	if (host) {
		str_adds(out, " on ");
		add_safe(out, host);
		if (is_silent(state)) {
			str_adds(out, ", which gave no sign for ");
			add_duration(out, age_of(batch_state_sign(state)));
		}
	}
	free(host);
}

static bool is_elsewhere(const struct batch_progress *p)
{
	char name[HOST_NAME_MAX + 1] = "";

	gethostname(name, sizeof(name) - 1);
	return p->state == BATCH_JOB_RUNNING && p->host && strcmp(p->host, name) != 0;
}

/* "on gpu03, last sign 7m12s ago" */
static void add_place(const struct batch_state *state, size_t job, struct str *out)
{
	const struct batch_progress *p = &state->jobs[job];
	double age = age_of(batch_state_job_sign(state, job));

	if (!is_elsewhere(p) || p->executor_id)
		return;
	str_addf(out, "on %s", p->host);
	if (age < 0)
		return;
	str_adds(out, ", last sign ");
	add_duration(out, age);
	str_adds(out, " ago");
}

/* "running"; of what a queue has, what that says: "pending (Priority)". */
static void add_state(const struct batch_progress *p, struct str *out)
{
	if (p->state == BATCH_JOB_RUNNING && p->executor_id)
		str_adds(out, p->queue ? p->queue : "handed over");
	else
		str_adds(out, batch_job_state_word(p->state));
}

static bool has_ids(const struct batch_state *state)
{
	for (size_t i = 0; i < state->batch.n_jobs; i++)
		if (state->jobs[i].executor_id)
			return true;
	return false;
}

static void job_row(struct table *t, const struct batch_state *state, size_t job)
{
	const struct batch_progress *p = &state->jobs[job];
	const char *word = batch_job_state_word(p->state);
	struct str text = STR_INIT;

	table_row(t);
	table_cell(t, TONE_PLAIN, state->batch.jobs[job].name);
	add_state(p, &text);
	table_cell(t, tone_of(word), text.buf);
	str_clear(&text);
	if (seconds_of(p) >= 0)
		add_duration(&text, seconds_of(p));
	table_cell(t, TONE_PLAIN, text.buf);
	str_clear(&text);
	if (p->attempt > 1)
		str_addf(&text, "%d", p->attempt);
	table_cell(t, TONE_PLAIN, text.buf);
	if (has_ids(state))
		table_cell(t, TONE_DIM, p->executor_id ? p->executor_id : "");
	str_clear(&text);
	add_place(state, job, &text);
	table_cell(t, TONE_PLAIN, p->why ? p->why : text.buf);
	str_release(&text);
}

void batch_state_page(const struct batch_state *state, struct str *out)
{
	struct table *t = table_new();

	table_column(t, "job", ALIGN_LEFT);
	table_column(t, "state", ALIGN_LEFT);
	table_column(t, "took", ALIGN_RIGHT);
	table_column(t, "attempts", ALIGN_RIGHT);
	if (has_ids(state))
		table_column(t, "queue", ALIGN_LEFT);
	table_column(t, "", ALIGN_LEFT);
	for (size_t i = 0; i < state->batch.n_jobs; i++)
		job_row(t, state, i);
	add_safe(out, state->batch.name);
	str_addf(out, " (%.13s) %s", state->id, word_of(state));
	add_holder(state, out);
	str_adds(out, ": ");
	add_counts(state, out);
	str_addch(out, '\n');
	table_print(t, "", out);
	table_free(t);
}

static void sign_json(const char *key, time_t when, struct jsonw *w)
{
	char text[CLOCK_TEXT_SIZE];

	if (when)
		clock_format(when, text);
	jsonw_pair_string(w, key, when ? text : NULL);
}

static void job_json(const struct batch_state *state, size_t job, struct jsonw *w)
{
	const struct batch_progress *p = &state->jobs[job];

	jsonw_object(w);
	jsonw_pair_string(w, "job", state->batch.jobs[job].name);
	jsonw_pair_string(w, "state", batch_job_state_word(p->state));
	jsonw_pair_int(w, "attempts", p->attempt);
	jsonw_pair_int(w, "failures", p->failures);
	jsonw_pair_string(w, "run_id", p->run_id[0] ? p->run_id : NULL);
	jsonw_pair_string(w, "host", p->host);
	sign_json("last_sign", p->state == BATCH_JOB_RUNNING ? batch_state_job_sign(state, job) : 0,
		  w);
	jsonw_pair_string(w, "executor_id", p->executor_id);
	jsonw_pair_string(w, "queue", p->queue);
	jsonw_pair_string(w, "gpus", p->gpus);
	jsonw_pair_string(w, "start_time", p->start_time);
	jsonw_pair_string(w, "end_time", p->end_time);
	jsonw_key(w, "exit_code");
	if (p->exit_code >= 0)
		jsonw_int(w, p->exit_code);
	else
		jsonw_null(w);
	jsonw_pair_string(w, "why", p->why);
	jsonw_end(w);
}

static void holder_json(const struct batch_state *state, struct jsonw *w)
{
	char *host = state->journal < 0 ? batch_state_holder(state) : NULL;

	jsonw_pair_string(w, "works_on_it", host);
	sign_json("last_sign", host ? batch_state_sign(state) : 0, w);
	free(host);
}

static void head_json(const struct batch_state *state, struct jsonw *w)
{
	jsonw_pair_string(w, "id", state->id);
	jsonw_pair_string(w, "batch", state->batch.name);
	jsonw_pair_string(w, "file", state->batch.path);
	jsonw_pair_string(w, "state", word_of(state));
	jsonw_pair_string(w, "created", state->created);
	jsonw_pair_string(w, "host", state->host);
	holder_json(state, w);
	jsonw_pair_string(w, "experiment", state->common_exp);
	jsonw_key(w, "count");
	jsonw_object(w);
	for (int i = 0; i <= BATCH_JOB_CANCELLED; i++)
		jsonw_pair_int(w, batch_job_state_word((enum batch_job_state)i),
			       (int64_t)count(state, (enum batch_job_state)i));
	jsonw_end(w);
}

void batch_state_json(const struct batch_state *state, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.batch-status/1");
	head_json(state, &w);
	jsonw_key(&w, "jobs");
	jsonw_array(&w);
	for (size_t i = 0; i < state->batch.n_jobs; i++)
		job_json(state, i, &w);
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

void batch_list_page(struct batch_state *const *states, size_t n, struct str *out)
{
	static const char *const titles[] = { "batch", "id", "state", "jobs", "created", "file" };
	struct table *t = table_new();

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		table_column(t, titles[i], ALIGN_LEFT);
	for (size_t i = n; i > 0; i--) {
		const struct batch_state *state = states[i - 1];
		struct str text = STR_INIT;

		table_row(t);
		table_cell(t, TONE_PLAIN, state->batch.name);
		str_addf(&text, "%.13s", state->id);
		table_cell(t, TONE_DIM, text.buf);
		str_clear(&text);
		str_adds(&text, word_of(state));
		add_holder(state, &text);
		table_cell(t, tone_of(word_of(state)), text.buf);
		str_clear(&text);
		add_counts(state, &text);
		table_cell(t, TONE_PLAIN, text.buf);
		str_clear(&text);
		add_age(&text, state->created);
		table_cell(t, TONE_PLAIN, text.buf);
		table_cell(t, TONE_DIM, state->batch.path);
		str_release(&text);
	}
	table_print(t, "", out);
	table_free(t);
}

void batch_list_json(struct batch_state *const *states, size_t n, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.batches/1");
	jsonw_key(&w, "batches");
	jsonw_array(&w);
	for (size_t i = n; i > 0; i--) {
		jsonw_object(&w);
		head_json(states[i - 1], &w);
		jsonw_end(&w);
	}
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}
