/*
 * adopt - take in trainings that nobody recorded.
 *
 *	struct adopt adopt;
 *	adopt_init(&adopt, session);
 *	adopt.stage = ...; adopt.depth = ...; adopt.tick = ...;
 *	adopt_open(&adopt, dir, &err);	   which root; what to look for
 *	adopt_look(&adopt, &err);	   walk, read, link: adopt.models is what was found
 *	adopt_write(&adopt, &err);	   one new record for each that is ADOPT_READY
 *	adopt_release(&adopt);
 *
 * Nothing is written before adopt_write(), which makes each record in one step, those that others
 * began from first, and never touches one that exists. So it may be killed at any time and
 * started again: what is left to do is done then. A training that failed or was interrupted gets no
 * record. Each entry says in "evidence" how its fields are known: observed (read from what the
 * training wrote), declared (by the user or by config.yml), inferred (from names, paths and file
 * times), derived (computed).
 */
#ifndef APP_ADOPT_H
#define APP_ADOPT_H
#include "app/adopt_walk.h"
#include "app/session.h"
#include "model/info.h"

#define ADOPT_DEPTH 16

enum adopt_state {
	ADOPT_READY,	/* a record can be made */
	ADOPT_RECORDED, /* there is one, not by us */
	ADOPT_LEFT,	/* a training, but none that is recorded; 'reason' says why */
	ADOPT_WRITTEN,
	ADOPT_FAILED, /* tried, and refused by the world; 'reason' */
};

/* What a model began from: another one of the list. */
struct adopt_edge {
	size_t from;
	const char *relation; /* "continues", "starts_from", "uses"; static */
	char *checkpoint;     /* or NULL */
	bool by_content;      /* its weights are the same; else its path was named */
};

struct adopt_model {
	char *ref; /* path below the root */
	char *exp; /* its first component; NULL directly below the root */
	enum adopt_state state;
	char *reason;
	char *stage;
	char *dataset;		 /* "unknown" where nothing tells */
	const char *stage_how;	 /* as in "evidence", or NULL */
	const char *dataset_how; /* NULL: unknown */
	char *model_name;
	char *reader; /* what read it, for people */
	char *why;    /* how it was recognised, or NULL */
	bool is_home; /* read by its stage's own plugin */
	bool is_weak; /* nothing but a guess, so it covers nothing that is surer */
	struct entry *entries;
	size_t n_entries;
	bool steps_known;
	char *checkpoint;  /* final one, or NULL */
	struct strv bases; /* what it may have begun from, as texts, the surest first */
	struct strv
		needs; /* names of directories of the same experiment that the stage works from */
	struct adopt_edge *edges;
	size_t n_edges;
	char *base_model; /* as it is recorded, or NULL */
	const char *base_how;
	struct strv notes;   /* what could not be told, for people */
	struct strv remarks; /* what the plugin said of its files */
	bool is_ordered;     /* adopt_link()'s own */
};

struct adopt_passed {
	char *path;
	char *why;
};

struct adopt_counts {
	size_t directories;
	size_t candidates; /* that a plugin was asked about */
	size_t models;	   /* ADOPT_READY so far, or written so far */
	size_t deeper;	   /* not looked at */
};

struct adopt_home;

struct adopt {
	struct session *session;
	const char *stage; /* --as; NULL: as it looks */
	const char *dataset;
	int depth;
	/* Called often; 'at' is where the work is. False: stop. */
	bool (*tick)(void *arg, const struct adopt_counts *counts, const char *at);
	void *tick_arg;

	char *top; /* what is walked, below the root; "" for the root itself */
	struct adopt_marks marks;
	struct adopt_model *models;
	size_t n;
	size_t cap;
	size_t *order; /* the models so that bases come before what began from them */
	struct adopt_passed
		*passed; /* directories that could not be read; the first ADOPT_PASSED_MAX */
	size_t n_passed;
	size_t n_passed_kept;
	struct adopt_counts counts;
	struct adopt_home *home; /* config.yml of the experiment at hand */
	struct err *err;	 /* of a walk that stops */
};

#define ADOPT_PASSED_MAX 1000
#define ADOPT_NONE SIZE_MAX

void adopt_init(struct adopt *adopt, struct session *session);

/*
 * 'dir' NULL: the artifact root. A directory elsewhere is a root of its own, or, if it is an
 * experiment or a training itself, the directory above it is.
 */
int adopt_open(struct adopt *adopt, const char *dir, struct err *err);

/* ERR_INTERRUPTED when 'tick' said so. */
int adopt_look(struct adopt *adopt, struct err *err);

/* -1 only if it was interrupted; what could not be written is ADOPT_FAILED. */
int adopt_write(struct adopt *adopt, struct err *err);
void adopt_release(struct adopt *adopt);

/* ---- between the parts of adopt ---- */

/* A new one at the end of the list; the address holds until the next one. */
struct adopt_model *adopt_add(struct adopt *adopt, const char *ref, enum adopt_state state);

/* False: the user wants to stop. */
bool adopt_tick(struct adopt *adopt, const char *at);

/* Ask the plugin of a stage what lies in 'dir'. The model's number, or ADOPT_NONE: no training; then
 * 'runs' says whether directories below hold one each. */
size_t adopt_read(struct adopt *adopt, const struct adopt_dir *dir, bool is_home, bool *has_runs);

/* Which came from which, and the order. */
void adopt_link(struct adopt *adopt);

/* The checkpoint of another model that has the same weights as lie at 'path' (a file or directory);
 * ADOPT_NONE, also where several have them. */
size_t adopt_same_weights(struct adopt *adopt, size_t self, const char *path, char **checkpoint);

#endif
