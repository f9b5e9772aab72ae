/* The records that cost anything, each read once. */
#include "base/base.h"

#include "app/cost_parts.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/path.h"

/* ---- trees ---- */

void costs_add_tree(struct costs *costs, const char *root)
{
	static const struct stage_map nothing = { .v = NULL, .n = 0 };
	struct err ignored = ERR_INIT; /* what lies there is gone, and counts so */
	struct cost_tree tree = { .path = realpath(root, NULL) };
	bool is_new = tree.path;

	for (size_t i = 0; is_new && i < costs->n_trees; i++)
		is_new = strcmp(costs->trees[i].path, tree.path) != 0;
	if (!is_new || layout_open(&tree.layout, root, &nothing, &ignored) < 0) {
		free(tree.path);
		return;
	}
	costs->trees = xreallocarray(costs->trees, costs->n_trees + 1, sizeof(*costs->trees));
	costs->trees[costs->n_trees++] = tree;
}

bool cost_lies_below(const char *path, const char *root)
{
	size_t len = strlen(root);

	return strncmp(path, root, len) == 0 && (path[len] == '/' || has_suffix(root, "/"));
}

struct cost_tree *costs_tree_of(const struct costs *costs, const char *path)
{
	struct cost_tree *found = NULL;

	for (size_t i = 0; i < costs->n_trees; i++) {
		struct cost_tree *tree = &costs->trees[i];

		if (cost_lies_below(path, tree->path) &&
		    (!found || strlen(tree->path) > strlen(found->path)))
			found = tree;
	}
	return found;
}

/* A record that was named by its path may lie in a tree that was not: two levels up. */
static struct cost_tree *tree_around(struct costs *costs, const char *path)
{
	struct cost_tree *tree = costs_tree_of(costs, path);
	char *exp;
	char *root;

	if (tree)
		return tree;
	exp = path_dir(path);
	root = path_dir(exp);
	if (strcmp(root, "/") != 0)
		costs_add_tree(costs, root);
	free(exp);
	free(root);
	return costs_tree_of(costs, path);
}

/* ---- nodes ---- */

size_t costs_node(struct costs *costs, const char *path)
{
	uintptr_t known = (uintptr_t)map_get(&costs->by_path, path);

	if (known)
		return known - 1;
	if (costs->n == costs->cap) {
		costs->cap = costs->cap ? costs->cap * 2 : 16;
		costs->nodes = xreallocarray(costs->nodes, costs->cap, sizeof(*costs->nodes));
	}
	costs->nodes[costs->n] = (struct cost_node){ .path = pool_text(&costs->pool, path) };
	map_put(&costs->by_path, costs->nodes[costs->n].path, (void *)(uintptr_t)(costs->n + 1));
	return costs->n++;
}

/* ---- records ---- */

/* The pool's copy of 'text', which is freed. */
static const char *keep(struct costs *costs, char *text)
{
	const char *kept = pool_text(&costs->pool, text);

	free(text);
	return kept;
}

/* The path that the REF of a record in 'tree' stands for. */
static const char *path_of_ref(struct costs *costs, const struct cost_tree *tree, char *ref)
{
	char *path = *ref == '/' || !tree ? realpath(ref, NULL) : path_join(tree->path, ref);

	if (!path)
		return keep(costs, ref); /* what is gone has no links to resolve */
	free(ref);
	return keep(costs, path);
}

static struct identity weights_of(const struct info *info, size_t entry)
{
	size_t made = info_entry_member(info, entry, "final_checkpoint");
	char *sha256 = json_string_copy(&info->doc, json_member(&info->doc, made, "sha256"));
	struct identity weights = identity_of_text(sha256);

	free(sha256);
	return weights;
}

static struct cost_spent spent_by(struct costs *costs, const struct info *info, const char *path,
				  size_t entry, size_t place)
{
	char *run_id = info_entry_string(info, entry, "run_id");
	char *origin = info_entry_string(info, entry, "inherited_from");
	double seconds = entry_seconds(&info->doc, entry);
	struct cost_spent spent = {
		.origin = origin ? path_of_ref(costs, costs_tree_of(costs, path), origin) : path,
		.place = place,
		.has_run_id = run_id,
		.is_own = !info_entry_is_inherited(info, entry),
		.training = identity_of_entry(info, entry),
		.weights = weights_of(info, entry),
		.steps = info_entry_steps(info, entry),
		/* Who records only the result gives one moment as start and end. */
		.seconds = seconds > 0 ? seconds : 0,
		.gpus = entry_gpus(&info->doc, entry),
	};

	spent.id = keep(costs, run_id ? run_id : xstrf("%s#%zu", spent.origin, place));
	return spent;
}

struct taking {
	struct costs *costs;
	struct cost_node *node;
};

static void keep_claim(void *arg, const struct claim *claim)
{
	const struct taking *taking = arg;
	struct cost_node *node = taking->node;
	struct pool *pool = &taking->costs->pool;
	struct claim *kept;

	if (claim->of)
		return; /* lineage has it, where that one is gone */
	if ((node->n_claims & (node->n_claims - 1)) == 0)
		node->claims = xreallocarray(node->claims, node->n_claims ? node->n_claims * 2 : 1,
					     sizeof(*node->claims));
	kept = &node->claims[node->n_claims++];
	*kept = *claim;
	kept->ref = pool_text(pool, claim->ref);
	kept->relation = pool_text(pool, claim->relation);
	kept->checkpoint = pool_text(pool, claim->checkpoint);
	kept->path = pool_text(pool, claim->path);
}

/* What of a record that can be read is ever asked for. */
static void take_record(struct costs *costs, size_t at, const struct info *info)
{
	struct cost_node *node = &costs->nodes[at];
	struct taking taking = { costs, node };

	node->was_tried = true;
	node->is_read = true;
	node->v = xcalloc(info_entry_count(info) + 1, sizeof(*node->v));
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		node->v[node->n] = spent_by(costs, info, node->path, i, node->n);
		node->n++;
	}
	claims_read(info, keep_claim, &taking);
}

size_t costs_take(struct costs *costs, const struct history *history)
{
	char *real = realpath(history->dir.path, NULL);
	size_t at = costs_node(costs, real ? real : history->dir.path);

	free(real);
	tree_around(costs, costs->nodes[at].path);
	if (!costs->nodes[at].is_read)
		take_record(costs, at, &history->info);
	return at;
}

bool costs_read(struct costs *costs, size_t at)
{
	struct cost_node *node = &costs->nodes[at];
	struct cost_tree *tree = costs_tree_of(costs, node->path);
	struct stage_dir dir = STAGE_DIR_INIT;
	struct err ignored = ERR_INIT; /* it is gone, and counts so */
	struct history history;

	if (node->was_tried || !tree)
		return node->is_read;
	node->was_tried = true;
	if (layout_resolve(&tree->layout, NULL, node->path, &dir, &ignored) < 0)
		return false;
	history_read(&history, &dir);
	if (history.err.code)
		log_warn("%s", history.err.msg);
	else if (history.has_record)
		take_record(costs, at, &history.info);
	history_release(&history);
	return costs->nodes[at].is_read;
}
