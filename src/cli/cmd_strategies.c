#include "base/base.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/forgetting_page.h"
#include "cli/format.h"
#include "cli/pager.h"
#include "cli/strategies_page.h"

static const struct option_spec options[] = {
	{ "metric", 'm', "NAME", "only this metric (repeatable)" },
	{ "all", 'a', NULL, "also metrics that are nested in others" },
	{ "steps", 0, NULL, "tell apart what was trained for other numbers of steps" },
	{ "exp", 'e', "EXP", "only this experiment" },
	{ "filter", 'F', "EXPR", "only where EXPR holds, as for 'thhost list' (repeatable)" },
	{ "group-by", 'g', "FIELDS",
	  "group by these instead: 'params.lr,git.commit' (repeatable)" },
	{ "order", 0, NULL, "only what the order of the same trainings does" },
	{ "forgetting", 0, "METRIC", "METRIC on each data set after each training" },
	FORMAT_OPTIONS,
	SURVEY_OPTIONS,
	{ NULL, 0, NULL, NULL },
};

/* All that the command line says. */
struct request {
	struct strv roots;
	struct strv pattern;
	struct strv metrics;
	struct strv fields;
	struct filter **filters;
	struct strategy_choice choice; /* borrows from the others */
	struct format format;
	const char *forgetting; /* the metric, or NULL */
	bool order;
};

static void request_release(struct request *request)
{
	for (size_t i = 0; i < request->choice.n_filters; i++)
		filter_free(request->filters[i]);
	free(request->filters);
	strv_release(&request->roots);
	strv_release(&request->pattern);
	strv_release(&request->metrics);
	strv_release(&request->fields);
}

static void read_list(const struct cli *cli, const char *name, struct strv *list)
{
	const char *value;
	size_t position = 0;

	while ((value = option_each(&cli->options, name, &position)))
		strv_push(list, value);
}

/* "params.lr, git.commit" */
static int read_fields(const struct cli *cli, struct strv *fields, struct err *err)
{
	const char *text;
	size_t position = 0;

	while ((text = option_each(&cli->options, "group-by", &position))) {
		for (const char *at = text, *end; at; at = end ? end + 1 : NULL) {
			struct str field = STR_INIT;
			bool is_bad;

			end = strchr(at, ',');
			str_add(&field, at, end ? (size_t)(end - at) : strlen(at));
			str_trim(&field);
			is_bad = !field.len || strv_has(fields, field.buf);
			strv_push_take(fields, str_detach(&field));
			if (is_bad)
				return err_set(err, ERR_USAGE,
					       "option '--group-by': an empty or repeated field "
					       "in '%s'",
					       text);
		}
	}
	return 0;
}

static int read_filters(const struct cli *cli, struct request *request, struct err *err)
{
	const char *text;
	size_t position = 0;

	while ((text = option_each(&cli->options, "filter", &position))) {
		struct filter *filter = filter_parse(text, clock_now(), err);
		size_t n = request->choice.n_filters;

		if (!filter)
			return -1;
		request->filters = xreallocarray(request->filters, n + 1, sizeof(struct filter *));
		request->filters[n] = filter;
		request->choice.n_filters = n + 1;
	}
	return 0;
}

/* Only one of these makes sense at a time. */
static int check_ways(const struct cli *cli, struct err *err)
{
	static const char *const ways[] = { "group-by", "order", "forgetting" };
	const char *first = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (!option_given(&cli->options, ways[i]))
			continue;
		if (first)
			return err_set(err, ERR_USAGE, "'--%s' and '--%s' do not go together",
				       first, ways[i]);
		first = ways[i];
	}
	if (option_given(&cli->options, "forgetting") && option_given(&cli->options, "metric"))
		return err_set(err, ERR_USAGE, "'--forgetting' and '--metric' do not go together");
	return 0;
}

static int request_read(const struct cli *cli, struct request *request, struct err *err)
{
	struct strategy_choice *choice = &request->choice;

	read_list(cli, "root", &request->roots);
	read_list(cli, "metric", &request->metrics);
	request->order = option_given(&cli->options, "order");
	request->forgetting = option_value(&cli->options, "forgetting");
	if (format_read(cli, &request->format, err) < 0 || check_ways(cli, err) < 0 ||
	    read_fields(cli, &request->fields, err) < 0 || read_filters(cli, request, err) < 0)
		return -1;
	if (request->forgetting && !*request->forgetting)
		return err_set(err, ERR_USAGE, "option '--forgetting' needs a metric");
	if (operand(cli, 0)) {
		if (sequence_pattern(operand(cli, 0), &request->pattern, err) < 0)
			return -1;
		choice->pattern = &request->pattern;
	}
	choice->roots = &request->roots;
	choice->exp = option_value(&cli->options, "exp");
	choice->with_steps = option_given(&cli->options, "steps");
	choice->fields = request->fields.n ? &request->fields : NULL;
	choice->filters = request->filters;
	return 0;
}

/* That there is nothing, and fields that nothing has. */
static void report_nothing(const struct cli *cli, const struct request *request, const char *what)
{
	if (request->roots.n > 1)
		log_notice("no such %s below %zu roots", what, request->roots.n);
	else
		log_notice("no such %s below '%s'", what, cli->session.layout.root);
	for (size_t i = 0; i < request->choice.n_filters; i++) {
		const char *field;
		size_t position = 0;

		while ((field = filter_unseen(request->filters[i], &position)))
			log_notice("none that was asked has '%s'", field);
	}
}

static bool wants_notice(const struct request *request)
{
	return request->format.kind == FORMAT_TABLE || request->format.kind == FORMAT_SHEET;
}

static int show_forgetting(struct cli *cli, const struct request *request, struct str *out,
			   size_t *n_broken, struct err *err)
{
	struct forgettings all = FORGETTINGS_INIT;
	const char *metric = request->forgetting;
	int result = forgettings_collect(&all, &cli->session, &request->choice, metric, err);

	if (result == 0 && !all.n && wants_notice(request))
		report_nothing(cli, request, "metric of two or more trainings");
	if (result == 0 && request->format.kind == FORMAT_TABLE)
		forgetting_as_page(&all, metric, out);
	else if (result == 0 && request->format.kind == FORMAT_JSON)
		forgetting_as_json(&all, metric, out);
	else if (result == 0 && request->format.kind == FORMAT_LINES)
		forgetting_as_lines(&all, out);
	else if (result == 0)
		forgetting_as_sheet(&all, metric, request->format.sheet, out);
	*n_broken = all.n_broken;
	forgettings_release(&all);
	return result;
}

static void print_strategies(const struct cli *cli, const struct request *request,
			     const struct strategies *all, const struct orders *orders,
			     struct str *out)
{
	const struct strategies_page page = {
		.all = all,
		.orders = orders,
		.fields = request->choice.fields,
		.metrics = &request->metrics,
		.with_nested = option_given(&cli->options, "all"),
		.only_orders = request->order,
	};

	switch (request->format.kind) {
	case FORMAT_TABLE:
		strategies_as_page(&page, out);
		break;
	case FORMAT_JSON:
		strategies_as_json(&page, out);
		break;
	case FORMAT_LINES:
		strategies_as_lines(&page, out);
		break;
	case FORMAT_SHEET:
		strategies_as_sheet(&page, request->format.sheet, out);
		break;
	}
}

static int show_strategies(struct cli *cli, const struct request *request, struct str *out,
			   size_t *n_broken, struct err *err)
{
	struct strategies all = STRATEGIES_INIT;
	struct orders orders = ORDERS_INIT;
	int result = strategies_collect(&all, &cli->session, &request->choice, err);

	if (result == 0) {
		orders_find(&orders, &all);
		if (!all.n && wants_notice(request))
			report_nothing(cli, request, "model");
		else if (request->order && !orders.n && wants_notice(request))
			report_nothing(cli, request, "trainings in two orders");
		print_strategies(cli, request, &all, &orders, out);
	}
	*n_broken = all.n_broken;
	orders_release(&orders);
	strategies_release(&all);
	return result;
}

static int run_strategies(struct cli *cli, struct err *err)
{
	struct request request = { .forgetting = NULL };
	struct str out = STR_INIT;
	size_t n_broken = 0;
	int result = request_read(cli, &request, err);

	if (result == 0 && request.forgetting)
		result = show_forgetting(cli, &request, &out, &n_broken, err);
	else if (result == 0)
		result = show_strategies(cli, &request, &out, &n_broken, err);
	if (result == 0)
		result = print_paged(&out, &cli->session.conf) < 0 || n_broken ? 1 : 0;
	request_release(&request);
	str_release(&out);
	return result;
}

const struct command cmd_strategies = {
	.name = "strategies",
	.synopsis = "[PATTERN] [-g FIELDS | --order | --forgetting METRIC]",
	.summary = "group models by the sequence of data sets they were trained on",
	.details =
		"PATTERN is for instance 'hrds > *': '*' stands for any number of trainings, '?' "
		"for one.\n--root may be given several times. A record that cannot be read is "
		"named; the exit\nstatus is then 1.\n",
	.options = options,
	.max_operands = 1,
	.run = run_strategies,
};
