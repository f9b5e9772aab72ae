#include "base/base.h"

#include "cli/lineage_page.h"
#include "cli/render.h"

static const char *name_of(const struct lineage_page *page, size_t node)
{
	return page->pedigree->nodes[node].name;
}

/* "2 trainings, 15,000 steps" */
static void add_sum(const struct lineage_side *side, struct str *out)
{
	add_count(out, (int64_t)side->n_trainings);
	str_addf(out, " training%s, ", side->n_trainings == 1 ? "" : "s");
	add_count(out, side->steps);
	str_adds(out, " steps");
}

static void add_trainings(const struct lineage_page *page, const struct lineage_side *side,
			  struct str *out)
{
	struct table *table = table_new();

	table_column(table, "dataset", ALIGN_LEFT);
	table_column(table, "steps", ALIGN_RIGHT);
	table_column(table, "ended", ALIGN_LEFT);
	table_column(table, "in the record of", ALIGN_LEFT);
	for (size_t i = 0; i < side->n_trainings; i++) {
		const struct lineage_training *training = &side->trainings[i];
		struct str steps = STR_INIT;
		struct str when = STR_INIT;

		add_count(&steps, training->steps);
		add_when(&when, training->end_time ? training->end_time : "");
		table_row(table);
		table_cell(table, TONE_PLAIN, training->dataset ? training->dataset : "?");
		table_cell(table, TONE_PLAIN, training->steps < 0 ? "-" : steps.buf);
		table_cell(table, TONE_DIM, when.buf);
		table_cell(table, TONE_DIM, name_of(page, training->node));
		str_release(&steps);
		str_release(&when);
	}
	if (side->n_trainings)
		table_print(table, "  ", out);
	table_free(table);
}

static void add_edge(const struct lineage_page *page, const struct lineage_edge *edge,
		     struct str *out)
{
	struct strv words = STRV_INIT;

	lineage_edge_words(page, edge, &words);
	str_adds(out, "    ");
	add_safe(out, edge->relation);
	str_addch(out, ' ');
	add_safe(out, name_of(page, edge->from));
	for (size_t i = 0; i < words.n; i++) {
		str_adds(out, i ? "; " : "  (");
		add_safe(out, words.v[i]);
	}
	str_adds(out, words.n ? ")\n" : "\n");
	strv_release(&words);
}

static void add_model(const struct lineage_page *page, size_t node, struct str *out)
{
	const struct lineage *graph = &page->pedigree->graph;
	const struct lineage_node *n = &graph->nodes[node];
	struct str label = STR_INIT;

	lineage_add_label(page, node, &label);
	str_adds(out, "  ");
	add_safe(out, name_of(page, node));
	if (label.len) {
		str_adds(out, "  ");
		add_safe(out, label.buf);
	}
	str_addch(out, '\n');
	for (size_t i = 0; i < n->n_parents; i++)
		add_edge(page, &graph->edges[n->parents[i]], out);
	str_release(&label);
}

static void add_side(const struct lineage_page *page, const struct lineage_diff *diff, size_t i,
		     struct str *out)
{
	const struct lineage_side *side = &diff->sides[i];

	str_adds(out, "\nonly ");
	add_safe(out, name_of(page, diff->nodes[i]));
	str_adds(out, ": ");
	if (!side->n_models && !side->n_trainings) {
		str_adds(out, "nothing\n");
		return;
	}
	add_sum(side, out);
	str_addch(out, '\n');
	for (size_t k = 0; k < side->n_models; k++)
		add_model(page, side->models[k], out);
	add_trainings(page, side, out);
}

void lineage_diff_text(const struct lineage_page *page, const struct lineage_diff *diff,
		       struct str *out)
{
	str_adds(out, "last common ancestor  ");
	for (size_t i = 0; i < diff->n_last; i++) {
		str_adds(out, i ? ", " : "");
		add_safe(out, name_of(page, diff->last[i]));
	}
	str_adds(out, diff->n_last ? "\n" : "none\n");
	str_adds(out, "in common: ");
	add_sum(&diff->common, out);
	str_addch(out, '\n');
	for (size_t i = 0; i < diff->common.n_models; i++)
		add_model(page, diff->common.models[i], out);
	add_trainings(page, &diff->common, out);
	add_side(page, diff, 0, out);
	add_side(page, diff, 1, out);
}

/* ---- JSON ---- */

static void json_names(struct jsonw *w, const struct lineage_page *page, const size_t *list,
		       size_t n)
{
	jsonw_array(w);
	for (size_t i = 0; i < n; i++)
		jsonw_string(w, name_of(page, list[i]));
	jsonw_end(w);
}

static void json_training(struct jsonw *w, const struct lineage_page *page,
			  const struct lineage_training *training)
{
	jsonw_object(w);
	jsonw_pair_string(w, "dataset", training->dataset);
	if (training->digest)
		jsonw_pair_string(w, "dataset_digest", training->digest);
	jsonw_key(w, "steps");
	if (training->steps < 0)
		jsonw_null(w);
	else
		jsonw_int(w, training->steps);
	jsonw_pair_string(w, "end_time", training->end_time);
	jsonw_pair_string(w, "record", name_of(page, training->node));
	jsonw_end(w);
}

static void json_side(struct jsonw *w, const struct lineage_page *page,
		      const struct lineage_side *side)
{
	const struct lineage *graph = &page->pedigree->graph;

	jsonw_object(w);
	jsonw_key(w, "models");
	json_names(w, page, side->models, side->n_models);
	jsonw_key(w, "edges");
	jsonw_array(w);
	for (size_t i = 0; i < side->n_models; i++) {
		const struct lineage_node *n = &graph->nodes[side->models[i]];

		for (size_t k = 0; k < n->n_parents; k++)
			lineage_json_edge(w, page, &graph->edges[n->parents[k]]);
	}
	jsonw_end(w);
	jsonw_key(w, "trainings");
	jsonw_array(w);
	for (size_t i = 0; i < side->n_trainings; i++)
		json_training(w, page, &side->trainings[i]);
	jsonw_end(w);
	jsonw_pair_int(w, "steps", side->steps);
	jsonw_end(w);
}

void lineage_diff_json(const struct lineage_page *page, const struct lineage_diff *diff,
		       struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.lineage_diff/1");
	jsonw_pair_string(&w, "a", name_of(page, diff->nodes[0]));
	jsonw_pair_string(&w, "b", name_of(page, diff->nodes[1]));
	jsonw_key(&w, "last_common");
	json_names(&w, page, diff->last, diff->n_last);
	jsonw_key(&w, "common");
	json_side(&w, page, &diff->common);
	jsonw_key(&w, "only_a");
	json_side(&w, page, &diff->sides[0]);
	jsonw_key(&w, "only_b");
	json_side(&w, page, &diff->sides[1]);
	jsonw_end(&w);
	str_addch(out, '\n');
}
