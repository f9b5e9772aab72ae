#include "base/base.h"

#include "model/batch_parts.h"

#include "base/mem.h"
#include "model/conf.h"
#include "sys/path.h"

/* Known only when the job runs: 'thhost run --fill' puts them in, and its child finds them in these
 * variables. */
static const struct {
	const char *name;
	const char *variable;
} later[] = {
	{ "stage_dir", "THHOST_STAGE_DIR" },
	{ "exp_dir", "THHOST_EXP_DIR" },
	{ "base_model", "THHOST_BASE_MODEL" },
};

const char *batch_canonical_key(const char *key)
{
	return strcmp(key, "seed") == 0 ? "param.seed" : key;
}

/* Where the command's own file lies, as the user named it; fresh memory, or NULL for another name. */
static char *file_dir(const struct batch_job *job, const char *name)
{
	const struct batch_setting *command = batch_setting(&job->settings, "command");

	return command && strcmp(name, "file_dir") == 0 ? path_dir(command->file) : NULL;
}

static const char *value_of(const struct batch_job *job, const char *name)
{
	if (strcmp(name, "job") == 0)
		return job->name;
	return batch_get(job, batch_canonical_key(name));
}

static bool is_known(const char *name)
{
	static const char *const names[] = { "dataset", "stage", "exp", "seed", "job" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return has_prefix(name, "param.") && name[6];
}

static const char *later_variable(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(later); i++)
		if (strcmp(later[i].name, name) == 0)
			return later[i].variable;
	return NULL;
}

static int unknown(const char *name, struct err *err)
{
	err_set(err, ERR_INVALID, "unknown placeholder {%s}", name);
	return err_hint(err, "known: {dataset} {stage} {exp} {seed} {param.NAME} {job}, and in "
			     "commands {stage_dir} {exp_dir} {base_model} {file_dir}; '{{' is a "
			     "brace");
}

/* The value of placeholder 'name', or NULL with 'err'. */
static const char *lookup(const struct batch_job *job, const char *name, struct err *err)
{
	const char *value = is_known(name) ? value_of(job, name) : NULL;

	if (!is_known(name) && (later_variable(name) || strcmp(name, "file_dir") == 0))
		err_set(err, ERR_INVALID, "{%s} is known to the command alone", name);
	else if (!is_known(name))
		unknown(name, err);
	else if (!value)
		err_set(err, ERR_INVALID, "{%s} is not set for the job '%s'", name, job->name);
	return value;
}

/* What to do with one placeholder, and with "{{". */
struct filler {
	const struct batch_job *job;
	const char *brace; /* what stands for "{{" */
	int (*put)(const struct filler *filler, const char *name, struct str *out, struct err *err);
};

static int put_plain(const struct filler *filler, const char *name, struct str *out,
		     struct err *err)
{
	const char *value = lookup(filler->job, name, err);

	if (!value)
		return -1;
	str_adds(out, value);
	return 0;
}

static int fill(const struct filler *filler, const char *text, struct str *out, struct err *err)
{
	while (*text) {
		size_t plain = strcspn(text, "{");
		size_t len;
		char *name;
		int result;

		str_add(out, text, plain);
		text += plain;
		if (!*text)
			return 0;
		if (text[1] == '{') {
			str_adds(out, filler->brace);
			text += 2;
			continue;
		}
		len = strcspn(text + 1, "}");
		if (!text[1 + len])
			return err_set(err, ERR_INVALID, "'{' without '}'");
		name = xstrndup(text + 1, len);
		result = filler->put(filler, name, out, err);
		free(name);
		if (result < 0)
			return -1;
		text += len + 2;
	}
	return 0;
}

int batch_fill(const struct batch_job *job, const char *text, struct str *out, struct err *err)
{
	const struct filler filler = { .job = job, .brace = "{", .put = put_plain };

	str_clear(out);
	return fill(&filler, text, out, err);
}

/* ---- commands ---- */

/* In a word that 'thhost run --fill' reads once more: a brace stays doubled. */
static int put_in_word(const struct filler *filler, const char *name, struct str *out,
		       struct err *err)
{
	char *dir = file_dir(filler->job, name);
	const char *value = dir;

	if (later_variable(name)) {
		str_addf(out, "{%s}", name);
		return 0;
	}
	if (!value)
		value = lookup(filler->job, name, err);
	for (const char *p = value; p && *p; p++)
		str_adds(out, *p == '{' ? "{{" : (char[]){ *p, '\0' });
	free(dir);
	return value ? 0 : -1;
}

static int fill_words(const struct batch_job *job, const struct strv *words, struct strv *argv,
		      struct err *err)
{
	const struct filler filler = { .job = job, .brace = "{{", .put = put_in_word };

	for (size_t i = 0; i < words->n; i++) {
		struct str word = STR_INIT;
		int result = fill(&filler, words->v[i], &word, err);

		strv_push_take(argv, str_detach(&word));
		if (result < 0)
			return -1;
	}
	return 0;
}

static void add_quoted(struct str *out, const char *text)
{
	str_addch(out, '\'');
	for (; *text; text++)
		str_adds(out, *text == '\'' ? "'\\''" : (char[]){ *text, '\0' });
	str_addch(out, '\'');
}

/* The length of a placeholder's name at 'p', behind its '{'; 0: a brace of the shell's. */
static size_t name_length(const char *p)
{
	size_t len = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return p[len] == '}' ? len : 0;
}

static int put_in_shell(const struct batch_job *job, const char *name, char quote, struct str *out,
			struct err *err)
{
	const char *variable = later_variable(name);
	const char *value;
	char *dir;

	if (quote) {
		err_set(err, ERR_INVALID, "{%s} stands inside quotes of a shell line", name);
		return err_hint(err, "put it outside: its value is quoted already");
	}
	if (variable) {
		str_addf(out, "\"$%s\"", variable);
		return 0;
	}
	dir = file_dir(job, name);
	value = dir ? dir : lookup(job, name, err);
	if (value)
		add_quoted(out, value);
	free(dir);
	return value ? 0 : -1;
}

/* Which quote is open behind 'c', given the one before it. */
static char next_quote(char quote, char c)
{
	if (quote)
		return c == quote ? '\0' : quote;
	return c == '"' || c == '\'' ? c : '\0';
}

/*
 * A line for sh: each value comes as one quoted word, so that none can become a command. "${NAME}" and
 * "{ ...; }" are the shell's own.
 */
static int fill_shell(const struct batch_job *job, const char *text, struct str *out,
		      struct err *err)
{
	char quote = '\0';

	for (const char *p = text; *p; p++) {
		size_t len = *p == '{' && (p == text || p[-1] != '$') ? name_length(p + 1) : 0;

		if (*p == '\\' && quote != '\'' && p[1]) {
			str_add(out, p++, 2);
		} else if (len) {
			char *name = xstrndup(p + 1, len);
			int result = put_in_shell(job, name, quote, out, err);

			free(name);
			if (result < 0)
				return -1;
			p += len + 1;
		} else {
			quote = next_quote(quote, *p);
			str_addch(out, *p);
		}
	}
	return quote ? err_set(err, ERR_INVALID, "a quote has no end in the command") : 0;
}

/* 'thhost run --fill' reads every word: the braces of a shell line are doubled for it. */
static char *protect(const char *line)
{
	struct str out = STR_INIT;

	for (; *line; line++)
		str_adds(&out, *line == '{' ? "{{" : (char[]){ *line, '\0' });
	return str_detach(&out);
}

static int shell_argv(const struct batch_job *job, const char *command, struct strv *argv,
		      struct err *err)
{
	struct str line = STR_INIT;
	int result = fill_shell(job, command, &line, err);

	strv_push(argv, "sh");
	strv_push(argv, "-c");
	strv_push_take(argv, protect(line.buf));
	str_release(&line);
	return result;
}

static int word_argv(const struct batch_job *job, const char *command, struct strv *argv,
		     struct err *err)
{
	char *line = xstrdup(command);
	struct strv words = STRV_INIT;
	int result;

	for (char *p = line; *p; p++)
		if (*p == '\n')
			*p = ' ';
	result = conf_split_command(line, &words, err);
	if (result == 0)
		result = fill_words(job, &words, argv, err);
	strv_release(&words);
	free(line);
	return result;
}

int batch_argv(const struct batch_job *job, struct strv *argv, struct err *err)
{
	const char *command = batch_get(job, "command");
	int result = 0;

	if (command && batch_bool(job, "shell", false))
		result = shell_argv(job, command, argv, err);
	else if (command)
		result = word_argv(job, command, argv, err);
	return result < 0 ? batch_place(err, job, "command") : 0;
}
