#include "base/base.h"

#include "cli/format.h"

int format_read(const struct cli *cli, struct format *format, struct err *err)
{
	static const struct {
		const char *name;
		struct format format;
	} formats[] = {
		{ "json", { FORMAT_JSON, SHEET_CSV } },
		{ "jsonl", { FORMAT_LINES, SHEET_CSV } },
		{ "csv", { FORMAT_SHEET, SHEET_CSV } },
		{ "tsv", { FORMAT_SHEET, SHEET_TSV } },
		{ "latex", { FORMAT_SHEET, SHEET_LATEX } },
		{ "markdown", { FORMAT_SHEET, SHEET_MARKDOWN } },
	};
	const char *first = NULL;

	*format = (struct format){ FORMAT_TABLE, SHEET_CSV };
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (!option_given(&cli->options, formats[i].name))
			continue;
		if (first)
			return err_set(err, ERR_USAGE, "'--%s' and '--%s' do not go together",
				       first, formats[i].name);
		first = formats[i].name;
		*format = formats[i].format;
	}
	return 0;
}
