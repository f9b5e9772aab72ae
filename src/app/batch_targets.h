/*
 * batch_targets - who of a batch writes where: experiments, stage directories, and the jobs behind a
 * name. A part of batch_plan; nobody else includes this.
 */
#ifndef APP_BATCH_TARGETS_H
#define APP_BATCH_TARGETS_H
#include "app/batch_plan.h"

/* Some jobs, by their place in the batch. */
struct batch_jobs {
	char *key;
	size_t *v;
	size_t n;
	size_t cap;
};

struct batch_jobs_map {
	struct batch_jobs **v;
	size_t n;
	size_t cap;
	struct map by_key;
};

struct batch_targets {
	struct session *session;
	struct batch_plan *plan;
	struct plugin_plan **plans; /* one for each stage and data set */
	size_t n_plans;
	struct map plan_of;	      /* "stage/dataset" */
	struct strv plan_keys;	      /* owner of its keys */
	struct batch_jobs_map dirs;   /* "exp_1/stage1_hrds": who writes there */
	struct batch_jobs_map stages; /* "exp_1//stage1/hrds": who trains that */
};

void batch_targets_init(struct batch_targets *targets, struct session *session,
			struct batch_plan *plan);
void batch_targets_release(struct batch_targets *targets);

/* Find the experiment and the directory of every step. */
int batch_targets_find(struct batch_targets *targets, struct err *err);

/* What the plugins say of a step's stage. */
const struct plugin_plan *batch_targets_plan(const struct batch_targets *targets,
					     const struct batch_step *step);

/* Stages of the batch whose plugins say that 'stage' comes of them. */
void batch_targets_producers(const struct batch_targets *targets, const char *stage,
			     struct strv *out);

/* The jobs that write to what 'text' names as seen from 'step', or NULL; 'is_init': a data set of the
 * same stage first. */
const struct batch_jobs *batch_targets_named(const struct batch_targets *targets,
					     const struct batch_step *step, const char *text,
					     bool is_init);

/* The jobs that train 'stage' on 'dataset', or NULL. */
const struct batch_jobs *batch_targets_stage(const struct batch_targets *targets, const char *exp,
					     const char *stage, const char *dataset);

/* Is it in the tree, with a record? ERR_NOT_FOUND. */
int batch_targets_exists(const struct batch_targets *targets, const struct batch_step *step,
			 const char *text, bool is_init, struct err *err);
int batch_targets_has_stage(const struct batch_targets *targets, const char *exp, const char *stage,
			    const char *dataset, struct err *err);

/* All jobs of each directory. */
int batch_targets_each(const struct batch_targets *targets,
		       int (*visit)(void *arg, const struct batch_jobs *writers, struct err *err),
		       void *arg, struct err *err);

#endif
