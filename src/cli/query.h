/*
 * query - the options by which 'list' and 'best' choose models.
 */
#ifndef CLI_QUERY_H
#define CLI_QUERY_H
#include "app/listing.h"
#include "app/ranking.h"
#include "cli/command.h"

#define QUERY_OPTIONS                                                                             \
	{ "filter", 'F', "EXPR", "only where EXPR holds: 'metrics.f1 > 0.8 and not git.dirty'" }, \
		{ "started", 0, "WHEN", "only trainings that began then: 'last 3 days'" },        \
		{ "stage", 's', "STAGE", "only models of this stage" },                           \
		{ "dataset", 'd', "D", "only models that were trained on D" }, SURVEY_OPTIONS,    \
	{                                                                                         \
		"exp", 'e', "EXP", "only this experiment"                                         \
	}

/* What the options and the operands from 'first' on say; listing_query_release() in any case. */
int query_read(const struct cli *cli, size_t first, struct listing_query *query, struct err *err);

/* Each broken record, on stderr, in the order of the rows. True if there is one. */
bool query_report_broken(const struct ranking *rows);

/* Where nothing was found: that, and the fields that nothing has. */
void query_report_nothing(const struct cli *cli, const struct listing_query *query);

#endif
