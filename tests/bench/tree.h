/* tree.h - what the files of 'tree' share; see tree.c. */
#ifndef TREE_H
#define TREE_H
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct training {
	uint64_t seed; /* decides all values */
	const char *dataset;
	const char *inherited_from; /* or NULL */
	int64_t start;		    /* seconds since 1970 */
	int stage;		    /* 0 to 3 */
	bool is_diverged;	    /* its loss became NaN */
};

struct model {
	struct training trainings[16];
	size_t n;
	char base[160];
	char parent[96]; /* a REF, or "" */
	const char *relation;
};

/* Where models are being made. */
struct place {
	uint64_t seed;
	size_t exp; /* number of the experiment */
	char name[32];
};

uint64_t chance(uint64_t *state);

/* End the program with the cause unless 'ok'. */
void need(bool ok, const char *what);

/* Good until the next call. */
char *path_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
void make_dir(const char *path);
FILE *make_file(const char *path);
void end_file(FILE *file);

/* A model of stage1 with one training; good until the next call. */
struct model *plain_model(uint64_t seed, const char *dataset);
int64_t steps_of(const struct training *training);
void print_training(FILE *out, const struct training *training, const char *pad);
void print_model(FILE *out, const struct model *model);

/* Its directory, record and lock file. */
void write_model(const char *dir, const struct model *model);

/* exp_foul; see tree_foul.c. */
void write_foul(const char *root, uint64_t seed, size_t huge);
#endif
