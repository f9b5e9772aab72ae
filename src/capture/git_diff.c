#include "base/base.h"

#include "capture/git_diff.h"

#include "base/mem.h"
#include "capture/probe.h"
#include "sys/proc.h"

#include <unistd.h>

#define GIT_MS 5000

/* A path of each changed file. */
#define ANSWER_LIMIT (32u << 20)

void git_diff_release(struct git_diff *diff)
{
	for (size_t i = 0; i < diff->n; i++) {
		free(diff->v[i].path);
		free(diff->v[i].old_path);
	}
	free(diff->v);
	*diff = (struct git_diff)GIT_DIFF_INIT;
}

bool git_is_commit_name(const char *text)
{
	size_t len = strlen(text);

	return len >= 7 && len <= 64 && strspn(text, "0123456789abcdefABCDEF") == len;
}

/* Ours without GIT_DIR and the like, which a hook that calls us would have set. A partial clone must
 * not fetch, and messages are for 'err'. */
static void make_environment(struct strv *env)
{
	for (char **at = environ; *at; at++)
		if (!has_prefix(*at, "GIT_") && !has_prefix(*at, "LC_ALL="))
			strv_push(env, *at);
	strv_push(env, "LC_ALL=C");
	strv_push(env, "GIT_OPTIONAL_LOCKS=0");
	strv_push(env, "GIT_NO_LAZY_FETCH=1");
	strv_push(env, "GIT_TERMINAL_PROMPT=0");
}

static int explain(const struct proc_answer *answer, struct err *err)
{
	const char *text = answer->errors.buf;

	if (answer->timed_out)
		return err_set(err, ERR_FAILED, "git gave no answer within %d s", GIT_MS / 1000);
	if (answer->too_much)
		return err_set(err, ERR_FAILED, "git's answer is too long");
	text += has_prefix(text, "fatal: ") ? strlen("fatal: ") : 0;
	return err_set(err, ERR_FAILED, "git: %.*s", (int)strcspn(text, "\n"), text);
}

static int ask(const char *cwd, const char *const *words, const struct str *input, struct str *out,
	       struct err *err)
{
	struct strv argv = STRV_INIT;
	struct strv env = STRV_INIT;
	struct proc_request request = { .cwd = cwd,
					.output_limit = ANSWER_LIMIT,
					.deadline_ms = probe_deadline(GIT_MS) };
	struct proc_answer answer = PROC_ANSWER_INIT;
	int result;

	for (; *words; words++)
		strv_push(&argv, *words);
	make_environment(&env);
	request.argv = argv.v;
	request.env = env.v;
	request.input = input ? input->buf : NULL;
	request.input_len = input ? input->len : 0;
	result = proc_capture(&request, &answer, err);
	if (result == 0 && !proc_succeeded(&answer))
		result = explain(&answer, err);
	if (result == 0)
		str_add(out, answer.out.buf, answer.out.len);
	proc_answer_release(&answer);
	strv_release(&env);
	strv_release(&argv);
	return result;
}

int git_has(const char *cwd, const struct strv *commits, bool *has, struct err *err)
{
	static const char *const words[] = { "git", "cat-file", "--batch-check=%(objecttype)",
					     NULL };
	struct str input = STR_INIT;
	struct str answer = STR_INIT;
	const char *line;
	int result;

	for (size_t i = 0; i < commits->n; i++)
		str_addf(&input, "%s^{commit}\n", commits->v[i]);
	result = ask(cwd, words, &input, &answer, err);
	line = answer.buf;
	for (size_t i = 0; result == 0 && i < commits->n; i++) {
		has[i] = has_prefix(line, "commit\n");
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	str_release(&input);
	str_release(&answer);
	return result;
}

/* The field at *at up to 'end', which is passed by; NULL if it has no end. */
static char *next_field(const char **at, const char *last, char end)
{
	const char *stop = memchr(*at, end, (size_t)(last - *at));
	char *field;

	if (!stop)
		return NULL;
	field = xstrndup(*at, (size_t)(stop - *at));
	*at = stop + 1;
	return field;
}

/* "3\t1\tPATH\0", of a renamed one "3\t1\t\0OLD\0NEW\0", of a binary one "-\t-\tPATH\0". */
static bool take_change(struct git_diff *diff, const char **at, const char *last)
{
	char *added = next_field(at, last, '\t');
	char *removed = added ? next_field(at, last, '\t') : NULL;
	char *path = removed ? next_field(at, last, '\0') : NULL;
	struct git_change change = { .path = path };

	if (path && !*path) {
		free(path);
		change.old_path = next_field(at, last, '\0');
		change.path = change.old_path ? next_field(at, last, '\0') : NULL;
	}
	if (change.path) {
		change.is_binary = *added == '-';
		change.added = change.is_binary ? 0 : strtoll(added, NULL, 10);
		change.removed = change.is_binary ? 0 : strtoll(removed, NULL, 10);
		diff->added += change.added;
		diff->removed += change.removed;
		diff->v = xreallocarray(diff->v, diff->n + 1, sizeof(*diff->v));
		diff->v[diff->n++] = change;
	} else {
		free(change.old_path);
	}
	free(added);
	free(removed);
	return change.path != NULL;
}

int git_diff_read(struct git_diff *diff, const char *cwd, const char *from, const char *to,
		  struct err *err)
{
	const char *const words[] = { "git",
				      "-c",
				      "core.fsmonitor=false",
				      "diff",
				      "-O/dev/null",
				      "--diff-algorithm=myers",
				      "--numstat",
				      "-z",
				      "--find-renames",
				      "--no-relative",
				      "--no-ext-diff",
				      "--no-textconv",
				      "--no-color",
				      "--ignore-submodules=none",
				      from,
				      to,
				      "--",
				      NULL };
	struct str answer = STR_INIT;
	int result = ask(cwd, words, NULL, &answer, err);
	const char *at = answer.buf;
	const char *last = answer.buf + answer.len;

	while (result == 0 && at < last)
		if (!take_change(diff, &at, last))
			result = err_set(err, ERR_FAILED, "git's answer cannot be understood");
	str_release(&answer);
	return result;
}
