/* The part of plugin.h that looks for files and runs nothing. */
#include "base/base.h"

#include "script/plugin.h"

#include "base/mem.h"
#include "script/source.h"
#include "sys/path.h"
#include "sys/proc.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* In shorter names one letter makes another word. */
#define SLIP_MIN_LENGTH 4

static const struct {
	const char *kind;
	const char *subdir; /* of a plugin directory */
} places[] = {
	{ "stage", "" },
	{ "dataset", "datasets" },
	{ "export", "export" },
	{ "import", "import" },
};

/* Is there something, and of what mode? What may not be looked at is absent, but not forgotten. */
static int look_at(struct plugin_set *set, const char *path, mode_t *mode, struct err *err)
{
	int result = path_exists(path, mode, err);

	if (result == 0 && errno == EACCES)
		set->has_unseen = true;
	return result;
}

/* 1 or 0; -1: it cannot be told. */
static int is_file(struct plugin_set *set, const char *path, struct err *err)
{
	mode_t mode = 0;
	int result = look_at(set, path, &mode, err);

	return result > 0 ? !S_ISDIR(mode) : result;
}

static int is_dir(struct plugin_set *set, const char *path, struct err *err)
{
	mode_t mode = 0;
	int result = look_at(set, path, &mode, err);

	return result > 0 ? S_ISDIR(mode) : result;
}

static void add_file(struct plugin_set *set, const char *kind, char *name, const char *path)
{
	bool is_shadowed = plugin_find(set, kind, name) != NULL;

	set->files = xreallocarray(set->files, set->n + 1, sizeof(*set->files));
	set->files[set->n++] = (struct plugin_file){ .kind = xstrdup(kind),
						     .name = name,
						     .path = xstrdup(path),
						     .is_shadowed = is_shadowed };
}

static bool is_place(const char *name)
{
	for (size_t i = 1; i < ARRAY_SIZE(places); i++)
		if (strcmp(places[i].subdir, name) == 0)
			return true;
	return false;
}

/* NAME/init.lua */
static int consider_dir(struct plugin_set *set, const char *kind, const char *path,
			const char *name, struct err *err)
{
	char *init = path_join(path, "init.lua");
	int result = is_dir(set, path, err);

	if (result > 0)
		result = is_file(set, init, err);
	if (result > 0)
		add_file(set, kind, xstrdup(name), init);
	free(init);
	return result < 0 ? -1 : 0;
}

/* One name in a plugin directory: NAME.lua, or NAME/ with an init.lua. */
static int consider(struct plugin_set *set, const char *kind, const char *dir, const char *entry,
		    struct err *err)
{
	char *path = path_join(dir, entry);
	struct err ignored = ERR_INIT;
	int result = 0;

	if (path_check_name("plugin", entry, &ignored) == 0) {
		if (has_suffix(entry, ".lua") && entry[4])
			result = is_file(set, path, err);
		if (result > 0)
			add_file(set, kind, xstrndup(entry, strlen(entry) - 4), path);
		else if (result == 0 && !is_place(entry))
			result = consider_dir(set, kind, path, entry, err);
	}
	free(path);
	return result < 0 ? -1 : 0;
}

static int search_dir(struct plugin_set *set, const char *kind, const char *dir, struct err *err)
{
	struct strv names = STRV_INIT;
	int fd;
	int result;

	result = is_dir(set, dir, err);
	if (result <= 0)
		return result;
	if (source_check_dir(dir, err) < 0)
		return -1;
	fd = path_open_dir(dir, err);
	if (fd < 0)
		return -1;
	result = path_list(fd, &names, err);
	close(fd);
	for (size_t i = 0; i < names.n && result == 0; i++)
		result = consider(set, kind, dir, names.v[i], err);
	strv_release(&names);
	return result;
}

static int search_root(struct plugin_set *set, const char *root, struct err *err)
{
	int result = 0;

	if (!root[0] || strv_has(&set->dirs, root))
		return 0;
	strv_push(&set->dirs, root);
	for (size_t i = 0; i < ARRAY_SIZE(places) && result == 0; i++) {
		char *dir = places[i].subdir[0] ? path_join(root, places[i].subdir) : xstrdup(root);

		result = search_dir(set, places[i].kind, dir, err);
		free(dir);
	}
	return result;
}

/* Empty elements are passed over: they never mean the current directory. */
static int search_path(struct plugin_set *set, const char *path, struct err *err)
{
	while (path && *path) {
		size_t len = strcspn(path, ":");
		char *root = xstrndup(path, len);
		int result = search_root(set, root, err);

		free(root);
		if (result < 0)
			return -1;
		path += len + (path[len] == ':');
	}
	return 0;
}

/* $XDG_CONFIG_HOME/thhost/plugins, then PREFIX/share/thhost/plugins. */
static int search_fixed(struct plugin_set *set, struct err *err)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	char *self = proc_self();
	char *bin = self ? path_dir(self) : xstrdup("/usr/bin");
	char *prefix = path_dir(bin);
	char *shared = path_join(prefix, "share/thhost/plugins");
	char *own = NULL;
	int result = 0;

	if (config && config[0] == '/')
		own = path_join(config, "thhost/plugins");
	else if (home && home[0] == '/')
		own = path_join(home, ".config/thhost/plugins");
	if (own)
		result = search_root(set, own, err);
	if (result == 0)
		result = search_root(set, shared, err);
	free(own);
	free(shared);
	free(prefix);
	free(bin);
	free(self);
	return result;
}

/* Kind and name from the place of a file that need not be on the path. */
static void place_of(const char *path, const char **kind, char **name)
{
	char *dir = path_dir(path);
	const char *base = path_base(path);
	size_t len = strlen(base);

	*name = xstrndup(base, has_suffix(base, ".lua") ? len - 4 : len);
	if (strcmp(base, "init.lua") == 0) {
		char *up = path_dir(dir);

		free(*name);
		*name = xstrdup(path_base(dir));
		free(dir);
		dir = up;
	}
	*kind = places[0].kind;
	for (size_t i = 1; i < ARRAY_SIZE(places); i++)
		if (strcmp(path_base(dir), places[i].subdir) == 0)
			*kind = places[i].kind;
	free(dir);
}

/* A file that the user named: a directory means its init.lua. */
static int add_named(struct plugin_set *set, const char *path, struct err *err)
{
	char *init = path_join(path, "init.lua");
	int result = is_dir(set, path, err);
	const char *file = result > 0 ? init : path;
	const char *kind;
	char *name;

	if (result < 0) {
		free(init);
		return -1;
	}
	result = 0;
	if (access(file, F_OK) < 0) {
		result = err_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_PLUGIN,
				   "cannot open plugin '%s'", path);
	} else {
		place_of(file, &kind, &name);
		add_file(set, kind, name, file);
	}
	free(init);
	return result;
}

static const struct plugin_limits default_limits = {
	.load_ms = 500,
	.call_ms = 2000,
	.memory = (size_t)64 << 20,
};

int plugin_set_open(struct plugin_set *set, const struct plugin_options *options, struct err *err)
{
	int result = 0;

	*set = (struct plugin_set){ .limits = options->limits };
	if (set->limits.load_ms <= 0)
		set->limits.load_ms = default_limits.load_ms;
	if (set->limits.call_ms <= 0)
		set->limits.call_ms = default_limits.call_ms;
	if (!set->limits.memory)
		set->limits.memory = default_limits.memory;
	for (size_t i = 0; options->files && i < options->files->n && result == 0; i++)
		result = add_named(set, options->files->v[i], err);
	if (result == 0)
		result = search_path(set, options->path, err);
	if (result == 0)
		result = search_path(set, getenv("THHOST_PLUGINS"), err);
	if (result == 0)
		result = search_fixed(set, err);
	if (result < 0)
		plugin_set_release(set);
	return result;
}

void plugin_set_release(struct plugin_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		free(set->files[i].kind);
		free(set->files[i].name);
		free(set->files[i].path);
	}
	free(set->files);
	strv_release(&set->dirs);
	*set = (struct plugin_set){ .files = NULL };
}

const struct plugin_file *plugin_find(const struct plugin_set *set, const char *kind,
				      const char *name)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->files[i].kind, kind) == 0 && strcmp(set->files[i].name, name) == 0)
			return &set->files[i];
	return NULL;
}

static bool all_digits(const char *text, size_t len)
{
	return strspn(text, "0123456789") >= len;
}

/* Is 'word' 'known' with one letter more, less or other, or two that changed places? A number that
 * differs is no slip: stage5 is not stage4. */
static bool is_slip(const char *word, const char *known)
{
	size_t n = strlen(word);
	size_t m = strlen(known);
	size_t head = 0;
	size_t tail = 0;

	if (m < SLIP_MIN_LENGTH)
		return false;
	while (head < n && head < m && word[head] == known[head])
		head++;
	while (tail < n - head && tail < m - head && word[n - 1 - tail] == known[m - 1 - tail])
		tail++;
	n -= head + tail;
	m -= head + tail;
	word += head;
	known += head;
	if (n == 2 && m == 2 && (word[0] != known[1] || word[1] != known[0]))
		return false;
	if (n > 2 || m > 2 || (n == 2) != (m == 2))
		return false;
	return !all_digits(word, n) || !all_digits(known, m);
}

static int unknown_stage(const struct plugin_set *set, const char *stage, const char *slip_for,
			 struct err *err)
{
	const char **names = xcalloc(set->n + 1, sizeof(*names));
	const char *near = slip_for;
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->files[i].kind, "stage") == 0)
			names[n++] = set->files[i].name;
	if (!near)
		near = nearest_word(stage, names, n);
	err_set(err, ERR_NOT_FOUND, "unknown stage '%s'%s%s%s", stage,
		near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	if (set->has_unseen && !slip_for)
		err_hint(err, "some of the plugins' files may not be looked at; --generic does "
			      "without a plugin of its own");
	else if (slip_for)
		err_hint(err, "'thhost plugin list' shows all; --generic if a stage '%s' is meant",
			 stage);
	else
		err_hint(err, "%s",
			 n ? "'thhost plugin list' shows all"
			   : "no stage plugin was found; 'thhost plugin list' shows where was "
			     "looked");
	free(names);
	return -1;
}

const struct plugin_file *plugin_for_stage(const struct plugin_set *set, const char *stage,
					   struct err *err)
{
	const struct plugin_file *file = plugin_find(set, "stage", stage);
	const char *meant = NULL;

	if (file)
		return file;
	for (size_t i = 0; i < set->n && !meant && !set->any_stage; i++)
		if (strcmp(set->files[i].kind, "stage") == 0 && is_slip(stage, set->files[i].name))
			meant = set->files[i].name;
	if (!meant && (!set->has_unseen || set->any_stage))
		file = plugin_find(set, "stage", PLUGIN_GENERIC);
	if (!file)
		unknown_stage(set, stage, meant, err);
	return file;
}

int source_locate(const char *path, struct plugin_file *out, struct err *err)
{
	struct plugin_set set = { .files = NULL };

	if (add_named(&set, path, err) < 0)
		return -1;
	*out = set.files[0];
	free(set.files);
	return 0;
}
