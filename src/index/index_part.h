/*
 * index_part - what the files of the index share. Nobody else includes it.
 */
#ifndef INDEX_INDEX_PART_H
#define INDEX_INDEX_PART_H
#include "index/index.h"
#include "index/rows.h"

struct index_root {
	char *path; /* canonical */
	struct layout layout;
	int64_t id; /* in the table; 0: not there yet */
	bool is_remote;
	int64_t newest_ms; /* stamp of change met so far, by the clock of that file system */
};

struct index {
	const struct index_options *options;
	struct index_root *roots;
	size_t n_roots;
	char *identity; /* what it is of, as text */
	int dirfd;	/* of the directory that it is in */
	char *dir;
	char *name; /* without ".sqlite" */
	char *path;
	struct db *db;
	struct rows *rows;
	struct strv waiting; /* stage directories that entries outside of the tree wait for */
	bool is_in;	     /* a transaction is open */
};

/* A transaction; ended by index_end(), or undone by index_undo(). */
int index_begin(struct index *index, const char *how, struct err *err);
int index_end(struct index *index, struct err *err);
void index_undo(struct index *index);

/* A place that has to be read again. */
struct dirty {
	size_t root;
	char *path;
	bool is_done;
};

struct dirty_list {
	struct dirty *v;
	size_t n;
	size_t cap;
};

/* index/check.c: all of them, in order; the ids of the roots are set. */
int index_check(struct index *index, struct dirty_list *out, struct err *err);
void dirty_list_release(struct dirty_list *list);

/* index/fill.c: read those places again, under the lock of the index. */
int index_fill(struct index *index, const struct dirty_list *dirty, struct err *err);

#endif
