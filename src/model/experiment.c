#include "base/base.h"

#include "model/layout.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/layout_parts.h"
#include "sys/file.h"
#include "sys/json.h"
#include "sys/path.h"
#include "sys/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG "config.yml"
#define CONFIG_LIMIT (4u << 20)

/* Processes that start in the same second take the next one each; an hour of them is an error. */
#define NAME_TRIES 3600

/* ---- which directories are experiments ---- */

static bool has_stages(int fd)
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	bool found = false;

	layout_list_dirs(fd, &names, &ignored);
	for (size_t i = 0; i < names.n && !found; i++) {
		int child = layout_open_child(fd, names.v[i]);

		found = child >= 0 && layout_is_stage(child);
		if (child >= 0)
			close(child);
	}
	strv_release(&names);
	return found;
}

bool layout_is_experiment(const struct layout *layout, const char *name)
{
	struct stat st;
	int fd = layout_open_child(layout->rootfd, name);
	bool is_one;

	if (fd < 0)
		return false;
	is_one = has_prefix(name, "exp_") || fstatat(fd, CONFIG, &st, 0) == 0 ||
		 (!layout_is_stage(fd) && has_stages(fd));
	close(fd);
	return is_one;
}

static bool is_empty(const struct layout *layout, const char *name)
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	int fd = layout_open_child(layout->rootfd, name);
	bool empty = fd >= 0 && path_list(fd, &names, &ignored) == 0 && !names.n;

	if (fd >= 0)
		close(fd);
	strv_release(&names);
	return empty;
}

/* 'with_empty': also what holds nothing, and so may be an experiment with a name of its own. */
static int list_names(const struct layout *layout, bool with_empty, struct strv *names,
		      struct err *err)
{
	struct strv dirs = STRV_INIT;
	int rc = layout_list_dirs(layout->rootfd, &dirs, err);

	for (size_t i = 0; rc == 0 && i < dirs.n; i++)
		if (layout_is_experiment(layout, dirs.v[i]) ||
		    (with_empty && is_empty(layout, dirs.v[i])))
			strv_push(names, dirs.v[i]);
	strv_release(&dirs);
	return rc < 0 ? err_prefix(err, "'%s'", layout->root) : 0;
}

/* ---- current and latest ---- */

/* "exp_2025..." is dated; "exp_old" would sort after it and is not newer for that. */
static int rank(const char *name)
{
	if (!has_prefix(name, "exp_"))
		return 0;
	return name[4] >= '0' && name[4] <= '9' ? 2 : 1;
}

static const char *latest_of(const struct strv *names)
{
	const char *best = NULL;

	for (size_t i = 0; i < names->n; i++)
		if (!best || rank(names->v[i]) >= rank(best))
			best = names->v[i];
	return best;
}

static int find_latest(struct layout *layout, struct str *name, struct err *err)
{
	struct strv names = STRV_INIT;
	const char *latest;
	int rc = list_names(layout, false, &names, err);

	latest = latest_of(&names);
	if (rc == 0 && !latest) {
		rc = err_set(err, ERR_NOT_FOUND, "no experiment in '%s'", layout->root);
		err_hint(err, "'thhost exp new' makes one");
	} else if (rc == 0) {
		str_sets(name, latest);
	}
	strv_release(&names);
	return rc;
}

/* 'current' does not lead to an experiment of this root: say where it leads and how to mend it. */
static int refuse_link(struct layout *layout, const char *target, const char *why, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct str name = STR_INIT;

	err_set(err, ERR_NOT_FOUND, "'" LAYOUT_CURRENT "' in '%s' points to '%s', %s", layout->root,
		target, why);
	if (layout_is_experiment(layout, path_base(target)))
		str_sets(&name, path_base(target));
	if (name.len || find_latest(layout, &name, &ignored) == 0)
		err_hint(err, "'thhost exp use %s' mends it", name.buf);
	str_release(&name);
	return -1;
}

static bool is_same(const struct stat *a, const struct file_version *b)
{
	return a->st_dev == b->dev && a->st_ino == b->ino;
}

/*
 * The link may be relative or, as the Python program makes it, absolute by any spelling of the root:
 * what counts is that the directory behind it lies in this root. 1: found, 0: there is no link.
 */
static int find_current(struct layout *layout, struct str *name, struct err *err)
{
	char target[4096];
	struct stat behind;
	struct file_version here;
	ssize_t len = readlinkat(layout->rootfd, LAYOUT_CURRENT, target, sizeof(target) - 1);

	if (len < 0 && errno == ENOENT)
		return 0;
	if (len < 0)
		return err_errno(err, errno == EINVAL ? ERR_INVALID : ERR_FAILED,
				 "'%s/" LAYOUT_CURRENT "' is no usable link", layout->root);
	target[len] = '\0';
	while (len > 1 && target[len - 1] == '/')
		target[--len] = '\0';
	if (fstatat(layout->rootfd, LAYOUT_CURRENT, &behind, 0) < 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
			return refuse_link(layout, target, "which does not exist", err);
		return err_errno(err, ERR_FAILED, "cannot look at '%s/" LAYOUT_CURRENT "'",
				 layout->root);
	}
	if (file_version(layout->rootfd, path_base(target), &here, err) < 0)
		return err_prefix(err, "'%s'", layout->root);
	if (!here.exists || !is_same(&behind, &here) || !S_ISDIR(here.mode))
		return refuse_link(layout, target, "which is no experiment of this root", err);
	str_sets(name, path_base(target));
	return 1;
}

static int refuse_name(struct layout *layout, const char *exp, struct err *err)
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	const char *nearest;

	list_names(layout, true, &names, &ignored);
	nearest = nearest_word(exp, (const char *const *)names.v, names.n);
	if (nearest)
		err_set(err, ERR_NOT_FOUND, "no experiment '%s' in '%s'; did you mean '%s'?", exp,
			layout->root, nearest);
	else
		err_set(err, ERR_NOT_FOUND, "no experiment '%s' in '%s'", exp, layout->root);
	err_hint(err, "'thhost exp list' shows all");
	strv_release(&names);
	return -1;
}

int layout_find_experiment(struct layout *layout, const char *exp, struct str *name,
			   struct err *err)
{
	int fd;

	str_clear(name);
	if (!exp || strcmp(exp, LAYOUT_CURRENT) == 0) {
		int found = find_current(layout, name, err);

		if (found)
			return found < 0 ? -1 : 0;
		return find_latest(layout, name, err);
	}
	if (strcmp(exp, LAYOUT_LATEST) == 0)
		return find_latest(layout, name, err);
	if (path_check_name("experiment", exp, err) < 0)
		return -1;
	fd = layout_open_child(layout->rootfd, exp);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return refuse_name(layout, exp, err);
	if (fd < 0)
		return err_errno(err, ERR_FAILED, "cannot open experiment '%s' in '%s'", exp,
				 layout->root);
	close(fd);
	str_sets(name, exp);
	return 0;
}

int layout_use_experiment(struct layout *layout, const char *name, struct err *err)
{
	struct str found = STR_INIT;
	int rc = layout_find_experiment(layout, name, &found, err);

	if (rc == 0)
		rc = file_replace_link(layout->rootfd, LAYOUT_CURRENT, found.buf, err);
	str_release(&found);
	return rc;
}

/* ---- making one ---- */

static int make_named(struct layout *layout, const char *name, bool *made, struct err *err)
{
	bool was_there;
	struct stat st;

	if (path_check_name("experiment", name, err) < 0)
		return -1;
	if (strcmp(name, LAYOUT_CURRENT) == 0 || strcmp(name, LAYOUT_LATEST) == 0)
		return err_set(err, ERR_INVALID, "an experiment cannot be called '%s'", name);
	was_there = fstatat(layout->rootfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (path_make_dir(layout->rootfd, name, made, err) == 0)
		return 0;
	if (!was_there) /* half-made it would be in the way of the next try */
		unlinkat(layout->rootfd, name, AT_REMOVEDIR);
	return err_prefix(err, "cannot make experiment '%s'", name);
}

static int make_dated(struct layout *layout, struct str *name, struct err *err)
{
	time_t now = clock_now();

	for (int i = 0; i < NAME_TRIES; i++) {
		char when[CLOCK_TEXT_SIZE];
		char text[CLOCK_TEXT_SIZE + 8];
		bool made = false;

		clock_format_name(now + i, when);
		snprintf(text, sizeof(text), "exp_%s", when);
		if (make_named(layout, text, &made, err) < 0)
			return -1;
		if (made) {
			str_sets(name, text);
			return 0;
		}
	}
	/* not reached by tests: 3600 experiments that others make while we look */
	return err_set(err, ERR_BUSY, "no free name for an experiment within an hour");
}

int layout_new_experiment(struct layout *layout, const char *name, struct str *made,
			  struct err *err)
{
	bool is_new = true;

	str_clear(made);
	if (name ? make_named(layout, name, &is_new, err) < 0 : make_dated(layout, made, err) < 0)
		return -1;
	if (!is_new)
		return err_set(err, ERR_BUSY, "experiment '%s' exists", name);
	if (name)
		str_sets(made, name);
	if (file_replace_link(layout->rootfd, LAYOUT_CURRENT, made->buf, err) == 0)
		return 0;
	if (err->code == ERR_NOT_DURABLE)
		return err_prefix(err, "experiment '%s' is made", made->buf);
	/* Were it left there, what comes next would still go to the old one. */
	unlinkat(layout->rootfd, made->buf, AT_REMOVEDIR);
	return err_prefix(err, "cannot make experiment '%s'", made->buf);
}

int layout_make_experiment(struct layout *layout, const char *name, struct err *err)
{
	bool made;

	return make_named(layout, name, &made, err);
}

int layout_begin_experiment(struct layout *layout, const char *name, struct str *made,
			    struct err *err)
{
	struct err own = ERR_INIT;

	if (layout_new_experiment(layout, name, made, &own) < 0) {
		if (own.code != ERR_NOT_DURABLE) {
			*err = own;
			return -1;
		}
		log_warn("%s", own.msg);
	}
	log_notice("new experiment '%s'", made->buf);
	return 0;
}

/* ---- config.yml ---- */

static int read_config(int expfd, const char *where, struct str *json, struct err *err)
{
	struct str text = STR_INIT;
	char *name = path_join(where, CONFIG);
	int rc = file_read(expfd, CONFIG, CONFIG_LIMIT, &text, NULL, err);

	if (rc < 0)
		err_prefix(err, "'%s'", where);
	else
		rc = yaml_to_json(name, text.buf, text.len, json, err);
	free(name);
	str_release(&text);
	return rc;
}

int layout_read_config(struct layout *layout, const char *exp, struct str *json_out,
		       struct err *err)
{
	struct str name = STR_INIT;
	int fd = -1;
	int rc = -1;

	if (layout_find_experiment(layout, exp, &name, err) == 0)
		fd = path_open_beneath(layout->rootfd, name.buf, O_RDONLY | O_DIRECTORY, err);
	if (fd >= 0) {
		rc = read_config(fd, name.buf, json_out, err);
		close(fd);
	}
	str_release(&name);
	return rc;
}

/* ---- the list ---- */

/* What config.yml says; one that cannot be read hides nothing but itself. */
static void fill_from_config(int fd, struct experiment *e)
{
	struct str text = STR_INIT;
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;

	if (read_config(fd, e->name, &text, &ignored) == 0 &&
	    json_parse(&doc, CONFIG, text.buf, text.len, JSON_NONFINITE_OK, &ignored) == 0) {
		size_t about = json_member(&doc, 0, "experiment");

		if (about != JSON_NONE) {
			e->title = json_string_copy(&doc, json_member(&doc, about, "name"));
			e->created = json_string_copy(&doc, json_member(&doc, about, "created"));
			if (json_int64(&doc, json_member(&doc, about, "id"), &e->id) < 0)
				e->id = 0;
		}
	}
	json_release(&doc);
	str_release(&text);
}

static bool is_stage_child(const struct layout *layout, int expfd, const char *name)
{
	char *stage;
	char *dataset;
	bool is_named;
	int fd;

	layout_split_name(layout, name, &stage, &dataset);
	is_named = stage != NULL;
	free(stage);
	free(dataset);
	if (is_named)
		return true;
	fd = layout_open_child(expfd, name);
	if (fd < 0)
		return false;
	is_named = layout_is_stage(fd);
	close(fd);
	return is_named;
}

static void fill_experiment(const struct layout *layout, const char *name, struct experiment *e)
{
	struct strv children = STRV_INIT;
	struct err ignored = ERR_INIT;
	struct stat st;
	int fd = layout_open_child(layout->rootfd, name);

	memset(e, 0, sizeof(*e));
	e->name = xstrdup(name);
	if (fd < 0)
		return;
	e->has_config = fstatat(fd, CONFIG, &st, 0) == 0;
	if (e->has_config)
		fill_from_config(fd, e);
	layout_list_dirs(fd, &children, &ignored);
	for (size_t i = 0; i < children.n; i++)
		e->n_stages += is_stage_child(layout, fd, children.v[i]);
	strv_release(&children);
	close(fd);
}

int layout_list_experiments(struct layout *layout, struct experiment **out, size_t *n,
			    struct err *err)
{
	struct strv names = STRV_INIT;
	struct str current = STR_INIT;
	struct err ignored = ERR_INIT;
	int rc = list_names(layout, true, &names, err);

	*out = NULL;
	*n = 0;
	if (rc == 0) {
		find_current(layout, &current, &ignored);
		*out = xcalloc(names.n, sizeof(**out));
		*n = names.n;
	}
	for (size_t i = 0; i < *n; i++) {
		fill_experiment(layout, names.v[i], &(*out)[i]);
		(*out)[i].is_current = str_equals(&current, names.v[i]);
	}
	str_release(&current);
	strv_release(&names);
	return rc;
}

void experiment_list_release(struct experiment *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(list[i].name);
		free(list[i].title);
		free(list[i].created);
	}
	free(list);
}
