#include "base/base.h"

#include "app/batch_needed.h"

#include "app/capture_all.h"
#include "app/run_command.h"
#include "base/clock.h"
#include "base/mem.h"
#include "capture/git.h"
#include "capture/secrets.h"
#include "sys/path.h"

#include <sys/stat.h>
#include <unistd.h>

/* What a job would be, to be compared with entries. */
struct wanted {
	const struct batch_step *step;
	struct draft draft;
	struct values values;
	struct strv argv;  /* masked, as an entry has it */
	struct strv files; /* of those words that are files */
	struct str params;
	const struct str *git;
	const struct conf *conf;
	const char *cwd;
};

static char *text_of(const struct info *info, size_t entry, const char *key)
{
	return info_entry_string(info, entry, key);
}

/* ---- parts ---- */

static bool is_same_base(const struct wanted *w, const struct info *info, size_t entry)
{
	char *base = text_of(info, entry, "base_model");
	bool same = !w->draft.base_model || (base && strcmp(base, w->draft.base_model) == 0);

	free(base);
	return same;
}

static bool is_same_json(const struct info *info, size_t token, const char *text)
{
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	bool same;

	if (!text || token == JSON_NONE)
		return !text && token == JSON_NONE;
	same = json_parse(&doc, "wanted", text, strlen(text), JSON_STRICT, &ignored) == 0 &&
	       json_equal(&info->doc, token, &doc, 0);
	json_release(&doc);
	return same;
}

static bool is_same_command(const struct wanted *w, const struct info *info, size_t entry)
{
	struct str text = STR_INIT;
	struct jsonw out = jsonw_begin(&text, 0);
	bool same;

	jsonw_array(&out);
	for (size_t i = 0; i < w->argv.n; i++)
		jsonw_string(&out, w->argv.v[i]);
	jsonw_end(&out);
	same = is_same_json(info, info_entry_member(info, entry, "command"), text.buf);
	str_release(&text);
	return same;
}

/* Every parameter that the job sets, among those that the entry has. */
static bool has_params(const struct wanted *w, const struct info *info, size_t entry)
{
	size_t params = info_entry_member(info, entry, "hyperparams");
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	bool same = true;

	if (json_parse(&doc, "params", w->params.buf, w->params.len, JSON_STRICT, &ignored) < 0)
		same = false;
	for (size_t key = same ? json_first(&doc, 0) : JSON_NONE; key != JSON_NONE && same;
	     key = json_next(&doc, 0, key)) {
		char *name = json_string_copy(&doc, key);
		size_t there = name ? json_member(&info->doc, params, name) : JSON_NONE;

		same = there != JSON_NONE && json_equal(&doc, key + 1, &info->doc, there);
		free(name);
	}
	json_release(&doc);
	return same;
}

/* Both know a commit, and nothing but it; or neither knows anything. */
static bool is_same_code(const struct wanted *w, const struct info *info, size_t entry)
{
	size_t git = info_entry_member(info, entry, "git");
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	char *commit;
	bool same = false;

	if (!w->git->len || git == JSON_NONE)
		return !w->git->len && git == JSON_NONE;
	commit = json_string_copy(&info->doc, json_member(&info->doc, git, "commit"));
	if (commit && json_parse(&doc, "git", w->git->buf, w->git->len, JSON_STRICT, &ignored) == 0)
		same = json_string_is(&doc, json_member(&doc, 0, "commit"), commit) &&
		       json_is(&doc, json_member(&doc, 0, "dirty"), JSON_FALSE) &&
		       json_is(&info->doc, json_member(&info->doc, git, "dirty"), JSON_FALSE);
	json_release(&doc);
	free(commit);
	return same;
}

/* Was it written after the training began? */
static bool is_newer(const char *path, const struct info *info, size_t entry)
{
	char *start = text_of(info, entry, "start_time");
	double began = 0;
	struct stat st;
	bool newer = start && clock_parse(start, &began, NULL) == 0 && stat(path, &st) == 0 &&
		     (double)st.st_mtim.tv_sec > began;

	free(start);
	return newer;
}

/* The first file of the command that is, or NULL. */
static const char *newer_file(const struct wanted *w, const struct info *info, size_t entry)
{
	for (size_t i = 0; i < w->files.n; i++)
		if (is_newer(w->files.v[i], info, entry))
			return w->files.v[i];
	return NULL;
}

/* The base model, where it is a file or a directory: the first part of it that is newer. */
static char *newer_base(const struct wanted *w, const struct info *info, size_t entry)
{
	const char *base = w->draft.base_path ? w->draft.base_path : w->draft.base_model;
	char *path = !base ? NULL : base[0] == '/' ? xstrdup(base) : path_join(w->cwd, base);
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT; /* the name of a model elsewhere */
	mode_t mode;
	char *found = NULL;
	int fd;

	if (path && path_exists(path, &mode, &ignored) > 0) {
		fd = S_ISDIR(mode) ? path_open_dir(path, &ignored) : -1;
		if (fd >= 0 && path_list(fd, &names, &ignored) < 0)
			strv_release(&names);
		if (fd >= 0)
			close(fd);
		for (size_t i = 0; i < names.n && !found; i++) {
			char *file = path_join(path, names.v[i]);

			if (names.v[i][0] != '.' && is_newer(file, info, entry))
				found = xstrdup(base);
			free(file);
		}
		if (!found && S_ISREG(mode) && is_newer(path, info, entry))
			found = xstrdup(base);
	}
	strv_release(&names);
	free(path);
	return found;
}

/* Last of all, for it may have to be read. NULL: the same, or nobody says where it is. */
static char *dataset_difference(const struct wanted *w, const struct info *info, size_t entry)
{
	size_t token = info_entry_member(info, entry, "dataset_digest");
	const char *dataset = w->values.dataset;
	char *path = conf_dataset_path(w->conf, w->values.stage, dataset);
	struct str now = STR_INIT;
	struct err err = ERR_INIT;
	char *why = NULL;

	if (!path || conf_int(w->conf, "record.digest_limit_mb") == 0)
		why = NULL;
	else if (token == JSON_NONE)
		why = xstrf("its entry has no digest of the data set %s", dataset);
	else if (capture_dataset(w->conf, path, &now, &err) < 0)
		why = xstrf("the data set %s cannot be compared: %s", dataset, err.msg);
	else if (!is_same_json(info, token, now.buf))
		why = xstrf("the data set %s has changed since", dataset);
	str_release(&now);
	free(path);
	return why;
}

/* ---- one entry ---- */

/* What is new against the entry, in fresh memory; NULL: nothing. */
static char *difference(const struct wanted *w, const struct info *info, size_t entry)
{
	const char *file;
	char *base;
	char *why;

	if (!is_same_base(w, info, entry))
		return xstrf("the base model is now %s", w->draft.base_model);
	if (!is_same_json(info, info_entry_member(info, entry, "parents"), w->draft.parents))
		return xstrdup("what it starts from was trained anew");
	if (!is_same_command(w, info, entry))
		return xstrdup("the command is another one");
	if (!has_params(w, info, entry))
		return xstrdup("the parameters are others");
	if (!is_same_code(w, info, entry))
		return xstrdup("the code is not known to be the same");
	file = newer_file(w, info, entry);
	if (file)
		return xstrf("'%s' was written since", file);
	base = newer_base(w, info, entry);
	why = base ? xstrf("the base model '%s' was written since", base)
		   : dataset_difference(w, info, entry);
	free(base);
	return why;
}

static bool is_candidate(const struct wanted *w, const struct info *info, size_t entry)
{
	return !info_entry_is_inherited(info, entry) &&
	       json_string_is(&info->doc, info_entry_member(info, entry, "dataset"),
			      w->values.dataset) &&
	       json_string_is(&info->doc, info_entry_member(info, entry, "status"), "completed");
}

/* The newest entry that differs tells why; any that does not settles it. */
static bool find_equal(const struct wanted *w, const struct info *info, char **why)
{
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		char *id;

		if (!is_candidate(w, info, i))
			continue;
		free(*why);
		*why = difference(w, info, i);
		if (*why)
			continue;
		id = text_of(info, i, "run_id");
		*why = xstrf("recorded by run %.13s", id ? id : "?");
		free(id);
		return true;
	}
	if (!*why)
		*why = xstrdup("nothing of it is recorded");
	return false;
}

static bool is_recorded(const struct wanted *w, char **why)
{
	const struct stage_dir *dir = &w->draft.dir;
	struct str text = STR_INIT;
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;
	bool found = false;

	if (dir->fd >= 0 && store_read(dir->fd, dir->ref, &text, &ignored) == 0 &&
	    info_open(&info, dir->ref, text.buf, text.len, &ignored) == 0)
		found = find_equal(w, &info, why);
	else
		*why = xstrdup("nothing of it is recorded");
	info_release(&info);
	str_release(&text);
	return found;
}

/* ---- the job ---- */

static void find_files(struct wanted *w, const struct strv *argv, const char *cwd)
{
	for (size_t i = 0; i < argv->n; i++) {
		const char *word = argv->v[i];
		char *path = word[0] == '/' ? xstrdup(word) : path_join(cwd, word);
		mode_t mode;
		struct err ignored = ERR_INIT;

		if (path_exists(path, &mode, &ignored) > 0 && S_ISREG(mode))
			strv_push(&w->files, path);
		free(path);
	}
}

static int prepare(struct wanted *w, struct session *session, const char *cwd, struct err *err)
{
	struct strv argv = STRV_INIT;
	struct strv mask = STRV_INIT;
	int result = batch_values(w->step, &w->values, err);

	if (result == 0)
		result = draft_open(&w->draft, session, &w->values, false, err);
	if (result == 0)
		result = run_command(&w->draft, session, w->step->argv.v, true, &argv, err);
	if (result == 0) {
		conf_list(&session->conf, "record.mask", &mask);
		secrets_mask_argv(argv.v, &mask, &w->argv);
		find_files(w, &argv, cwd);
		fields_print(w->values.hyperparams, &w->params);
	}
	strv_release(&argv);
	strv_release(&mask);
	return result;
}

bool batch_is_needed(struct session *session, const struct batch_step *step, const char *cwd,
		     const struct str *git, char **why)
{
	struct wanted w = {
		.step = step, .git = git, .params = STR_INIT, .conf = &session->conf, .cwd = cwd
	};
	struct err err = ERR_INIT;
	bool is_needed = true;

	*why = NULL;
	values_init(&w.values);
	if (prepare(&w, session, cwd, &err) == 0)
		is_needed = !is_recorded(&w, why);
	else
		*why = xstrdup(err.msg);
	draft_release(&w.draft);
	values_release(&w.values);
	strv_release(&w.argv);
	strv_release(&w.files);
	str_release(&w.params);
	return is_needed;
}

void batch_code(const char *cwd, struct str *git)
{
	struct strv notes = STRV_INIT;

	capture_git(cwd, git, &notes);
	strv_release(&notes);
}
