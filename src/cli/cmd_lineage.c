#include "base/base.h"

#include "base/log.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/lineage_page.h"
#include "cli/pager.h"

static const struct option_spec options[] = {
	{ "exp", 'e', "EXP", "the experiment that a short REF is in (default: the one in use)" },
	{ "up", 0, NULL, "only what they came from" },
	{ "down", 0, NULL, "only what came of them" },
	{ "depth", 0, "N", "no more than N steps away" },
	{ "datasets", 0, NULL, "with the datasets that each was trained on" },
	{ "dot", 0, NULL, "print it for Graphviz" },
	{ "mermaid", 0, NULL, "print it for Mermaid" },
	{ "html", 0, NULL, "print a page with a drawing, in one file" },
	SURVEY_OPTIONS,
	{ NULL, 0, NULL, NULL },
};

/* Problems that are told one by one; of more the number. */
#define WARNINGS_MAX 10

static void as_tree(const struct lineage_page *page, struct str *out)
{
	struct lineage_page own = *page; /* the branches change, the rest is shared */

	lineage_page_tree(&own, out);
}

/* The first is what is printed if none is asked for. */
static const struct {
	const char *option;
	void (*print)(const struct lineage_page *page, struct str *out);
} forms[] = {
	{ NULL, as_tree },
	{ "json", lineage_page_json },
	{ "dot", lineage_page_dot },
	{ "mermaid", lineage_page_mermaid },
	{ "html", lineage_page_html },
};

static int read_form(const struct cli *cli, size_t *form, struct err *err)
{
	*form = 0;
	for (size_t i = 1; i < ARRAY_SIZE(forms); i++) {
		if (!option_given(&cli->options, forms[i].option))
			continue;
		if (*form)
			return err_set(err, ERR_USAGE, "'--%s' and '--%s' do not go together",
				       forms[*form].option, forms[i].option);
		*form = i;
	}
	return 0;
}

static int read_reach(const struct cli *cli, struct pedigree_reach *reach, struct err *err)
{
	*reach = (struct pedigree_reach){
		.up = option_given(&cli->options, "up"),
		.down = option_given(&cli->options, "down"),
		.depth = -1,
	};
	if (!cli->options.operands.n && (reach->up || reach->down))
		return err_set(err, ERR_USAGE, "option '--%s' needs a REF",
			       reach->up ? "up" : "down");
	return option_integer(&cli->options, "depth", 0, INT32_MAX, &reach->depth, err);
}

/* ---- what is asked for ---- */

static int load(struct cli *cli, struct pedigree *pedigree, struct err *err)
{
	struct strv roots = STRV_INIT;
	const char *root;
	size_t position = 0;
	int result;

	while ((root = option_each(&cli->options, "root", &position)))
		strv_push(&roots, root);
	result = pedigree_load(pedigree, &cli->session, &roots, err);
	strv_release(&roots);
	return result;
}

/* The operands from 'first' on as nodes; 'targets' has room for them. */
static int find_all(struct cli *cli, struct pedigree *pedigree, size_t first, size_t *targets,
		    struct err *err)
{
	const char *exp = option_value(&cli->options, "exp");

	for (size_t i = first; i < cli->options.operands.n; i++)
		if (pedigree_find(pedigree, &cli->session, exp, operand(cli, i),
				  &targets[i - first], err) < 0)
			return -1;
	if (option_given(&cli->options, "datasets"))
		pedigree_add_datasets(pedigree);
	pedigree_settle(pedigree);
	return 0;
}

/* ---- what is wrong ---- */

/* True: a record cannot be read. All else that is wrong is in the JSON, and told with other forms. */
static bool report(const struct lineage_page *page, bool is_json)
{
	const struct pedigree *p = page->pedigree;
	bool is_broken = false;
	size_t n = 0;

	for (size_t i = 0; i < p->n_problems; i++) {
		const struct pedigree_problem *problem = &p->problems[i];
		struct str text = STR_INIT;

		is_broken |= problem->kind == TROUBLE_BROKEN;
		if (!lineage_shows_problem(page, problem) || problem->kind == TROUBLE_MISSING ||
		    (is_json && problem->kind != TROUBLE_BROKEN) || ++n > WARNINGS_MAX)
			continue;
		lineage_add_problem(page, problem, &text);
		log_warn("%s", text.buf);
		str_release(&text);
	}
	if (n > WARNINGS_MAX)
		log_warn("and %zu more; --json has all", n - WARNINGS_MAX);
	return is_broken;
}

/* ---- the verb ---- */

static int show(struct cli *cli, struct pedigree *pedigree, struct err *err)
{
	size_t n = cli->options.operands.n;
	size_t *targets = xcalloc(n + 1, sizeof(*targets));
	struct pedigree_reach reach;
	struct lineage_page page;
	struct str out = STR_INIT;
	bool *shown;
	size_t form;
	int result = -1;

	if (read_form(cli, &form, err) == 0 && read_reach(cli, &reach, err) == 0 &&
	    load(cli, pedigree, err) == 0)
		result = find_all(cli, pedigree, 0, targets, err);
	if (result == 0) {
		shown = pedigree_select(pedigree, targets, n, &reach);
		lineage_page_begin(&page, pedigree, shown, targets, n);
		forms[form].print(&page, &out);
		result = print_paged(&out, &cli->session.conf) < 0 ? 1 : 0;
		if (report(&page, cli->json))
			result = 1;
		lineage_page_end(&page);
		free(shown);
	}
	str_release(&out);
	free(targets);
	return result;
}

static void print_diff(const struct cli *cli, struct pedigree *pedigree, const size_t *targets,
		       struct lineage_page *page, struct str *out)
{
	struct lineage_diff diff;

	lineage_diff_make(pedigree, targets[0], targets[1], &diff);
	if (cli->json)
		lineage_diff_json(page, &diff, out);
	else
		lineage_diff_text(page, &diff, out);
	lineage_diff_release(&diff);
}

static int diff(struct cli *cli, struct pedigree *pedigree, struct err *err)
{
	const struct pedigree_reach reach = { .up = true, .depth = -1 };
	struct lineage_page page;
	struct str out = STR_INIT;
	size_t targets[2];
	bool *shown;
	size_t form;
	int result = read_form(cli, &form, err);

	if (result == 0 && (cli->options.operands.n != 3 || form > 1))
		result = err_set(err, ERR_USAGE,
				 "'lineage diff' takes two models, and is a table or JSON");
	if (result < 0 || load(cli, pedigree, err) < 0 ||
	    find_all(cli, pedigree, 1, targets, err) < 0)
		return -1;
	shown = pedigree_select(pedigree, targets, 2, &reach);
	lineage_page_begin(&page, pedigree, shown, targets, 2);
	print_diff(cli, pedigree, targets, &page, &out);
	result = print_paged(&out, &cli->session.conf) < 0 ? 1 : 0;
	if (report(&page, cli->json))
		result = 1;
	lineage_page_end(&page);
	free(shown);
	str_release(&out);
	return result;
}

static int run_lineage(struct cli *cli, struct err *err)
{
	struct pedigree pedigree = PEDIGREE_INIT;
	bool is_diff = operand(cli, 0) && strcmp(operand(cli, 0), "diff") == 0;
	int result = is_diff ? diff(cli, &pedigree, err) : show(cli, &pedigree, err);

	pedigree_release(&pedigree);
	return result;
}

const struct command cmd_lineage = {
	.name = "lineage",
	.synopsis = "[REF|DATASET...] | diff REF REF",
	.summary = "show what a model came from and what came of it",
	.details = "Without a REF: every model below the artifact root. --root may be given "
		   "several times.\n"
		   "A REF may have a checkpoint behind it: stage1_hrds/checkpoint-10000.\n"
		   "A record that cannot be read is told, and the exit status is then 1.\n",
	.options = options,
	.max_operands = -1,
	.run = run_lineage,
};
