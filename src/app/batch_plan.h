/*
 * batch_plan - where each job of a batch works, what it waits for, and whether all that can be made
 * right before anything starts is right.
 *
 *	struct batch_plan plan;
 *	batch_plan_make(&plan, session, &batch, NULL, &err);
 *	for (size_t i = 0; i < plan.order.n; i++)
 *		step = &plan.steps[plan.order.sorted[i]];
 *	batch_plan_release(&plan);
 *
 * Refused with file and line: cycles, stages and experiments that nobody knows, models to begin with
 * that neither the tree has nor a job makes, two jobs that would write one stage directory at once.
 * Writes nothing.
 */
#ifndef APP_BATCH_PLAN_H
#define APP_BATCH_PLAN_H
#include "app/record.h"
#include "model/batch.h"
#include "model/batch_order.h"

/* Stands for an experiment that is made when the batch starts. */
#define BATCH_NEW_EXP "(new)"

struct batch_step {
	const struct batch_job *job; /* borrowed */
	bool is_recording;
	char *exp;	  /* the experiment's name, or BATCH_NEW_EXP */
	char *ref;	  /* "exp_1/stage1_hrds": what it writes to */
	char *path;	  /* the same, absolute */
	struct strv argv; /* empty: the command of the configuration or the plugin */
};

struct batch_plan {
	const struct batch *batch;
	struct batch_step *steps; /* as batch->jobs */
	size_t n;
	struct batch_order order;
	char *common_exp;	/* of the jobs that name none; NULL: all do */
	struct strv named_exps; /* those to be made that have a name */
	struct strv words;	/* owner of the texts in 'order' */
};

/*
 * 'common_exp': the experiment of the jobs that name none, as it was found or made when the batch
 * started; NULL: find it. ERR_INVALID or ERR_NOT_FOUND, with "FILE:LINE: " in front.
 */
int batch_plan_make(struct batch_plan *plan, struct session *session, const struct batch *batch,
		    const char *common_exp, struct err *err);
void batch_plan_release(struct batch_plan *plan);

/* Make the experiments that the plan wants, and plan again with those. */
int batch_make_experiments(struct batch_plan *plan, struct session *session, struct err *err);

/* What 'thhost run' and 'record' are told of a step, into 'values' (initialised). */
int batch_values(const struct batch_step *step, struct values *values, struct err *err);

#endif
