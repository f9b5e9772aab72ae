/*
 * source - the texts of plugins, read with suspicion.
 *
 * What others can write is refused: a plugin runs with our rights up to the
 * moment its worker confines itself, and it decides what gets recorded. Symbolic
 * links are followed; what counts is the file they lead to.
 */
#ifndef SCRIPT_SOURCE_H
#define SCRIPT_SOURCE_H
#include "base/err.h"
#include "base/str.h"
#include "script/plugin.h"

#define SOURCE_LIMIT ((size_t)1 << 20)

struct source {
	int plugin;   /* 0, 1, or -1 for th.* */
	char *module; /* "" for the plugin itself */
	char *path;
	struct str text;
};

struct sources {
	struct source *v;
	size_t n;
};

#define SOURCES_INIT              \
	{                         \
		.v = NULL, .n = 0 \
	}

/* Add the text of plugin number 'number' and of the files beside it if it is a directory plugin. */
int sources_add_plugin(struct sources *s, int number, const struct plugin_file *file,
		       struct err *err);

/* Add th.* from $THHOST_LUA, if that is set. */
int sources_add_override(struct sources *s, struct err *err);
void sources_release(struct sources *s);

/* Kind and name of a plugin file that need not be on the path, by its place (in find.c). The caller
 * frees the three strings of 'out'. */
int source_locate(const char *path, struct plugin_file *out, struct err *err);

/* ERR_PLUGIN if others can write to the directory. */
int source_check_dir(const char *path, struct err *err);

#endif
