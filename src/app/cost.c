#include "base/base.h"

#include "app/cost.h"

#include "app/ancestry.h"
#include "base/log.h"
#include "base/mem.h"

/* What one entry took. */
struct spent {
	char *id;     /* the same for every copy of the entry */
	char *origin; /* the record that it was first written in */
	int64_t steps;
	double seconds; /* 0: not told */
	int64_t gpus;	/* -1: not told */
};

struct node_cost {
	struct spent *v;
	size_t n;
	bool is_read;
};

struct costs {
	struct layout *layout;
	struct lineage lineage;
	struct node_cost *nodes; /* of lineage.nodes, as far as 'n' */
	size_t n;
};

struct costs *costs_new(struct layout *layout)
{
	struct costs *costs = xcalloc(1, sizeof(*costs));

	costs->layout = layout;
	return costs;
}

void costs_free(struct costs *costs)
{
	for (size_t i = 0; i < costs->n; i++) {
		for (size_t k = 0; k < costs->nodes[i].n; k++) {
			free(costs->nodes[i].v[k].id);
			free(costs->nodes[i].v[k].origin);
		}
		free(costs->nodes[i].v);
	}
	free(costs->nodes);
	lineage_release(&costs->lineage);
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

static struct spent spent_by(const struct history *history, size_t entry, size_t place)
{
	const struct info *info = &history->info;
	char *run_id = info_entry_string(info, entry, "run_id");
	char *origin = info_entry_string(info, entry, "inherited_from");
	double seconds = entry_seconds(&info->doc, entry);
	struct spent spent = {
		.origin = origin ? origin : xstrdup(history->dir.ref),
		.steps = info_entry_steps(info, entry),
		/* Who records only the result gives one moment as start and end. */
		.seconds = seconds > 0 ? seconds : 0,
		.gpus = entry_gpus(&info->doc, entry),
	};

	spent.id = run_id ? run_id : xstrf("%s#%zu", spent.origin, place);
	return spent;
}

static struct node_cost *node_at(struct costs *costs, size_t node)
{
	size_t n = costs->lineage.n_nodes;

	if (n > costs->n) {
		costs->nodes = xreallocarray(costs->nodes, n, sizeof(*costs->nodes));
		memset(costs->nodes + costs->n, 0, (n - costs->n) * sizeof(*costs->nodes));
		costs->n = n;
	}
	return &costs->nodes[node];
}

/* Keep the entries of a record that can be read; its parents become nodes. */
static size_t add_record(struct costs *costs, const struct history *history)
{
	const struct info *info = &history->info;
	size_t node = lineage_node(&costs->lineage, history->dir.ref);
	struct node_cost *cost = node_at(costs, node);

	if (cost->is_read)
		return node;
	cost->is_read = true;
	cost->v = xcalloc(info_entry_count(info) + 1, sizeof(*cost->v));
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		cost->v[cost->n] = spent_by(history, i, cost->n);
		cost->n++;
	}
	ancestry_add(&costs->lineage, history, costs->layout);
	return node;
}

static void read_node(struct costs *costs, const char *ref)
{
	struct stage_dir dir = STAGE_DIR_INIT;
	struct history history;
	struct err ignored = ERR_INIT; /* it is gone, and counts so */

	if (layout_resolve_recorded(costs->layout, NULL, ref, &dir, &ignored) < 0)
		return;
	history_read(&history, &dir);
	if (history.err.code)
		log_warn("%s", history.err.msg);
	else if (history.has_record)
		add_record(costs, &history);
	history_release(&history);
}

/* Every node that has come in since 'from' and is a model of ours, with what that brings in. */
static void read_ancestors(struct costs *costs, size_t from)
{
	for (size_t i = from; i < costs->lineage.n_nodes; i++) {
		char *ref;

		if (node_at(costs, i)->is_read || costs->lineage.nodes[i].is_outside)
			continue;
		ref = xstrdup(costs->lineage.nodes[i].ref); /* the array grows meanwhile */
		read_node(costs, ref);
		free(ref);
	}
}

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

static void pile_up(struct pile *pile, const struct node_cost *node, size_t n)
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

static bool has_origin(const struct pile *pile, const char *ref)
{
	for (size_t i = 0; i < pile->n; i++)
		if (strcmp(pile->v[i]->origin, ref) == 0)
			return true;
	return false;
}

/* All that 'node' came from, and 'n' entries of its own record. */
static void sum_up(struct costs *costs, size_t node, size_t n, struct cost *total)
{
	bool *above = xcalloc(costs->lineage.n_nodes + 1, sizeof(*above));
	struct pile pile = { .n = 0 };

	lineage_reach(&costs->lineage, node, true, above);
	for (size_t i = 0; i < costs->lineage.n_nodes; i++)
		if (above[i])
			pile_up(&pile, &costs->nodes[i], i == node ? n : costs->nodes[i].n);
	if (pile.n)
		qsort(pile.v, pile.n, sizeof(*pile.v), by_id);
	for (size_t i = 0; i < pile.n; i++)
		if (i == 0 || by_id(&pile.v[i - 1], &pile.v[i]) != 0)
			add_spent(total, pile.v[i]);
	for (size_t i = 0; i < costs->lineage.n_nodes; i++)
		if (above[i] && !costs->nodes[i].is_read && !costs->lineage.nodes[i].is_outside &&
		    !has_origin(&pile, costs->lineage.nodes[i].ref))
			total->n_gone++;
	free(above);
	free(pile.v);
}

void costs_of(struct costs *costs, const struct history *history, size_t number, struct cost *own,
	      struct cost *total)
{
	size_t known = costs->lineage.n_nodes;
	size_t node = add_record(costs, history);
	const struct node_cost *cost;

	*own = *total = (struct cost){ .n_entries = 0 };
	read_ancestors(costs, known);
	cost = node_at(costs, node);
	for (size_t i = 0; i < cost->n; i++)
		if (number ? i + 1 == number : strcmp(cost->v[i].origin, history->dir.ref) == 0)
			add_spent(own, &cost->v[i]);
	sum_up(costs, node, number ? number : cost->n, total);
}
