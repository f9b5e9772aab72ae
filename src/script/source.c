#include "base/base.h"

#include "script/source.h"

#include "base/mem.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* What compiled Lua begins with. */
#define BYTECODE_MARK "\x1bLua"

static bool is_our_group(gid_t group)
{
	gid_t groups[256];
	int n = getgroups((int)ARRAY_SIZE(groups), groups);

	if (group == getegid())
		return true;
	for (int i = 0; i < n; i++)
		if (groups[i] == group)
			return true;
	return false;
}

static int check_mode(const char *what, const char *path, const struct stat *st, struct err *err)
{
	const char *who = NULL;

	if (st->st_mode & S_IWOTH)
		who = "everybody";
	else if ((st->st_mode & S_IWGRP) && !is_our_group(st->st_gid))
		who = "a group that you are not in";
	if (!who)
		return 0;
	err_set(err, ERR_PLUGIN, "plugin %s '%s' can be written by %s; refused", what, path, who);
	err_hint(err, "chmod go-w '%s'", path);
	err_path(err, path);
	return -1;
}

int source_check_dir(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(err, ERR_FAILED, "cannot look at plugin directory '%s'", path);
	return check_mode("directory", path, &st, err);
}

static int read_fd(int fd, const char *path, struct str *out, struct err *err)
{
	ssize_t n;

	do {
		str_reserve(out, SOURCE_LIMIT + 1 - out->len);
		n = read(fd, out->buf + out->len, SOURCE_LIMIT + 1 - out->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, ERR_PLUGIN, "cannot read plugin '%s'", path);
		out->len += (size_t)n;
	} while (n && out->len <= SOURCE_LIMIT);
	out->buf[out->len] = '\0';
	if (out->len > SOURCE_LIMIT)
		return err_set(err, ERR_PLUGIN, "plugin '%s' is larger than 1 MiB; refused", path);
	if (out->len >= sizeof(BYTECODE_MARK) - 1 &&
	    memcmp(out->buf, BYTECODE_MARK, sizeof(BYTECODE_MARK) - 1) == 0)
		return err_set(err, ERR_PLUGIN,
			       "plugin '%s' is compiled Lua; only its source text "
			       "can be run",
			       path);
	return 0;
}

/* What is checked is what is read: one descriptor for both. */
static int read_text(const char *path, struct str *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int result = -1;

	if (fd < 0) {
		err_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_PLUGIN,
			  "cannot open plugin '%s'", path);
		return -1;
	}
	if (fstat(fd, &st) < 0)
		err_errno(err, ERR_PLUGIN, "cannot look at plugin '%s'", path);
	else if (!S_ISREG(st.st_mode))
		err_set(err, ERR_PLUGIN, "plugin '%s' is not a regular file", path);
	else if (check_mode("file", path, &st, err) == 0)
		result = read_fd(fd, path, out, err);
	close(fd);
	if (result < 0)
		err_path(err, path);
	return result;
}

static int add_text(struct sources *s, int plugin, const char *module, const char *path,
		    struct err *err)
{
	struct source *source;

	s->v = xreallocarray(s->v, s->n + 1, sizeof(*s->v));
	source = &s->v[s->n++];
	*source = (struct source){
		.plugin = plugin, .module = xstrdup(module), .path = xstrdup(path), .text = STR_INIT
	};
	return read_text(path, &source->text, err);
}

/* Each NAME.lua of 'dir' as module PREFIX.NAME; 'skip' (may be NULL) is no module. */
static int add_directory(struct sources *s, int plugin, const char *dir, const char *prefix,
			 const char *skip, struct err *err)
{
	struct strv names = STRV_INIT;
	int fd = path_open_dir(dir, err);
	int result = fd < 0 ? -1 : path_list(fd, &names, err);

	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < names.n && result == 0; i++) {
		const char *name = names.v[i];
		char *path, *module;

		if (name[0] == '.' || !has_suffix(name, ".lua") || (skip && !strcmp(name, skip)))
			continue;
		path = path_join(dir, name);
		module = xstrf("%s.%.*s", prefix, (int)strlen(name) - 4, name);
		result = add_text(s, plugin, module, path, err);
		free(module);
		free(path);
	}
	strv_release(&names);
	return result;
}

int sources_add_plugin(struct sources *s, int number, const struct plugin_file *file,
		       struct err *err)
{
	char *dir = path_dir(file->path);
	int result = source_check_dir(dir, err);

	if (result == 0)
		result = add_text(s, number, "", file->path, err);
	if (result == 0 && strcmp(path_base(file->path), "init.lua") == 0)
		result = add_directory(s, number, dir, file->name, "init.lua", err);
	free(dir);
	return result;
}

int sources_add_override(struct sources *s, struct err *err)
{
	const char *root = getenv("THHOST_LUA");
	char *dir;
	int result;

	if (!root || !root[0])
		return 0;
	dir = path_join(root, "th");
	result = add_directory(s, -1, dir, "th", NULL, err);
	free(dir);
	return result < 0 ? err_prefix(err, "THHOST_LUA") : 0;
}

void sources_release(struct sources *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].module);
		free(s->v[i].path);
		str_release(&s->v[i].text);
	}
	free(s->v);
	*s = (struct sources)SOURCES_INIT;
}
