#include "base/base.h"

#include "app/verify.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/visit.h"

static const struct option_spec verify_options[] = {
	{ "exp", 'e', "EXP", "only this experiment" },
	{ NULL, 0, NULL, NULL },
};

static void verify_one(struct cli *cli, const char *operand, struct history *history, void *arg)
{
	(void)operand;
	verify_history(&cli->session, history, arg);
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
		jsonw_pair_string(&w, "path", findings->v[i].path);
		jsonw_key(&w, "line");
		if (findings->v[i].line)
			jsonw_int(&w, (int64_t)findings->v[i].line);
		else
			jsonw_null(&w);
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
	struct strv visited = STRV_INIT;
	int result = visit_directories(cli, verify_one, &findings, &visited, err);

	if (result == 0 && visits_all(cli))
		verify_places(&cli->session, &visited, &findings);
	if (result == 0) {
		if (cli->json)
			findings_as_json(&findings, &out);
		else if (log_level() > LOG_QUIET || findings.n)
			findings_as_text(&findings, &out);
		result = print_out(&out) < 0 || findings.n_errors ? 1 : 0;
	}
	findings_release(&findings);
	strv_release(&visited);
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
