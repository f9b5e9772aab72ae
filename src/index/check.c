/* Which parts of the trees look otherwise than when they were read. Changes nothing. */
#include "base/base.h"

#include "base/mem.h"
#include "index/index_part.h"
#include "index/seen.h"

void dirty_list_release(struct dirty_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i].path);
	free(list->v);
	*list = (struct dirty_list){ .v = NULL };
}

static void add(struct dirty_list *list, size_t root, const char *path)
{
	if (list->n == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 16;
		list->v = xreallocarray(list->v, list->cap, sizeof(*list->v));
	}
	list->v[list->n++] = (struct dirty){ .root = root, .path = xstrdup(path) };
}

static int read_root_id(struct index *index, struct index_root *root, struct err *err)
{
	struct db_query *q = db_prepare(index->db, "SELECT id FROM root WHERE path = ?", err);
	int more = -1;

	root->id = 0;
	if (!q)
		return -1;
	db_bind_text(q, 1, root->path);
	more = db_step(q, err);
	if (more > 0)
		root->id = db_int(q, 0);
	db_finish(q);
	return more < 0 ? -1 : 0;
}

static bool is_same(struct index_root *root, struct db_query *q, const char *path)
{
	size_t len;
	const void *seen = db_blob(q, 2, &len);

	return db_type(q, 1) == DB_NULL &&
	       seen_is_same(seen, len, root->layout.rootfd, path, &root->newest_ms);
}

static int check_root(struct index *index, size_t at, struct db_query *q, struct dirty_list *out,
		      struct err *err)
{
	struct index_root *root = &index->roots[at];
	bool has_root = false;
	int more;

	if (read_root_id(index, root, err) < 0)
		return -1;
	db_bind_int(q, 1, root->id);
	while ((more = db_step(q, err)) > 0) {
		const char *path = db_text(q, 0, NULL);

		if (!*path)
			has_root = true;
		else if (!has_root)
			break;
		if (!is_same(root, q, path))
			add(out, at, path);
	}
	db_reset(q);
	if (more >= 0 && !has_root) /* the key of the root comes first */
		add(out, at, "");
	return more < 0 ? -1 : 0;
}

int index_check(struct index *index, struct dirty_list *out, struct err *err)
{
	static const char text[] =
		"SELECT path, racy_since, seen FROM place WHERE root = ? ORDER BY sort";
	struct db_query *q = db_prepare(index->db, text, err);
	int result = q ? 0 : -1;

	for (size_t i = 0; i < index->n_roots && result == 0; i++)
		result = check_root(index, i, q, out, err);
	db_finish(q);
	return result;
}
