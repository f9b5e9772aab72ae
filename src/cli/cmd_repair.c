#include "base/base.h"

#include "app/repair.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/visit.h"

static const struct option_spec repair_options[] = {
	{ "exp", 'e', "EXP", "only this experiment" },
	{ "dry-run", 'n', NULL, "say what would be done and do nothing" },
	{ "restore", 0, NULL, "also put back entries that a named record has no more" },
	{ NULL, 0, NULL, NULL },
};

/* As short as a REF may be. */
#define MIN_ID_LEN 4

/* Is this operand a run id, or the beginning of one, rather than a directory? */
static bool names_a_run(const struct history *history, const char *operand)
{
	for (size_t i = 0; operand && i < history->runs.n; i++)
		if (strlen(operand) >= MIN_ID_LEN && has_prefix(history->runs.v[i].run_id, operand))
			return true;
	return false;
}

static void repair_one(struct cli *cli, const char *operand, struct history *history, void *arg)
{
	struct repair *repair = arg;

	(void)cli;
	repair->only_run = names_a_run(history, operand) ? operand : NULL;
	repair_history(repair, history);
}

static void list_as_json(struct jsonw *w, const char *key, const struct action_list *list)
{
	jsonw_key(w, key);
	jsonw_array(w);
	for (size_t i = 0; i < list->n; i++) {
		jsonw_object(w);
		jsonw_pair_string(w, "ref", list->v[i].ref);
		jsonw_pair_string(w, "code", list->v[i].code);
		jsonw_pair_string(w, "path", list->v[i].path);
		jsonw_pair_string(w, "message", list->v[i].text);
		jsonw_end(w);
	}
	jsonw_end(w);
}

static void as_json(const struct repair *repair, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.repair/1");
	jsonw_key(&w, "dry_run");
	jsonw_bool(&w, repair->dry);
	list_as_json(&w, "done", &repair->done);
	list_as_json(&w, "left", &repair->left);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static void as_text(const struct repair *repair, struct str *out)
{
	for (size_t i = 0; i < repair->done.n; i++) {
		add_harmless(out, repair->done.v[i].text, strlen(repair->done.v[i].text));
		str_addch(out, '\n');
	}
	if (!repair->done.n && !repair->left.n && log_level() > LOG_QUIET)
		str_adds(out, "nothing to repair\n");
}

static int repair_all(struct cli *cli, struct repair *repair, struct err *err)
{
	struct strv visited = STRV_INIT;
	int result;

	if (repair->restore && !cli->options.operands.n)
		return err_set(err, ERR_USAGE, "--restore wants to know what: name a REF"),
		       err_hint(err, "'thhost verify' says which entries are gone");
	result = visit_directories(cli, repair_one, repair, &visited, err);
	if (result == 0 && visits_all(cli))
		repair_places(repair, &visited);
	strv_release(&visited);
	return result;
}

static int run_repair(struct cli *cli, struct err *err)
{
	struct repair repair = {
		.session = &cli->session,
		.dry = option_given(&cli->options, "dry-run"),
		.restore = option_given(&cli->options, "restore"),
	};
	struct str out = STR_INIT;
	int result = repair_all(cli, &repair, err);

	/* Also after an error: what was done is done. */
	if ((result == 0 || repair.done.n) && cli->json)
		as_json(&repair, &out);
	else if (result == 0 || repair.done.n)
		as_text(&repair, &out);
	for (size_t i = 0; i < repair.left.n; i++)
		log_warn("%s", repair.left.v[i].text);
	if (print_out(&out) < 0 || (result == 0 && repair.left.n))
		result = result < 0 ? result : 1;
	repair_release(&repair);
	str_release(&out);
	return result;
}

const struct command cmd_repair = {
	.name = "repair",
	.synopsis = "[REF]... [--dry-run] [--restore]",
	.summary = "put in what waits, close dead runs, bring back what is damaged",
	.details = "What does not parse is moved into a quarantine; nothing is ever deleted.\n"
		   "Status 1 if something could not be put right.\n",
	.options = repair_options,
	.max_operands = -1,
	.run = run_repair,
};
