#include "base/base.h"

#include "app/verify.h"

#include "base/mem.h"
#include "model/store.h"
#include "sys/path.h"

#include <unistd.h>

static void add_finding(struct findings *out, const struct history *history, bool is_error,
			const char *code, char *text)
{
	struct finding *finding;

	out->v = xreallocarray(out->v, out->n + 1, sizeof(*out->v));
	finding = &out->v[out->n++];
	finding->ref = xstrdup(history->dir.ref);
	finding->code = xstrdup(code);
	finding->text = text;
	finding->is_error = is_error;
	out->n_errors += is_error;
}

static void check_record(const struct history *history, struct findings *out)
{
	struct info_issues issues = INFO_ISSUES_INIT;
	struct info_summary summary;

	out->n_checked++;
	if (!history->has_text) { /* a link, a directory, too large, no permission */
		add_finding(out, history, true, "read", xstrdup(history->err.msg));
		return;
	}
	memset(&summary, 0, sizeof(summary));
	info_check(history->path, history->text.buf, history->text.len, &issues, &summary);
	out->n_entries += summary.n_entries;
	for (size_t i = 0; i < issues.n; i++) {
		const struct info_issue *issue = &issues.v[i];
		bool has_column = strcmp(issue->code, "json") == 0; /* "23: expected a value" */

		add_finding(out, history, issue->is_error, issue->code,
			    xstrf("%s:%zu:%s%s", history->path, issue->line, has_column ? "" : " ",
				  issue->message));
	}
	info_issues_release(&issues);
}

static void check_journal(const struct history *history, struct findings *out)
{
	for (size_t i = 0; i < history->broken_runs.n; i++)
		add_finding(out, history, true, "run",
			    xstrf("%s: %s", history->dir.ref, history->broken_runs.v[i]));
	for (size_t i = 0; i < history->runs.n; i++) {
		const struct run *run = &history->runs.v[i];

		if (run->state == RUN_UNRECORDED)
			add_finding(out, history, true, "unrecorded",
				    xstrf("%s: run %.13s ended well but is not recorded: %s",
					  history->dir.ref, run->run_id,
					  run->trouble ? run->trouble : "unknown why"));
	}
	for (size_t i = 0; i < history->waiting.n; i++)
		add_finding(out, history, true, "spool",
			    xstrf("%s: an entry waits in the spool: %s", history->dir.ref,
				  history->waiting.v[i]));
}

static void check_leftovers(const struct history *history, struct findings *out)
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	int fd = path_open_dir(history->dir.path, &ignored);

	if (fd < 0)
		return;
	if (path_list(fd, &names, &ignored) == 0)
		for (size_t i = 0; i < names.n; i++)
			if (has_prefix(names.v[i], ".training_info.json.tmp.") ||
			    has_prefix(names.v[i], ".training_info.json.conflict-"))
				add_finding(out, history, false, "temporary",
					    xstrf("%s/%s: left by an append that was cut off",
						  history->dir.path, names.v[i]));
	strv_release(&names);
	close(fd);
}

void verify_history(const struct history *history, struct findings *out)
{
	if (history->has_record || history->err.code)
		check_record(history, out);
	check_journal(history, out);
	check_leftovers(history, out);
}

void findings_release(struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		free(findings->v[i].ref);
		free(findings->v[i].text);
		free(findings->v[i].code);
	}
	free(findings->v);
	memset(findings, 0, sizeof(*findings));
}
