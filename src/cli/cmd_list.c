#include "base/base.h"

#include "cli/command.h"
#include "cli/list_page.h"
#include "cli/pager.h"
#include "cli/query.h"
#include "cli/render.h"

static const struct option_spec options[] = {
	QUERY_OPTIONS,
	{ "columns", 'c', "LIST", "show these: 'exp,dataset,max f1,f1 step,=lr'" },
	{ "sort", 0, "LIST", "in the order of these, '-f1' from the highest down (repeatable)" },
	{ "limit", 'n', "N", "no more than the first N" },
	{ "best", 0, "METRIC", "those that have it, the best first" },
	{ "changed-only", 0, NULL, "leave out columns that say the same in every row" },
	{ "precision", 0, "N", "digits after the point of real numbers" },
	{ "runs", 0, NULL, "every attempt: running, failed and interrupted ones, too" },
	{ "jsonl", 0, NULL, "JSON, one object on a line" },
	{ "csv", 0, NULL, "comma-separated values" },
	{ "tsv", 0, NULL, "tab-separated values" },
	{ "markdown", 0, NULL, "a table in Markdown" },
	{ "latex", 0, NULL, "a tabular in LaTeX" },
	{ NULL, 0, NULL, NULL },
};

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_LINES, FORMAT_SHEET };

/* All that the command line says. */
struct request {
	struct listing_query query;
	struct column_list columns;
	struct column_list keys;
	struct column_list best; /* one, or none */
	int64_t limit;		 /* -1: none */
	int64_t precision;
	enum format format;
	enum sheet_format sheet;
};

static void request_release(struct request *request)
{
	listing_query_release(&request->query);
	column_list_release(&request->columns);
	column_list_release(&request->keys);
	column_list_release(&request->best);
}

static int read_format(const struct cli *cli, struct request *request, struct err *err)
{
	static const struct {
		const char *name;
		enum format format;
		enum sheet_format sheet;
	} formats[] = {
		{ "json", FORMAT_JSON, SHEET_CSV },
		{ "jsonl", FORMAT_LINES, SHEET_CSV },
		{ "csv", FORMAT_SHEET, SHEET_CSV },
		{ "tsv", FORMAT_SHEET, SHEET_TSV },
		{ "latex", FORMAT_SHEET, SHEET_LATEX },
		{ "markdown", FORMAT_SHEET, SHEET_MARKDOWN },
	};
	const char *first = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (!option_given(&cli->options, formats[i].name))
			continue;
		if (first)
			return err_set(err, ERR_USAGE, "'--%s' and '--%s' do not go together",
				       first, formats[i].name);
		first = formats[i].name;
		request->format = formats[i].format;
		request->sheet = formats[i].sheet;
	}
	return 0;
}

static int read_columns(const struct cli *cli, const char *name, bool is_sort,
			struct column_list *list, struct err *err)
{
	char what[32];
	const char *text;
	size_t position = 0;

	snprintf(what, sizeof(what), "option '--%s'", name);
	while ((text = option_each(&cli->options, name, &position)))
		if (column_list_parse(list, what, text, is_sort, err) < 0)
			return -1;
	return 0;
}

static int request_read(const struct cli *cli, struct request *request, struct err *err)
{
	const struct options *given = &cli->options;

	request->limit = -1;
	request->precision = -1;
	if (query_read(cli, 0, &request->query, err) < 0 || read_format(cli, request, err) < 0 ||
	    read_columns(cli, "columns", false, &request->columns, err) < 0 ||
	    read_columns(cli, "sort", true, &request->keys, err) < 0 ||
	    read_columns(cli, "best", false, &request->best, err) < 0 ||
	    option_integer(given, "limit", 0, INT32_MAX, &request->limit, err) < 0 ||
	    option_integer(given, "precision", 0, 17, &request->precision, err) < 0)
		return -1;
	if (request->best.n > 1)
		return err_set(err, ERR_USAGE, "option '--best' takes one metric");
	if (request->best.n && request->keys.n)
		return err_set(err, ERR_USAGE, "'--best' and '--sort' do not go together");
	request->query.runs = option_given(given, "runs");
	return 0;
}

static void print_page(const struct cli *cli, const struct request *request,
		       const struct listing *listing, struct str *out)
{
	const struct list_page page = {
		.listing = listing,
		.columns = &request->columns,
		.best = request->best.n ? request->best.v : NULL,
		.runs = request->query.runs,
		.changed_only = option_given(&cli->options, "changed-only"),
		.precision = (int)request->precision,
	};

	switch (request->format) {
	case FORMAT_TABLE:
		list_page_table(&page, out);
		break;
	case FORMAT_JSON:
		list_page_json(&page, out);
		break;
	case FORMAT_LINES:
		list_page_lines(&page, out);
		break;
	case FORMAT_SHEET:
		list_page_sheet(&page, request->sheet, out);
		break;
	}
}

static int list(struct cli *cli, struct request *request, struct listing *listing, struct err *err)
{
	struct str out = STR_INIT;
	int result;

	if (request_read(cli, request, err) < 0 ||
	    listing_load(listing, &cli->session, &request->query, err) < 0)
		return -1;
	if (request->best.n && query_best(&cli->session, listing, request->best.v, err) < 0)
		return -1;
	if (!listing->n && request->format != FORMAT_JSON && request->format != FORMAT_LINES)
		query_report_nothing(cli, &request->query);
	listing_sort(listing, &request->keys);
	if (request->limit >= 0)
		listing_limit(listing, (size_t)request->limit);
	print_page(cli, request, listing, &out);
	result = print_paged(&out, &cli->session.conf) < 0 ? 1 : 0;
	if (query_report_broken(listing))
		result = 1;
	str_release(&out);
	return result;
}

static int run_list(struct cli *cli, struct err *err)
{
	struct request request = { .limit = -1 };
	struct listing listing = LISTING_INIT;
	int result = list(cli, &request, &listing, err);

	listing_release(&listing);
	request_release(&request);
	return result;
}

const struct command cmd_list = {
	.name = "list",
	.synopsis = "[REF-PATTERN...] [-F EXPR] [-c LIST] [--sort LIST] [-n N] [--runs]",
	.summary = "list the models below the artifact root, narrowed and in order",
	.details =
		"A pattern is that of a shell ('stage1_*'). --root may be given several times.\n"
		"A record that cannot be read is a row that says so; the exit status is then 1.\n",
	.options = options,
	.max_operands = -1,
	.run = run_list,
};
