#include "base/base.h"

#include "app/batch_needed.h"

#include "app/base_files.h"
#include "app/capture_all.h"
#include "app/run_command.h"
#include "base/clock.h"
#include "base/mem.h"
#include "capture/git.h"
#include "capture/secrets.h"
#include "sys/path.h"

#include <sys/stat.h>
#include <unistd.h>

/* The digest of something as it is now: made when an entry first asks for it. */
struct digest_now {
	char *path; /* NULL: there is no such thing */
	bool is_made;
	struct str text;
	struct err err; /* why there is none */
};

/* What a job would be, to be compared with entries. */
struct wanted {
	const struct batch_step *step;
	struct draft draft;
	struct values values;
	struct strv argv;  /* masked, as an entry has it */
	struct strv files; /* of those words that are files */
	struct str params;
	struct digest_now base;
	struct digest_now data;
	const struct str *git;
	const struct conf *conf;
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

/* Is one of the files right in directory 'path' newer? */
static bool has_newer_file(const char *path, const struct info *info, size_t entry)
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT; /* then the training that reads it will tell */
	int fd = path_open_dir(path, &ignored);
	bool found = false;

	if (fd >= 0 && path_list(fd, &names, &ignored) < 0)
		strv_release(&names);
	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < names.n && !found; i++) {
		char *file = path_join(path, names.v[i]);

		found = names.v[i][0] != '.' && is_newer(file, info, entry);
		free(file);
	}
	strv_release(&names);
	return found;
}

/* For an entry that does not tell what the base model was. */
static bool is_newer_base(const struct wanted *w, const struct info *info, size_t entry)
{
	struct stat st;

	if (!w->base.path || stat(w->base.path, &st) < 0)
		return false; /* the name of a model elsewhere */
	return S_ISDIR(st.st_mode) ? has_newer_file(w->base.path, info, entry)
				   : is_newer(w->base.path, info, entry);
}

typedef int (*capture_fn)(const struct conf *, const char *, struct str *, struct err *);

/* -1: it cannot be made; now->err says why. */
static int make_now(struct digest_now *now, const struct conf *conf, capture_fn capture)
{
	if (!now->is_made && !now->err.code && capture(conf, now->path, &now->text, &now->err) == 0)
		now->is_made = true;
	return now->is_made ? 0 : -1;
}

static bool has_digests(const struct wanted *w)
{
	return conf_int(w->conf, "record.digest_limit_mb") > 0;
}

/* By content, where the entry tells of it; else by time. May have to be read, so it comes late. */
static char *base_difference(struct wanted *w, const struct info *info, size_t entry)
{
	size_t token = info_entry_member(info, entry, "base_model_digest");
	const char *name = base_files_name(&w->draft);

	if (!name)
		return NULL;
	if (!w->base.path && w->base.err.code)
		return xstrf("the base model '%s' cannot be compared: %s", name, w->base.err.msg);
	if (token == JSON_NONE || !has_digests(w))
		return is_newer_base(w, info, entry)
			       ? xstrf("the base model '%s' was written since", name)
			       : NULL;
	if (!w->base.path)
		return xstrf("the base model '%s' cannot be compared: it is not there any more",
			     name);
	if (make_now(&w->base, w->conf, capture_model) < 0)
		return xstrf("the base model '%s' cannot be compared: %s", name, w->base.err.msg);
	if (!json_string_is(&info->doc, token, w->base.text.buf))
		return xstrf("the base model '%s' has changed since", name);
	return NULL;
}

/* Last of all, for it may have to be read. NULL: the same, or nobody says where it is. */
static char *dataset_difference(struct wanted *w, const struct info *info, size_t entry)
{
	size_t token = info_entry_member(info, entry, "dataset_digest");
	const char *dataset = w->values.dataset;

	if (!w->data.path || !has_digests(w))
		return NULL;
	if (token == JSON_NONE)
		return xstrf("its entry has no digest of the data set %s", dataset);
	if (make_now(&w->data, w->conf, capture_dataset) < 0)
		return xstrf("the data set %s cannot be compared: %s", dataset, w->data.err.msg);
	if (!json_string_is(&info->doc, token, w->data.text.buf))
		return xstrf("the data set %s has changed since", dataset);
	return NULL;
}

/* ---- one entry ---- */

/* What is new against the entry, in fresh memory; NULL: nothing. */
static char *difference(struct wanted *w, const struct info *info, size_t entry)
{
	const char *file;
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
	why = base_difference(w, info, entry);
	return why ? why : dataset_difference(w, info, entry);
}

static bool is_candidate(const struct wanted *w, const struct info *info, size_t entry)
{
	return !info_entry_is_inherited(info, entry) &&
	       json_string_is(&info->doc, info_entry_member(info, entry, "dataset"),
			      w->values.dataset) &&
	       json_string_is(&info->doc, info_entry_member(info, entry, "status"), "completed");
}

/* The newest entry that differs tells why; any that does not settles it. */
static bool find_equal(struct wanted *w, const struct info *info, char **why)
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

static bool is_recorded(struct wanted *w, char **why)
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
		base_files_path(&w->draft, cwd, &w->base.path, &w->base.err);
		w->data.path = conf_dataset_path(w->conf, w->values.stage, w->values.dataset);
	}
	strv_release(&argv);
	strv_release(&mask);
	return result;
}

static void digest_now_release(struct digest_now *now)
{
	free(now->path);
	str_release(&now->text);
}

bool batch_is_needed(struct session *session, const struct batch_step *step, const char *cwd,
		     const struct str *git, char **why)
{
	struct wanted w = {
		.step = step,
		.git = git,
		.params = STR_INIT,
		.conf = &session->conf,
		.base = { .text = STR_INIT },
		.data = { .text = STR_INIT },
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
	digest_now_release(&w.base);
	digest_now_release(&w.data);
	return is_needed;
}

void batch_code(const char *cwd, struct str *git)
{
	struct strv notes = STRV_INIT;

	capture_git(cwd, git, &notes);
	strv_release(&notes);
}
