/*
 * adopt_walk - every directory of a tree, by the names in it alone.
 *
 *	struct adopt_walk walk = { .marks = &marks, .depth = 16, .visit = visit, ... };
 *	adopt_walk(&walk, fd, "exp_1", &err);
 *
 * Directories in natural order, those above before those below. Links are never followed; what is
 * hidden, a program's packages or a Python environment is passed over. Memory is bounded by the
 * longest list of sub-directories on the way down. Nothing but directories is opened.
 */
#ifndef APP_ADOPT_WALK_H
#define APP_ADOPT_WALK_H
#include "base/err.h"
#include "base/str.h"

/* What the names in a directory say. */
enum adopt_has {
	ADOPT_HAS_MARKS = 1 << 0, /* a name as trainers leave it */
	ADOPT_HAS_RECORD = 1 << 1,
	ADOPT_HAS_BACKUP = 1 << 2,  /* of a record */
	ADOPT_HAS_JOURNAL = 1 << 3, /* .thhost */
	ADOPT_HAS_CONFIG = 1 << 4,  /* config.yml */
};

struct adopt_dir {
	const struct adopt_dir *up; /* NULL at the top */
	const char *path; /* as given for the top, and what lies below it: "exp_1/stage1_hrds" */
	const char *name; /* its last component */
	int fd;
	int depth; /* 0 at the top */
	unsigned has;
	size_t data; /* the visitor's, for those below to see; of the directory above at first */
};

enum adopt_next {
	ADOPT_STOP, /* the whole walk; the visitor has told why */
	ADOPT_DOWN, /* into the directories in it */
	ADOPT_PAST, /* nothing below is of interest */
};

struct adopt_marks {
	struct strv plain; /* names, sorted */
	struct strv globs; /* patterns for names */
	struct strv deep;  /* patterns with a '/', for path_glob() */
};

/* Add a plugin's pattern: "trainer_state.json", "checkpoint-*" "/trainer_state.json", "@log". One that
 * any directory may match says nothing and is left out. */
void adopt_marks_add(struct adopt_marks *marks, const char *pattern);

/* After the last one was added. */
void adopt_marks_sort(struct adopt_marks *marks);
void adopt_marks_release(struct adopt_marks *marks);

struct adopt_walk {
	const struct adopt_marks *marks;
	int depth; /* levels below the top that are looked at */
	enum adopt_next (*visit)(void *arg, struct adopt_dir *dir);
	void (*pass_over)(void *arg, const char *path, const char *why);
	void *arg;
	size_t n_deeper; /* directories that were left out for their depth */
};

/* 'fd' stays the caller's. 'path' is the top's, "" for one without a name. -1: the visitor stopped. */
int adopt_walk(struct adopt_walk *walk, int fd, const char *path);

#endif
