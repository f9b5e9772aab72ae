#include "base/base.h"

#include "cli/query.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/list_page.h"

static int read_filters(const struct cli *cli, struct listing_query *query, struct err *err)
{
	const char *text;
	size_t position = 0;

	while ((text = option_each(&cli->options, "filter", &position))) {
		struct filter *filter = filter_parse(text, clock_now(), err);

		if (!filter)
			return -1;
		query->filters = xreallocarray(query->filters, query->n_filters + 1,
					       sizeof(struct filter *));
		query->filters[query->n_filters++] = filter;
	}
	return 0;
}

int query_read(const struct cli *cli, size_t first, struct listing_query *query, struct err *err)
{
	const char *started = option_value(&cli->options, "started");
	const char *root;
	size_t position = 0;

	memset(query, 0, sizeof(*query));
	query->exp = option_value(&cli->options, "exp");
	query->stage = option_value(&cli->options, "stage");
	query->dataset = option_value(&cli->options, "dataset");
	for (size_t i = first; i < cli->options.operands.n; i++)
		strv_push(&query->patterns, operand(cli, i));
	while ((root = option_each(&cli->options, "root", &position)))
		strv_push(&query->roots, root);
	query->has_started = started != NULL;
	if (started && when_parse(started, clock_now(), &query->started, err) < 0)
		return err_prefix(err, "option '--started'"), -1;
	return read_filters(cli, query, err);
}

bool query_report_broken(const struct ranking *rows)
{
	bool any = false;

	for (size_t i = 0; i < rows->n; i++) {
		const char *error = list_page_error(rows->rows[i]);

		if (!error)
			continue;
		any = true;
		log_warn("%s", error);
	}
	return any;
}

void query_report_nothing(const struct cli *cli, const struct listing_query *query)
{
	if (query->roots.n > 1)
		log_notice("no such model below %zu roots", query->roots.n);
	else
		log_notice("no such model below '%s'", cli->session.layout.root);
	for (size_t i = 0; i < query->n_filters; i++) {
		const char *field;
		size_t position = 0;

		while ((field = filter_unseen(query->filters[i], &position)))
			log_notice("none that was asked has '%s'", field);
	}
}
