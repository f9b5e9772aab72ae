/*
 * parents - what a training began from, found in the tree.
 *
 * An edge is one element of "parents" in an entry:
 *
 *	{"ref": "exp_1/stage1_hrds", "relation": "continues", "how": "declared",
 *	 "checkpoint": "checkpoint-10000", "run_id": "..."}
 *
 * relation: "continues" (--init-from, --into: the same model goes on), "starts_from" (its weights
 * were the base model), "uses" (its output was an input: features). how: "declared" by the user, or
 * "inferred" from a path or from what the stage's plugin requires.
 */
#ifndef APP_PARENTS_H
#define APP_PARENTS_H
#include "model/layout.h"
#include "sys/json.h"

/* Where in the tree a path or REF with a checkpoint behind it leads. */
struct base_place {
	struct stage_dir dir;
	char *checkpoint; /* what follows the stage directory, or NULL */
};

#define BASE_PLACE_INIT                                   \
	{                                                 \
		.dir = STAGE_DIR_INIT, .checkpoint = NULL \
	}
void base_place_release(struct base_place *place);

/*
 * Does 'text' (a base model as a user or a training names it: absolute, relative to here, to the
 * root or to experiment 'exp') lie in a stage directory of the tree?
 */
bool parents_find_base(struct layout *layout, const char *exp, const char *text,
		       struct base_place *out);

/* Print one edge; the run id and the checkpoint are taken from the parent's record where it has one. */
void parents_add(struct jsonw *w, const struct stage_dir *parent, const char *relation,
		 const char *how, const char *checkpoint);

/* A string at the top of the record of 'dir', or NULL; fresh memory. */
char *parents_record_string(const struct stage_dir *dir, const char *key);

#endif
