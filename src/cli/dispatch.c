#include "base/base.h"

#include "cli/dispatch.h"

#include "base/log.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/reading.h"
#include "cli/render.h"
#include "sys/json.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

const struct command *const commands[] = {
	&cmd_run,    &cmd_record, &cmd_batch,	&cmd_adopt,	 &cmd_show,
	&cmd_list,   &cmd_best,	  &cmd_compare, &cmd_lineage,	 &cmd_strategies,
	&cmd_query,  &cmd_exp,	  &cmd_index,	&cmd_verify,	 &cmd_repair,
	&cmd_plugin, &cmd_config, &cmd_doctor,	&cmd_completion, &cmd_version,
	&cmd_help,   NULL,
};

const struct option_spec common_options[] = {
	{ "root", 0, "DIR", "the artifact root (artifact.root)" },
	{ "config", 0, "FILE", "use this thhost.ini instead of searching for one" },
	{ "plugin", 0, "FILE", "use this plugin file before all others (repeatable)" },
	{ "json", 0, NULL, "print JSON; errors too, as the last line on stderr" },
	{ "quiet", 'q', NULL, "say nothing but errors" },
	{ "verbose", 'v', NULL, "say what is being done" },
	{ "color", 0, "WHEN", "auto, always or never (ui.color)" },
	{ "help", 'h', NULL, "show this help" },
	{ NULL, 0, NULL, NULL },
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

const char *operand(const struct cli *cli, size_t i)
{
	return i < cli->options.operands.n ? cli->options.operands.v[i] : NULL;
}

/* A closed stdin, stdout or stderr would give its number to the first file that we open. */
static void fill_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		if (open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd)
			_exit(70);
	}
}

static void error_as_json(const struct err *err, int status, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 0);

	jsonw_object(&w);
	jsonw_key(&w, "error");
	jsonw_object(&w);
	jsonw_pair_string(&w, "code", err_word(err->code));
	jsonw_pair_string(&w, "message", err->msg);
	jsonw_pair_string(&w, "hint", err->hint[0] ? err->hint : NULL);
	jsonw_pair_string(&w, "path", err->path[0] ? err->path : NULL);
	jsonw_pair_int(&w, "exit", status);
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

void command_error_text(const struct err *err, int status, bool as_json, struct str *out)
{
	if (as_json) {
		error_as_json(err, status, out);
		return;
	}
	str_adds(out, "thhost: ");
	add_safe(out, err->msg);
	str_adds(out, err->hint[0] ? "\nhint: " : "");
	add_safe(out, err->hint);
	str_addch(out, '\n');
}

int command_report(const struct err *err, int status, bool as_json)
{
	struct str line = STR_INIT;

	if (!as_json) {
		log_error(err);
		return status;
	}
	error_as_json(err, status, &line);
	print_to(stderr, &line); /* where it does not get there, nothing would */
	str_release(&line);
	return status;
}

int command_unknown(const char *verb, struct err *err)
{
	const char *names[ARRAY_SIZE(commands)];
	const char *near;
	size_t n = 0;

	for (; commands[n]; n++)
		names[n] = commands[n]->name;
	near = nearest_word(verb, names, n);
	err_set(err, ERR_USAGE, "unknown verb '%s'", verb);
	if (near)
		err_hint(err, "did you mean 'thhost %s'? ('thhost help' shows all)", near);
	else if (verb[0] == '-')
		err_hint(err, "options come after the verb; 'thhost help' shows all");
	else
		err_hint(err, "'thhost help' shows all");
	return -1;
}

static int check_operands(const struct cli *cli, struct err *err)
{
	const struct command *command = cli->command;
	size_t n = cli->options.operands.n;

	if (n < (size_t)command->min_operands)
		err_set(err, ERR_USAGE, "'thhost %s' needs more: %s", command->name,
			command->synopsis);
	else if (command->max_operands >= 0 && n > (size_t)command->max_operands)
		err_set(err, ERR_USAGE, "unexpected '%s' after 'thhost %s'",
			cli->options.operands.v[command->max_operands], command->name);
	else if (cli->options.command && !command->takes_command)
		err_set(err, ERR_USAGE, "'thhost %s' takes no command after '--'", command->name);
	else
		return 0;
	return err_hint(err, "'thhost %s --help' shows how", command->name);
}

static void set_verbosity(const struct options *options)
{
	if (option_given(options, "quiet"))
		log_set_level(LOG_QUIET);
	else if (option_given(options, "verbose"))
		log_set_level(LOG_VERBOSE);
}

static int open_session(struct cli *cli, struct err *err)
{
	struct session_options options = {
		.config_file = option_value(&cli->options, "config"),
		.root = option_value(&cli->options, "root"),
		.reading = show_reading,
		.no_index = option_given(&cli->options, "no-index"),
	};
	const char *color = option_value(&cli->options, "color");
	const char *file;
	size_t position = 0;

	while ((file = option_each(&cli->options, "plugin", &position)))
		strv_push(&options.plugin_files, file);
	if (session_open(&cli->session, &options, err) < 0)
		return -1;
	if (color && conf_set_flag(&cli->session.conf, "ui.color", color, err) < 0)
		return -1;
	render_set_color(conf_get(&cli->session.conf, "ui.color"));
	render_set_time(conf_get(&cli->session.conf, "ui.time"));
	return 0;
}

static int show_help(const struct command *command)
{
	struct str page = STR_INIT;
	int result;

	command_help(command, &page);
	result = print_out(&page);
	str_release(&page);
	return result;
}

static int run_verb(struct cli *cli, int argc, char **argv, struct err *err)
{
	int status;

	if (options_parse(&cli->options, cli->command->options, common_options, argc, argv, err) <
	    0)
		return -1;
	cli->json = option_given(&cli->options, "json");
	if (option_given(&cli->options, "help"))
		return show_help(cli->command) < 0 ? 1 : 0;
	if (check_operands(cli, err) < 0)
		return -1;
	set_verbosity(&cli->options);
	if (!cli->command->needs_no_config && open_session(cli, err) < 0)
		status = -1;
	else
		status = cli->command->run(cli, err);
	session_close(&cli->session);
	strv_release(&cli->session.options.plugin_files);
	return status;
}

/* Was --json asked for, even if the rest of the line could not be understood? */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

/* A reader that has seen enough ('| head') is no news; a full disk is. */
static bool has_lost_output(struct err *err)
{
	errno = print_errno();
	if (!errno || errno == EPIPE)
		return false;
	err_errno(err, ERR_FAILED, "cannot write to standard output");
	return true;
}

int dispatch(int argc, char **argv)
{
	struct cli cli = { .options = OPTIONS_INIT };
	struct err err = ERR_INIT;
	const char *verb = argc > 1 ? argv[1] : "help";
	int status;

	fill_standard_descriptors();
	signal(SIGPIPE,
	       SIG_IGN); /* a reader that went away is an error of write(), not our death */
	signal(SIGXFSZ, SIG_IGN);
	if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0)
		verb = "help";
	if (strcmp(verb, "--version") == 0)
		verb = "version";
	cli.command = command_find(verb);
	if (!cli.command)
		command_unknown(verb, &err);
	status = cli.command ? run_verb(&cli, argc - (argc > 1), argv + (argc > 1), &err) : -1;
	if (status < 0)
		status = command_report(&err, err_exit_status(err.code), wants_json(argc, argv));
	else if (has_lost_output(&err))
		command_report(&err, status, wants_json(argc, argv));
	options_release(&cli.options);
	return status;
}
