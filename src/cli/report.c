#include "base/base.h"

#include "cli/report.h"

#include "model/history.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/render.h"
#include "sys/path.h"

#include <math.h>

#define METRICS_SHOWN 4 /* a line holds no more; 'show' has them all */

/* "f1 0.850  precision 0.840": the finite numbers of an object, nested ones left out. */
static void add_numbers(struct str *out, const struct json *doc, size_t object)
{
	size_t shown = 0;

	for (size_t i = json_first(doc, object); i != JSON_NONE && shown < METRICS_SHOWN;
	     i = json_next(doc, object, i)) {
		struct str name = STR_INIT;
		double value;

		if (!json_is_number(doc, i + 1) || json_real(doc, i + 1, &value) < 0)
			continue;
		json_string(doc, i, &name);
		str_adds(out, "  ");
		add_harmless(out, name.buf, name.len);
		str_addch(out, ' ');
		add_metric(out, value);
		str_release(&name);
		shown++;
	}
}

/* Hyperparameters as they were written: 2e-05 says more than 0.000. */
static void add_params(struct str *out, const struct json *doc, size_t object)
{
	static const char *const shown[] = { "lr", "batch_size" };

	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		size_t value = json_member(doc, object, shown[i]);
		size_t len;
		const char *raw;

		if (value == JSON_NONE || !json_is_number(doc, value))
			continue;
		raw = json_raw(doc, value, &len);
		str_addf(out, "  %s %.*s", shown[i], (int)len, raw);
	}
}

static void add_took(struct str *out, const struct json *doc)
{
	double seconds = entry_seconds(doc, 0);

	if (seconds > 0) {
		str_adds(out, "  ");
		add_duration(out, seconds);
	}
}

static void add_attempts(struct str *out, const struct json *doc)
{
	size_t interrupted;
	size_t n = entry_attempts(doc, 0, &interrupted);

	if (n > 1)
		str_addf(out, " in %zu attempts", n);
}

static void add_origin(struct str *out, const struct draft *draft, const struct json *doc)
{
	size_t git = json_member(doc, 0, "git");
	char *commit = json_string_copy(doc, json_member(doc, git, "commit"));
	const char *checkpoint = draft->values->final_checkpoint ? draft->values->final_checkpoint
								 : draft->result.final_checkpoint;

	if (!checkpoint && !draft->base_model && !commit) {
		free(commit);
		return;
	}
	str_adds(out, " ");
	if (checkpoint && *checkpoint) {
		str_addch(out, ' ');
		add_harmless(out, checkpoint, strlen(checkpoint));
	}
	if (draft->base_model) {
		str_adds(out, " from ");
		add_harmless(out, draft->base_model, strlen(draft->base_model));
	}
	if (commit)
		str_addf(out, "  git %.7s%s", commit,
			 json_is(doc, json_member(doc, git, "dirty"), JSON_TRUE) ? " (dirty)" : "");
	str_addch(out, '\n');
	free(commit);
}

void report_recorded(const struct draft *draft, const struct record_outcome *outcome,
		     struct str *out)
{
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	int64_t steps = 0;

	str_adds(out, outcome->result == STORE_ALREADY ? "already recorded  " : "recorded  ");
	add_harmless(out, draft->dir.ref, strlen(draft->dir.ref));
	str_addf(out, "  entry %zu\n", outcome->after.n_entries);
	if (json_parse(&doc, "entry", outcome->entry.buf, outcome->entry.len, JSON_STRICT,
		       &ignored) == 0) {
		json_int64(&doc, json_member(&doc, 0, "steps"), &steps);
		str_adds(out, "  ");
		add_count(out, steps);
		str_adds(out, steps == 1 ? " step" : " steps");
		add_took(out, &doc);
		add_attempts(out, &doc);
		add_numbers(out, &doc, json_member(&doc, 0, "metrics"));
		add_params(out, &doc, json_member(&doc, 0, "hyperparams"));
		str_addch(out, '\n');
		add_origin(out, draft, &doc);
	}
	json_release(&doc);
}

static void add_place(struct jsonw *w, const struct draft *draft)
{
	char *path = path_join(draft->dir.path, RECORD_NAME);

	jsonw_pair_string(w, "ref", draft->dir.ref);
	jsonw_pair_string(w, "path", path);
	jsonw_pair_string(w, "run_id", draft->additive ? draft->run_id : NULL);
	free(path);
}

void report_recorded_json(const struct draft *draft, const struct record_outcome *outcome,
			  struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.record/1");
	add_place(&w, draft);
	jsonw_key(&w, "written");
	jsonw_bool(&w, outcome->result != STORE_ALREADY);
	jsonw_key(&w, "durable");
	jsonw_bool(&w, outcome->result != STORE_NOT_DURABLE);
	jsonw_pair_int(&w, "entries", (int64_t)outcome->after.n_entries);
	jsonw_pair_int(&w, "total_steps", outcome->after.total_steps);
	jsonw_pair_raw(&w, "entry", outcome->entry.buf);
	jsonw_end(&w);
	str_addch(out, '\n');
}
