#include "base/base.h"

#include "base/log.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/version.h"
#include "script/plugin.h"
#include "sys/json.h"

static void add_options(struct str *out, const struct option_spec *specs)
{
	for (; specs && specs->name; specs++) {
		struct str left = STR_INIT;

		if (specs->letter)
			str_addf(&left, "-%c, ", specs->letter);
		else
			str_adds(&left, "    ");
		str_addf(&left, "--%s", specs->name);
		if (specs->argument)
			str_addf(&left, " %s", specs->argument);
		str_addf(out, "  %-30s %s\n", left.buf, specs->help);
		str_release(&left);
	}
}

static void add_program_help(struct str *out)
{
	str_adds(out, "usage: thhost VERB [options]\n\n"
		      "Keeps the training history of each model in training_info.json beside its "
		      "checkpoint.\n\nverbs:\n");
	for (size_t i = 0; commands[i]; i++)
		str_addf(out, "  %-11s %s\n", commands[i]->name, commands[i]->summary);
	str_adds(out, "\n'thhost VERB --help' explains one of them; 'man thhost' all.\n");
}

void command_help(const struct command *command, struct str *out)
{
	if (!command) {
		add_program_help(out);
		return;
	}
	str_addf(out, "usage: thhost %s%s%s\n\n%s\n", command->name, *command->synopsis ? " " : "",
		 command->synopsis, command->summary);
	if (command->details)
		str_addf(out, "\n%s", command->details);
	if (command->options && command->options->name)
		str_adds(out, "\noptions:\n");
	add_options(out, command->options);
	str_adds(out, "\ncommon options:\n");
	add_options(out, common_options);
}

static int run_help(struct cli *cli, struct err *err)
{
	const struct command *command = NULL;
	struct str page = STR_INIT;
	int result;

	if (operand(cli, 0) && !(command = command_find(operand(cli, 0))))
		return command_unknown(operand(cli, 0), err);
	command_help(command, &page);
	result = print_out(&page);
	str_release(&page);
	return result < 0 ? 1 : 0;
}

const struct command cmd_help = {
	.name = "help",
	.synopsis = "[VERB]",
	.summary = "show what there is, or how a verb is used",
	.max_operands = 1,
	.needs_no_config = true,
	.run = run_help,
};

static int run_version(struct cli *cli, struct err *err)
{
	struct str out = STR_INIT;
	int result;

	(void)err;
	if (cli->json) {
		struct jsonw w = jsonw_begin(&out, 2);

		jsonw_object(&w);
		jsonw_pair_string(&w, "schema", "thhost.version/1");
		jsonw_pair_string(&w, "version", THHOST_VERSION);
		jsonw_pair_string(&w, "lua", plugin_lua_version());
		jsonw_pair_int(&w, "record_schema", 1);
		jsonw_pair_int(&w, "plugin_api", 1);
		jsonw_end(&w);
		str_addch(&out, '\n');
	} else {
		str_addf(&out, "thhost %s (%s; record schema 1, plugin api 1)\n", THHOST_VERSION,
			 plugin_lua_version());
	}
	result = print_out(&out);
	str_release(&out);
	return result < 0 ? 1 : 0;
}

const struct command cmd_version = {
	.name = "version",
	.synopsis = "",
	.summary = "show the versions of thhost, Lua, the record and the plugin contract",
	.needs_no_config = true,
	.run = run_version,
};
