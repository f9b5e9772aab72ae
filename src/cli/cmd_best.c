#include "base/base.h"

#include "cli/command.h"
#include "cli/query.h"
#include "cli/render.h"

static const struct option_spec options[] = {
	QUERY_OPTIONS,
	{ NULL, 0, NULL, NULL },
};

static void add_json(const struct listing_row *row, const struct column_spec *metric,
		     struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);
	struct value value = VALUE_INIT;
	double number;

	column_read(metric, &row->subject, &value);
	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.best/1");
	jsonw_pair_string(&w, "ref", row->history->dir.ref);
	jsonw_pair_string(&w, "path", row->history->path);
	jsonw_pair_string(&w, "metric", metric->title);
	jsonw_key(&w, "value");
	if (value.type == VALUE_NUMBER && json_is_number_text(value.text, strlen(value.text), NULL))
		jsonw_raw(&w, value.text, strlen(value.text));
	else
		jsonw_real(&w, value_number(&value, &number) ? number : 0);
	jsonw_end(&w);
	str_addch(out, '\n');
	value_release(&value);
}

static int print_best(struct cli *cli, const struct listing *listing,
		      const struct column_spec *metric, struct err *err)
{
	const struct listing_row *row = listing->n ? &listing->rows[0] : NULL;
	bool has_broken = query_report_broken(listing);
	struct str out = STR_INIT;
	int result;

	if (!row || row->history->err.code)
		return err_set(err, ERR_NOT_FOUND, "no such model has '%s'", metric->title);
	if (cli->json)
		add_json(row, metric, &out);
	else
		str_addf(&out, "%s\n", row->history->dir.ref);
	result = print_out(&out) < 0 || has_broken;
	str_release(&out);
	return result;
}

static int best(struct cli *cli, struct listing_query *query, struct column_list *metric,
		struct listing *listing, struct err *err)
{
	if (query_read(cli, 1, query, err) < 0 ||
	    column_list_parse(metric, "METRIC", operand(cli, 0), false, err) < 0)
		return -1;
	if (metric->n != 1)
		return err_set(err, ERR_USAGE, "'thhost best' takes one metric");
	if (listing_load(listing, &cli->session, query, err) < 0 ||
	    query_best(&cli->session, listing, metric->v, err) < 0)
		return -1;
	return print_best(cli, listing, metric->v, err);
}

static int run_best(struct cli *cli, struct err *err)
{
	struct listing_query query;
	struct column_list metric = { .v = NULL };
	struct listing listing = LISTING_INIT;
	int result = best(cli, &query, &metric, &listing, err);

	listing_release(&listing);
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
