#include "base/base.h"

#include "cli/batch_page.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/render.h"
#include "sys/json.h"

static size_t count(const struct batch_state *state, enum batch_job_state what)
{
	size_t n = 0;

	for (size_t i = 0; i < state->batch.n_jobs; i++)
		n += state->jobs[i].state == what;
	return n;
}

/* "running", "done", "failed", or "stopped" where there is more to do and nobody does it. While
 * the state is ours we have just stopped. */
static const char *word_of(const struct batch_state *state)
{
	if (state->journal < 0 && batch_state_is_taken(state))
		return "running";
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

static void job_row(struct table *t, const struct batch_state *state, size_t job)
{
	const struct batch_progress *p = &state->jobs[job];
	const char *word = batch_job_state_word(p->state);
	struct str text = STR_INIT;

	table_row(t);
	table_cell(t, TONE_PLAIN, state->batch.jobs[job].name);
	table_cell(t, tone_of(word), word);
	if (seconds_of(p) >= 0)
		add_duration(&text, seconds_of(p));
	table_cell(t, TONE_PLAIN, text.buf);
	str_clear(&text);
	if (p->attempt > 1)
		str_addf(&text, "%d", p->attempt);
	table_cell(t, TONE_PLAIN, text.buf);
	table_cell(t, TONE_PLAIN, p->why ? p->why : "");
	str_release(&text);
}

void batch_state_page(const struct batch_state *state, struct str *out)
{
	struct table *t = table_new();

	table_column(t, "job", ALIGN_LEFT);
	table_column(t, "state", ALIGN_LEFT);
	table_column(t, "took", ALIGN_RIGHT);
	table_column(t, "attempts", ALIGN_RIGHT);
	table_column(t, "", ALIGN_LEFT);
	for (size_t i = 0; i < state->batch.n_jobs; i++)
		job_row(t, state, i);
	add_safe(out, state->batch.name);
	str_addf(out, " (%.13s) %s: ", state->id, word_of(state));
	add_counts(state, out);
	str_addch(out, '\n');
	table_print(t, "", out);
	table_free(t);
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
	jsonw_pair_string(w, "executor_id", p->executor_id);
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

static void head_json(const struct batch_state *state, struct jsonw *w)
{
	jsonw_pair_string(w, "id", state->id);
	jsonw_pair_string(w, "batch", state->batch.name);
	jsonw_pair_string(w, "file", state->batch.path);
	jsonw_pair_string(w, "state", word_of(state));
	jsonw_pair_string(w, "created", state->created);
	jsonw_pair_string(w, "host", state->host);
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
		table_cell(t, tone_of(word_of(state)), word_of(state));
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
