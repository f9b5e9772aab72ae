#include "base/base.h"

#include "app/taken.h"

#include "app/settle.h"
#include "base/mem.h"
#include "capture/digest.h"
#include "model/history.h"
#include "sys/path.h"

#include <sys/stat.h>
#include <unistd.h>

/* ---- the source ---- */

int taken_open(const char *from, struct extract_source *source, char **absolute, struct err *err)
{
	mode_t mode = S_IFDIR;
	char *dir;

	*absolute = path_absolute(from);
	if (path_exists(from, &mode, err) < 0)
		return -1;
	if (!S_ISREG(mode)) {
		source->dirfd = path_open_dir(from, err);
		source->dir_name = path_base(*absolute);
		return source->dirfd < 0 ? -1 : 0;
	}
	dir = path_dir(*absolute);
	source->dirfd = path_open_dir(dir, err);
	source->only = source->log = source->dir_name = path_base(*absolute);
	free(dir);
	return source->dirfd < 0 ? -1 : 0;
}

static void digest_of(const struct draft *draft, char sha256[DIGEST_TEXT_SIZE])
{
	digest_bytes(draft->result.seen, strlen(draft->result.seen), sha256);
}

void taken_print(const struct draft *draft, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 0);
	char sha256[DIGEST_TEXT_SIZE];
	char *path;

	if (!draft->has_result || !draft->result.n_seen)
		return;
	path = draft->values->from ? path_absolute(draft->values->from) : NULL;
	digest_of(draft, sha256);
	jsonw_object(&w);
	if (path)
		jsonw_pair_string(&w, "path", path);
	jsonw_pair_int(&w, "files", (int64_t)draft->result.n_seen);
	jsonw_pair_string(&w, "sha256", sha256);
	jsonw_end(&w);
	free(path);
}

static int refuse(const struct draft *draft, size_t number, struct err *err)
{
	err_set(err, ERR_INVALID,
		"'%s' is recorded already: entry %zu of %s was read from the same files",
		draft->values->from, number, draft->dir.ref);
	return err_hint(err, "--again appends it once more");
}

int taken_check(const struct draft *draft, struct err *err)
{
	struct str text = STR_INIT;
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;
	char sha256[DIGEST_TEXT_SIZE];
	size_t number = 0;
	int result = 0;

	if (!draft->has_result || !draft->result.n_seen || draft->dir.fd < 0)
		return 0;
	digest_of(draft, sha256);
	if (store_read(draft->dir.fd, draft->dir.ref, &text, &ignored) == 0 &&
	    info_open(&info, draft->dir.ref, text.buf, text.len, &ignored) == 0)
		for (size_t i = info_first_entry(&info); i != JSON_NONE && result == 0;
		     i = info_next_entry(&info, i)) {
			size_t taken = info_entry_member(&info, i, "taken_from");

			number++;
			if (json_string_is(&info.doc, json_member(&info.doc, taken, "sha256"),
					   sha256))
				result = refuse(draft, number, err);
		}
	info_release(&info);
	str_release(&text);
	return result;
}

/* ---- the data set ---- */

/* "hrds" of "stage1_hrds"; NULL if the name does not begin with the stage's. Fresh memory. */
static char *dataset_of_name(const struct plugin_plan *plan, const char *name)
{
	const char *const prefixes[] = { plan->dir, plan->stage };
	struct err ignored = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t len = strlen(prefixes[i]);

		if (has_prefix(name, prefixes[i]) && name[len] == '_' &&
		    path_check_name("dataset", name + len + 1, &ignored) == 0)
			return xstrdup(name + len + 1);
	}
	return NULL;
}

/* A path or a hub's name of data, as one that may stand for them here; NULL if there is none. */
static char *dataset_of_text(const char *text)
{
	struct err ignored = ERR_INIT;
	size_t len = text ? strlen(text) : 0;
	char *name;
	char *base;

	while (len && text[len - 1] == '/')
		len--;
	name = xstrndup(text ? text : "", len);
	base = xstrdup(path_base(name));
	free(name);
	if (path_check_name("dataset", base, &ignored) == 0)
		return base;
	free(base);
	return NULL;
}

/* "dataset" of the result's evidence. */
static const char *evidence_of(const struct plugin_result *result)
{
	static const char *const words[] = { "observed", "declared", "inferred", "derived" };
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	const char *found = "observed";

	if (result->evidence && json_parse(&doc, "evidence", result->evidence,
					   strlen(result->evidence), JSON_STRICT, &ignored) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			if (json_string_is(&doc, json_member(&doc, 0, "dataset"), words[i]))
				found = words[i];
	json_release(&doc);
	return found;
}

/* Ask the plugin, as it is without any data set's overrides. */
static int ask_plugin(struct session *session, const struct plugin_plan *plan,
		      struct values *values, const char **how, struct err *err)
{
	struct extract_source source = { .dirfd = -1 };
	struct plugin_result result = PLUGIN_RESULT_INIT;
	char *absolute;
	int done = taken_open(values->from, &source, &absolute, err);
	struct plugin_call call = { .dirfd = source.dirfd,
				    .dir_name = source.dir_name,
				    .log = source.log,
				    .only = source.only };

	if (done == 0) {
		done = plugin_extract(&session->plugins, plan, &call, &result, err);
		close(source.dirfd);
	}
	if (done == 0)
		values->dataset = dataset_of_text(result.dataset);
	if (values->dataset)
		*how = evidence_of(&result);
	plugin_result_release(&result);
	free(absolute);
	return done;
}

int taken_dataset(struct session *session, struct values *values, const char **how, struct err *err)
{
	struct plugin_plan plan = PLUGIN_PLAN_INIT;
	char *absolute = path_absolute(values->from);
	int result = session_plan(session, values->stage, NULL, NULL, &plan, err);

	*how = NULL;
	if (result == 0) {
		values->dataset = dataset_of_name(&plan, path_base(absolute));
		if (values->dataset)
			*how = "inferred";
		else
			result = ask_plugin(session, &plan, values, how, err);
	}
	plugin_plan_release(&plan);
	free(absolute);
	return result;
}

/* What a plugin may find in DIR is a training that failed: that is no history. */
static int refuse_failed(const struct draft *draft, struct err *err)
{
	const char *outcome = draft->result.outcome;

	if (!outcome || (strcmp(outcome, "failed") != 0 && strcmp(outcome, "interrupted") != 0))
		return 0;
	err_set(err, ERR_INVALID, "'%s' holds a training that %s%s%s; nothing recorded",
		draft->values->from, strcmp(outcome, "failed") == 0 ? "failed" : "was interrupted",
		draft->result.error ? ": " : "", draft->result.error ? draft->result.error : "");
	return err_hint(err, "give --steps and --metric by hand if it counts all the same");
}

static int extract(struct draft *draft, struct session *session, struct err *err)
{
	struct extract_source source = { .dirfd = -1 };
	char *absolute;
	char *log = NULL;
	int result = taken_open(draft->values->from, &source, &absolute, err);

	if (result == 0 && !source.only)
		source.log = log = history_newest_log(source.dirfd);
	if (result == 0)
		result = draft_extract(draft, session, &source, err);
	if (result == 0 && !source.only)
		result = settle_take_run(draft, source.dirfd, err);
	if (source.dirfd >= 0)
		close(source.dirfd);
	free(absolute);
	free(log);
	return result;
}

int taken_extract(struct draft *draft, struct session *session, struct err *err)
{
	if (extract(draft, session, err) < 0)
		return -1;
	return draft->values->steps < 0 ? refuse_failed(draft, err) : 0;
}
