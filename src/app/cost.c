#include "base/base.h"

#include "app/cost.h"

#include "app/ancestry.h"
#include "app/parents.h"
#include "app/pedigree.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "sys/path.h"

#include <unistd.h>

/* What one entry took. */
struct spent {
	char *id;     /* the same for every copy of the entry */
	char *origin; /* the record that it was first written in */
	size_t place; /* where in that */
	bool has_run_id;
	int64_t steps;
	double seconds; /* 0: not told */
	int64_t gpus;	/* -1: not told */
};

/* A model: a record of ours, or what a record names as one. */
struct node {
	char *path; /* of the stage directory, with no link in it: the same from every root */
	struct spent *v;
	size_t n;
	size_t *parents; /* indexes of nodes */
	size_t n_parents;
	size_t moved_to; /* where lineage finds it now: an index plus one, or 0 */
	bool is_read;
	bool is_astray;	   /* a path that it began from leads nowhere */
	bool is_looked_up; /* lineage was asked for its parents */
};

struct tree {
	struct layout layout;
	char *path; /* of its root, with no link in it */
};

struct costs {
	struct tree *trees;
	size_t n_trees;
	struct node *nodes;
	size_t n;
	size_t cap;
	struct map by_path; /* to the index plus one */
	size_t n_moved;
	struct session *session;
	size_t n_asked; /* so many trees are those that were asked for */
	struct pedigree pedigree;
	bool has_pedigree; /* or it could not be had, and was warned of */
};

static void add_tree(struct costs *costs, const char *root)
{
	static const struct stage_map nothing = { .v = NULL, .n = 0 };
	struct err ignored = ERR_INIT; /* what lies there is gone, and counts so */
	struct tree tree = { .path = realpath(root, NULL) };

	if (!tree.path || layout_open(&tree.layout, root, &nothing, &ignored) < 0) {
		free(tree.path);
		return;
	}
	costs->trees = xreallocarray(costs->trees, costs->n_trees + 1, sizeof(*costs->trees));
	costs->trees[costs->n_trees++] = tree;
}

struct costs *costs_new(struct session *session, const struct strv *roots)
{
	struct costs *costs = xcalloc(1, sizeof(*costs));

	costs->session = session;
	for (size_t i = 0; i < roots->n; i++)
		add_tree(costs, roots->v[i]);
	costs->n_asked = costs->n_trees;
	return costs;
}

void costs_free(struct costs *costs)
{
	map_release(&costs->by_path);
	pedigree_release(&costs->pedigree);
	for (size_t i = 0; i < costs->n; i++) {
		struct node *node = &costs->nodes[i];

		for (size_t k = 0; k < node->n; k++) {
			free(node->v[k].id);
			free(node->v[k].origin);
		}
		free(node->v);
		free(node->parents);
		free(node->path);
	}
	for (size_t i = 0; i < costs->n_trees; i++) {
		layout_close(&costs->trees[i].layout);
		free(costs->trees[i].path);
	}
	free(costs->trees);
	free(costs->nodes);
	free(costs);
}

/* "0,1" are two, "" and "-1" none. */
static int64_t count_devices(const char *list)
{
	int64_t n = 0;

	for (const char *at = list; *at; at += *at == ',') {
		size_t len = strcspn(at, ",");

		if (len == 0 || *at == '-')
			break; /* CUDA itself stops at the first that it does not know */
		n++;
		at += len;
	}
	return n;
}

int64_t entry_gpus(const struct json *doc, size_t entry)
{
	size_t environment = json_member(doc, entry, "environment");
	size_t env = json_member(doc, environment, "env");
	char *visible = json_string_copy(doc, json_member(doc, env, "CUDA_VISIBLE_DEVICES"));
	size_t gpu = json_member(doc, environment, "gpu");
	int64_t n = -1;

	if (visible)
		n = count_devices(visible);
	else if (json_int64(doc, json_member(doc, gpu, "count"), &n) < 0 || n < 0)
		n = -1;
	free(visible);
	return n;
}

/* ---- whose entries ---- */

/* Takes 'path'. */
static size_t node_of(struct costs *costs, char *path)
{
	uintptr_t known = (uintptr_t)map_get(&costs->by_path, path);

	if (known) {
		free(path);
		return known - 1;
	}
	if (costs->n == costs->cap) {
		costs->cap = costs->cap ? costs->cap * 2 : 16;
		costs->nodes = xreallocarray(costs->nodes, costs->cap, sizeof(*costs->nodes));
	}
	costs->nodes[costs->n] = (struct node){ .path = path };
	map_put(&costs->by_path, path, (void *)(uintptr_t)(costs->n + 1));
	return costs->n++;
}

/* Where a directory lies, or lay: what is gone has no links to resolve. */
static char *real_path(const char *path)
{
	char *real = realpath(path, NULL);

	return real ? real : xstrdup(path);
}

static bool lies_below(const char *path, const char *root)
{
	size_t len = strlen(root);

	return strncmp(path, root, len) == 0 && (path[len] == '/' || has_suffix(root, "/"));
}

/* The innermost tree that the path lies in, or NULL. */
static struct tree *tree_of(struct costs *costs, const char *path)
{
	struct tree *found = NULL;

	for (size_t i = 0; i < costs->n_trees; i++) {
		struct tree *tree = &costs->trees[i];

		if (lies_below(path, tree->path) &&
		    (!found || strlen(tree->path) > strlen(found->path)))
			found = tree;
	}
	return found;
}

/* A record that was named by its path may lie in a tree that was not: two levels up. */
static struct tree *tree_around(struct costs *costs, const char *path)
{
	struct tree *tree = tree_of(costs, path);
	char *exp;
	char *root;

	if (tree)
		return tree;
	exp = path_dir(path);
	root = path_dir(exp);
	if (strcmp(root, "/") != 0)
		add_tree(costs, root);
	free(exp);
	free(root);
	return tree_of(costs, path);
}

/* The path that a REF of a record in 'tree' stands for. */
static char *path_of_ref(const struct tree *tree, const char *ref)
{
	return *ref == '/' || !tree ? real_path(ref) : path_join(tree->path, ref);
}

/* Where in any tree a path as a record has it leads; NULL: nowhere. */
static char *find_path(struct costs *costs, const char *text)
{
	for (size_t i = 0; i < costs->n_trees; i++) {
		struct base_place place = BASE_PLACE_INIT;
		char *path = NULL;

		if (parents_find_base(&costs->trees[i].layout, NULL, text, &place))
			path = real_path(place.dir.path);
		base_place_release(&place);
		if (path)
			return path;
	}
	return NULL;
}

/* The stage directory that a parent's REF means; NULL: it is outside of all trees. */
static char *parent_path(struct costs *costs, struct tree *tree, const struct lineage_node *parent)
{
	bool is_path = *parent->ref == '/' || *parent->ref == '.';
	struct stage_dir dir = STAGE_DIR_INIT;
	struct err ignored = ERR_INIT; /* then it is gone */
	char *path = is_path ? find_path(costs, parent->ref) : NULL;

	if (path || parent->is_outside)
		return path;
	if (layout_resolve_recorded(&tree->layout, NULL, parent->ref, &dir, &ignored) == 0) {
		path = real_path(dir.path);
		stage_dir_release(&dir);
		return path;
	}
	return path_of_ref(tree, parent->ref);
}

static struct spent spent_by(const struct history *history, const struct tree *tree,
			     const char *path, size_t entry, size_t place)
{
	const struct info *info = &history->info;
	char *run_id = info_entry_string(info, entry, "run_id");
	char *origin = info_entry_string(info, entry, "inherited_from");
	double seconds = entry_seconds(&info->doc, entry);
	struct spent spent = {
		.origin = origin ? path_of_ref(tree, origin) : xstrdup(path),
		.place = place,
		.has_run_id = run_id,
		.steps = info_entry_steps(info, entry),
		/* Who records only the result gives one moment as start and end. */
		.seconds = seconds > 0 ? seconds : 0,
		.gpus = entry_gpus(&info->doc, entry),
	};

	free(origin);
	spent.id = run_id ? run_id : xstrf("%s#%zu", spent.origin, place);
	return spent;
}

static void add_parent(struct costs *costs, size_t at, size_t parent)
{
	struct node *node = &costs->nodes[at];

	node->parents = xreallocarray(node->parents, node->n_parents + 1, sizeof(*node->parents));
	node->parents[node->n_parents++] = parent;
}

/* A place on this machine, and nothing there: neither a checkpoint nor the model that had it. */
static bool is_astray(const struct lineage_node *parent)
{
	char *dir;
	bool is_lost;

	if (*parent->ref != '/' && *parent->ref != '.')
		return false;
	dir = path_dir(parent->ref);
	is_lost = access(parent->ref, F_OK) < 0 && access(dir, F_OK) < 0;
	free(dir);
	return is_lost;
}

static void add_parents(struct costs *costs, size_t node, const struct history *history,
			struct tree *tree)
{
	struct lineage own = { .n_nodes = 0 };
	size_t self = lineage_node(&own, history->dir.ref);

	ancestry_add(&own, history, &tree->layout);
	for (size_t i = 0; i < own.n_edges; i++) {
		const struct lineage_node *parent = &own.nodes[own.edges[i].from];
		char *path;

		if (own.edges[i].to != self)
			continue;
		path = parent_path(costs, tree, parent);
		if (path)
			add_parent(costs, node, node_of(costs, path));
		else
			costs->nodes[node].is_astray |= is_astray(parent);
	}
	lineage_release(&own);
}

/* Keep the entries of a record that can be read; its parents become nodes. */
static size_t add_record(struct costs *costs, const struct history *history)
{
	const struct info *info = &history->info;
	size_t at = node_of(costs, real_path(history->dir.path));
	struct node *node = &costs->nodes[at];
	struct tree *tree;

	if (node->is_read)
		return at;
	tree = tree_around(costs, node->path);
	node->is_read = true;
	node->v = xcalloc(info_entry_count(info) + 1, sizeof(*node->v));
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		node->v[node->n] = spent_by(history, tree, node->path, i, node->n);
		node->n++;
	}
	if (tree)
		add_parents(costs, at, history, tree);
	return at;
}

static void read_node(struct costs *costs, const char *path)
{
	struct tree *tree = tree_of(costs, path);
	struct stage_dir dir = STAGE_DIR_INIT;
	struct history history;
	struct err ignored = ERR_INIT; /* it is gone, and counts so */

	if (!tree || layout_resolve(&tree->layout, NULL, path, &dir, &ignored) < 0)
		return;
	history_read(&history, &dir);
	if (history.err.code)
		log_warn("%s", history.err.msg);
	else if (history.has_record)
		add_record(costs, &history);
	history_release(&history);
}

/* Every node that has come in since 'from', with what that brings in. */
static void read_since(struct costs *costs, size_t from)
{
	for (size_t i = from; i < costs->n; i++) {
		char *path;

		if (costs->nodes[i].is_read)
			continue;
		path = xstrdup(costs->nodes[i].path); /* the array grows meanwhile */
		read_node(costs, path);
		free(path);
	}
}

/* ---- what has moved ---- */

static bool is_gone(const struct node *node)
{
	return !node->is_read && !node->moved_to;
}

static bool lacks_parents(const struct costs *costs, const struct node *node)
{
	for (size_t i = 0; i < node->n_parents; i++)
		if (is_gone(&costs->nodes[node->parents[i]]))
			return true;
	return node->is_astray;
}

static void need_pedigree(struct costs *costs)
{
	struct strv roots = STRV_INIT;
	struct err err = ERR_INIT;

	if (costs->has_pedigree || !costs->n_asked)
		return;
	costs->has_pedigree = true;
	for (size_t i = 0; i < costs->n_asked; i++)
		strv_push(&roots, costs->trees[i].layout.root);
	if (pedigree_load(&costs->pedigree, costs->session, &roots, &err) < 0)
		log_warn("ancestors that were moved are not looked for: %s", err.msg);
	strv_release(&roots);
}

static bool has_parent(const struct node *node, size_t parent)
{
	for (size_t i = 0; i < node->n_parents; i++)
		if (node->parents[i] == parent)
			return true;
	return false;
}

/* The node that the record of 'at' calls by this name, if it is not there any more; else SIZE_MAX. */
static size_t gone_parent(struct costs *costs, size_t at, const char *ref)
{
	const struct lineage_node named = { .ref = ref };
	struct tree *tree = tree_of(costs, costs->nodes[at].path);
	char *path = *ref == '/' || *ref == '.' || !tree ? NULL : parent_path(costs, tree, &named);
	uintptr_t known = path ? (uintptr_t)map_get(&costs->by_path, path) : 0;

	free(path);
	return known && is_gone(&costs->nodes[known - 1]) ? known - 1 : SIZE_MAX;
}

static void add_move(struct costs *costs, size_t at, const struct lineage_edge *edge)
{
	const struct pedigree *p = &costs->pedigree;
	size_t to = node_of(costs, real_path(pedigree_path(p, edge->from)));
	size_t from;

	if (has_parent(&costs->nodes[at], to))
		return;
	from = gone_parent(costs, at, edge->named ? edge->named : p->nodes[edge->from].ref);
	if (from != SIZE_MAX && from != to) {
		costs->nodes[from].moved_to = to + 1;
		costs->n_moved++;
	} else if (edge->named) {
		add_parent(costs, at, to);
	}
}

static void look_up_parents(struct costs *costs, size_t at)
{
	const struct pedigree *p = &costs->pedigree;
	const struct lineage *graph = &p->graph;
	size_t child = LINEAGE_NONE;

	costs->nodes[at].is_looked_up = true;
	need_pedigree(costs);
	if (graph->n_nodes)
		child = lineage_find(graph, costs->nodes[at].path);
	if (child == LINEAGE_NONE)
		return;
	for (size_t i = 0; i < graph->nodes[child].n_parents; i++) {
		const struct lineage_edge *edge = &graph->edges[graph->nodes[child].parents[i]];

		if (p->nodes[edge->from].kind == PEDIGREE_MODEL)
			add_move(costs, at, edge);
	}
}

static void read_ancestors(struct costs *costs, size_t from)
{
	size_t n;

	do {
		read_since(costs, from);
		from = n = costs->n;
		for (size_t i = 0; i < n; i++)
			if (costs->nodes[i].is_read && !costs->nodes[i].is_looked_up &&
			    lacks_parents(costs, &costs->nodes[i]))
				look_up_parents(costs, i);
	} while (costs->n > n);
}

/* What was inherited from a record that was moved, and what that record has now, is the same. */
static void rename_origins(struct costs *costs, const struct node *node)
{
	for (size_t i = 0; i < node->n; i++) {
		struct spent *spent = &node->v[i];
		uintptr_t known = (uintptr_t)map_get(&costs->by_path, spent->origin);
		size_t to = known ? costs->nodes[known - 1].moved_to : 0;

		if (!to)
			continue;
		free(spent->origin);
		spent->origin = xstrdup(costs->nodes[to - 1].path);
		if (spent->has_run_id)
			continue;
		free(spent->id);
		spent->id = xstrf("%s#%zu", spent->origin, spent->place);
	}
}

/* ---- sums ---- */

static void add_spent(struct cost *cost, const struct spent *spent)
{
	cost->n_entries++;
	if (spent->steps > 0 && __builtin_add_overflow(cost->steps, spent->steps, &cost->steps))
		cost->steps = INT64_MAX;
	cost->seconds += spent->seconds;
	cost->n_untimed += spent->seconds <= 0;
	if (spent->seconds > 0 && spent->gpus >= 0)
		cost->gpu_seconds += spent->seconds * (double)spent->gpus;
	else
		cost->n_gpu_untold++;
}

struct pile {
	const struct spent **v;
	size_t n;
	size_t cap;
};

static void pile_up(struct pile *pile, const struct node *node, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (pile->n == pile->cap) {
			pile->cap = pile->cap ? pile->cap * 2 : 64;
			pile->v = xreallocarray(pile->v, pile->cap, sizeof(*pile->v));
		}
		pile->v[pile->n++] = &node->v[i];
	}
}

static int by_id(const void *a, const void *b)
{
	const struct spent *const *left = a;
	const struct spent *const *right = b;

	return strcmp((*left)->id, (*right)->id);
}

static bool has_origin(const struct pile *pile, const char *path)
{
	for (size_t i = 0; i < pile->n; i++)
		if (strcmp(pile->v[i]->origin, path) == 0)
			return true;
	return false;
}

/* Mark 'node' and all that it came from; the caller frees the marks. */
static bool *all_above(const struct costs *costs, size_t node)
{
	bool *above = xcalloc(costs->n, sizeof(*above));
	size_t *open = xcalloc(costs->n, sizeof(*open));
	size_t n = 0;

	above[node] = true;
	open[n++] = node;
	while (n) {
		const struct node *next = &costs->nodes[open[--n]];
		size_t to = next->moved_to;

		if (to && !above[to - 1]) {
			above[to - 1] = true;
			open[n++] = to - 1;
		}
		for (size_t i = 0; i < next->n_parents; i++) {
			if (above[next->parents[i]])
				continue;
			above[next->parents[i]] = true;
			open[n++] = next->parents[i];
		}
	}
	free(open);
	return above;
}

/* All that 'node' came from, and 'n' entries of its own record. */
static void sum_up(const struct costs *costs, size_t node, size_t n, struct cost *total)
{
	bool *above = all_above(costs, node);
	struct pile pile = { .n = 0 };

	for (size_t i = 0; i < costs->n; i++)
		if (above[i])
			pile_up(&pile, &costs->nodes[i], i == node ? n : costs->nodes[i].n);
	if (pile.n)
		qsort(pile.v, pile.n, sizeof(*pile.v), by_id);
	for (size_t i = 0; i < pile.n; i++)
		if (i == 0 || by_id(&pile.v[i - 1], &pile.v[i]) != 0)
			add_spent(total, pile.v[i]);
	for (size_t i = 0; i < costs->n; i++)
		total->n_gone += above[i] && is_gone(&costs->nodes[i]) &&
				 !has_origin(&pile, costs->nodes[i].path);
	free(above);
	free(pile.v);
}

void costs_of(struct costs *costs, const struct history *history, size_t number, struct cost *own,
	      struct cost *total)
{
	size_t known = costs->n;
	size_t at = add_record(costs, history);
	const struct node *node;

	*own = *total = (struct cost){ .n_entries = 0 };
	read_ancestors(costs, known);
	for (size_t i = 0; costs->n_moved && i < costs->n; i++)
		rename_origins(costs, &costs->nodes[i]);
	node = &costs->nodes[at];
	for (size_t i = 0; i < node->n; i++)
		if (number ? i + 1 == number : strcmp(node->v[i].origin, node->path) == 0)
			add_spent(own, &node->v[i]);
	sum_up(costs, at, number ? number : node->n, total);
}
