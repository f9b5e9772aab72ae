#include "base/base.h"

#include "capture/git.h"

#include "base/mem.h"
#include "capture/probe.h"
#include "capture/secrets.h"
#include "sys/json.h"
#include "sys/proc.h"

#define STATUS_MS 5000
#define QUICK_MS 1000

/* A status names every changed file. */
#define STATUS_LIMIT (32u << 20)

struct status {
	char *commit;
	char *branch;
	int64_t modified;
	int64_t untracked;
	bool is_complete; /* false: git was too slow, only the commit is known */
};

/* 0, or -1 with the reason in 'err'; 'timed_out' tells a slow git from a failing one. */
static int ask(const char *cwd, const char *const *words, int deadline_ms, struct str *out,
	       bool *timed_out, struct err *err)
{
	struct strv argv = STRV_INIT;
	struct proc_request request = { .cwd = cwd,
					.output_limit = STATUS_LIMIT,
					.deadline_ms = probe_deadline(deadline_ms) };
	struct proc_answer answer = PROC_ANSWER_INIT;
	int rc;

	for (; *words; words++)
		strv_push(&argv, *words);
	request.argv = argv.v;
	rc = proc_capture(&request, &answer, err);
	strv_release(&argv);

	*timed_out = rc == 0 && answer.timed_out;
	if (rc == 0 && answer.timed_out)
		rc = err_set(err, ERR_FAILED, "no answer within %d s", deadline_ms / 1000);
	else if (rc == 0 && !proc_succeeded(&answer))
		rc = err_set(err, ERR_FAILED, "%.*s", (int)strcspn(answer.errors.buf, "\n"),
			     answer.errors.buf);
	if (rc == 0)
		str_add(out, answer.out.buf, answer.out.len);
	proc_answer_release(&answer);
	return rc;
}

/* The rest of a line that starts with 'prefix', or NULL. */
static char *rest_of(const char *line, size_t len, const char *prefix)
{
	size_t skip = strlen(prefix);

	return len > skip && has_prefix(line, prefix) ? xstrndup(line + skip, len - skip) : NULL;
}

static void take_line(struct status *status, const char *line, size_t len)
{
	if (has_prefix(line, "# branch.oid ") && !status->commit)
		status->commit = rest_of(line, len, "# branch.oid ");
	else if (has_prefix(line, "# branch.head ") && !status->branch)
		status->branch = rest_of(line, len, "# branch.head ");
	else if (*line == '1' || *line == '2' || *line == 'u')
		status->modified++;
	else if (*line == '?')
		status->untracked++;
}

static void parse_status(const struct str *text, struct status *status)
{
	for (const char *p = text->buf; *p;) {
		size_t len = strcspn(p, "\n");

		take_line(status, p, len);
		p += len + (p[len] == '\n');
	}
	status->is_complete = true;
}

/* fsmonitor may start a daemon that would keep our pipe; optional locks would write the index. */
static int ask_status(const char *cwd, struct status *status, struct err *err)
{
	static const char *const argv[] = { "git",	"--no-optional-locks",
					    "-c",	"core.fsmonitor=false",
					    "status",	"--porcelain=v2",
					    "--branch", NULL };
	static const char *const quick[] = { "git", "rev-parse", "--verify", "HEAD", NULL };
	struct str text = STR_INIT;
	struct err again = ERR_INIT;
	bool timed_out;
	int rc = ask(cwd, argv, STATUS_MS, &text, &timed_out, err);

	if (rc == 0) {
		parse_status(&text, status);
	} else if (timed_out) {
		str_clear(&text);
		rc = ask(cwd, quick, QUICK_MS, &text, &timed_out, &again);
		str_trim(&text);
		if (rc == 0)
			status->commit = xstrdup(text.buf);
	}
	str_release(&text);
	return rc;
}

/* The URL of "origin", else of the first remote; without credentials. */
static void ask_remote(const char *cwd, struct str *url)
{
	static const char *const argv[] = { "git", "config", "--get-regexp", "^remote\\..*\\.url$",
					    NULL };
	struct str text = STR_INIT;
	struct err ignored = ERR_INIT;
	bool timed_out;
	const char *line;
	char *found;

	if (ask(cwd, argv, QUICK_MS, &text, &timed_out, &ignored) == 0 && text.len) {
		line = strstr(text.buf, "remote.origin.url ");
		line = strchr(line ? line : text.buf, ' ');
		if (line) {
			found = xstrndup(line + 1, strcspn(line + 1, "\n"));
			secrets_mask_text(found, url);
			free(found);
		}
	}
	str_release(&text);
}

static void print_status(const struct status *status, const struct str *url, struct str *json)
{
	struct jsonw w = jsonw_begin(json, 0);

	jsonw_object(&w);
	if (status->commit && strcmp(status->commit, "(initial)") != 0)
		jsonw_pair_string(&w, "commit", status->commit);
	if (status->branch && strcmp(status->branch, "(detached)") != 0)
		jsonw_pair_string(&w, "branch", status->branch);
	if (status->is_complete) {
		jsonw_key(&w, "dirty");
		jsonw_bool(&w, status->modified > 0);
		jsonw_pair_int(&w, "modified", status->modified);
		jsonw_pair_int(&w, "untracked", status->untracked);
	}
	if (url->len)
		jsonw_pair_string(&w, "remote", url->buf);
	jsonw_end(&w);
}

void capture_git(const char *cwd, struct str *json, struct strv *notes)
{
	struct status status = { .commit = NULL };
	struct str url = STR_INIT;
	struct err err = ERR_INIT;

	str_clear(json);
	if (ask_status(cwd, &status, &err) < 0) {
		strv_pushf(notes, "git: %s", err.msg);
	} else {
		if (!status.is_complete)
			strv_pushf(notes, "git: %s; only the commit is known", err.msg);
		ask_remote(cwd, &url);
		print_status(&status, &url, json);
	}
	str_release(&url);
	free(status.commit);
	free(status.branch);
}
