#include "base/base.h"

#include "app/spooled.h"

#include "base/mem.h"
#include "model/store.h"
#include "sys/file.h"
#include "sys/path.h"

#include <unistd.h>

/* As much as model/store reads. */
#define LIMIT (2 * FILE_LIMIT)

#define SPOOL_SCHEMA "thhost.spool/1"

/* "thhost.run/" of "thhost.run/1" */
static bool is_other_version(const struct json *doc, const char *schema)
{
	char *found = json_string_copy(doc, json_member(doc, 0, "schema"));
	size_t stem = (size_t)(strchr(schema, '/') - schema) + 1;
	bool is_other = found && strncmp(found, schema, stem) == 0 && strcmp(found, schema) != 0;

	free(found);
	return is_other;
}

/* 'doc' and 'text' are initialised ones, which the caller releases. */
static enum damage read_document(int dirfd, const char *name, const char *schema, struct str *text,
				 struct json *doc, struct err *err)
{
	if (file_read(dirfd, name, LIMIT, text, NULL, err) < 0)
		return DAMAGE_OTHER;
	if (json_parse(doc, name, text->buf, text->len, JSON_STRICT, err) < 0)
		return DAMAGE_TEXT;
	if (is_other_version(doc, schema)) {
		err_set(err, ERR_INVALID, "%s: another version of thhost has written it", name);
		return DAMAGE_OTHER;
	}
	if (json_string_is(doc, json_member(doc, 0, "schema"), schema))
		return DAMAGE_NONE;
	err_set(err, ERR_INVALID, "%s: its 'schema' is not %s", name, schema);
	return DAMAGE_TEXT;
}

enum damage damage_of(int dirfd, const char *name, const char *schema, struct err *err)
{
	struct json doc = JSON_INIT;
	struct str text = STR_INIT;
	enum damage damage = read_document(dirfd, name, schema, &text, &doc, err);

	if (damage == DAMAGE_NONE) {
		err_set(err, ERR_INVALID, "%s: says what this version of thhost does not know",
			name);
		damage = DAMAGE_OTHER;
	}
	json_release(&doc);
	str_release(&text);
	return damage;
}

enum damage spooled_read(const char *path, struct spooled *out, struct err *err)
{
	char *dir = path_dir(path);
	int dirfd = path_open_dir(dir, err);
	struct json doc = JSON_INIT;
	struct str text = STR_INIT;
	enum damage damage = DAMAGE_OTHER;

	*out = (struct spooled){ .run_id = NULL };
	if (dirfd >= 0) {
		damage = read_document(dirfd, path_base(path), SPOOL_SCHEMA, &text, &doc, err);
		close(dirfd);
	}
	if (damage == DAMAGE_NONE && store_check_spooled(path, err) < 0)
		damage = err->code == ERR_INVALID ? DAMAGE_TEXT : DAMAGE_OTHER;
	if (damage == DAMAGE_NONE) {
		size_t list = json_member(&doc, 0, "entries");

		out->run_id = json_string_copy(&doc, json_member(&doc, 0, "run_id"));
		out->dir = json_string_copy(&doc, json_member(&doc, 0, "dir"));
		if (!out->dir) /* in a stage directory's own spool the place tells */
			out->dir = xstrdup("");
		out->why = json_string_copy(&doc, json_member(&doc, 0, "why"));
		out->entry = json_raw_copy(&doc, json_first(&doc, list));
	}
	json_release(&doc);
	str_release(&text);
	free(dir);
	return damage;
}

void spooled_release(struct spooled *spooled)
{
	free(spooled->run_id);
	free(spooled->dir);
	free(spooled->why);
	free(spooled->entry);
}

bool spooled_is_below(const struct spooled *spooled, const char *root)
{
	size_t len = strlen(root);

	return strncmp(spooled->dir, root, len) == 0 && spooled->dir[len] == '/';
}

/* Each member of object 'a' is in 'b' too, with the same value. */
static bool is_within(const struct json *a, const struct json *b, size_t object)
{
	for (size_t i = json_first(a, 0); i != JSON_NONE; i = json_next(a, 0, i)) {
		char *key = json_string_copy(a, i);
		size_t other = json_member(b, object, key);

		free(key);
		if (other == JSON_NONE || !json_equal(a, i + 1, b, other))
			return false;
	}
	return true;
}

bool spooled_disagrees(const struct spooled *spooled, const struct info *info)
{
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	bool disagrees = false;
	size_t found = JSON_NONE;

	if (info->history == JSON_NONE)
		return false;
	if (json_parse(&doc, "entry", spooled->entry, strlen(spooled->entry), JSON_STRICT,
		       &ignored) == 0) {
		char *run_id = json_string_copy(&doc, json_member(&doc, 0, "run_id"));

		found = run_id ? info_entry_find(info, run_id) : JSON_NONE;
		disagrees = found != JSON_NONE && !is_within(&doc, &info->doc, found);
		free(run_id);
	}
	json_release(&doc);
	return disagrees;
}
