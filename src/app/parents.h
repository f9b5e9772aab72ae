/*
 * parents - what a training began from, found in the tree.
 *
 * An edge is one element of "parents" in an entry:
 *
 *	{"ref": "exp_1/stage1_hrds", "relation": "continues", "how": "declared",
 *	 "checkpoint": "checkpoint-10000", "run_id": "...", "sha256": "...", "path": "../stage1_hrds"}
 *
 * relation: "continues" (--init-from, --into: the same model goes on), "starts_from" (its weights
 * were the base model), "uses" (its output was an input: features). how: "declared" by the user, or
 * "inferred" from a path or from what the stage's plugin requires. The last three find the parent
 * again when directories have been renamed or moved: its last run, the content of the checkpoint, and
 * where it lies as seen from the child (where both are below the same root).
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

/*
 * 'path' with its links resolved. Up to 'spare' components at its end need not be there: checkpoints
 * come and go. Fresh memory, or NULL.
 */
char *parents_resolve_links(const char *path, size_t spare);

/* How many components of a base model's path may be missing: the first must be there, or any text
 * would lie somewhere. */
size_t parents_spare(const char *text);

/* Print one edge of the record 'child' (a REF); the run id, the checkpoint and its hash are taken from
 * the parent's record where it has them. */
void parents_add(struct jsonw *w, const struct stage_dir *parent, const char *child,
		 const char *relation, const char *how, const char *checkpoint);

/* A string at the top of the record of 'dir', or NULL; fresh memory. */
char *parents_record_string(const struct stage_dir *dir, const char *key);

#endif
