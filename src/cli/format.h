/*
 * format - in which form an answer is wanted: a table, JSON, or one of cli/sheet.h.
 *
 *	static const struct option_spec options[] = { FORMAT_OPTIONS, { NULL, 0, NULL, NULL } };
 *	struct format format;
 *	if (format_read(cli, &format, err) < 0) ...
 */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H
#include "cli/command.h"
#include "cli/sheet.h"

#define FORMAT_OPTIONS                                          \
	{ "jsonl", 0, NULL, "JSON, one object on a line" },     \
		{ "csv", 0, NULL, "comma-separated values" },   \
		{ "tsv", 0, NULL, "tab-separated values" },     \
		{ "markdown", 0, NULL, "a table in Markdown" }, \
	{                                                       \
		"latex", 0, NULL, "a tabular in LaTeX"          \
	}

enum format_kind { FORMAT_TABLE, FORMAT_JSON, FORMAT_LINES, FORMAT_SHEET };

struct format {
	enum format_kind kind;
	enum sheet_format sheet;
};

/* ERR_USAGE where two of them were given. */
int format_read(const struct cli *cli, struct format *format, struct err *err);

#endif
