/*
 * What each model began from. A parent that is where its record says, and is the one that the record
 * means, is found by a look at that place. Where there is the least doubt the pedigree of all records
 * is asked (app/pedigree.h has the order in which it looks for parents), so that both always agree.
 */
#include "base/base.h"

#include "app/cost_parts.h"
#include "app/parents.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/path.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

enum finding {
	FOUND_NOT, /* it is nowhere in the trees */
	FOUND,
	IN_DOUBT,
};

/* The parents of one record while they are looked for. */
struct linking {
	struct costs *costs;
	size_t child;
	const struct cost_tree *tree;
	size_t *v;
	size_t n;
};

static void add_parent(struct linking *l, size_t parent)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i] == parent)
			return;
	if (parent == l->child)
		return;
	l->v = xreallocarray(l->v, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = parent;
}

/* ---- places ---- */

/* The only tree that the path lies in, or NULL. */
static const struct cost_tree *only_tree(const struct costs *costs, const char *path)
{
	const struct cost_tree *found = NULL;

	for (size_t i = 0; i < costs->n_trees; i++) {
		if (!cost_lies_below(path, costs->trees[i].path))
			continue;
		if (found)
			return NULL;
		found = &costs->trees[i];
	}
	return found;
}

/* "exp_1/stage1_hrds" */
static const char *below(const struct cost_tree *tree, const char *path)
{
	path += strlen(tree->path);
	return path + strspn(path, "/");
}

static char *experiment_of(const struct cost_tree *tree, const char *path)
{
	const char *slash = strchr(below(tree, path), '/');

	return slash ? xstrndup(path, (size_t)(slash - path)) : NULL;
}

/* Does a walk of the tree come by there for sure? It is EXP/DIR, and no link in that. */
static bool is_plain(const struct costs *costs, const char *path)
{
	const struct cost_tree *tree = only_tree(costs, path);
	char *exp = tree ? experiment_of(tree, path) : NULL;
	const char *name = exp ? path + strlen(exp) + 1 : "";
	bool is_plain = exp && *name && !strchr(name, '/') && !layout_is_no_place(name) &&
			!layout_is_no_place(path_base(exp)) && !has_prefix(name, "checkpoint");
	char *real = is_plain ? realpath(path, NULL) : NULL;

	is_plain = real && strcmp(real, path) == 0;
	free(real);
	free(exp);
	return is_plain;
}

/* Is there something of that name, or can that not be told? */
static bool may_exist(const char *path)
{
	return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* ---- parents by REF ---- */

static bool has_made(const struct cost_node *node, const struct claim *claim)
{
	for (size_t i = 0; i < node->n; i++) {
		const struct cost_spent *spent = &node->v[i];

		if (!spent->is_own)
			continue;
		if ((identity_is_known(claim->training) &&
		     identity_equal(claim->training, spent->training)) ||
		    (identity_is_known(claim->weights) &&
		     identity_equal(claim->weights, spent->weights)))
			return true;
	}
	return false;
}

/* The record at 'path', if it is there and the one that is meant. 'path' is absolute. */
static enum finding try_record(struct linking *l, const char *path, const struct claim *claim,
			       bool needs_proof, size_t *node)
{
	if (!may_exist(path))
		return FOUND_NOT;
	if (!is_plain(l->costs, path))
		return IN_DOUBT;
	*node = costs_node(l->costs, path);
	if (!costs_read(l->costs, *node))
		return IN_DOUBT;
	return !needs_proof || has_made(&l->costs->nodes[*node], claim) ? FOUND : FOUND_NOT;
}

/* Where the record says, or at the way from the child; both must be there, as lineage has it. */
static enum finding find_parent(struct linking *l, const struct claim *claim, size_t *node)
{
	bool needs_proof = identity_is_known(claim->training) || identity_is_known(claim->weights);
	char *path = claim->ref[0] == '/' ? path_absolute(claim->ref)
					  : path_join(l->tree->path, claim->ref);
	enum finding found = try_record(l, path, claim, needs_proof, node);
	char *way;

	free(path);
	if (found == FOUND_NOT && needs_proof && claim->path && claim->path[0] != '/') {
		way = path_join(l->costs->nodes[l->child].path, claim->path);
		path = path_absolute(way);
		if (only_tree(l->costs, path) == l->tree)
			found = try_record(l, path, claim, true, node);
		free(path);
		free(way);
	}
	return found == FOUND ? FOUND : IN_DOUBT;
}

/* ---- parents by the path of a base model ---- */

/* The record that 'path' is the directory of, or lies in. */
static enum finding climb(struct linking *l, const char *path, size_t *node)
{
	char *head = xstrdup(path);
	enum finding found = FOUND_NOT;

	while (found == FOUND_NOT && costs_tree_of(l->costs, head)) {
		char *record = path_join(head, "training_info.json");

		if (may_exist(record))
			found = IN_DOUBT;
		free(record);
		if (found == IN_DOUBT && is_plain(l->costs, head)) {
			*node = costs_node(l->costs, head);
			found = costs_read(l->costs, *node) ? FOUND : IN_DOUBT;
		}
		*strrchr(head, '/') = '\0';
	}
	free(head);
	return found;
}

/* 'known' bytes of 'path' are not the record's. What is in a tree and is no model is one that is gone,
 * perhaps. */
static enum finding try_path(struct linking *l, const char *path, size_t known, size_t *node)
{
	char *lexical = path_absolute(path);
	char *first = xstrndup(path, known + strcspn(path + known, "/"));
	bool may_be = !known || may_exist(first);
	char *real = may_be ? parents_resolve_links(path, parents_spare(path + known)) : NULL;
	const char *place = real ? real : lexical;
	enum finding found = may_be ? climb(l, lexical, node) : FOUND_NOT;

	if (found == FOUND_NOT && real)
		found = climb(l, real, node);
	if (found == FOUND_NOT && may_be && costs_tree_of(l->costs, place))
		found = IN_DOUBT;
	free(lexical);
	free(first);
	free(real);
	return found;
}

static enum finding try_below(struct linking *l, const char *dir, const char *text, size_t *node)
{
	char *path = path_join(dir, text);
	enum finding found = *dir ? try_path(l, path, strlen(dir) + 1, node) : FOUND_NOT;

	free(path);
	return found;
}

static bool is_below_a_root(const struct costs *costs, const char *ref, size_t len)
{
	bool is_there = false;

	for (size_t i = 0; i < costs->n_trees && !is_there; i++) {
		char *path = xstrf("%s/%.*s", costs->trees[i].path, (int)len, ref);

		is_there = may_exist(path);
		free(path);
	}
	return is_there;
}

/* Does a path that is no more have two components that are the way to a directory below some root?
 * Lineage looks at three or more of one that is not absolute. */
static bool may_end_in_a_tree(const struct costs *costs, const char *text)
{
	const char *rest = text;
	const char *last = NULL;
	const char *part;
	bool may = false;
	size_t n = 0;
	size_t len;

	if (access(text, F_OK) == 0)
		return false;
	while ((part = path_next(&rest, &len))) {
		may = may || (last && is_below_a_root(costs, last, (size_t)(part - last) + len));
		last = part;
		n++;
	}
	return may && (text[0] == '/' || n > 2);
}

static enum finding find_base(struct linking *l, const char *text, size_t *node)
{
	const char *path = l->costs->nodes[l->child].path;
	enum finding found;
	char *exp;

	if (strlen(text) >= PATH_MAX)
		return FOUND_NOT;
	if (text[0] == '/') {
		found = try_path(l, text, 0, node);
	} else {
		found = try_below(l, l->costs->here, text, node);
		if (found == FOUND_NOT)
			found = try_below(l, l->tree->path, text, node);
		exp = found == FOUND_NOT ? experiment_of(l->tree, path) : NULL;
		if (exp)
			found = try_below(l, exp, text, node);
		free(exp);
	}
	return found == FOUND_NOT && may_end_in_a_tree(l->costs, text) ? IN_DOUBT : found;
}

/* ---- all claims of a record ---- */

/* The base model of a record is that of the parent whose weights it has, if it names one. */
static bool names_origin(const struct linking *l)
{
	const struct cost_node *node = &l->costs->nodes[l->child];
	const char *self = below(l->tree, node->path);

	for (size_t i = 0; i < node->n_claims; i++) {
		const struct claim *claim = &node->claims[i];

		if ((claim->kind == CLAIM_PARENT || claim->kind == CLAIM_INHERITED) &&
		    strcmp(claim->relation, "uses") != 0 && strcmp(claim->ref, self) != 0)
			return true;
	}
	return false;
}

static enum finding follow(struct linking *l, const struct claim *claim, size_t *node)
{
	enum finding found;

	if (claim->kind == CLAIM_PARENT || claim->kind == CLAIM_INHERITED)
		return find_parent(l, claim, node);
	if (claim->kind == CLAIM_BASE && names_origin(l))
		return FOUND_NOT;
	found = find_base(l, claim->ref, node);
	if (found == FOUND && claim->kind == CLAIM_BASE && l->n && l->v[0] != *node)
		return IN_DOUBT; /* it may be that of a parent, which only all edges tell */
	return found;
}

/* False: the pedigree has to tell. */
static bool link_by_place(struct linking *l)
{
	size_t n = l->costs->nodes[l->child].n_claims;

	if (!only_tree(l->costs, l->costs->nodes[l->child].path))
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct claim claim = l->costs->nodes[l->child].claims[i];
		size_t node;
		enum finding found = follow(l, &claim, &node);

		if (found == IN_DOUBT)
			return false;
		if (found == FOUND)
			add_parent(l, node);
	}
	return true;
}

/* ---- by the pedigree ---- */

static void load_pedigree(struct costs *costs)
{
	struct session *session = costs->session;
	char *root = session->has_layout ? xstrdup(session->layout.root) : NULL;
	struct strv roots = STRV_INIT;
	struct err err = ERR_INIT;

	costs->has_asked = true;
	for (size_t i = 0; i < costs->n_trees; i++)
		strv_push(&roots, costs->trees[i].layout.root);
	if (pedigree_load(&costs->pedigree, session, &roots, &err) < 0) {
		log_warn("ancestors that were moved are not looked for: %s", err.msg);
		pedigree_release(&costs->pedigree);
	}
	if (root && session_move_root(session, root, &err) < 0)
		log_warn("%s", err.msg);
	strv_release(&roots);
	free(root);
}

static bool link_by_pedigree(struct linking *l)
{
	const struct pedigree *p = &l->costs->pedigree;
	const char *path = l->costs->nodes[l->child].path;
	const struct lineage_node *child;
	size_t at;

	if (!l->costs->has_asked)
		load_pedigree(l->costs);
	at = p->graph.n_nodes ? lineage_find(&p->graph, path) : LINEAGE_NONE;
	if (at == LINEAGE_NONE)
		return false;
	child = &p->graph.nodes[at];
	for (size_t i = 0; i < child->n_parents; i++) {
		size_t from = p->graph.edges[child->parents[i]].from;
		const char *dir = pedigree_path(p, from);

		if (dir)
			add_parent(l, costs_node(l->costs, dir));
	}
	return true;
}

/* A record that no walk comes by, or all of them cannot be read: what has its place counts. */
static void link_by_name(struct linking *l)
{
	for (size_t i = 0; i < l->costs->nodes[l->child].n_claims; i++) {
		const struct claim claim = l->costs->nodes[l->child].claims[i];
		bool is_base = claim.kind == CLAIM_BASE || claim.kind == CLAIM_ENTRY_BASE;
		char *path;
		size_t node;

		if (is_base && follow(l, &claim, &node) == FOUND) {
			add_parent(l, node);
		} else if (!is_base) {
			path = claim.ref[0] == '/' ? path_absolute(claim.ref)
						   : path_join(l->tree->path, claim.ref);
			add_parent(l, costs_node(l->costs, path));
			free(path);
		}
	}
}

static void link_node(struct costs *costs, size_t at)
{
	struct linking l = {
		.costs = costs,
		.child = at,
		.tree = costs_tree_of(costs, costs->nodes[at].path),
	};

	costs->nodes[at].is_linked = true;
	if (costs_read(costs, at) && l.tree && !link_by_place(&l)) {
		l.n = 0;
		if (!link_by_pedigree(&l))
			link_by_name(&l);
	} else if (!costs->nodes[at].is_read && costs->has_asked) {
		link_by_pedigree(&l); /* what heirs know of the dead */
	}
	costs->nodes[at].parents = l.v;
	costs->nodes[at].n_parents = l.n;
}

void costs_link(struct costs *costs, size_t node)
{
	size_t *open = xcalloc(1, sizeof(*open));
	size_t n = 0;

	open[n++] = node;
	while (n) {
		size_t at = open[--n];
		const struct cost_node *next;

		if (costs->nodes[at].is_linked)
			continue;
		link_node(costs, at);
		next = &costs->nodes[at];
		open = xreallocarray(open, n + next->n_parents + 1, sizeof(*open));
		for (size_t i = 0; i < next->n_parents; i++)
			open[n++] = next->parents[i];
	}
	free(open);
}
