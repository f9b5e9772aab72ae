#include "base/base.h"

#include "app/capture_all.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/version.h"
#include "sys/json.h"
#include "sys/lock.h"

#include <sys/vfs.h>
#include <unistd.h>

enum verdict { GOOD, NOTE, BAD };

struct check {
	enum verdict verdict;
	char *what;
	char *text;
};

struct checks {
	struct check *v;
	size_t n;
};

static void add(struct checks *checks, enum verdict verdict, const char *what, char *text)
{
	checks->v = xreallocarray(checks->v, checks->n + 1, sizeof(*checks->v));
	checks->v[checks->n].verdict = verdict;
	checks->v[checks->n].what = xstrdup(what);
	checks->v[checks->n++].text = text;
}

static char *joined(const struct strv *words)
{
	struct str text = STR_INIT;

	for (size_t i = 0; i < words->n; i++)
		str_addf(&text, "%s%s", i ? ", " : "", words->v[i]);
	return str_detach(&text);
}

static void check_worker(struct checks *checks)
{
	struct strv active = STRV_INIT;
	struct strv missing = STRV_INIT;
	struct err err = ERR_INIT;

	if (plugin_confinement(&active, &missing, &err) < 0)
		add(checks, BAD, "plugin worker", xstrdup(err.msg));
	else
		add(checks, GOOD, "plugin worker", joined(&active));
	if (missing.n)
		add(checks, NOTE, "plugin worker lacks", joined(&missing));
	strv_release(&active);
	strv_release(&missing);
}

static void check_plugins(struct checks *checks, struct session *session)
{
	struct err err = ERR_INIT;
	size_t broken = 0;

	if (session_plugins(session, &err) < 0 ||
	    plugin_describe_all(&session->plugins, &session->reports, &session->n_reports, &err) <
		    0) {
		add(checks, BAD, "plugins", xstrdup(err.msg));
		return;
	}
	for (size_t i = 0; i < session->n_reports; i++) {
		if (!session->reports[i].err.code)
			continue;
		broken++;
		add(checks, BAD, "plugin", xstrdup(session->reports[i].err.msg));
	}
	add(checks, broken == session->n_reports ? BAD : GOOD, "plugins",
	    xstrf("%zu found, %zu broken", session->n_reports, broken));
}

/* Can a record be locked and written below the root? */
static void check_root(struct checks *checks, struct session *session)
{
	struct err err = ERR_INIT;
	struct lock lock = LOCK_INIT;

	if (session_layout(session, &err) < 0) {
		add(checks, NOTE, "artifact root", xstrdup(err.msg));
		return;
	}
	if (faccessat(session->layout.rootfd, ".", W_OK, 0) < 0) {
		add(checks, BAD, "artifact root",
		    xstrf("%s cannot be written", session->layout.root));
		return;
	}
	if (lock_acquire(&lock, session->layout.rootfd, ".thhost.doctor.lock", session->layout.root,
			 1000, &err) < 0) {
		add(checks, BAD, "locks", xstrdup(err.msg));
		return;
	}
	lock_release(&lock);
	unlinkat(session->layout.rootfd, ".thhost.doctor.lock", 0);
	add(checks, GOOD, "artifact root", xstrf("%s, with locks", session->layout.root));
}

static void check_capture(struct checks *checks, const struct conf *conf)
{
	struct capture_texts texts = CAPTURE_TEXTS_INIT;

	capture_all(&texts, conf, &(struct capture_place){ .argv = NULL });
	if (texts.git.len)
		add(checks, GOOD, "git", xstrdup(texts.git.buf));
	if (texts.environment.len)
		add(checks, GOOD, "environment", xstrdup(texts.environment.buf));
	for (size_t i = 0; i < texts.notes.n; i++)
		add(checks, NOTE, "not captured", xstrdup(texts.notes.v[i]));
	capture_texts_release(&texts);
}

static void as_text(const struct checks *checks, struct str *out)
{
	static const enum tone tones[] = { TONE_GOOD, TONE_DIM, TONE_BAD };
	static const char *const words[] = { "good", "note", "bad" };

	for (size_t i = 0; i < checks->n; i++) {
		const struct check *check = &checks->v[i];

		add_tone(out, tones[check->verdict], words[check->verdict]);
		str_addf(out, "  %-20s  ", check->what);
		add_harmless(out, check->text, strlen(check->text));
		str_addch(out, '\n');
	}
}

static void as_json(const struct checks *checks, struct str *out)
{
	static const char *const words[] = { "good", "note", "bad" };
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.doctor/1");
	jsonw_key(&w, "checks");
	jsonw_array(&w);
	for (size_t i = 0; i < checks->n; i++) {
		jsonw_object(&w);
		jsonw_pair_string(&w, "verdict", words[checks->v[i].verdict]);
		jsonw_pair_string(&w, "what", checks->v[i].what);
		jsonw_pair_string(&w, "text", checks->v[i].text);
		jsonw_end(&w);
	}
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static int run_doctor(struct cli *cli, struct err *err)
{
	struct checks checks = { .v = NULL, .n = 0 };
	struct str out = STR_INIT;
	int result = 0;

	(void)err;
	add(&checks, GOOD, "thhost", xstrf("%s, %s", THHOST_VERSION, plugin_lua_version()));
	check_worker(&checks);
	check_plugins(&checks, &cli->session);
	check_root(&checks, &cli->session);
	check_capture(&checks, &cli->session.conf);
	if (cli->json)
		as_json(&checks, &out);
	else
		as_text(&checks, &out);
	for (size_t i = 0; i < checks.n; i++) {
		if (checks.v[i].verdict == BAD)
			result = 1;
		free(checks.v[i].what);
		free(checks.v[i].text);
	}
	free(checks.v);
	if (print_out(&out) < 0)
		result = 1;
	str_release(&out);
	return result;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.synopsis = "",
	.summary = "say what works here, what can be captured, and why not",
	.run = run_doctor,
};
