/* From what the records claim to edges; pedigree.h has the order in which a parent is looked for. */
#include "base/base.h"

#include "app/pedigree_parts.h"
#include "base/mem.h"
#include "sys/path.h"

/* Where a parent was found, or that it was not. */
struct answer {
	size_t node;
	const char *found_by;
	size_t *others; /* several fit */
	size_t n_others;
};

static bool is_there(const struct pedigree *p, size_t node)
{
	return node != LINEAGE_NONE && p->nodes[node].kind != PEDIGREE_MISSING;
}

/* Its key, whether it is there or not; fresh memory. */
static char *key_of(const struct pedigree *p, size_t root, const char *ref)
{
	if (ref[0] == '/' || root == LINEAGE_NONE)
		return path_absolute(ref);
	return path_join(p->roots[root].real, ref);
}

static size_t at_ref(const struct pedigree *p, size_t root, const char *ref)
{
	char *key = key_of(p, root, ref);
	size_t node = lineage_find(&p->graph, key);

	free(key);
	if (!is_there(p, node) && ref[0] == '/') {
		char *real = realpath(ref, NULL);

		node = real ? lineage_find(&p->graph, real) : LINEAGE_NONE;
		free(real);
	}
	return is_there(p, node) ? node : LINEAGE_NONE;
}

/* At 'path' as seen from the child; only a way below its root counts. */
static size_t at_path(const struct pedigree *p, size_t child, const char *path)
{
	char *whole;
	char *key;
	size_t node;

	if (!path || path[0] == '/' || strlen(path) > 4096)
		return LINEAGE_NONE;
	whole = path_join(p->graph.nodes[child].ref, path);
	key = path_absolute(whole);
	node = lineage_find(&p->graph, key);
	free(key);
	free(whole);
	return is_there(p, node) && p->nodes[node].root == p->nodes[child].root ? node
										: LINEAGE_NONE;
}

static bool is_proven(const struct pedigree_work *work, const struct claim *claim, size_t node)
{
	return node != LINEAGE_NONE && (identities_has(&work->trainings, claim->training, node) ||
					identities_has(&work->weights, claim->weights, node));
}

/* 2: beside the child; 1: below the same root; 0: elsewhere. */
static int nearness(const struct pedigree *p, size_t child, size_t node)
{
	const char *a = p->graph.nodes[child].ref;
	const char *b = p->graph.nodes[node].ref;
	size_t len = (size_t)(path_base(a) - a);

	if (p->nodes[child].root != p->nodes[node].root)
		return 0;
	return len == (size_t)(path_base(b) - b) && strncmp(a, b, len) == 0 ? 2 : 1;
}

/* Nobody reads more than a few of those that may be meant. */
#define OTHERS_MAX 100

/* The nearest of the owners if no other is as near; else all of those. True: no more to look for. */
static bool choose(const struct pedigree *p, size_t child, const struct identity_owner *v, size_t n,
		   const char *found_by, struct answer *answer)
{
	int best = -1;
	size_t n_best = 0;

	for (size_t i = 0; i < n; i++) {
		int near = v[i].owner == child ? -1 : nearness(p, child, v[i].owner);

		if (near > best) {
			best = near;
			n_best = 0;
		}
		if (near == best && near >= 0) {
			answer->node = v[i].owner;
			n_best++;
		}
	}
	answer->found_by = found_by;
	if (n_best <= 1)
		return n_best;
	answer->node = LINEAGE_NONE;
	answer->others = xcalloc(n_best < OTHERS_MAX ? n_best : OTHERS_MAX, sizeof(size_t));
	for (size_t i = 0; i < n && answer->n_others < OTHERS_MAX; i++)
		if (v[i].owner != child && nearness(p, child, v[i].owner) == best)
			answer->others[answer->n_others++] = v[i].owner;
	return true;
}

static bool by_identity(const struct pedigree_work *work, size_t child, const struct claim *claim,
			struct answer *answer)
{
	const struct pedigree *p = work->pedigree;
	const struct identity_owner *first;
	size_t n = identities_find(&work->trainings, claim->training, &first);

	if (choose(p, child, first, n, "run_id", answer))
		return true;
	n = identities_find(&work->weights, claim->weights, &first);
	return choose(p, child, first, n, "sha256", answer);
}

/* The same REF below other roots. */
static bool in_other_roots(const struct pedigree *p, size_t child, const char *ref,
			   struct answer *answer)
{
	struct identity_owner *v = xcalloc(p->n_roots + 1, sizeof(*v));
	size_t n = 0;
	bool done;

	for (size_t i = 0; i < p->n_roots && ref[0] != '/'; i++) {
		size_t node = i == p->nodes[child].root ? LINEAGE_NONE : at_ref(p, i, ref);

		if (node != LINEAGE_NONE)
			v[n++].owner = node;
	}
	done = choose(p, child, v, n, "ref", answer);
	free(v);
	return done;
}

/* Is there nothing left of the experiment that the REF is in? */
static bool has_lost_home(const struct pedigree *p, const char *ref)
{
	for (size_t i = 0; i < p->n_roots; i++) {
		char *key = path_join(p->roots[i].real, ref);
		char *home = path_dir(key);
		bool is_known = map_get(&p->homes, home) != NULL;

		free(home);
		free(key);
		if (is_known)
			return false;
	}
	return true;
}

/* An old record has nothing but the REF: its experiment may have been renamed, with both in it. */
static bool beside_child(const struct pedigree *p, size_t child, const struct claim *claim,
			 struct answer *answer)
{
	char *home;
	char *key;

	if (claim->path || identity_is_known(claim->training) ||
	    identity_is_known(claim->weights) || !strchr(claim->ref, '/') ||
	    !has_lost_home(p, claim->ref))
		return false;
	home = path_dir(p->graph.nodes[child].ref);
	key = path_join(home, path_base(claim->ref));
	answer->node = lineage_find(&p->graph, key);
	answer->found_by = "name";
	free(key);
	free(home);
	return is_there(p, answer->node) && answer->node != child;
}

static struct answer answer_at(size_t node, const char *found_by)
{
	return (struct answer){ .node = node, .found_by = found_by };
}

static struct answer look_for(const struct pedigree_work *work, size_t child,
			      const struct claim *claim)
{
	const struct pedigree *p = work->pedigree;
	size_t named = at_ref(p, p->nodes[child].root, claim->ref);
	size_t near = at_path(p, child, claim->path);
	struct answer answer = answer_at(LINEAGE_NONE, NULL);

	if (is_proven(work, claim, named))
		return answer_at(named, "ref");
	if (is_proven(work, claim, near))
		return answer_at(near, "path");
	/* Nobody has that run or hash any more, or the record has none: what it is called counts. */
	if (by_identity(work, child, claim, &answer))
		return answer;
	if (named != LINEAGE_NONE)
		return answer_at(named, "ref");
	if (near != LINEAGE_NONE)
		return answer_at(near, "path");
	if (in_other_roots(p, child, claim->ref, &answer) || beside_child(p, child, claim, &answer))
		return answer;
	return answer_at(LINEAGE_NONE, NULL);
}

static size_t missing_at(struct pedigree *p, size_t root, const char *ref)
{
	char *key = key_of(p, root, ref);
	size_t node = pedigree_missing(p, key, ref[0] == '/' ? key : ref,
				       ref[0] == '/' ? LINEAGE_NONE : root);

	free(key);
	return node;
}

/* Found elsewhere than the record says? */
static bool has_moved(const struct answer *answer)
{
	return answer->found_by && strcmp(answer->found_by, "ref") != 0;
}

/* True: the edge is new. */
static bool connect(struct pedigree *p, size_t from, size_t to, const struct claim *claim,
		    const struct answer *answer)
{
	size_t known = p->graph.n_edges;
	bool is_declared =
		claim->is_declared && !(answer->found_by && strcmp(answer->found_by, "name") == 0);
	struct lineage_edge *edge = lineage_connect(&p->graph, from, to, claim->relation,
						    claim->checkpoint, is_declared);

	if (!edge || p->graph.n_edges == known)
		return false;
	edge->found_by = answer->found_by;
	if (has_moved(answer))
		edge->named = claim->ref;
	return true;
}

/* A parent that is named twice, in the record and in an entry, is complained of once. */
static void link_parent(struct pedigree_work *work, const struct pedigree_claim *c)
{
	struct pedigree *p = work->pedigree;
	struct answer answer = look_for(work, c->child, &c->claim);
	bool is_found = answer.node != LINEAGE_NONE;

	if (!is_found)
		answer = (struct answer){
			.node = missing_at(p, p->nodes[c->child].root, c->claim.ref),
			.others = answer.others,
			.n_others = answer.n_others,
		};
	if (connect(p, answer.node, c->child, &c->claim, &answer) && !is_found)
		pedigree_complain(p, answer.n_others ? TROUBLE_AMBIGUOUS : TROUBLE_MISSING,
				  c->child, c->claim.ref, answer.others, answer.n_others);
	else
		free(answer.others);
}

/* ---- base models ---- */

/* Is 'name' one of the components of 'path'? */
static bool has_component(const char *path, const char *name)
{
	const char *part;
	size_t len;

	while ((part = path_next(&path, &len)))
		if (len == strlen(name) && memcmp(part, name, len) == 0)
			return true;
	return false;
}

/* Does the model have a parent whose weights it has, so that 'base' is that one's? Or one whose
 * output it uses, and 'base' is but the place where that lay? */
static bool has_origin(const struct pedigree *p, size_t node, const char *base)
{
	const struct lineage_node *n = &p->graph.nodes[node];

	for (size_t i = 0; i < n->n_parents; i++) {
		const struct lineage_edge *edge = &p->graph.edges[n->parents[i]];

		if (strcmp(edge->relation, "uses") != 0 ||
		    has_component(base, path_base(p->nodes[edge->from].ref)))
			return true;
	}
	return false;
}

/* Where it lies in the tree; what lies nowhere there is a model from outside. */
static struct answer look_for_base(struct pedigree_work *work, size_t child, struct claim *claim,
				   struct pedigree_place *place)
{
	struct pedigree *p = work->pedigree;
	bool makes = claim->kind == CLAIM_BASE && !claim->of;

	pedigree_place(p, child, work->here, claim->ref, makes, place);
	claim->checkpoint = place->checkpoint;
	if (place->node != LINEAGE_NONE)
		return answer_at(place->node, strcmp(place->found_by, "path") == 0
						      ? "ref" /* where the record says */
						      : place->found_by);
	if (claim->kind == CLAIM_ENTRY_BASE)
		return answer_at(LINEAGE_NONE, NULL);
	claim->is_declared = !claim->of;
	return answer_at(pedigree_outside(p, claim->ref), NULL);
}

static void link_base(struct pedigree_work *work, const struct pedigree_claim *c)
{
	struct pedigree *p = work->pedigree;
	struct claim claim = c->claim;
	struct pedigree_place place;
	struct answer answer = look_for_base(work, c->child, &claim, &place);

	if (answer.node != LINEAGE_NONE && connect(p, answer.node, c->child, &claim, &answer) &&
	    p->nodes[answer.node].kind == PEDIGREE_MISSING)
		pedigree_complain(p, TROUBLE_MISSING, c->child, claim.ref, NULL, 0);
	if (place.n_others) {
		pedigree_complain(p, TROUBLE_AMBIGUOUS, c->child, claim.ref, place.others,
				  place.n_others);
		place.others = NULL;
	}
	pedigree_place_release(&place);
}

/* ---- what heirs know of the dead ---- */

static struct answer look_for_elder(struct pedigree_work *work, size_t child,
				    const struct claim *claim)
{
	struct answer answer = look_for(work, child, claim);

	free(answer.others);
	if (answer.node == LINEAGE_NONE)
		answer = answer_at(missing_at(work->pedigree, work->pedigree->nodes[child].root,
					      claim->ref),
				   NULL);
	return answer;
}

static void link_ancestor(struct pedigree_work *work, const struct pedigree_claim *c)
{
	struct pedigree *p = work->pedigree;
	const struct claim who = { .ref = c->claim.of, .training = c->claim.of_training };
	struct claim claim = c->claim;
	struct pedigree_place place = { .node = LINEAGE_NONE };
	size_t heir = look_for_elder(work, c->child, &who).node;
	struct answer elder;

	if (p->nodes[heir].kind != PEDIGREE_MISSING)
		return; /* it speaks for itself */
	if (claim.kind == CLAIM_BASE)
		elder = look_for_base(work, c->child, &claim, &place);
	else
		elder = look_for_elder(work, c->child, &claim);
	connect(p, elder.node, heir, &claim, &elder);
	pedigree_place_release(&place);
}

void pedigree_link(struct pedigree_work *work)
{
	struct pedigree *p = work->pedigree;

	for (size_t i = 0; i < work->n_claims; i++) {
		const struct pedigree_claim *c = &work->claims[i];

		if (c->claim.of)
			link_ancestor(work, c);
		else if (c->claim.kind == CLAIM_PARENT || c->claim.kind == CLAIM_INHERITED)
			link_parent(work, c);
		else if (c->claim.kind == CLAIM_ENTRY_BASE ||
			 !has_origin(p, c->child, c->claim.ref))
			link_base(work, c);
	}
}
