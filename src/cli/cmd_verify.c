#include "base/base.h"

#include "app/verify.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/render.h"

static const struct option_spec verify_options[] = {
	{ "exp", 'e', "EXP", "only this experiment" },
	{ NULL, 0, NULL, NULL },
};

static const struct option_spec repair_options[] = {
	{ "exp", 'e', "EXP", "only this experiment" },
	{ "dry-run", 'n', NULL, "say what would be done and do nothing" },
	{ NULL, 0, NULL, NULL },
};

/* Called for each directory that the operands name, or for all. */
typedef void visitor(struct cli *cli, struct history *history, void *arg);

static int visit_named(struct cli *cli, visitor *visit, void *arg, struct err *err)
{
	const char *exp = option_value(&cli->options, "exp");

	for (size_t i = 0; i < cli->options.operands.n; i++) {
		struct stage_dir dir = STAGE_DIR_INIT;
		struct history history;

		if (session_resolve(&cli->session, exp, operand(cli, i), &dir, err) < 0)
			return -1;
		history_load(&history, &dir);
		visit(cli, &history, arg);
		history_release(&history);
	}
	return 0;
}

struct each {
	struct cli *cli;
	visitor *visit;
	void *arg;
};

static int visit_one(void *arg, struct stage_dir *dir, struct err *err)
{
	struct each *each = arg;
	struct history history;

	history_load(&history, dir);
	if (history.dir.fd < 0 && err->code)
		history.err = *err;
	each->visit(each->cli, &history, each->arg);
	history_release(&history);
	return 0;
}

static int visit_all(struct cli *cli, visitor *visit, void *arg, struct err *err)
{
	const char *exp = option_value(&cli->options, "exp");
	struct each each = { .cli = cli, .visit = visit, .arg = arg };
	struct str name = STR_INIT;
	int result;

	if (cli->options.operands.n)
		return visit_named(cli, visit, arg, err);
	if (session_layout(&cli->session, err) < 0)
		return -1;
	if (exp && layout_find_experiment(&cli->session.layout, exp, &name, err) < 0)
		return -1;
	result = layout_walk(&cli->session.layout, exp ? name.buf : NULL, visit_one, &each, err);
	str_release(&name);
	return result;
}

static void verify_one(struct cli *cli, struct history *history, void *arg)
{
	(void)cli;
	verify_history(history, arg);
}

static void findings_as_json(const struct findings *findings, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.verify/1");
	jsonw_pair_int(&w, "records", (int64_t)findings->n_checked);
	jsonw_pair_int(&w, "entries", (int64_t)findings->n_entries);
	jsonw_pair_int(&w, "errors", (int64_t)findings->n_errors);
	jsonw_key(&w, "findings");
	jsonw_array(&w);
	for (size_t i = 0; i < findings->n; i++) {
		jsonw_object(&w);
		jsonw_pair_string(&w, "ref", findings->v[i].ref);
		jsonw_pair_string(&w, "level", findings->v[i].is_error ? "error" : "warning");
		jsonw_pair_string(&w, "code", findings->v[i].code);
		jsonw_pair_string(&w, "message", findings->v[i].text);
		jsonw_end(&w);
	}
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static void findings_as_text(const struct findings *findings, struct str *out)
{
	for (size_t i = 0; i < findings->n; i++) {
		const struct finding *finding = &findings->v[i];

		add_tone(out, finding->is_error ? TONE_BAD : TONE_RUNNING,
			 finding->is_error ? "error" : "warning");
		str_adds(out, "  ");
		add_harmless(out, finding->text, strlen(finding->text));
		str_addch(out, '\n');
	}
	str_addf(out, "%zu record%s, ", findings->n_checked, findings->n_checked == 1 ? "" : "s");
	add_count(out, (int64_t)findings->n_entries);
	str_addf(out, " entr%s: %zu error%s, %zu warning%s\n",
		 findings->n_entries == 1 ? "y" : "ies", findings->n_errors,
		 findings->n_errors == 1 ? "" : "s", findings->n - findings->n_errors,
		 findings->n - findings->n_errors == 1 ? "" : "s");
}

static int run_verify(struct cli *cli, struct err *err)
{
	struct findings findings = { .v = NULL };
	struct str out = STR_INIT;
	int result = visit_all(cli, verify_one, &findings, err);

	if (result == 0) {
		if (cli->json)
			findings_as_json(&findings, &out);
		else if (log_level() > LOG_QUIET || findings.n)
			findings_as_text(&findings, &out);
		result = print_out(&out) < 0 || findings.n_errors ? 1 : 0;
	}
	findings_release(&findings);
	str_release(&out);
	return result;
}

const struct command cmd_verify = {
	.name = "verify",
	.synopsis = "[REF]...",
	.summary = "check every record, journal and spool; status 1 if there is a fault",
	.options = verify_options,
	.max_operands = -1,
	.run = run_verify,
};

static void repair_one(struct cli *cli, struct history *history, void *arg)
{
	repair_history(&cli->session, history, option_given(&cli->options, "dry-run"), arg);
}

static void lines_as_json(struct jsonw *w, const char *key, const struct strv *lines)
{
	jsonw_key(w, key);
	jsonw_array(w);
	for (size_t i = 0; i < lines->n; i++)
		jsonw_string(w, lines->v[i]);
	jsonw_end(w);
}

static void add_lines(struct str *out, const struct strv *lines)
{
	for (size_t i = 0; i < lines->n; i++) {
		add_harmless(out, lines->v[i], strlen(lines->v[i]));
		str_addch(out, '\n');
	}
}

static int run_repair(struct cli *cli, struct err *err)
{
	struct repair_report report = { .done = STRV_INIT, .left = STRV_INIT };
	struct str out = STR_INIT;
	int result = visit_all(cli, repair_one, &report, err);

	if (result == 0 && cli->json) {
		struct jsonw w = jsonw_begin(&out, 2);

		jsonw_object(&w);
		jsonw_pair_string(&w, "schema", "thhost.repair/1");
		lines_as_json(&w, "done", &report.done);
		lines_as_json(&w, "left", &report.left);
		jsonw_end(&w);
		str_addch(&out, '\n');
	} else if (result == 0) {
		add_lines(&out, &report.done);
		if (!report.done.n && !report.left.n && log_level() > LOG_QUIET)
			str_adds(&out, "nothing to repair\n");
	}
	for (size_t i = 0; i < report.left.n; i++)
		log_warn("%s", report.left.v[i]);
	if (result == 0)
		result = print_out(&out) < 0 || report.left.n ? 1 : 0;
	repair_report_release(&report);
	str_release(&out);
	return result;
}

const struct command cmd_repair = {
	.name = "repair",
	.synopsis = "[REF]... [--dry-run]",
	.summary = "put spooled entries into their records, read unrecorded runs again",
	.details = "Nothing is ever deleted. Status 1 if something could not be put right.\n",
	.options = repair_options,
	.max_operands = -1,
	.run = run_repair,
};
