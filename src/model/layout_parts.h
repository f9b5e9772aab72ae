/*
 * layout_parts - what the files of layout share. Nobody else includes it.
 */
#ifndef MODEL_LAYOUT_PARTS_H
#define MODEL_LAYOUT_PARTS_H
#include "model/layout.h"

#define LAYOUT_RECORD "training_info.json"
#define LAYOUT_JOURNAL ".thhost"
#define LAYOUT_BACKUP "." LAYOUT_RECORD ".bak"
#define LAYOUT_CURRENT "current"
#define LAYOUT_LATEST "latest"

/* Directory 'name' in 'dirfd', never through a link: a descriptor, or -1 with errno. */
int layout_open_child(int dirfd, const char *name);

/* Has it a record or a journal, or had it a record once (.bak)? What cannot be told counts as one, so
 * that it is looked at. */
bool layout_is_stage(int fd);

/* Names of the directories in 'dirfd' that are neither hidden nor links, in natural order. */
int layout_list_dirs(int dirfd, struct strv *names, struct err *err);

struct layout_contents {
	struct strv dirs; /* as above; of the caller, also after an error */
	bool has_record;  /* a name of that kind is there */
	bool has_journal;
};

/* What is in the open directory 'fd', which is at its end afterwards. */
int layout_look(int fd, struct layout_contents *contents, struct err *err);

/*
 * Open EXP/NAME, or the directory that NAME as a key of config.yml means. 'exp' is a real name or
 * NULL for directly below the root. 1: opened, 0: no such directory or no possible name; or it
 * cannot be told, then 'trouble' is set.
 */
int layout_try_open(const struct layout *layout, const char *exp, const char *name,
		    struct stage_dir *out, struct err *trouble);

/* Is this directory of the root an experiment: exp_*, or with config.yml, or with stages in it? */
bool layout_is_experiment(const struct layout *layout, const char *name);

#endif
