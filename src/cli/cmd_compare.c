#include "base/base.h"

#include "app/compare.h"
#include "cli/command.h"
#include "cli/compare_page.h"
#include "cli/pager.h"

static const struct option_spec options[] = {
	{ "baseline", 'b', "REF", "what the others are measured against (default: the first)" },
	{ "all", 'a', NULL, "also what is equal everywhere" },
	{ "fail-on-regression", 0, NULL, "end with 1 if a metric is worse than the baseline's" },
	{ "exp", 'e', "EXP", "the experiment that a short REF is in (default: the one in use)" },
	SURVEY_OPTIONS,
	{ NULL, 0, NULL, NULL },
};

static int add_sides(struct cli *cli, struct comparison *cmp, struct err *err)
{
	const char *exp = option_value(&cli->options, "exp");
	const char *baseline = option_value(&cli->options, "baseline");
	size_t position = 0;
	const char *root;

	while ((root = option_each(&cli->options, "root", &position)))
		strv_push(&cmp->roots, root);
	for (size_t i = 0; i < cli->options.operands.n; i++)
		if (compare_add(cmp, &cli->session, exp, operand(cli, i), err) < 0)
			return -1;
	if (baseline && compare_add_baseline(cmp, &cli->session, exp, baseline, err) < 0)
		return -1;
	if (cmp->n > 1)
		return 0;
	err_set(err, ERR_USAGE, "'thhost compare' needs two models or entries");
	return err_hint(err, "'thhost compare --help' shows how");
}

static int run_compare(struct cli *cli, struct err *err)
{
	struct comparison cmp = COMPARISON_INIT;
	bool all = option_given(&cli->options, "all");
	struct str out = STR_INIT;
	int result = -1;

	if (add_sides(cli, &cmp, err) == 0) {
		compare_make(&cmp, &cli->session);
		if (cli->json)
			compare_as_json(&cmp, all, &out);
		else
			compare_as_page(&cmp, all, &out);
		result = print_paged(&out, &cli->session.conf) < 0 ? 1 : 0;
		if (cmp.n_worse && option_given(&cli->options, "fail-on-regression"))
			result = 1;
	}
	compare_release(&cmp);
	str_release(&out);
	return result;
}

const struct command cmd_compare = {
	.name = "compare",
	.synopsis = "REF REF...",
	.summary = "show models or entries side by side",
	.details = "REF is a model, REF#N its N-th entry, a run id the entry of that run. A model "
		   "stands for\nits last entry. Only what differs is shown. --root may be given "
		   "several times.\n",
	.options = options,
	.min_operands = 1,
	.max_operands = -1,
	.run = run_compare,
};
