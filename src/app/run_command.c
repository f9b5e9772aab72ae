#include "base/base.h"

#include "app/run_command.h"

#include "base/mem.h"
#include "sys/path.h"

#include <unistd.h>

struct placeholder {
	const char *name;
	const char *value; /* NULL: not known */
};

static int fill_one(const struct placeholder *known, size_t n, const char *name, size_t len,
		    struct str *out, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(known[i].name) != len || memcmp(known[i].name, name, len) != 0)
			continue;
		if (!known[i].value) {
			err_set(err, ERR_USAGE, "the command wants {%s}, which is not known",
				known[i].name);
			return err_hint(err, "give --base-model or --init-from");
		}
		str_adds(out, known[i].value);
		return 0;
	}
	err_set(err, ERR_USAGE, "unknown placeholder {%.*s} in the command", (int)len, name);
	return err_hint(err, "known: {stage} {dataset} {stage_dir} {exp_dir} {base_model}; "
			     "'{{' is a brace");
}

/* One argument with its placeholders filled in; "{{" stands for a brace. */
static int fill(const struct placeholder *known, size_t n, const char *text, struct str *out,
		struct err *err)
{
	str_clear(out);
	while (*text) {
		size_t plain = strcspn(text, "{");
		size_t len;

		str_add(out, text, plain);
		text += plain;
		if (!*text)
			return 0;
		if (text[1] == '{') {
			str_addch(out, '{');
			text += 2;
			continue;
		}
		len = strcspn(text + 1, "}");
		if (!text[1 + len])
			return err_set(err, ERR_USAGE, "'{' without '}' in the command");
		if (fill_one(known, n, text + 1, len, out, err) < 0)
			return -1;
		text += len + 2;
	}
	return 0;
}

static int fill_all(const struct draft *draft, const struct strv *template, struct strv *argv,
		    struct err *err)
{
	char *exp_dir = path_dir(draft->dir.path);
	const struct placeholder known[] = {
		{ "stage", draft->values->stage },  { "dataset", draft->values->dataset },
		{ "stage_dir", draft->dir.path },   { "exp_dir", exp_dir },
		{ "base_model", draft->base_path },
	};
	struct str word = STR_INIT;
	int result = 0;

	for (size_t i = 0; i < template->n && result == 0; i++) {
		result = fill(known, ARRAY_SIZE(known), template->v[i], &word, err);
		if (result == 0)
			strv_push(argv, word.buf);
	}
	str_release(&word);
	free(exp_dir);
	return result;
}

int run_command(const struct draft *draft, const struct session *session, char *const *given,
		bool fill_given, struct strv *argv, struct err *err)
{
	const char *configured =
		conf_stage(&session->conf, draft->values->stage, draft->values->dataset, "command");
	struct strv template = STRV_INIT;
	int result = 0;

	if (given && given[0] && !fill_given) {
		strv_copy(argv, given);
		return 0;
	}
	if (given && given[0])
		strv_copy(&template, given);
	else if (configured && *configured)
		result = conf_split_command(configured, &template, err);
	else
		strv_copy(&template, draft->plan.command.v);
	if (result == 0 && !template.n) {
		err_set(err, ERR_USAGE, "no command to run for stage '%s'", draft->values->stage);
		result = err_hint(err,
				  "put it after '--', or 'command = ...' under [stage %s] in "
				  "thhost.ini",
				  draft->values->stage);
	}
	if (result == 0)
		result = fill_all(draft, &template, argv, err);
	strv_release(&template);
	return result;
}

static void add(struct strv *added, const char *name, const char *value)
{
	if (value)
		strv_pushf(added, "%s=%s", name, value);
}

/* Does 'added' set the variable of 'entry' ("NAME=...")? */
static bool is_replaced(const struct strv *added, const char *entry)
{
	size_t len = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < added->n; i++)
		if (strncmp(added->v[i], entry, len) == 0)
			return true;
	return false;
}

void run_environment(const struct draft *draft, const char *run_id, const char *events_path,
		     bool is_piped, struct strv *env, struct strv *added)
{
	char *exp_dir = path_dir(draft->dir.path);

	add(added, "THHOST_RUN_ID", run_id);
	add(added, "THHOST_STAGE", draft->values->stage);
	add(added, "THHOST_DATASET", draft->values->dataset);
	add(added, "THHOST_STAGE_DIR", draft->dir.path);
	add(added, "THHOST_EXP_DIR", exp_dir);
	add(added, "THHOST_BASE_MODEL", draft->base_path ? draft->base_path : "");
	add(added, "THHOST_EVENTS", events_path);
	/* Python buffers what it prints into a pipe: the log would come late and out of order. */
	if (is_piped && !getenv("PYTHONUNBUFFERED"))
		add(added, "PYTHONUNBUFFERED", "1");
	for (char **entry = environ; *entry; entry++)
		if (!is_replaced(added, *entry))
			strv_push(env, *entry);
	for (size_t i = 0; i < added->n; i++)
		strv_push(env, added->v[i]);
	free(exp_dir);
}
