#include "base/base.h"

#include "app/cost.h"

#include "app/ancestry.h"
#include "app/parents.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "sys/path.h"

/* What one entry took. */
struct spent {
	char *id;     /* the same for every copy of the entry */
	char *origin; /* the record that it was first written in */
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
	bool is_read;
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

struct costs *costs_new(const struct strv *roots)
{
	struct costs *costs = xcalloc(1, sizeof(*costs));

	for (size_t i = 0; i < roots->n; i++)
		add_tree(costs, roots->v[i]);
	return costs;
}

void costs_free(struct costs *costs)
{
	map_release(&costs->by_path);
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
		.steps = info_entry_steps(info, entry),
		/* Who records only the result gives one moment as start and end. */
		.seconds = seconds > 0 ? seconds : 0,
		.gpus = entry_gpus(&info->doc, entry),
	};

	free(origin);
	spent.id = run_id ? run_id : xstrf("%s#%zu", spent.origin, place);
	return spent;
}

static void add_parents(struct costs *costs, size_t node, const struct history *history,
			struct tree *tree)
{
	struct lineage own = { .n_nodes = 0 };
	size_t self = lineage_node(&own, history->dir.ref);

	ancestry_add(&own, history, &tree->layout);
	for (size_t i = 0; i < own.n_edges; i++) {
		char *path;
		size_t parent;

		if (own.edges[i].to != self)
			continue;
		path = parent_path(costs, tree, &own.nodes[own.edges[i].from]);
		if (!path)
			continue;
		parent = node_of(costs, path);
		costs->nodes[node].parents =
			xreallocarray(costs->nodes[node].parents, costs->nodes[node].n_parents + 1,
				      sizeof(size_t));
		costs->nodes[node].parents[costs->nodes[node].n_parents++] = parent;
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
static void read_ancestors(struct costs *costs, size_t from)
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
		total->n_gone += above[i] && !costs->nodes[i].is_read &&
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
	node = &costs->nodes[at];
	for (size_t i = 0; i < node->n; i++)
		if (number ? i + 1 == number : strcmp(node->v[i].origin, node->path) == 0)
			add_spent(own, &node->v[i]);
	sum_up(costs, at, number ? number : node->n, total);
}
