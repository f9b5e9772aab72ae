#include "base/base.h"

#include "app/answer.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/list_page.h"
#include "cli/pager.h"
#include "cli/query.h"

static const struct option_spec options[] = {
	QUERY_OPTIONS,
	{ "columns", 'c', "LIST", "show these: 'exp,dataset,max f1,f1 step,=lr'" },
	{ "sort", 0, "LIST", "in the order of these, '-f1' from the highest down (repeatable)" },
	{ "limit", 'n', "N", "no more than the first N" },
	{ "best", 0, "METRIC", "those that have it, the best first" },
	{ "changed-only", 0, NULL, "leave out columns that say the same in every row" },
	{ "precision", 0, "N", "digits after the point of real numbers" },
	{ "runs", 0, NULL, "every attempt: running, failed and interrupted ones, too" },
	FORMAT_OPTIONS,
	{ NULL, 0, NULL, NULL },
};

/* All that the command line says. */
struct request {
	struct listing_query query;
	struct column_list columns;
	struct column_list keys;
	struct column_list best; /* one, or none */
	int64_t limit;		 /* -1: none */
	struct list_spec page;
};

static void request_release(struct request *request)
{
	listing_query_release(&request->query);
	column_list_release(&request->columns);
	column_list_release(&request->keys);
	column_list_release(&request->best);
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
	int64_t precision = -1;

	request->limit = -1;
	if (query_read(cli, 0, &request->query, err) < 0 ||
	    format_read(cli, &request->page.format, err) < 0 ||
	    read_columns(cli, "columns", false, &request->columns, err) < 0 ||
	    read_columns(cli, "sort", true, &request->keys, err) < 0 ||
	    read_columns(cli, "best", false, &request->best, err) < 0 ||
	    option_integer(given, "limit", 0, INT32_MAX, &request->limit, err) < 0 ||
	    option_integer(given, "precision", 0, 17, &precision, err) < 0)
		return -1;
	if (request->best.n > 1)
		return err_set(err, ERR_USAGE, "option '--best' takes one metric");
	if (request->best.n && request->keys.n)
		return err_set(err, ERR_USAGE, "'--best' and '--sort' do not go together");
	request->query.runs = option_given(given, "runs");
	request->page.columns = &request->columns;
	request->page.best = request->best.n ? request->best.v : NULL;
	request->page.runs = request->query.runs;
	request->page.changed_only = option_given(given, "changed-only");
	request->page.precision = (int)precision;
	return 0;
}

/* ---- rows that are printed as they come ---- */

struct stream {
	struct list_page *page;
	struct paged *paged;
	int64_t left; /* of the limit; negative: there is none */
	struct strv errors;
};

static int print_row(void *arg, const struct listing_row *row, struct err *err UNUSED)
{
	struct stream *stream = arg;

	if (row->is_broken)
		strv_push(&stream->errors, row->history->err.msg);
	else if (!stream->left)
		return 0;
	else if (stream->left > 0)
		stream->left--;
	list_page_row(stream->page, row, stream->paged);
	return stream->paged->is_lost;
}

static int stream(struct cli *cli, struct request *request, struct list_page *page,
		  struct paged *paged, struct err *err)
{
	struct stream stream = { .page = page, .paged = paged, .left = request->limit };
	int result;

	paged->is_live = request->page.format.kind == FORMAT_LINES;
	list_page_begin(page, paged);
	result = listing_each(&cli->session, &request->query, print_row, &stream, err);
	if (result == 0) {
		list_page_end(page, paged);
		result = paged_end(paged) < 0 || stream.errors.n;
		for (size_t i = 0; i < stream.errors.n; i++)
			log_warn("%s", stream.errors.v[i]);
	}
	strv_release(&stream.errors);
	return result;
}

/* ---- rows that are kept until all are there ---- */

struct keeper {
	struct list_page *page;
	struct answer answer;
	struct str payload;
};

static int keep_row(void *arg, const struct listing_row *row, struct err *err UNUSED)
{
	struct keeper *keeper = arg;

	if (!answer_offer(&keeper->answer, row))
		return 0;
	list_page_pack(keeper->page, row, &keeper->payload);
	answer_put(&keeper->answer, &keeper->payload);
	return 0;
}

static int print_kept(struct cli *cli, const struct request *request, struct keeper *keeper,
		      struct paged *paged)
{
	struct ranking *rows = keeper->answer.first;
	bool is_lost;

	if (!keeper->answer.n_found && !list_page_streams(keeper->page))
		query_report_nothing(cli, &request->query);
	list_page_print(keeper->page, rows, paged);
	is_lost = paged_end(paged) < 0;
	return query_report_broken(rows) || is_lost;
}

static int keep(struct cli *cli, struct request *request, struct list_page *page,
		struct paged *paged, struct err *err)
{
	const struct answer_request wanted = {
		.keys = &request->keys,
		.best = request->page.best,
		.limit = request->limit < 0 ? SIZE_MAX : (size_t)request->limit,
	};
	struct keeper keeper = { .page = page, .payload = STR_INIT };
	int result;

	answer_init(&keeper.answer, &wanted);
	result = listing_each(&cli->session, &request->query, keep_row, &keeper, err);
	if (result == 0)
		result = answer_end(&keeper.answer, &cli->session, err);
	if (result == 0)
		result = print_kept(cli, request, &keeper, paged);
	answer_release(&keeper.answer);
	str_release(&keeper.payload);
	return result;
}

static int run_list(struct cli *cli, struct err *err)
{
	struct request request = { .limit = -1 };
	struct list_page *page = NULL;
	struct paged paged;
	int result;

	paged_begin(&paged, &cli->session.conf);
	result = request_read(cli, &request, err);
	if (result == 0) {
		page = list_page_new(&request.page);
		result = list_page_streams(page) && !request.keys.n && !request.best.n
				 ? stream(cli, &request, page, &paged, err)
				 : keep(cli, &request, page, &paged, err);
	}
	list_page_free(page);
	paged_release(&paged);
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
