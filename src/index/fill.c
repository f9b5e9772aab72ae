/* Parts of the trees, read from the files into the index. */
#include "base/base.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "index/index_part.h"
#include "index/place.h"
#include "index/seen.h"
#include "sys/path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEVELS 3 /* the root, a directory of it, one of an experiment */
#define RUNS "/.thhost/runs"
#define SPOOL "/.thhost/spool"

/* Until others see what was read, and it is kept whatever happens to us. */
#define BATCH_PLACES 1000
#define BATCH_MS 500

/* A part of a tree while it is walked. */
struct part {
	char *path;
	struct str key;
	struct seen seen;
	mode_t mode; /* of the directory itself; 0: not there */
	int64_t began_ms;
	int64_t id;	    /* of its row; 0: none yet */
	struct str was;	    /* 'seen' of the row that was there */
	int64_t racy_since; /* of that row; 0: not */
	bool has_dropped;
	bool is_live;
	int64_t n_records;
	struct strv below; /* names of the parts in it */
};

enum statement {
	FIND,
	ADD,
	SET,
	NEXT_BELOW,
	ALL_BELOW,
	DROP,
	N_STATEMENTS,
};

static const char *const texts[] = {
	[FIND] = "SELECT id, racy_since, seen FROM place WHERE root = ? AND sort = ?",
	[ADD] = "INSERT INTO place (root, path, sort, is_live, seen) VALUES (?, ?, ?, 1, x'')",
	[SET] = "UPDATE place SET is_live = ?2, racy_since = ?3, seen = ?4 WHERE id = ?1",
	[NEXT_BELOW] = ("SELECT path FROM place WHERE root = ? AND sort >= ? AND sort < ?"
			" ORDER BY sort LIMIT 1"),
	[ALL_BELOW] = "SELECT id FROM place WHERE root = ? AND sort >= ? AND sort < ?",
	[DROP] = "DELETE FROM place WHERE id = ?",
};

struct fill {
	struct index *index;
	struct index_root *root;
	struct db_query *q[N_STATEMENTS];
	struct part parts[LEVELS];
	size_t depth;
	struct map dirty; /* of this root: struct dirty by path */
	struct spool_elsewhere elsewhere;
	size_t n_read;
	size_t n_batch;
	int64_t batch_ms;
};

static struct db_query *statement(struct fill *f, enum statement which, struct err *err)
{
	if (!f->q[which])
		f->q[which] = db_prepare(f->index->db, texts[which], err);
	return f->q[which];
}

static struct part *top(struct fill *f)
{
	return &f->parts[f->depth - 1];
}

/* ---- rows of places ---- */

static void bind_key(struct db_query *q, int at, const struct str *key)
{
	db_bind_blob(q, at, key->buf, key->len);
}

/* What the index has of it. 'is_same': it still looks so, and need not be read. */
static int find_place(struct fill *f, struct part *part, bool *is_same, struct err *err)
{
	struct db_query *q = statement(f, FIND, err);
	const char *seen;
	size_t len;
	int more;

	*is_same = false;
	if (!q)
		return -1;
	db_bind_int(q, 1, f->root->id);
	bind_key(q, 2, &part->key);
	more = db_step(q, err);
	if (more > 0) {
		seen = db_blob(q, 2, &len);
		part->id = db_int(q, 0);
		part->racy_since = db_int(q, 1);
		str_add(&part->was, seen, len);
		*is_same =
			db_type(q, 1) == DB_NULL && seen_is_same(seen, len, f->root->layout.rootfd,
								 part->path, &f->root->newest_ms);
	}
	db_reset(q);
	return more < 0 ? -1 : 0;
}

/* Its row, with nothing in it. An empty 'seen' is never fresh: to be killed now does no harm. */
static int prepare_place(struct fill *f, struct part *part, struct err *err)
{
	struct db_query *q;
	int result;

	if (part->has_dropped)
		return 0;
	part->has_dropped = true;
	if (part->id)
		return rows_drop(f->index->rows, part->id, err);
	q = statement(f, ADD, err);
	if (!q)
		return -1;
	db_bind_int(q, 1, f->root->id);
	db_bind_text(q, 2, part->path);
	bind_key(q, 3, &part->key);
	result = db_run(q, err);
	part->id = db_last_id(f->index->db);
	return result;
}

static int drop_places(struct fill *f, const int64_t *ids, size_t n, struct err *err)
{
	struct db_query *q = statement(f, DROP, err);

	for (size_t i = 0; q && i < n; i++) {
		if (rows_drop(f->index->rows, ids[i], err) < 0)
			return -1;
		db_bind_int(q, 1, ids[i]);
		if (db_run(q, err) < 0)
			return -1;
	}
	return q ? 0 : -1;
}

/* All whose key is in that range. */
static int drop_range(struct fill *f, const struct str *from, const struct str *to, struct err *err)
{
	struct db_query *q = statement(f, ALL_BELOW, err);
	int64_t *ids = NULL;
	size_t n = 0;
	int more = q ? 1 : -1;

	if (q) {
		db_bind_int(q, 1, f->root->id);
		bind_key(q, 2, from);
		bind_key(q, 3, to);
	}
	while (more > 0 && (more = db_step(q, err)) > 0) {
		ids = xreallocarray(ids, n + 1, sizeof(*ids));
		ids[n++] = db_int(q, 0);
	}
	if (q)
		db_reset(q);
	if (more == 0)
		more = drop_places(f, ids, n, err);
	free(ids);
	return more;
}

/* The first part directly below 'part' that the index has from 'from' on, in 'out'; or "". */
static int next_below(struct fill *f, const struct part *part, const struct str *from,
		      const struct str *to, struct str *out, struct err *err)
{
	struct db_query *q = statement(f, NEXT_BELOW, err);
	size_t above = strlen(part->path);
	int more;

	str_clear(out);
	if (!q)
		return -1;
	db_bind_int(q, 1, f->root->id);
	bind_key(q, 2, from);
	bind_key(q, 3, to);
	more = db_step(q, err);
	if (more > 0) {
		const char *path = db_text(q, 0, NULL);

		above += above > 0; /* the slash */
		str_add(out, path, above + strcspn(path + above, "/"));
	}
	db_reset(q);
	return more < 0 ? -1 : 0;
}

static void after_all(const struct part *part, struct str *to)
{
	str_clear(to);
	if (part->key.len) {
		str_add(to, part->key.buf, part->key.len);
		place_key_end(to);
	}
	for (size_t i = 0; !part->key.len && i < 300; i++)
		str_addch(to, '\xff'); /* longer than any name */
}

/* What the index has below it and the walk has not met. */
static int drop_gone(struct fill *f, struct part *part, struct err *err)
{
	struct map met = MAP_INIT;
	struct str from = STR_INIT;
	struct str to = STR_INIT;
	struct str path = STR_INIT;
	int result;

	for (size_t i = 0; i < part->below.n; i++)
		map_put(&met, part->below.v[i], part);
	after_all(part, &to);
	str_add(&from, part->key.buf, part->key.len);
	str_addch(&from, '\0'); /* the first that can be below */
	while ((result = next_below(f, part, &from, &to, &path, err)) == 0 && path.len) {
		struct str end = STR_INIT;

		place_key(path.buf, &from);
		str_add(&end, from.buf, from.len);
		place_key_end(&end);
		if (!map_get(&met, path.buf))
			result = drop_range(f, &from, &end, err);
		str_clear(&from);
		str_add(&from, end.buf, end.len);
		str_release(&end);
		if (result < 0)
			break;
	}
	map_release(&met);
	str_release(&from);
	str_release(&to);
	str_release(&path);
	return result;
}

/* ---- when stamps can be trusted ---- */

/* Could a change after we looked have left the newest stamp as it is? */
static bool is_racy(const struct fill *f, const struct part *part)
{
	if (part->seen.newest_ms > part->began_ms - SEEN_TICK_MS)
		return true;
	/* Another machine's clock stamps here; it has gone on for sure where it has stamped later. */
	return f->root->is_remote && part->seen.newest_ms > f->root->newest_ms - SEEN_TICK_MS;
}

/* When that was first seen so; 0: it is not racy. Who still finds the same a tick later has read it
 * after the clock went on, whichever clock that is. */
static int64_t racy_since(const struct fill *f, const struct part *part)
{
	bool is_same = part->was.len && part->was.len == part->seen.bytes.len &&
		       memcmp(part->was.buf, part->seen.bytes.buf, part->was.len) == 0;

	if (!is_racy(f, part))
		return 0;
	if (!is_same)
		return part->began_ms;
	if (!part->racy_since)
		return 0; /* read again for another reason: it had been settled */
	return part->began_ms >= part->racy_since + SEEN_TICK_MS ? 0 : part->racy_since;
}

/* ---- the walk ---- */

static int next_batch(struct fill *f, struct err *err)
{
	f->n_read++;
	f->n_batch++;
	if (f->index->options->progress)
		f->index->options->progress(f->n_read);
	if (f->n_batch < BATCH_PLACES && clock_monotonic_ms() < f->batch_ms + BATCH_MS)
		return 0;
	if (index_end(f->index, err) < 0)
		return -1;
	f->n_batch = 0;
	f->batch_ms = clock_monotonic_ms();
	return index_begin(f->index, "IMMEDIATE", err);
}

static void part_release(struct part *part)
{
	free(part->path);
	str_release(&part->key);
	str_release(&part->was);
	strv_release(&part->below);
	seen_release(&part->seen);
}

static int enter(void *arg, const char *path, struct err *err)
{
	struct fill *f = arg;
	struct part *part = &f->parts[f->depth];
	struct dirty *dirty = map_get(&f->dirty, path);
	bool is_same;

	if (f->depth)
		strv_push(&top(f)->below, path);
	if (dirty && dirty->is_done)
		return 0;
	if (dirty)
		dirty->is_done = true;
	*part = (struct part){ .path = xstrdup(path),
			       .key = STR_INIT,
			       .seen = SEEN_INIT,
			       .was = STR_INIT,
			       .began_ms = clock_now_ms() };
	place_key(path, &part->key);
	f->depth++;
	if (find_place(f, part, &is_same, err) == 0 && !is_same)
		return 1;
	part_release(part);
	f->depth--;
	return is_same ? 0 : -1;
}

static int leave(void *arg, const char *path UNUSED, struct err *err)
{
	struct fill *f = arg;
	struct part *part = top(f);
	struct str end = STR_INIT;
	int64_t racy = racy_since(f, part);
	struct db_query *q = statement(f, SET, err);
	int result = q ? 0 : -1;

	if (result == 0 && !S_ISDIR(part->mode)) {
		after_all(part, &end);
		result = drop_range(f, &part->key, &end, err);
	} else if (result == 0) {
		result = prepare_place(f, part, err);
		if (result == 0 && f->depth < LEVELS)
			result = drop_gone(f, part, err);
		db_bind_int(q, 1, part->id);
		db_bind_int(q, 2, part->is_live);
		if (racy)
			db_bind_int(q, 3, racy);
		bind_key(q, 4, &part->seen.bytes);
		if (result == 0)
			result = db_run(q, err);
	}
	str_release(&end);
	part_release(part);
	f->depth--;
	return result == 0 ? next_batch(f, err) : -1;
}

static const char *below(const struct part *part, const char *path)
{
	return path + strlen(part->path);
}

static mode_t look_at(struct fill *f, const char *dir, const char *name)
{
	struct part *part = top(f);
	char *path = xstrf("%s%s", below(part, dir), name);
	mode_t mode = seen_add(&part->seen, f->root->layout.rootfd, part->path, path);

	free(path);
	return mode;
}

static void look(void *arg, const char *path)
{
	struct fill *f = arg;
	mode_t mode = look_at(f, path, "");

	if (!*below(top(f), path))
		top(f)->mode = mode;
}

static void doubt(void *arg)
{
	struct fill *f = arg;

	top(f)->is_live = true;
}

/* ---- stage directories ---- */

/* The files in .thhost/runs. A link leads to what is not looked at. */
static void look_at_runs(struct fill *f, const struct stage_dir *dir)
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	int fd = openat(dir->fd, &RUNS[1], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || path_list(fd, &names, &ignored) < 0)
		doubt(f);
	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < names.n; i++) {
		char *name;

		if (names.v[i][0] == '.' || !has_suffix(names.v[i], ".json"))
			continue;
		name = xstrf(RUNS "/%s", names.v[i]);
		if (!S_ISREG(look_at(f, dir->ref, name)))
			doubt(f);
		free(name);
	}
	strv_release(&names);
}

/* The directory itself was looked at: what is new in it shows there. */
static void look_at_stage(struct fill *f, const struct stage_dir *dir)
{
	struct stat st;
	mode_t runs;
	mode_t spool;

	look_at(f, dir->ref, "/training_info.json");
	if (dir->is_plain)
		return;
	if (fstatat(dir->fd, ".thhost", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (!S_ISDIR(look_at(f, dir->ref, "/.thhost")))
		doubt(f);
	runs = look_at(f, dir->ref, RUNS);
	spool = look_at(f, dir->ref, SPOOL);
	if (S_ISDIR(runs))
		look_at_runs(f, dir);
	if ((runs && !S_ISDIR(runs)) || (spool && !S_ISDIR(spool)))
		doubt(f);
}

/* Does it stay as it is unless a file changes that was looked at? */
static bool is_at_rest(const struct history *history)
{
	char *own = xstrf("%s" SPOOL "/", history->dir.path);
	bool is = !history->unread.code && !history->broken_runs.n &&
		  (!history->err.code || history->has_text);

	for (size_t i = 0; i < history->waiting.n; i++)
		is = is && !has_prefix(history->waiting.v[i], own);
	for (size_t i = 0; i < history->runs.n; i++)
		is = is && run_has_ended(&history->runs.v[i]);
	free(own);
	return is;
}

static int visit(void *arg, struct stage_dir *dir, struct err *err)
{
	struct fill *f = arg;
	struct part *part = top(f);
	struct rows_where where = { .root = f->root->id };
	struct history history;
	int result = 0;

	if (dir->fd < 0)
		doubt(f);
	else
		look_at_stage(f, dir);
	history_visit(&history, dir, &f->elsewhere, err);
	if (history_is_anything(&history)) {
		part->is_live = part->is_live || !is_at_rest(&history);
		result = prepare_place(f, part, err);
		where.place = part->id;
		where.at = part->n_records++;
		if (result == 0)
			result = rows_put(f->index->rows, &where, &history, err);
	}
	history_release(&history);
	return result;
}

/* ---- all of it ---- */

static int add_root(struct fill *f, struct err *err)
{
	struct db_query *q;
	int result;

	if (f->root->id)
		return 0;
	q = db_prepare(f->index->db, "INSERT INTO root (path) VALUES (?)", err);
	if (!q)
		return -1;
	db_bind_text(q, 1, f->root->path);
	result = db_run(q, err);
	f->root->id = db_last_id(f->index->db);
	db_finish(q);
	return result;
}

static int fill_root(struct fill *f, const struct dirty_list *dirty, size_t at, struct err *err)
{
	const struct layout_watch watch = {
		.arg = f, .enter = enter, .leave = leave, .look = look, .doubt = doubt
	};
	int result;

	f->root = &f->index->roots[at];
	f->dirty = (struct map)MAP_INIT;
	for (size_t i = 0; i < dirty->n; i++)
		if (dirty->v[i].root == at)
			map_put(&f->dirty, dirty->v[i].path, &dirty->v[i]);
	result = f->dirty.n ? add_root(f, err) : 0;
	for (size_t i = 0; i < dirty->n && result == 0; i++)
		if (dirty->v[i].root == at && !dirty->v[i].is_done)
			result = layout_walk_part(&f->root->layout, dirty->v[i].path, &watch, visit,
						  f, err);
	map_release(&f->dirty);
	while (f->depth)
		part_release(&f->parts[--f->depth]);
	return result;
}

int index_fill(struct index *index, const struct dirty_list *dirty, struct err *err)
{
	struct fill f = { .index = index,
			  .elsewhere = SPOOL_ELSEWHERE_INIT,
			  .batch_ms = clock_monotonic_ms() };
	int result = index_begin(index, "IMMEDIATE", err);

	for (size_t i = 0; i < index->n_roots && result == 0; i++)
		result = fill_root(&f, dirty, i, err);
	for (size_t i = 0; i < N_STATEMENTS; i++)
		db_finish(f.q[i]);
	spool_elsewhere_release(&f.elsewhere);
	if (result == 0)
		result = index_end(index, err);
	index_undo(index);
	if (index->options->progress)
		index->options->progress(0);
	return result;
}
