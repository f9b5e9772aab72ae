#include "base/base.h"

#include "model/layout.h"

#include "base/mem.h"
#include "model/layout_parts.h"
#include "sys/file.h"
#include "sys/json.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* Fewer digits of a UUIDv7 than this say nothing: they are the same for years. */
#define ID_LENGTH_MIN 4

struct query {
	struct layout *layout;
	const char *exp; /* what short forms are relative to; NULL: current */
	const char *ref; /* as given, for messages */
	bool allow_path;
	struct stage_dir *out;
	struct err *err;
	struct err trouble; /* what kept us from looking; told if nothing is found */
};

/* Every step answers: 1 found (in query->out), 0 not this way, -1 error. */
enum { NOT_FOUND, FOUND };

static int refuse_experiment(struct query *q, const char *name)
{
	err_set(q->err, ERR_INVALID, "'%s' is an experiment, not a stage in it", name);
	return err_hint(q->err,
			"write for instance '%s/stage1_hrds'; 'thhost exp status' shows "
			"its stages",
			name);
}

/* ---- paths ---- */

static bool is_path(const char *ref)
{
	return *ref == '/' || strcmp(ref, ".") == 0 || strcmp(ref, "..") == 0 ||
	       has_prefix(ref, "./") || has_prefix(ref, "../");
}

/* 'path' (real) as seen from the real root, or NULL if it is not within. */
static char *within_root(struct query *q, const char *path)
{
	char real[PATH_MAX];
	size_t len;

	if (!realpath(q->layout->root, real))
		return NULL;
	len = strlen(real);
	if (!has_prefix(path, real) || path[len] != '/')
		return NULL;
	return xstrdup(path + len + 1);
}

static void fill_outside(struct query *q, const char *path, int fd)
{
	q->out->name = xstrdup(path_base(path));
	q->out->ref = xstrdup(path);
	q->out->path = xstrdup(path);
	q->out->fd = fd;
	layout_split_name(q->layout, q->out->name, &q->out->stage, &q->out->dataset);
}

/* 'relative' is "EXP/NAME", "EXP/NAME/SUB" or "NAME", seen from the root. */
static int fill_inside(struct query *q, const char *relative, int fd)
{
	const char *slash = strchr(relative, '/');
	char *exp;

	if (!slash) {
		bool is_one = !layout_is_stage(fd) && layout_is_experiment(q->layout, relative);

		if (is_one) {
			close(fd);
			return refuse_experiment(q, relative);
		}
		layout_fill(q->layout, q->out, NULL, relative, fd);
		return FOUND;
	}
	exp = xstrndup(relative, (size_t)(slash - relative));
	layout_fill(q->layout, q->out, exp, slash + 1, fd);
	free(exp);
	return FOUND;
}

/* What cannot be looked at is not absent. */
static int find_dir(struct query *q, const char *ref, char real[PATH_MAX])
{
	struct stat st;

	if (!q->allow_path)
		return NOT_FOUND;
	if (stat(ref, &st) == 0) {
		if (!S_ISDIR(st.st_mode))
			return NOT_FOUND;
		if (realpath(ref, real))
			return FOUND;
	}
	if (path_is_absent(errno) || errno == ENAMETOOLONG)
		return NOT_FOUND;
	return err_errno(q->err, ERR_FAILED, "cannot look at '%s'", ref);
}

static int by_path(struct query *q, const char *ref)
{
	char real[PATH_MAX];
	char *relative;
	char *path;
	int fd;
	int rc = find_dir(q, ref, real);

	if (rc != FOUND)
		return rc;
	fd = path_open_dir(ref, q->err);
	if (fd < 0)
		return -1;
	path = path_absolute(ref);
	relative = within_root(q, real);
	if (relative)
		rc = fill_inside(q, relative, fd);
	else
		fill_outside(q, path, fd);
	free(relative);
	free(path);
	return rc;
}

/* ---- run ids ---- */

struct id_search {
	const char *prefix;
	struct stage_dir found;
	char *second; /* REF of another directory with such a run */
	struct err *trouble;
};

static bool is_id_prefix(const char *ref)
{
	size_t len = strlen(ref);

	return len >= ID_LENGTH_MIN && len < 37 && strspn(ref, "0123456789abcdefABCDEF-") == len;
}

static bool matches_id(const char *id, const char *prefix)
{
	return strncasecmp(id, prefix, strlen(prefix)) == 0;
}

static void note(struct err *trouble, const struct err *own)
{
	if (own->code == ERR_FAILED)
		*trouble = *own;
}

static bool journal_has(int fd, const char *prefix, struct err *trouble)
{
	struct strv names = STRV_INIT;
	struct err own = ERR_INIT;
	int runs = path_open_beneath(fd, LAYOUT_JOURNAL "/runs", O_RDONLY | O_DIRECTORY, &own);
	bool found = false;

	if (runs >= 0)
		path_list(runs, &names, &own);
	note(trouble, &own);
	for (size_t i = 0; i < names.n && !found; i++)
		found = matches_id(names.v[i], prefix) && has_suffix(names.v[i], ".json");
	strv_release(&names);
	if (runs >= 0)
		close(runs);
	return found;
}

/* An inherited entry's run belongs to the parent. */
static bool entry_has(const struct json *doc, size_t entry, const char *prefix)
{
	char *id = json_string_copy(doc, json_member(doc, entry, "run_id"));
	bool found = id && matches_id(id, prefix) &&
		     json_member(doc, entry, "inherited_from") == JSON_NONE;

	free(id);
	return found;
}

static bool record_has(int fd, const char *prefix, struct err *trouble)
{
	struct str text = STR_INIT;
	struct json doc = JSON_INIT;
	struct err own = ERR_INIT;
	bool found = false;

	if (file_read(fd, LAYOUT_RECORD, FILE_LIMIT, &text, NULL, &own) == 0 &&
	    json_parse(&doc, LAYOUT_RECORD, text.buf, text.len, JSON_NONFINITE_OK, &own) == 0) {
		size_t history = json_member(&doc, 0, "training_history");

		for (size_t i = history == JSON_NONE ? JSON_NONE : json_first(&doc, history);
		     i != JSON_NONE && !found; i = json_next(&doc, history, i))
			found = entry_has(&doc, i, prefix);
	}
	note(trouble, &own);
	json_release(&doc);
	str_release(&text);
	return found;
}

static int look_for_id(void *arg, struct stage_dir *dir, struct err *err)
{
	struct id_search *search = arg;

	if (dir->fd < 0) {
		note(search->trouble, err);
		return 0;
	}
	if (!journal_has(dir->fd, search->prefix, search->trouble) &&
	    !record_has(dir->fd, search->prefix, search->trouble))
		return 0;
	if (search->found.fd >= 0) {
		search->second = xstrdup(dir->ref);
		return -1; /* two are enough to say no */
	}
	search->found = *dir;
	*dir = (struct stage_dir)STAGE_DIR_INIT;
	return 0;
}

static int by_run_id(struct query *q, const char *ref)
{
	struct id_search search = { .prefix = ref,
				    .found = STAGE_DIR_INIT,
				    .trouble = &q->trouble };
	struct err own = ERR_INIT;

	if (!is_id_prefix(ref))
		return NOT_FOUND;
	if (layout_walk(q->layout, NULL, look_for_id, &search, &own) < 0 && search.second) {
		err_set(q->err, ERR_INVALID, "runs in '%s' and in '%s' begin with '%s'",
			search.found.ref, search.second, ref);
		err_hint(q->err, "give more of the run id");
		stage_dir_release(&search.found);
		free(search.second);
		return -1;
	}
	note(&q->trouble, &own);
	if (search.found.fd < 0)
		return NOT_FOUND;
	*q->out = search.found;
	return FOUND;
}

/* ---- names ---- */

/* A name directly below the root counts only if it is a stage directory. */
static int by_root_name(struct query *q, const char *name)
{
	int fd = layout_open_child(q->layout->rootfd, name);

	if (fd < 0)
		return NOT_FOUND;
	if (layout_is_stage(fd)) {
		layout_fill(q->layout, q->out, NULL, name, fd);
		return FOUND;
	}
	close(fd);
	return layout_is_experiment(q->layout, name) ? refuse_experiment(q, name) : NOT_FOUND;
}

/* Two readings of one REF: fine if they mean the same directory. */
static int choose(struct query *q, struct stage_dir *a, struct stage_dir *b)
{
	struct stat sa;
	struct stat sb;

	if (fstat(a->fd, &sa) == 0 && fstat(b->fd, &sb) == 0 && sa.st_dev == sb.st_dev &&
	    sa.st_ino == sb.st_ino) {
		*q->out = *a;
		stage_dir_release(b);
		return FOUND;
	}
	err_set(q->err, ERR_INVALID, "'%s' has two meanings: '%s' and '%s'", q->ref, a->ref,
		b->ref);
	err_hint(q->err, "write EXP/STAGE/DATASET, or a path that begins with './'");
	stage_dir_release(a);
	stage_dir_release(b);
	return -1;
}

static int open_either(struct query *q, const char *exp_a, const char *a, const char *exp_b,
		       const char *b)
{
	struct stage_dir first = STAGE_DIR_INIT;
	struct stage_dir second = STAGE_DIR_INIT;
	int found_a = exp_a ? layout_try_open(q->layout, exp_a, a, &first, &q->trouble) : NOT_FOUND;
	int found_b =
		exp_b ? layout_try_open(q->layout, exp_b, b, &second, &q->trouble) : NOT_FOUND;

	if (found_a && found_b)
		return choose(q, &first, &second);
	if (found_a || found_b)
		*q->out = found_a ? first : second;
	return found_a || found_b;
}

/* "EXP/NAME" or "STAGE/DATASET"; a stage directory directly below the root may have a level, too. */
static int by_pair(struct query *q, const char *a, const char *b)
{
	struct str named = STR_INIT;
	struct str here = STR_INIT;
	struct err own[2] = { ERR_INIT, ERR_INIT };
	char *name = layout_stage_dir_name(q->layout, a, b);
	bool is_exp = layout_find_experiment(q->layout, a, &named, &own[0]) == 0;
	bool is_here = layout_find_experiment(q->layout, q->exp, &here, &own[1]) == 0;
	int rc = open_either(q, is_exp ? named.buf : NULL, b, is_here ? here.buf : NULL, name);

	note(&q->trouble, &own[0]);
	note(&q->trouble, &own[1]);
	free(name);
	str_release(&named);
	str_release(&here);
	return rc;
}

/* "EXP/STAGE/DATASET", or a directory a level deeper than a stage. */
static int by_triple(struct query *q, const char *a, const char *b, const char *c)
{
	struct str exp = STR_INIT;
	struct err own = ERR_INIT;
	char *name = layout_stage_dir_name(q->layout, b, c);
	char *deeper = xstrf("%s/%s", b, c);
	int rc = NOT_FOUND;

	if (layout_find_experiment(q->layout, a, &exp, &own) == 0)
		rc = open_either(q, exp.buf, name, exp.buf, deeper);
	note(&q->trouble, &own);
	free(deeper);
	free(name);
	str_release(&exp);
	return rc;
}

static int by_name(struct query *q, const char *name)
{
	struct str exp = STR_INIT;
	struct err own = ERR_INIT;
	int rc = NOT_FOUND;

	if (path_check_name("REF", name, &own) < 0)
		return NOT_FOUND;
	if (layout_find_experiment(q->layout, q->exp, &exp, &own) == 0)
		rc = layout_try_open(q->layout, exp.buf, name, q->out, &q->trouble);
	note(&q->trouble, &own);
	str_release(&exp);
	if (rc == NOT_FOUND)
		rc = by_root_name(q, name);
	return rc == NOT_FOUND ? by_run_id(q, name) : rc;
}

/* The path below the root of a directory in an old tree; EXP may be "current". */
static int by_depth(struct query *q, const char *text)
{
	char *first = xstrndup(text, strcspn(text, "/"));
	struct str exp = STR_INIT;
	struct err own = ERR_INIT;
	int rc = NOT_FOUND;

	if (layout_find_experiment(q->layout, first, &exp, &own) == 0)
		rc = layout_try_open(q->layout, exp.buf, text + strlen(first) + 1, q->out,
				     &q->trouble);
	note(&q->trouble, &own);
	str_release(&exp);
	free(first);
	return rc;
}

/* By its number of parts; 'text' is cut at its slashes. */
static int by_parts(struct query *q, const char *whole, char *text)
{
	char *parts[4] = { text };
	size_t n = 1;

	for (char *p = text; *p && n < ARRAY_SIZE(parts); p++)
		if (*p == '/') {
			*p = '\0';
			parts[n++] = p + 1;
		}
	for (size_t i = 0; i < n; i++)
		if (!*parts[i])
			return NOT_FOUND;
	if (n == 1)
		return by_name(q, parts[0]);
	if (n == 2)
		return by_pair(q, parts[0], parts[1]);
	return n == 3 ? by_triple(q, parts[0], parts[1], parts[2]) : by_depth(q, whole);
}

/* ---- all of them ---- */

/* Without trailing slashes and without the record's own name. */
static char *normal_ref(const char *ref)
{
	struct str text = STR_INIT;

	str_adds(&text, ref);
	while (text.len > 1 && text.buf[text.len - 1] == '/')
		str_truncate(&text, text.len - 1);
	if (strcmp(text.buf, LAYOUT_RECORD) == 0)
		str_sets(&text, ".");
	else if (has_suffix(text.buf, "/" LAYOUT_RECORD))
		str_truncate(&text, text.len - strlen("/" LAYOUT_RECORD));
	if (!text.len && *ref)
		str_sets(&text, "/");
	return str_detach(&text);
}

static int refuse_ref(struct query *q)
{
	struct strv names = STRV_INIT;
	struct str exp = STR_INIT;
	struct err trouble = q->trouble;
	const char *nearest = NULL;
	int fd = -1;

	if (layout_find_experiment(q->layout, q->exp, &exp, &trouble) == 0)
		fd = layout_open_child(q->layout->rootfd, exp.buf);
	if (fd >= 0) {
		layout_list_dirs(fd, &names, &trouble);
		nearest = nearest_word(q->ref, (const char *const *)names.v, names.n);
		close(fd);
	}
	if (is_path(q->ref))
		err_set(q->err, ERR_NOT_FOUND, "no directory '%s'", q->ref);
	else if (trouble.code != ERR_NONE)
		err_set(q->err, ERR_NOT_FOUND, "nothing is called '%s' (%s)", q->ref, trouble.msg);
	else if (nearest)
		err_set(q->err, ERR_NOT_FOUND, "no '%s' in experiment '%s'; did you mean '%s'?",
			q->ref, exp.buf, nearest);
	else
		err_set(q->err, ERR_NOT_FOUND, "no '%s' in experiment '%s'", q->ref, exp.buf);
	err_hint(q->err, "%s",
		 trouble.hint[0] ? trouble.hint : "'thhost list' shows what there is");
	strv_release(&names);
	str_release(&exp);
	return -1;
}

static int resolve(struct query *q)
{
	char *text = normal_ref(q->ref);
	char *cut = xstrdup(text);
	struct str exp = STR_INIT;
	int rc = 0;

	*q->out = (struct stage_dir)STAGE_DIR_INIT;
	if (q->exp)
		rc = layout_find_experiment(q->layout, q->exp, &exp, q->err);
	if (rc == 0 && !is_path(text))
		rc = by_parts(q, text, cut);
	if (rc == NOT_FOUND && *text)
		rc = by_path(q, text);
	if (rc == NOT_FOUND)
		rc = refuse_ref(q);
	str_release(&exp);
	free(cut);
	free(text);
	return rc < 0 ? -1 : 0;
}

int layout_resolve(struct layout *layout, const char *exp, const char *ref, struct stage_dir *out,
		   struct err *err)
{
	struct query q = { .layout = layout,
			   .exp = exp,
			   .ref = ref,
			   .allow_path = true,
			   .out = out,
			   .err = err,
			   .trouble = ERR_INIT };

	return resolve(&q);
}

int layout_resolve_recorded(struct layout *layout, const char *exp, const char *ref,
			    struct stage_dir *out, struct err *err)
{
	struct query q = { .layout = layout,
			   .exp = exp,
			   .ref = ref,
			   .out = out,
			   .err = err,
			   .trouble = ERR_INIT };

	return resolve(&q);
}
