#include "base/base.h"

#include "cli/adopt_report.h"

#include "base/log.h"
#include "base/mem.h"
#include "cli/render.h"
#include "sys/path.h"

/* ---- what was found, for people ---- */

static void add_entry_metric(const struct entry *entry, struct str *out)
{
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;

	if (entry->metrics && json_parse(&doc, "metrics", entry->metrics, strlen(entry->metrics),
					 JSON_STRICT, &ignored) == 0)
		for (size_t i = json_first(&doc, 0); i != JSON_NONE; i = json_next(&doc, 0, i)) {
			struct str name = STR_INIT;
			double value;

			if (!json_is_number(&doc, i + 1) || json_real(&doc, i + 1, &value) < 0)
				continue;
			json_string(&doc, i, &name);
			str_addf(out, "%s ", name.buf);
			add_metric(out, value);
			str_release(&name);
			break;
		}
	json_release(&doc);
}

static int64_t steps_of(const struct adopt_model *model)
{
	int64_t sum = 0;

	for (size_t i = 0; i < model->n_entries; i++)
		sum += model->entries[i].steps;
	return sum;
}

/* "hrds, hrdh" where several runs of one directory were on several. */
static void add_datasets(const struct adopt_model *model, struct str *out)
{
	for (size_t i = 0; i + 1 < model->n_entries; i++)
		if (strcmp(model->entries[i].dataset, model->entries[i + 1].dataset) != 0)
			str_addf(out, "%s, ", model->entries[i].dataset);
	str_adds(out, model->dataset);
}

static void add_base(const struct adopt *adopt, const struct adopt_model *model, struct str *out)
{
	if (model->n_edges)
		str_addf(out, "%s %s", model->edges[0].relation,
			 adopt->models[model->edges[0].from].ref);
	else if (model->base_model)
		str_adds(out, model->base_model);
}

static void found_row(struct table *t, const struct adopt *adopt, const struct adopt_model *model)
{
	const struct entry *last = &model->entries[model->n_entries - 1];
	struct str text = STR_INIT;

	table_row(t);
	table_cell(t, TONE_PLAIN, model->ref);
	table_cell(t, TONE_PLAIN, model->stage);
	add_datasets(model, &text);
	table_cell(t, model->dataset_how ? TONE_PLAIN : TONE_BAD, text.buf);
	str_clear(&text);
	if (model->steps_known)
		add_count(&text, steps_of(model));
	table_cell(t, TONE_PLAIN, model->steps_known ? text.buf : "?");
	str_clear(&text);
	add_entry_metric(last, &text);
	table_cell(t, TONE_PLAIN, text.len ? text.buf : "-");
	str_clear(&text);
	add_base(adopt, model, &text);
	table_cell(t, TONE_PLAIN, text.len ? text.buf : "?");
	str_clear(&text);
	add_when(&text, last->end_time);
	table_cell(t, TONE_DIM, text.buf);
	table_cell(t, TONE_DIM, model->reader);
	str_release(&text);
}

static bool is_found(const struct adopt_model *model)
{
	return model->state == ADOPT_READY || model->state == ADOPT_WRITTEN;
}

size_t adopt_count(const struct adopt *adopt, enum adopt_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < adopt->n; i++)
		n += adopt->models[i].state == state;
	return n;
}

static void add_found(const struct adopt *adopt, struct str *out)
{
	static const char *const titles[] = { "training", "stage", "data set", "steps",
					      "metric",	  "from",  "ended",    "read by" };
	static const int spare[] = { 0, 3, 0, 0, 1, 2, 4, 5 };
	struct table *t = table_new();

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++) {
		table_column(t, titles[i], i == 3 ? ALIGN_RIGHT : ALIGN_LEFT);
		table_spare(t, spare[i]);
	}
	for (size_t i = 0; i < adopt->n; i++)
		if (is_found(&adopt->models[i]))
			found_row(t, adopt, &adopt->models[i]);
	table_print(t, "", out);
	table_free(t);
}

static void add_left(const struct adopt *adopt, enum adopt_state state, const char *title,
		     struct str *out)
{
	struct table *t = table_new();

	if (adopt_count(adopt, state)) {
		table_column(t, title, ALIGN_LEFT);
		table_column(t, "why", ALIGN_LEFT);
		for (size_t i = 0; i < adopt->n; i++) {
			const struct adopt_model *model = &adopt->models[i];

			if (model->state != state)
				continue;
			table_row(t);
			table_cell(t, TONE_PLAIN, model->ref);
			table_cell(t, TONE_BAD, model->reason ? model->reason : "");
		}
		if (out->len)
			str_addch(out, '\n');
		table_print(t, "", out);
	}
	table_free(t);
}

static void add_passed(const struct adopt *adopt, struct str *out)
{
	struct table *t = table_new();

	table_column(t, "not looked into", ALIGN_LEFT);
	table_column(t, "why", ALIGN_LEFT);
	for (size_t i = 0; i < adopt->n_passed_kept; i++) {
		table_row(t);
		table_cell(t, TONE_PLAIN, *adopt->passed[i].path ? adopt->passed[i].path : ".");
		table_cell(t, TONE_BAD, adopt->passed[i].why);
	}
	if (adopt->n_passed_kept) {
		if (out->len)
			str_addch(out, '\n');
		table_print(t, "", out);
	}
	if (adopt->n_passed > adopt->n_passed_kept)
		str_addf(out, "(and %zu more)\n", adopt->n_passed - adopt->n_passed_kept);
	table_free(t);
}

static void add_lines(const struct adopt_model *model, const struct strv *lines, struct str *out)
{
	for (size_t i = 0; i < lines->n; i++)
		str_addf(out, "%s: %s\n", model->ref, lines->v[i]);
}

/* What could not be told; what a plugin minds in its files only to those who want to know. */
static void add_notes(const struct adopt *adopt, struct str *out)
{
	size_t n_steps = 0;
	size_t n_datasets = 0;

	for (size_t i = 0; i < adopt->n; i++) {
		const struct adopt_model *model = &adopt->models[i];

		if (!is_found(model))
			continue;
		n_steps += !model->steps_known;
		n_datasets += !model->dataset_how;
		add_lines(model, &model->notes, out);
		if (log_level() >= LOG_VERBOSE)
			add_lines(model, &model->remarks, out);
	}
	if (n_datasets)
		str_addf(out, "the data set of %zu is not told; --as /DATASET says it\n",
			 n_datasets);
	if (n_steps)
		str_addf(out, "the steps of %zu are not told; 0 stands for them\n", n_steps);
}

static void add_number(struct str *out, size_t n, const char *text)
{
	if (!n)
		return;
	if (out->len && out->buf[out->len - 1] != '\n')
		str_adds(out, ", ");
	add_count(out, (int64_t)n);
	str_addf(out, " %s", text);
}

static void add_sum(const struct adopt *adopt, struct str *out)
{
	struct str text = STR_INIT;

	add_number(&text, adopt_count(adopt, ADOPT_READY), "to record");
	add_number(&text, adopt_count(adopt, ADOPT_WRITTEN), "recorded");
	add_number(&text, adopt_count(adopt, ADOPT_FAILED), "could not be recorded");
	add_number(&text, adopt_count(adopt, ADOPT_RECORDED), "had a record already");
	add_number(&text, adopt_count(adopt, ADOPT_LEFT), "not recorded");
	if (!text.len)
		str_adds(&text, "no training found");
	str_adds(&text, " in ");
	add_count(&text, (int64_t)adopt->counts.directories);
	str_adds(&text, adopt->counts.directories == 1 ? " directory" : " directories");
	if (adopt->counts.deeper)
		str_addf(&text, "; %zu lie deeper than --depth %d", adopt->counts.deeper,
			 adopt->depth);
	str_addf(out, "%s%s\n", out->len ? "\n" : "", text.buf);
	str_release(&text);
}

void adopt_sum_as_text(const struct adopt *adopt, struct str *out)
{
	add_left(adopt, ADOPT_FAILED, "could not be recorded", out);
	add_sum(adopt, out);
}

void adopt_as_text(const struct adopt *adopt, struct str *out)
{
	struct str notes = STR_INIT;

	add_found(adopt, out);
	add_notes(adopt, &notes);
	if (notes.len)
		str_addf(out, "\n%s", notes.buf);
	str_release(&notes);
	add_left(adopt, ADOPT_FAILED, "could not be recorded", out);
	add_left(adopt, ADOPT_LEFT, "not recorded", out);
	add_passed(adopt, out);
	add_sum(adopt, out);
}

/* ---- for programs ---- */

static const char *state_word(const struct adopt_model *model)
{
	switch (model->state) {
	case ADOPT_READY:
		return "to_record";
	case ADOPT_RECORDED:
		return "recorded_already";
	case ADOPT_LEFT:
		return "not_recorded";
	case ADOPT_WRITTEN:
		return "recorded";
	case ADOPT_FAILED:
		break;
	}
	return "failed";
}

static void list_strings(struct jsonw *w, const char *key, const struct strv *list)
{
	jsonw_key(w, key);
	jsonw_array(w);
	for (size_t i = 0; i < list->n; i++)
		jsonw_string(w, list->v[i]);
	jsonw_end(w);
}

static void parents_as_json(const struct adopt *adopt, const struct adopt_model *model,
			    struct jsonw *w)
{
	jsonw_key(w, "parents");
	jsonw_array(w);
	for (size_t i = 0; i < model->n_edges; i++) {
		const struct adopt_edge *edge = &model->edges[i];

		jsonw_object(w);
		jsonw_pair_string(w, "ref", adopt->models[edge->from].ref);
		jsonw_pair_string(w, "relation", edge->relation);
		jsonw_pair_string(w, "checkpoint", edge->checkpoint);
		jsonw_pair_string(w, "found_by",
				  strcmp(edge->relation, "uses") == 0 ? "stage"
				  : edge->by_content		      ? "content"
								      : "path");
		jsonw_end(w);
	}
	jsonw_end(w);
}

static void model_as_json(const struct adopt *adopt, const struct adopt_model *model,
			  struct jsonw *w)
{
	char *path = path_join(adopt->session->layout.root, model->ref);

	jsonw_object(w);
	jsonw_pair_string(w, "ref", model->ref);
	jsonw_pair_string(w, "path", path);
	jsonw_pair_string(w, "state", state_word(model));
	jsonw_pair_string(w, "reason", model->reason);
	if (model->state != ADOPT_RECORDED) {
		jsonw_pair_string(w, "stage", model->stage);
		jsonw_pair_string(w, "stage_evidence", model->stage_how);
		jsonw_pair_string(w, "dataset", model->dataset);
		jsonw_pair_string(w, "dataset_evidence", model->dataset_how);
		jsonw_pair_string(w, "model_name", model->model_name);
		jsonw_key(w, "steps_known");
		jsonw_bool(w, model->steps_known);
		jsonw_pair_string(w, "read_by", model->reader);
		jsonw_pair_string(w, "recognised_by", model->why);
		jsonw_pair_string(w, "base_model", model->base_model);
		parents_as_json(adopt, model, w);
		list_strings(w, "notes", &model->notes);
		list_strings(w, "remarks", &model->remarks);
	}
	if (is_found(model)) {
		jsonw_key(w, "entries");
		jsonw_array(w);
		for (size_t i = 0; i < model->n_entries; i++)
			entry_print(&model->entries[i], w);
		jsonw_end(w);
	}
	jsonw_end(w);
	free(path);
}

static void passed_as_json(const struct adopt *adopt, struct jsonw *w)
{
	jsonw_key(w, "passed_over");
	jsonw_array(w);
	for (size_t i = 0; i < adopt->n_passed_kept; i++) {
		jsonw_object(w);
		jsonw_pair_string(w, "path", adopt->passed[i].path);
		jsonw_pair_string(w, "why", adopt->passed[i].why);
		jsonw_end(w);
	}
	jsonw_end(w);
}

static void counts_as_json(const struct adopt *adopt, struct jsonw *w)
{
	jsonw_key(w, "counts");
	jsonw_object(w);
	jsonw_pair_int(w, "directories", (int64_t)adopt->counts.directories);
	jsonw_pair_int(w, "candidates", (int64_t)adopt->counts.candidates);
	jsonw_pair_int(w, "deeper", (int64_t)adopt->counts.deeper);
	jsonw_pair_int(w, "passed_over", (int64_t)adopt->n_passed);
	jsonw_pair_int(w, "to_record", (int64_t)adopt_count(adopt, ADOPT_READY));
	jsonw_pair_int(w, "recorded", (int64_t)adopt_count(adopt, ADOPT_WRITTEN));
	jsonw_pair_int(w, "recorded_already", (int64_t)adopt_count(adopt, ADOPT_RECORDED));
	jsonw_pair_int(w, "not_recorded", (int64_t)adopt_count(adopt, ADOPT_LEFT));
	jsonw_pair_int(w, "failed", (int64_t)adopt_count(adopt, ADOPT_FAILED));
	jsonw_end(w);
}

void adopt_as_json(const struct adopt *adopt, bool is_dry, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.adopt/1");
	jsonw_pair_string(&w, "root", adopt->session->layout.root);
	jsonw_pair_string(&w, "dir", adopt->top);
	jsonw_key(&w, "dry_run");
	jsonw_bool(&w, is_dry);
	jsonw_key(&w, "found");
	jsonw_array(&w);
	for (size_t i = 0; i < adopt->n; i++)
		model_as_json(adopt, &adopt->models[i], &w);
	jsonw_end(&w);
	passed_as_json(adopt, &w);
	counts_as_json(adopt, &w);
	jsonw_end(&w);
	str_addch(out, '\n');
}
