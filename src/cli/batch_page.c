#include "base/base.h"

#include "cli/batch_page.h"

#include "base/mem.h"
#include "cli/render.h"
#include "sys/json.h"

/* A matrix may wait for a matrix: nobody reads a hundred names. */
#define NEEDS_SHOWN 3

static void add_needs(const struct batch_plan *plan, size_t job, struct str *out)
{
	const struct batch_needs *needs = &plan->order.of[job];

	for (size_t i = 0; i < needs->n && i < NEEDS_SHOWN; i++)
		str_addf(out, "%s%s (%s)", i ? ", " : "", plan->steps[needs->v[i].on].job->name,
			 needs->v[i].why);
	if (needs->n > NEEDS_SHOWN)
		str_addf(out, ", %zu more", needs->n - NEEDS_SHOWN);
}

static void add_command(const struct batch_step *step, struct str *out)
{
	if (step->is_recording) {
		str_addf(out, "record%s%s", batch_get(step->job, "from") ? " from " : "",
			 batch_get(step->job, "from") ? batch_get(step->job, "from") : "");
		return;
	}
	if (!step->argv.n)
		str_adds(out, "the stage's own command");
	for (size_t i = 0; i < step->argv.n; i++) {
		if (i)
			str_addch(out, ' ');
		add_shell_word(out, step->argv.v[i]);
	}
}

static void plan_row(struct table *t, const struct batch_plan *plan, size_t job, size_t number)
{
	const struct batch_step *step = &plan->steps[job];
	struct str text = STR_INIT;

	table_row(t);
	str_addf(&text, "%zu", number);
	table_cell(t, TONE_DIM, text.buf);
	table_cell(t, TONE_PLAIN, step->job->name);
	table_cell(t, TONE_PLAIN, step->ref);
	str_clear(&text);
	add_needs(plan, job, &text);
	table_cell(t, TONE_PLAIN, text.buf);
	str_clear(&text);
	add_command(step, &text);
	table_cell(t, TONE_DIM, text.buf);
	str_release(&text);
}

static void add_counts(const struct batch_plan *plan, const bool *chosen, struct str *out)
{
	size_t runs = 0;
	size_t recordings = 0;

	for (size_t i = 0; i < plan->n; i++)
		if (!chosen || chosen[i])
			plan->steps[i].is_recording ? recordings++ : runs++;
	add_safe(out, plan->batch->name);
	str_addf(out, ": %zu to run, %zu to record", runs, recordings);
	if (runs + recordings < plan->n)
		str_addf(out, ", %zu not chosen", plan->n - runs - recordings);
	str_addch(out, '\n');
}

void batch_plan_page(const struct batch_plan *plan, const bool *chosen, struct str *out)
{
	struct table *t = table_new();
	size_t number = 0;

	table_column(t, "", ALIGN_RIGHT);
	table_column(t, "job", ALIGN_LEFT);
	table_column(t, "directory", ALIGN_LEFT);
	table_column(t, "waits for", ALIGN_LEFT);
	table_column(t, "command", ALIGN_LEFT);
	for (size_t i = 0; i < plan->n; i++)
		if (!chosen || chosen[plan->order.sorted[i]])
			plan_row(t, plan, plan->order.sorted[i], ++number);
	add_counts(plan, chosen, out);
	table_print(t, "", out);
	table_free(t);
}

static void needs_json(const struct batch_plan *plan, size_t job, struct jsonw *w)
{
	const struct batch_needs *needs = &plan->order.of[job];

	jsonw_key(w, "waits_for");
	jsonw_array(w);
	for (size_t i = 0; i < needs->n; i++) {
		jsonw_object(w);
		jsonw_pair_string(w, "job", plan->steps[needs->v[i].on].job->name);
		jsonw_pair_string(w, "why", needs->v[i].why);
		jsonw_end(w);
	}
	jsonw_end(w);
}

static void settings_json(const struct batch_job *job, struct jsonw *w)
{
	jsonw_key(w, "settings");
	jsonw_object(w);
	for (size_t i = 0; i < job->settings.n; i++)
		jsonw_pair_string(w, job->settings.v[i].key, job->settings.v[i].text);
	jsonw_end(w);
}

static void step_json(const struct batch_plan *plan, size_t job, struct jsonw *w)
{
	const struct batch_step *step = &plan->steps[job];

	jsonw_object(w);
	jsonw_pair_string(w, "job", step->job->name);
	jsonw_pair_string(w, "does", step->is_recording ? "record" : "run");
	jsonw_pair_string(w, "stage", batch_get(step->job, "stage"));
	jsonw_pair_string(w, "dataset", batch_get(step->job, "dataset"));
	jsonw_pair_string(w, "experiment", step->exp);
	jsonw_pair_string(w, "ref", step->ref);
	jsonw_pair_string(w, "directory", step->path);
	jsonw_pair_string(w, "file", step->job->file);
	jsonw_pair_int(w, "line", (int64_t)step->job->line);
	needs_json(plan, job, w);
	jsonw_key(w, "command");
	jsonw_array(w);
	for (size_t i = 0; i < step->argv.n; i++)
		jsonw_string(w, step->argv.v[i]);
	jsonw_end(w);
	settings_json(step->job, w);
	jsonw_end(w);
}

void batch_plan_json(const struct batch_plan *plan, const bool *chosen, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.batch-plan/1");
	jsonw_pair_string(&w, "batch", plan->batch->name);
	jsonw_pair_string(&w, "file", plan->batch->path);
	jsonw_key(&w, "jobs");
	jsonw_array(&w);
	for (size_t i = 0; i < plan->n; i++)
		if (!chosen || chosen[plan->order.sorted[i]])
			step_json(plan, plan->order.sorted[i], &w);
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

/* ---- recordings ---- */

static const char *recording_word(enum batch_recording what)
{
	static const char *const words[] = {
		[BATCH_PENDING] = "pending", [BATCH_RECORDED] = "recorded",
		[BATCH_ALREADY] = "already", [BATCH_SPOOLED] = "spooled",
		[BATCH_REFUSED] = "refused", [BATCH_BLOCKED] = "blocked",
	};

	return words[what];
}

static size_t count(const struct batch_recordings *recordings, enum batch_recording what)
{
	size_t n = 0;

	for (size_t i = 0; i < recordings->n; i++)
		n += recordings->v[i].what == what;
	return n;
}

static bool all_recorded(const struct batch_recordings *recordings)
{
	return !count(recordings, BATCH_SPOOLED) && !count(recordings, BATCH_REFUSED) &&
	       !count(recordings, BATCH_BLOCKED);
}

/* The number of records that got something. */
static size_t count_records(const struct batch_plan *plan,
			    const struct batch_recordings *recordings)
{
	struct map refs = MAP_INIT;
	size_t n;

	for (size_t i = 0; i < plan->n; i++)
		if (recordings->v[i].what == BATCH_RECORDED && !map_get(&refs, plan->steps[i].ref))
			map_put(&refs, plan->steps[i].ref, plan->steps[i].ref);
	n = refs.n;
	map_release(&refs);
	return n;
}

bool batch_recordings_page(const struct batch_plan *plan, const struct batch_recordings *recordings,
			   struct str *out)
{
	static const enum batch_recording others[] = { BATCH_ALREADY, BATCH_SPOOLED, BATCH_REFUSED,
						       BATCH_BLOCKED };
	static const char *const texts[] = { "there already", "spooled", "refused",
					     "blocked by those" };

	str_adds(out, "recorded ");
	add_count(out, (int64_t)count(recordings, BATCH_RECORDED));
	str_adds(out, " in ");
	add_count(out, (int64_t)count_records(plan, recordings));
	str_adds(out, count_records(plan, recordings) == 1 ? " record" : " records");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (count(recordings, others[i])) {
			str_adds(out, ", ");
			add_count(out, (int64_t)count(recordings, others[i]));
			str_addf(out, " %s", texts[i]);
		}
	str_addch(out, '\n');
	return all_recorded(recordings);
}

static void recording_json(const struct batch_step *step, const struct batch_recorded *recorded,
			   struct jsonw *w)
{
	char id[ID_TEXT_SIZE];

	batch_recording_id(step, id);
	jsonw_object(w);
	jsonw_pair_string(w, "job", step->job->name);
	jsonw_pair_string(w, "ref", step->ref);
	jsonw_pair_string(w, "outcome", recording_word(recorded->what));
	jsonw_pair_string(w, "run_id", recorded->what == BATCH_RECORDED ? id : NULL);
	jsonw_pair_string(w, "error", recorded->err ? recorded->err->msg : NULL);
	jsonw_end(w);
}

bool batch_recordings_json(const struct batch_plan *plan, const struct batch_recordings *recordings,
			   struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.batch-record/1");
	jsonw_pair_string(&w, "batch", plan->batch->name);
	jsonw_key(&w, "jobs");
	jsonw_array(&w);
	for (size_t i = 0; i < plan->n; i++) {
		size_t job = plan->order.sorted[i];

		if (recordings->v[job].what != BATCH_PENDING)
			recording_json(&plan->steps[job], &recordings->v[job], &w);
	}
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
	return all_recorded(recordings);
}
