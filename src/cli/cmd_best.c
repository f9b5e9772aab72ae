#include "base/base.h"

#include "app/answer.h"
#include "app/packed.h"
#include "cli/command.h"
#include "cli/query.h"
#include "cli/render.h"

static const struct option_spec options[] = {
	QUERY_OPTIONS,
	{ NULL, 0, NULL, NULL },
};

/* A packed row: why it is broken, the value, the REF, the path. */
static void pack(const struct listing_row *row, const struct column_spec *metric, struct str *out)
{
	struct value value = VALUE_INIT;

	str_clear(out);
	column_read(metric, &row->subject, &value);
	packed_add_text(out, row->is_broken ? row->history->err.msg : NULL);
	packed_add(out, &value);
	packed_add_text(out, row->history->dir.ref);
	packed_add_text(out, row->history->path);
	value_release(&value);
}

static void add_json(const char *ref, const char *path, const struct value *value,
		     const struct column_spec *metric, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);
	double number;

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.best/1");
	jsonw_pair_string(&w, "ref", ref);
	jsonw_pair_string(&w, "path", path);
	jsonw_pair_string(&w, "metric", metric->title);
	jsonw_key(&w, "value");
	if (value->type == VALUE_NUMBER &&
	    json_is_number_text(value->text, strlen(value->text), NULL))
		jsonw_raw(&w, value->text, strlen(value->text));
	else
		jsonw_real(&w, value_number(value, &number) ? number : 0);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static void add_row(const struct cli *cli, const struct ranked *row,
		    const struct column_spec *metric, struct str *out)
{
	const char *at = ranked_payload(row);
	const char *error;
	const char *ref;
	const char *path;
	struct value value;

	at = packed_read_text(at, &error);
	at = packed_read(at, &value);
	at = packed_read_text(at, &ref);
	packed_read_text(at, &path);
	if (cli->json)
		add_json(ref, path, &value, metric, out);
	else
		str_addf(out, "%s\n", ref);
}

static int print_best(struct cli *cli, const struct ranking *rows, const struct column_spec *metric,
		      struct err *err)
{
	bool has_broken = query_report_broken(rows);
	struct str out = STR_INIT;
	int result;

	if (!rows->n || rows->rows[0]->is_broken)
		return err_set(err, ERR_NOT_FOUND, "no such model has '%s'", metric->title);
	add_row(cli, rows->rows[0], metric, &out);
	result = print_out(&out) < 0 || has_broken;
	str_release(&out);
	return result;
}

struct keeper {
	const struct column_spec *metric;
	struct answer answer;
	struct str payload;
};

static int keep_row(void *arg, const struct listing_row *row, struct err *err UNUSED)
{
	struct keeper *keeper = arg;

	if (!answer_offer(&keeper->answer, row))
		return 0;
	pack(row, keeper->metric, &keeper->payload);
	answer_put(&keeper->answer, &keeper->payload);
	return 0;
}

static int find_best(struct cli *cli, struct listing_query *query, const struct column_spec *metric,
		     struct err *err)
{
	const struct answer_request wanted = { .best = metric, .limit = 1 };
	struct keeper keeper = { .metric = metric, .payload = STR_INIT };
	int result;

	answer_init(&keeper.answer, &wanted);
	result = listing_each(&cli->session, query, keep_row, &keeper, err);
	if (result == 0)
		result = answer_end(&keeper.answer, &cli->session, err);
	if (result == 0)
		result = print_best(cli, keeper.answer.first, metric, err);
	answer_release(&keeper.answer);
	str_release(&keeper.payload);
	return result;
}

static int run_best(struct cli *cli, struct err *err)
{
	struct listing_query query;
	struct column_list metric = { .v = NULL };
	int result = query_read(cli, 1, &query, err);

	if (result == 0)
		result = column_list_parse(&metric, "METRIC", operand(cli, 0), false, err);
	if (result == 0 && metric.n != 1)
		result = err_set(err, ERR_USAGE, "'thhost best' takes one metric");
	if (result == 0)
		result = find_best(cli, &query, metric.v, err);
	column_list_release(&metric);
	listing_query_release(&query);
	return result;
}

const struct command cmd_best = {
	.name = "best",
	.synopsis = "METRIC [REF-PATTERN...] [-F EXPR]",
	.summary = "print the REF of the model that is best in a metric",
	.details = "High or low is what the stage's plugin declares, else what the name tells.\n",
	.options = options,
	.min_operands = 1,
	.max_operands = -1,
	.run = run_best,
};
