/*
 * layout - the only place that knows the tree.
 *
 *	<root>/exp_20251210_201220/            an experiment
 *	<root>/current -> exp_20251210_201220  the one in use
 *	<root>/EXP/<prefix>_<dataset>/         a stage directory
 *	<root>/EXP/<prefix>_<dataset>/training_info.json
 *
 * Which prefix a stage has comes from the plugins (struct stage_map); a stage
 * that none describes uses its own name. Everything is opened beneath the root:
 * a name cannot lead out of it.
 *
 * A REF is "stage1_hrds" (in the experiment in use), "EXP/stage1_hrds",
 * "stage1/hrds", "EXP/stage1/hrds", a path to a stage directory or to its
 * record, or a run id or an unambiguous prefix of one (4 characters or more).
 * EXP may be "current" or "latest". "stage2_hrds", the name that config.yml uses,
 * also finds "features_hrds" where no directory has the first name. A directory
 * that lies deeper, as in old trees, has its path below the root for a REF.
 */
#ifndef MODEL_LAYOUT_H
#define MODEL_LAYOUT_H
#include "base/err.h"
#include "base/str.h"

/* What the plugins say of stages; borrowed strings. */
struct stage_name {
	const char *stage;	/* "stage3" */
	const char *dir;	/* "parent_finder" */
	const char *model_name; /* may be NULL */
};

struct stage_map {
	const struct stage_name *v;
	size_t n;
};

struct layout {
	char *root; /* absolute path of the artifact root */
	int rootfd;
	struct stage_map stages;
};

/* Open the artifact root. ERR_NOT_FOUND names it and says how to make or set it. */
int layout_open(struct layout *layout, const char *root, const struct stage_map *stages,
		struct err *err);

/* A root that is not there, as if it were and empty: to show what would be made below it. */
int layout_plan(struct layout *layout, const char *root, const struct stage_map *stages,
		struct err *err);
void layout_close(struct layout *layout);

/* Make the artifact root and what is missing above it. */
int layout_make_root(const char *root, struct err *err);

/* ---- experiments ---- */

struct experiment {
	char *name;
	bool is_current;
	bool has_config; /* config.yml of the Python program */
	size_t n_stages; /* stage directories in it */
	char *title;	 /* experiment.name of config.yml, or NULL */
	int64_t id;	 /* experiment.id, or 0 */
	char *created;	 /* experiment.created, or NULL */
};

/*
 * Make a new one; 'name' NULL: exp_YYYYmmdd_HHMMSS of now, and if that exists the next free second.
 * Never two processes the same directory (mkdir decides). 'current' points to it afterwards; where
 * that cannot be, nothing is made. ERR_BUSY if 'name' exists; ERR_NOT_DURABLE: made and in use, but
 * the link may not be on the disk.
 */
int layout_new_experiment(struct layout *layout, const char *name, struct str *made,
			  struct err *err);

/* The same for an entry that is about to be made: it is told, and a link that may not be on the disk
 * is no reason to stop. */
int layout_begin_experiment(struct layout *layout, const char *name, struct str *made,
			    struct err *err);

/* Make 'name' unless it is there; 'current' stays what it is. */
int layout_make_experiment(struct layout *layout, const char *name, struct err *err);

/* All experiments, oldest name first; also directories that hold nothing yet. */
int layout_list_experiments(struct layout *layout, struct experiment **out, size_t *n,
			    struct err *err);
void experiment_list_release(struct experiment *list, size_t n);

/* Point 'current' at an existing experiment. */
int layout_use_experiment(struct layout *layout, const char *name, struct err *err);

/*
 * The name behind 'exp': NULL or "current": the link (or, without one, the latest); "latest": the
 * newest exp_*; else the name itself, which must exist. ERR_NOT_FOUND suggests.
 */
int layout_find_experiment(struct layout *layout, const char *exp, struct str *name,
			   struct err *err);

/* The experiment's config.yml as JSON text. ERR_NOT_FOUND without one. */
int layout_read_config(struct layout *layout, const char *exp, struct str *json_out,
		       struct err *err);

/* One entry of "stages" in config.yml; what is not there is NULL. */
struct stage_state {
	char *key;    /* "stage2_hrds" */
	char *dir;    /* "features_hrds": the directory that the key means */
	char *status; /* pending, in_progress, completed, failed */
	char *best_checkpoint;
	char *started_at; /* 'YYYY-mm-dd HH:MM:SS', local time without a zone */
	char *completed_at;
	char *metrics; /* JSON object text */
	int64_t current_step;
};

/* In the order of the file; no config.yml is an empty list. */
int layout_list_states(struct layout *layout, const char *exp, struct stage_state **out, size_t *n,
		       struct err *err);
void stage_state_list_release(struct stage_state *list, size_t n);

/* ---- stage directories ---- */

struct stage_dir {
	char *exp;     /* NULL for a path outside the root, or for a directory directly in it */
	char *name;    /* "stage1_hrds"; "stage1_hrds/fold_1" for one that lies deeper */
	char *ref;     /* "exp_1/stage1_hrds", or the path: for messages and for 'parents' */
	char *path;    /* absolute */
	char *stage;   /* from the name and the map, NULL if it cannot be told */
	char *dataset; /* likewise */
	int fd;	       /* open directory */
	bool is_plain; /* no journal was there when it was found */
};

#define STAGE_DIR_INIT   \
	{                \
		.fd = -1 \
	}
void stage_dir_release(struct stage_dir *dir);

/* What is known of directory 'name' of 'exp' (NULL: directly below the root) without a look at it;
 * takes 'fd', which may be -1. */
void layout_fill(const struct layout *layout, struct stage_dir *out, const char *exp,
		 const char *name, int fd);

/* "parent_finder_hrds" for stage3 and hrds; "parent_finder" without a dataset. */
char *layout_stage_dir_name(const struct layout *layout, const char *stage, const char *dataset);

/*
 * The reverse, in fresh memory: the longest prefix wins, the rest is the dataset ("my_biz" of
 * "parent_finder_my_biz"). "stageN_..." is understood without any plugin. NULLs if it cannot be told.
 */
void layout_split_name(const struct layout *layout, const char *name, char **stage, char **dataset);

/*
 * Open (and with 'create' make, parents synced) the directory of a stage and dataset. With 'create',
 * 'exp' NULL and no experiment at all, a first one is made.
 */
int layout_open_stage(struct layout *layout, const char *exp, const char *stage,
		      const char *dataset, bool create, struct stage_dir *out, struct err *err);

/*
 * Like layout_open_stage(), but make nothing: where the directory (or a first experiment) does not
 * exist yet, 'out' says what would be made and has fd -1.
 */
int layout_plan_stage(struct layout *layout, const char *exp, const char *stage,
		      const char *dataset, struct stage_dir *out, struct err *err);

/* The same in an experiment that is to be made; 'exp' NULL: exp_YYYYmmdd_HHMMSS of now. */
void layout_plan_fresh(const struct layout *layout, const char *exp, const char *stage,
		       const char *dataset, struct stage_dir *out);

/*
 * Open what a REF names. 'exp': the experiment that short forms are relative to (NULL: current).
 * Tried in this order: a directory of the experiment, the name of config.yml, a directory directly
 * below the root, a run id, a path. ERR_INVALID where a REF has two meanings.
 */
int layout_resolve(struct layout *layout, const char *exp, const char *ref, struct stage_dir *out,
		   struct err *err);

/* The same for a REF that was read from a record: it cannot name a path outside the root. */
int layout_resolve_recorded(struct layout *layout, const char *exp, const char *ref,
			    struct stage_dir *out, struct err *err);

/*
 * Every stage directory below the root that holds a record or a journal, experiment by experiment,
 * in natural order; 'visit' returns -1 to stop. A directory that cannot be opened is reported to
 * 'visit' with fd -1 and the reason in its 'err'. Also records directly below the root, one level
 * deeper than a stage, and, where directories have no name of a stage, down to LAYOUT_DEPTH levels
 * below the root. Links are not followed. 'dir' is released after the visit, unless the visitor
 * keeps it: copy the struct and set *dir to STAGE_DIR_INIT.
 */
#define LAYOUT_DEPTH 32

int layout_walk(struct layout *layout, const char *exp,
		int (*visit)(void *arg, struct stage_dir *dir, struct err *err), void *arg,
		struct err *err);

/*
 * For one that keeps what a walk found: the parts that it goes through, each below the other, and all
 * that it looked at. A part is the root (""), a directory directly below it ("exp_1"), or one directly
 * below an experiment ("exp_1/stage1_hrds"), with what lies deeper. Paths are relative to the root.
 */
struct layout_watch {
	void *arg;
	/* 1: walk it; 0: pass it over, without leave(); -1 with 'err': stop. */
	int (*enter)(void *arg, const char *path, struct err *err);
	int (*leave)(void *arg, const char *path, struct err *err); /* 0, or -1 with 'err': stop */
	/* This directory is about to be opened and listed. */
	void (*look)(void *arg, const char *path);
	/* What is below the part that was entered last could not all be seen, and that is no error. */
	void (*doubt)(void *arg);
};

/* layout_walk() of one such part. What is not there (any more) is nothing. 'watch' may be NULL. */
int layout_walk_part(struct layout *layout, const char *path, const struct layout_watch *watch,
		     int (*visit)(void *arg, struct stage_dir *dir, struct err *err), void *arg,
		     struct err *err);

/* Is a directory of this name none that trainings lie in or below: hidden, a program's packages? */
bool layout_is_no_place(const char *name);

#endif
