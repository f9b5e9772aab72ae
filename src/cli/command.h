/*
 * command - one verb, as data.
 *
 * The same table makes dispatch, --help, completion and the check of the man
 * pages against the code.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H
#include "app/session.h"
#include "cli/opt.h"

struct cli {
	const struct command *command;
	struct options options;
	struct session session;
	bool json;
};

struct command {
	const char *name;
	const char *synopsis; /* after the name: "STAGE --dataset D [-- CMD...]" */
	const char *summary;  /* one line, lower case */
	const char *details;  /* more lines for --help, or NULL */
	const struct option_spec *options;
	int min_operands;
	int max_operands;     /* -1: any number */
	bool takes_command;   /* "-- CMD..." */
	bool needs_no_config; /* works where thhost.ini is broken, too: cli.session stays closed */
	/* The exit status, or -1 with 'err'. */
	int (*run)(struct cli *cli, struct err *err);
};

extern const struct command cmd_adopt, cmd_batch, cmd_best, cmd_compare, cmd_config, cmd_completion,
	cmd_doctor, cmd_exp, cmd_help, cmd_index, cmd_lineage, cmd_list, cmd_plugin, cmd_query,
	cmd_record, cmd_repair, cmd_run, cmd_show, cmd_strategies, cmd_verify, cmd_version;

/* All of them in the order of the help page; ends with NULL. */
extern const struct command *const commands[];

/* Of the verbs that go over the whole history (app/survey.h). */
#define SURVEY_OPTIONS                                                       \
	{                                                                    \
		"no-index", 0, NULL, "read the files, not the index of them" \
	}

/* What every verb understands. */
extern const struct option_spec common_options[];

const struct command *command_find(const char *name);

/* "unknown verb 'recrod'", with what was probably meant. */
int command_unknown(const char *verb, struct err *err);

/* Tell the error, on stderr; as the last line there, an object, with --json. Returns 'status'. */
int command_report(const struct err *err, int status, bool as_json);

/* What command_report() would print. */
void command_error_text(const struct err *err, int status, bool as_json, struct str *out);

/* The help page of one verb, or with NULL of the program. */
void command_help(const struct command *command, struct str *out);

/* The i-th operand, or NULL. */
const char *operand(const struct cli *cli, size_t i);

#endif
