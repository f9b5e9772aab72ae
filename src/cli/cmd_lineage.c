#include "base/base.h"

#include "app/ancestry.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/width.h"
#include "cli/command.h"
#include "cli/pager.h"
#include "cli/render.h"

static const struct option_spec options[] = {
	{ "exp", 'e', "EXP", "the experiment that a short REF is in (default: the one in use)" },
	SURVEY_OPTIONS,
	{ NULL, 0, NULL, NULL },
};

/* "checkpoint-10000  f1 0.850": what is worth a word beside the name. */
static char *label_of(const struct info *info)
{
	char *checkpoint = info_string(info, "final_checkpoint");
	const struct json *doc = &info->doc;
	struct str label = STR_INIT;
	size_t last = JSON_NONE;
	size_t metrics;

	if (checkpoint && *checkpoint)
		str_adds(&label, checkpoint);
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i))
		last = i;
	metrics = last == JSON_NONE ? JSON_NONE : info_entry_member(info, last, "metrics");
	for (size_t i = json_first(doc, metrics); i != JSON_NONE; i = json_next(doc, metrics, i)) {
		char *name;
		double value;

		if (!json_is_number(doc, i + 1) || json_real(doc, i + 1, &value) < 0)
			continue;
		name = json_string_copy(doc, i);
		str_addf(&label, "%s%s ", label.len ? "  " : "", name);
		add_metric(&label, value);
		free(name);
		break;
	}
	free(checkpoint);
	return str_detach(&label);
}

/* ---- the tree ---- */

struct tree {
	const struct lineage *lineage;
	const bool *shown; /* nodes that belong to the answer */
	bool *printed;
	size_t target;
	size_t depth;
	struct str *out;
};

/* Each level indents by three columns: beyond this nobody reads on, and the text would grow faster
 * than the tree. */
#define DEPTH_LIMIT 200

/* Of several parents that are shown the one that the model itself came from holds the branch. */
static size_t branch_parent(const struct lineage *lineage, const bool *shown, size_t node)
{
	const struct lineage_node *n = &lineage->nodes[node];
	size_t best = LINEAGE_NONE;

	for (size_t i = 0; i < n->n_parents; i++) {
		const struct lineage_edge *edge = &lineage->edges[n->parents[i]];

		if (!shown[edge->from])
			continue;
		if (best == LINEAGE_NONE || strcmp(edge->relation, "continues") == 0)
			best = edge->from;
	}
	return best;
}

static void add_padded(struct str *out, const char *left, const char *text)
{
	int gap = 46 - display_width(left);

	str_adds(out, left);
	if (text && *text) {
		str_addf(out, "%*s", gap > 2 ? gap : 2, "");
		add_safe(out, text);
	}
}

static void add_other_parents(const struct tree *tree, size_t node, size_t branch)
{
	const struct lineage_node *n = &tree->lineage->nodes[node];

	for (size_t i = 0; i < n->n_parents; i++) {
		const struct lineage_edge *edge = &tree->lineage->edges[n->parents[i]];

		if (edge->from == branch)
			continue;
		str_adds(tree->out, "  (also ");
		add_safe(tree->out, edge->relation);
		str_addch(tree->out, ' ');
		add_safe(tree->out, tree->lineage->nodes[edge->from].ref);
		str_addch(tree->out, ')');
	}
}

static void print_node(const struct tree *tree, size_t node, const char *prefix, const char *branch,
		       size_t parent)
{
	const struct lineage_node *n = &tree->lineage->nodes[node];
	struct str line = STR_INIT;

	str_addf(&line, "%s%s", prefix, branch);
	add_safe(&line, n->ref);
	add_padded(tree->out, line.buf, n->is_missing ? "missing" : n->label);
	add_other_parents(tree, node, parent);
	if (node == tree->target)
		str_adds(tree->out, "  <-");
	str_addch(tree->out, '\n');
	str_release(&line);
}

static bool is_branch_of(const struct tree *tree, size_t child, size_t node)
{
	return tree->shown[child] && branch_parent(tree->lineage, tree->shown, child) == node;
}

static void print_tree(struct tree *tree, size_t node, const char *prefix, const char *branch,
		       const char *below, size_t parent)
{
	const struct lineage_node *n = &tree->lineage->nodes[node];
	char *deeper = xstrf("%s%s", prefix, below);
	size_t last = LINEAGE_NONE;

	print_node(tree, node, prefix, branch, parent);
	tree->printed[node] = true;
	tree->depth++;
	for (size_t i = 0; i < n->n_children; i++)
		if (is_branch_of(tree, tree->lineage->edges[n->children[i]].to, node))
			last = tree->lineage->edges[n->children[i]].to;
	for (size_t i = 0; i < n->n_children && tree->depth < DEPTH_LIMIT; i++) {
		size_t child = tree->lineage->edges[n->children[i]].to;

		if (tree->printed[child] || !is_branch_of(tree, child, node))
			continue;
		print_tree(tree, child, deeper, child == last ? "└─ " : "├─ ",
			   child == last ? "   " : "│  ", node);
	}
	if (last != LINEAGE_NONE && tree->depth == DEPTH_LIMIT)
		str_addf(tree->out, "%s└─ (deeper ones are left out; --json has all)\n", deeper);
	tree->depth--;
	free(deeper);
}

static void as_tree(const struct lineage *lineage, size_t target, const bool *shown,
		    struct str *out)
{
	struct tree tree = {
		.lineage = lineage,
		.shown = shown,
		.printed = xcalloc(lineage->n_nodes + 1, sizeof(bool)),
		.target = target,
		.out = out,
	};

	for (size_t i = 0; i < lineage->n_nodes; i++)
		if (shown[i] && branch_parent(lineage, shown, i) == LINEAGE_NONE)
			print_tree(&tree, i, "", "", "", LINEAGE_NONE);
	/* What is left hangs in a cycle, or below one: it begins with a model of the cycle. */
	for (size_t i = 0; i < lineage->n_nodes; i++) {
		if (!shown[i] || tree.printed[i] || !lineage_has_cycle(lineage, i))
			continue;
		log_warn("'%s' is its own ancestor", lineage->nodes[i].ref);
		print_tree(&tree, i, "", "", "", LINEAGE_NONE);
	}
	free(tree.printed);
}

static void as_json(const struct lineage *lineage, const bool *shown, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.lineage/1");
	jsonw_key(&w, "nodes");
	jsonw_array(&w);
	for (size_t i = 0; i < lineage->n_nodes; i++) {
		const struct lineage_node *node = &lineage->nodes[i];

		if (!shown[i])
			continue;
		jsonw_object(&w);
		jsonw_pair_string(&w, "ref", node->ref);
		jsonw_pair_string(&w, "kind",
				  node->is_missing   ? "missing"
				  : node->is_outside ? "outside"
						     : "model");
		jsonw_pair_string(&w, "label", node->label);
		jsonw_end(&w);
	}
	jsonw_end(&w);
	jsonw_key(&w, "edges");
	jsonw_array(&w);
	for (size_t i = 0; i < lineage->n_edges; i++) {
		const struct lineage_edge *edge = &lineage->edges[i];

		if (!shown[edge->from] || !shown[edge->to])
			continue;
		jsonw_object(&w);
		jsonw_pair_string(&w, "from", lineage->nodes[edge->from].ref);
		jsonw_pair_string(&w, "to", lineage->nodes[edge->to].ref);
		jsonw_pair_string(&w, "relation", edge->relation);
		jsonw_pair_string(&w, "how", edge->is_declared ? "declared" : "inferred");
		jsonw_pair_string(&w, "checkpoint", edge->checkpoint);
		jsonw_end(&w);
	}
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static int find_target(struct cli *cli, const struct lineage *lineage, size_t *target,
		       struct err *err)
{
	struct stage_dir dir = STAGE_DIR_INIT;

	*target = LINEAGE_NONE;
	if (!operand(cli, 0))
		return 0;
	*target = lineage_find(lineage, operand(cli, 0)); /* also a pretrained model's name */
	if (*target != LINEAGE_NONE)
		return 0;
	if (session_resolve(&cli->session, option_value(&cli->options, "exp"), operand(cli, 0),
			    &dir, err) < 0)
		return -1;
	*target = lineage_find(lineage, dir.ref);
	if (*target == LINEAGE_NONE)
		err_set(err, ERR_NOT_FOUND, "'%s' has no record", dir.ref);
	stage_dir_release(&dir);
	return *target == LINEAGE_NONE ? -1 : 0;
}

static int run_lineage(struct cli *cli, struct err *err)
{
	struct histories all = { .v = NULL };
	struct lineage lineage = { .nodes = NULL };
	struct str out = STR_INIT;
	size_t target;
	int result = session_layout(&cli->session, err);

	if (result == 0)
		result = histories_load(&all, &cli->session.layout, NULL, NULL, err);
	if (result == 0)
		ancestry_build(&lineage, &all, &cli->session.layout, label_of);
	if (result == 0)
		result = find_target(cli, &lineage, &target, err);
	if (result == 0) {
		bool *shown = ancestry_relatives(&lineage, target);

		if (cli->json)
			as_json(&lineage, shown, &out);
		else
			as_tree(&lineage, target, shown, &out);
		result = print_paged(&out, &cli->session.conf) < 0 ? 1 : 0;
		free(shown);
	}
	histories_release(&all);
	lineage_release(&lineage);
	str_release(&out);
	return result;
}

const struct command cmd_lineage = {
	.name = "lineage",
	.synopsis = "[REF]",
	.summary = "show what a model came from and what came of it",
	.details = "Without a REF: every model below the artifact root.\n",
	.options = options,
	.max_operands = 1,
	.run = run_lineage,
};
