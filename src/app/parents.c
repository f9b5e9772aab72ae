#include "base/base.h"

#include "app/parents.h"

#include "base/mem.h"
#include "model/info.h"
#include "model/store.h"
#include "sys/path.h"

#include <limits.h>
#include <unistd.h>

void base_place_release(struct base_place *place)
{
	stage_dir_release(&place->dir);
	free(place->checkpoint);
	place->checkpoint = NULL;
}

char *parents_resolve_links(const char *path, size_t spare)
{
	struct err ignored = ERR_INIT;
	char *head = xstrdup(path);
	char *real = realpath(head, NULL);
	const char *rest;
	char *whole = NULL;

	for (; !real && spare; spare--) {
		char *up = path_dir(head);

		free(head);
		head = up;
		real = realpath(head, NULL);
	}
	rest = path + strlen(head);
	if (real && !*rest)
		whole = xstrdup(real);
	else if (real && path_check_relative("path", rest + 1, &ignored) == 0)
		whole = path_join(real, rest + 1);
	free(real);
	free(head);
	return whole;
}

/* The part of 'path' below the root, links resolved on both sides; NULL if it is elsewhere. */
static char *below_root(const struct layout *layout, const char *path, size_t spare)
{
	char *real_root = realpath(layout->root, NULL);
	char *real_path = parents_resolve_links(path, spare);
	char *rest = NULL;
	size_t len = real_root ? strlen(real_root) : 0;

	if (real_root && real_path && strncmp(real_path, real_root, len) == 0 &&
	    real_path[len] == '/')
		rest = xstrdup(real_path + len + 1);
	free(real_root);
	free(real_path);
	return rest;
}

/* "EXP/DIR/checkpoint-5" into its stage directory and the rest. */
static bool open_place(struct layout *layout, const char *relative, struct base_place *out)
{
	size_t exp_len = strcspn(relative, "/");
	const char *dir = relative[exp_len] ? relative + exp_len + 1 : "";
	size_t dir_len = strcspn(dir, "/");
	struct err ignored = ERR_INIT;
	char *ref;
	bool found;

	if (!dir_len)
		return false;
	ref = xstrndup(relative, exp_len + 1 + dir_len);
	found = layout_resolve(layout, NULL, ref, &out->dir, &ignored) == 0;
	free(ref);
	if (found && dir[dir_len] && dir[dir_len + 1])
		out->checkpoint = xstrdup(dir + dir_len + 1);
	return found;
}

static bool find_at(struct layout *layout, const char *path, size_t spare, struct base_place *out)
{
	char *relative = below_root(layout, path, spare);
	bool found = relative && open_place(layout, relative, out);

	free(relative);
	return found;
}

size_t parents_spare(const char *text)
{
	size_t n = 0;

	for (const char *p = text + 1; *p; p++)
		n += *p == '/' && p[1];
	return n;
}

bool parents_find_base(struct layout *layout, const char *exp, const char *text,
		       struct base_place *out)
{
	size_t spare;
	char *in_root;
	char *in_exp = NULL;
	struct str name = STR_INIT;
	struct err ignored = ERR_INIT;
	bool found;

	if (!*text)
		return false;
	spare = parents_spare(text);
	if (find_at(layout, text, spare, out))
		return true;
	if (text[0] == '/')
		return false;
	in_root = path_join(layout->root, text);
	if (layout_find_experiment(layout, exp, &name, &ignored) == 0) {
		char *dir = path_join(layout->root, name.buf);

		in_exp = path_join(dir, text);
		free(dir);
	}
	found = find_at(layout, in_root, spare, out) ||
		(in_exp && find_at(layout, in_exp, spare, out));
	str_release(&name);
	free(in_root);
	free(in_exp);
	return found;
}

static char *last_run_id(const struct info *info)
{
	size_t last = JSON_NONE;

	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i))
		last = i;
	return last == JSON_NONE ? NULL : info_entry_string(info, last, "run_id");
}

struct parent_facts {
	char *checkpoint;
	char *run_id;
	char *sha256; /* of the checkpoint */
};

/* The newest entry that names 'checkpoint' and its hash. */
static char *hash_of(const struct info *info, const char *checkpoint)
{
	const struct json *doc = &info->doc;
	char *sha256 = NULL;

	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		size_t made = info_entry_member(info, i, "final_checkpoint");
		char *own = NULL;

		if (json_string_is(doc, json_member(doc, made, "name"), checkpoint))
			own = json_string_copy(doc, json_member(doc, made, "sha256"));
		if (own) {
			free(sha256);
			sha256 = own;
		}
	}
	return sha256;
}

/* 'checkpoint': which of its checkpoints it is about; NULL: the final one. */
static struct parent_facts facts_of(const struct stage_dir *parent, const char *checkpoint)
{
	struct parent_facts facts = { .checkpoint = xstrdup_or_null(checkpoint) };
	struct str text = STR_INIT;
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;

	if (store_read(parent->fd, parent->ref, &text, &ignored) == 0 &&
	    info_open(&info, parent->ref, text.buf, text.len, &ignored) == 0) {
		if (!facts.checkpoint)
			facts.checkpoint = info_string(&info, "final_checkpoint");
		facts.run_id = last_run_id(&info);
		if (facts.checkpoint && *facts.checkpoint)
			facts.sha256 = hash_of(&info, facts.checkpoint);
	}
	info_release(&info);
	str_release(&text);
	return facts;
}

/* "../stage1_hrds"; NULL where they are not below one root. */
static char *way_to(const char *parent, const char *child)
{
	char *to;
	char *from;
	char *way;

	if (!child || parent[0] == '/' || child[0] == '/')
		return NULL;
	to = xstrf("/%s", parent);
	from = xstrf("/%s", child);
	way = path_relative_to(to, from);
	free(to);
	free(from);
	return way;
}

void parents_add(struct jsonw *w, const struct stage_dir *parent, const char *child,
		 const char *relation, const char *how, const char *checkpoint)
{
	struct parent_facts facts = facts_of(parent, checkpoint);
	char *way = way_to(parent->ref, child);

	jsonw_object(w);
	jsonw_pair_string(w, "ref", parent->ref);
	jsonw_pair_string(w, "relation", relation);
	jsonw_pair_string(w, "how", how);
	if (facts.checkpoint && *facts.checkpoint)
		jsonw_pair_string(w, "checkpoint", facts.checkpoint);
	if (facts.run_id)
		jsonw_pair_string(w, "run_id", facts.run_id);
	if (facts.sha256)
		jsonw_pair_string(w, "sha256", facts.sha256);
	if (way)
		jsonw_pair_string(w, "path", way);
	jsonw_end(w);
	free(facts.checkpoint);
	free(facts.run_id);
	free(facts.sha256);
	free(way);
}

char *parents_record_string(const struct stage_dir *dir, const char *key)
{
	return store_string(dir->fd, dir->ref, key);
}
