#include "base/base.h"

#include "app/ancestry.h"

#include "app/claims.h"
#include "app/parents.h"

struct adding {
	struct lineage *lineage;
	struct layout *layout;
	const char *exp;
	size_t node;
};

/* A record without edges of its own began with its base model, in the tree or outside. */
static void add_base(const struct adding *adding, const struct claim *claim)
{
	struct base_place place = BASE_PLACE_INIT;
	size_t parent;

	if (parents_find_base(adding->layout, adding->exp, claim->ref, &place)) {
		parent = lineage_node(adding->lineage, place.dir.ref);
		lineage_connect(adding->lineage, parent, adding->node, claim->relation,
				place.checkpoint, false);
	} else {
		parent = lineage_node(adding->lineage, claim->ref);
		lineage_define(adding->lineage, parent, true);
		lineage_connect(adding->lineage, parent, adding->node, claim->relation, NULL, true);
	}
	base_place_release(&place);
}

static void add_claim(void *arg, const struct claim *claim)
{
	const struct adding *adding = arg;

	if (claim->of || claim->kind == CLAIM_ENTRY_BASE)
		return;
	if (claim->kind != CLAIM_BASE)
		lineage_connect(adding->lineage, lineage_node(adding->lineage, claim->ref),
				adding->node, claim->relation, claim->checkpoint,
				claim->is_declared);
	else if (!adding->lineage->nodes[adding->node].n_parents)
		add_base(adding, claim);
}

void ancestry_add(struct lineage *lineage, const struct history *history, struct layout *layout)
{
	struct adding adding = {
		.lineage = lineage,
		.layout = layout,
		.exp = history->dir.exp,
		.node = lineage_node(lineage, history->dir.ref),
	};

	lineage_define(lineage, adding.node, false);
	claims_read(&history->info, add_claim, &adding);
}
