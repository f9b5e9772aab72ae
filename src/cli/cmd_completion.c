/*
 * The shells' shims (config/completion/) call "thhost completion words ..." and offer what it prints:
 * one word a line.
 */
#include "base/base.h"

#include "base/mem.h"
#include "cli/command.h"
#include "cli/render.h"

/* A name that a terminal or a line would take amiss is not offered. */
static void add_word(struct str *out, const char *word, const char *start)
{
	struct str safe = STR_INIT;

	add_safe(&safe, word);
	if (has_prefix(word, start) && str_equals(&safe, word))
		str_addf(out, "%s\n", word);
	str_release(&safe);
}

static void add_options(struct str *out, const struct option_spec *specs, const char *start)
{
	for (; specs && specs->name; specs++) {
		char *word = xstrf("--%s", specs->name);

		add_word(out, word, start);
		free(word);
	}
}

/* The words of "new [NAME] | list | use NAME": the first of each alternative, if it is no metaword. */
static void add_subverbs(struct str *out, const char *synopsis, const char *start)
{
	while (*synopsis) {
		size_t len = strspn(synopsis, "abcdefghijklmnopqrstuvwxyz");
		char *word = xstrndup(synopsis, len);

		if (len && (synopsis[len] == ' ' || !synopsis[len]))
			add_word(out, word, start);
		free(word);
		synopsis += strcspn(synopsis, "|");
		synopsis += strspn(synopsis, "| ");
	}
}

static void add_stages(struct session *session, struct str *out, const char *start)
{
	struct err ignored = ERR_INIT;

	if (session_plugins(session, &ignored) < 0)
		return;
	for (size_t i = 0; i < session->plugins.n; i++)
		if (strcmp(session->plugins.files[i].kind, "stage") == 0 &&
		    !session->plugins.files[i].is_shadowed)
			add_word(out, session->plugins.files[i].name, start);
}

static int visit(void *arg, struct stage_dir *dir, struct err *err)
{
	(void)err;
	strv_push(arg, dir->ref);
	strv_push(arg, dir->name);
	return 0;
}

static void add_refs(struct session *session, struct str *out, const char *start)
{
	struct strv refs = STRV_INIT;
	struct err ignored = ERR_INIT;

	if (session_layout(session, &ignored) == 0 &&
	    layout_walk(&session->layout, NULL, visit, &refs, &ignored) == 0)
		for (size_t i = 0; i < refs.n; i++)
			add_word(out, refs.v[i], start);
	strv_release(&refs);
}

static void add_experiments(struct session *session, struct str *out, const char *start)
{
	struct experiment *list = NULL;
	struct err ignored = ERR_INIT;
	size_t n = 0;

	if (session_layout(session, &ignored) < 0 ||
	    layout_list_experiments(&session->layout, &list, &n, &ignored) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		add_word(out, list[i].name, start);
	add_word(out, "latest", start);
	experiment_list_release(list, n);
}

/* The option that 'word' names, if it takes a value in the next word. */
static const char *wants_value(const struct option_spec *specs, const char *word)
{
	for (; specs && specs->name; specs++) {
		bool is_it = word[1] == '-' ? strcmp(word + 2, specs->name) == 0
					    : specs->letter && word[1] == specs->letter && !word[2];

		if (is_it)
			return specs->argument ? specs->name : NULL;
	}
	return NULL;
}

static void add_values(struct session *session, struct str *out, const char *option,
		       const char *start)
{
	if (strcmp(option, "exp") == 0)
		add_experiments(session, out, start);
	else if (strcmp(option, "into") == 0 || strcmp(option, "init-from") == 0 ||
		 strcmp(option, "baseline") == 0)
		add_refs(session, out, start);
	else if (strcmp(option, "stage") == 0)
		add_stages(session, out, start);
}

/* After "exp use", "plugin test", ...: what the word before it is about. */
static void add_of_subverb(struct session *session, struct str *out, const char *verb,
			   const char *subverb, const char *start)
{
	if (strcmp(verb, "exp") == 0 &&
	    (strcmp(subverb, "use") == 0 || strcmp(subverb, "status") == 0))
		add_experiments(session, out, start);
	else if (strcmp(verb, "plugin") == 0 &&
		 (strcmp(subverb, "show") == 0 || strcmp(subverb, "test") == 0))
		add_stages(session, out, start);
}

static void add_verbs(struct str *out, const char *start)
{
	for (size_t i = 0; commands[i]; i++)
		add_word(out, commands[i]->name, start);
}

static void complete(struct cli *cli, char **words, size_t n, struct str *out)
{
	const char *current = n ? words[n - 1] : "";
	const struct command *command = n > 1 ? command_find(words[0]) : NULL;
	const char *option = NULL;

	if (n <= 1) {
		add_verbs(out, current);
		return;
	}
	if (!command)
		return;
	if (n > 2 && words[n - 2][0] == '-' &&
	    !(option = wants_value(command->options, words[n - 2])))
		option = wants_value(common_options, words[n - 2]);
	if (option) {
		add_values(&cli->session, out, option, current);
		return;
	}
	if (current[0] == '-') {
		add_options(out, command->options, current);
		add_options(out, common_options, current);
		return;
	}
	if (n == 2)
		add_subverbs(out, command->synopsis, current);
	if (n == 3)
		add_of_subverb(&cli->session, out, command->name, words[1], current);
	if (has_prefix(command->synopsis, "STAGE"))
		add_stages(&cli->session, out, current);
	if (strstr(command->synopsis, "REF"))
		add_refs(&cli->session, out, current);
}

static int run_completion(struct cli *cli, struct err *err)
{
	struct str out = STR_INIT;
	int result;

	if (strcmp(operand(cli, 0), "words") != 0)
		return err_set(err, ERR_USAGE, "'thhost completion' is for the shells' shims");
	complete(cli, cli->options.command, cli->options.command_len, &out);
	result = print_out(&out);
	str_release(&out);
	return result < 0 ? 1 : 0;
}

const struct command cmd_completion = {
	.name = "completion",
	.synopsis = "words -- WORD...",
	.summary = "print completions for the shells' shims",
	.min_operands = 1,
	.max_operands = 1,
	.takes_command = true,
	.run = run_completion,
};
