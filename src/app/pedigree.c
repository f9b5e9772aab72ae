#include "base/base.h"

#include "app/pedigree.h"

#include "app/pedigree_parts.h"
#include "app/survey.h"
#include "base/mem.h"
#include "sys/path.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- nodes ---- */

size_t pedigree_node(struct pedigree *p, const char *key)
{
	size_t known = p->graph.n_nodes;
	size_t i = lineage_node(&p->graph, key);

	if (i < known)
		return i;
	if (i >= p->nodes_cap) {
		p->nodes_cap = p->nodes_cap ? p->nodes_cap * 2 : 32;
		p->nodes = xreallocarray(p->nodes, p->nodes_cap, sizeof(*p->nodes));
	}
	p->nodes[i] = (struct pedigree_node){
		.ref = p->graph.nodes[i].ref,
		.root = LINEAGE_NONE,
		.steps = -1,
	};
	return i;
}

/* The REF is the end of the key, where that is a path below the root. */
static const char *end_of(const char *key, const char *ref)
{
	size_t len = strlen(ref);
	size_t whole = strlen(key);

	return whole > len && strcmp(key + whole - len, ref) == 0 ? key + whole - len : NULL;
}

static void name_node(struct pedigree *p, size_t i, const char *ref, size_t root)
{
	const char *end = end_of(p->graph.nodes[i].ref, ref);

	p->nodes[i].ref = end ? end : pool_text(&p->graph.pool, ref);
	p->nodes[i].root = root;
}

size_t pedigree_missing(struct pedigree *p, const char *key, const char *ref, size_t root)
{
	size_t known = p->graph.n_nodes;
	size_t i = pedigree_node(p, key);

	if (i == known)
		name_node(p, i, ref, root);
	return i;
}

size_t pedigree_outside(struct pedigree *p, const char *name)
{
	size_t known = p->graph.n_nodes;
	size_t i = pedigree_node(p, name);

	if (i == known) {
		p->nodes[i].kind = PEDIGREE_OUTSIDE;
		lineage_define(&p->graph, i, true);
	}
	return i;
}

void pedigree_complain(struct pedigree *p, enum pedigree_trouble kind, size_t node,
		       const char *text, size_t *others, size_t n_others)
{
	if (p->n_problems == p->problems_cap) {
		p->problems_cap = p->problems_cap ? p->problems_cap * 2 : 8;
		p->problems = xreallocarray(p->problems, p->problems_cap, sizeof(*p->problems));
	}
	p->problems[p->n_problems++] = (struct pedigree_problem){
		.kind = kind,
		.node = node,
		.text = pool_text(&p->graph.pool, text),
		.others = others,
		.n_others = n_others,
	};
}

char *pedigree_here(void)
{
	char *here = realpath(".", NULL);

	return here ? here : xstrdup("");
}

/* ---- reading ---- */

static const char *take_string(struct pedigree *p, char *text)
{
	const char *kept = text && *text ? pool_text(&p->graph.pool, text) : NULL;

	free(text);
	return kept;
}

static void read_facts(struct pedigree *p, size_t i, const struct info *info)
{
	const struct json *doc = &info->doc;
	struct pedigree_node *node = &p->nodes[i];
	size_t last = JSON_NONE;
	size_t metrics;

	node->model_name = take_string(p, info_string(info, "model_name"));
	node->stage = take_string(p, info_string(info, "stage"));
	node->checkpoint = take_string(p, info_string(info, "final_checkpoint"));
	node->updated = take_string(p, info_string(info, "last_updated"));
	node->steps = info_total_steps(info);
	node->n_entries = info_entry_count(info);
	for (size_t k = info_first_entry(info); k != JSON_NONE; k = info_next_entry(info, k)) {
		node->is_heir |= info_entry_is_inherited(info, k);
		last = k;
	}
	if (last == JSON_NONE)
		return;
	node->dataset = take_string(p, info_entry_string(info, last, "dataset"));
	metrics = info_entry_member(info, last, "metrics");
	for (size_t k = json_first(doc, metrics); k != JSON_NONE && !node->metric;
	     k = json_next(doc, metrics, k))
		if (json_is_number(doc, k + 1) && json_real(doc, k + 1, &node->metric_value) == 0)
			node->metric = take_string(p, json_string_copy(doc, k));
}

/* One that comes back after many others is a use of its own: that only costs its place. */
#define LOOK_BACK 32

static struct pedigree_use *use_of(struct pedigree *p, size_t first, const char *dataset,
				   const char *digest)
{
	if (p->n_uses - first > LOOK_BACK)
		first = p->n_uses - LOOK_BACK;
	for (size_t i = first; i < p->n_uses; i++)
		if (p->uses[i].dataset == dataset && p->uses[i].digest == digest)
			return &p->uses[i];
	if (p->n_uses == p->uses_cap) {
		p->uses_cap = p->uses_cap ? p->uses_cap * 2 : 32;
		p->uses = xreallocarray(p->uses, p->uses_cap, sizeof(*p->uses));
	}
	p->uses[p->n_uses] = (struct pedigree_use){ .dataset = dataset, .digest = digest };
	return &p->uses[p->n_uses++];
}

static const char *digest_at(struct pedigree *p, const struct info *info, size_t entry)
{
	size_t token = info_entry_member(info, entry, "dataset_digest");

	if (token == JSON_NONE || json_is(&info->doc, token, JSON_NULL))
		return NULL;
	return take_string(p, json_is(&info->doc, token, JSON_STRING)
				      ? json_string_copy(&info->doc, token)
				      : json_raw_copy(&info->doc, token));
}

/* What this directory itself was trained on. */
static void read_use(struct pedigree *p, size_t node, size_t first, const struct info *info,
		     size_t entry)
{
	const char *dataset = take_string(p, info_entry_string(info, entry, "dataset"));
	size_t evidence = info_entry_member(info, entry, "evidence");
	int64_t steps = info_entry_steps(info, entry);
	struct pedigree_use *use;

	if (!dataset)
		return;
	use = use_of(p, first, dataset, digest_at(p, info, entry));
	use->node = node;
	use->is_declared |=
		!json_string_is(&info->doc, json_member(&info->doc, evidence, "dataset"),
				"inferred");
	if (steps > 0 && __builtin_add_overflow(use->steps, steps, &use->steps))
		use->steps = INT64_MAX;
}

static void read_entries(struct pedigree_work *work, size_t node, const struct info *info)
{
	const struct json *doc = &info->doc;
	size_t first = work->pedigree->n_uses;

	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		size_t made = info_entry_member(info, i, "final_checkpoint");
		char *sha256;

		if (info_entry_is_inherited(info, i))
			continue;
		sha256 = json_string_copy(doc, json_member(doc, made, "sha256"));
		identities_add(&work->trainings, identity_of_entry(info, i), node);
		identities_add(&work->weights, identity_of_text(sha256), node);
		free(sha256);
		read_use(work->pedigree, node, first, info, i);
	}
}

/* Has the record named a parent whose weights the model has? Its base model is that one's, then. */
static bool has_named_origin(const struct pedigree_work *work)
{
	const char *self = work->pedigree->nodes[work->reading].ref;

	for (size_t i = work->n_claims; i-- > 0 && work->claims[i].child == work->reading;)
		if (work->claims[i].claim.kind != CLAIM_ENTRY_BASE &&
		    strcmp(work->claims[i].claim.relation, "uses") != 0 &&
		    strcmp(work->claims[i].claim.ref, self) != 0)
			return true;
	return false;
}

static void keep_claim(void *arg, const struct claim *claim)
{
	struct pedigree_work *work = arg;
	struct pool *pool = &work->pedigree->graph.pool;
	struct pedigree_claim *kept;

	if (claim->kind == CLAIM_BASE && !claim->of && has_named_origin(work))
		return;
	if (work->n_claims == work->claims_cap) {
		work->claims_cap = work->claims_cap ? work->claims_cap * 2 : 64;
		work->claims = xreallocarray(work->claims, work->claims_cap, sizeof(*work->claims));
	}
	kept = &work->claims[work->n_claims++];
	*kept = (struct pedigree_claim){ .claim = *claim, .child = work->reading };
	kept->claim.ref = pool_text(pool, claim->ref);
	kept->claim.relation = pool_text(pool, claim->relation);
	kept->claim.checkpoint = pool_text(pool, claim->checkpoint);
	kept->claim.path = pool_text(pool, claim->path);
	kept->claim.of = pool_text(pool, claim->of);
}

/* Two names of one root are one root. */
static void enter_root(struct pedigree_work *work, const char *path)
{
	struct pedigree *p = work->pedigree;
	char *real = realpath(path, NULL);

	free(work->root);
	work->root = xstrdup(path);
	work->root_index = LINEAGE_NONE;
	if (!real)
		real = xstrdup(path);
	for (size_t i = 0; i < p->n_roots; i++)
		if (strcmp(p->roots[i].real, real) == 0) {
			free(real);
			return;
		}
	p->roots = xreallocarray(p->roots, p->n_roots + 1, sizeof(*p->roots));
	work->root_index = p->n_roots;
	p->roots[p->n_roots++] = (struct pedigree_root){ .path = xstrdup(path), .real = real };
}

static void note_home(struct pedigree *p, const char *key)
{
	char *home = path_dir(key);
	const char *kept = pool_text(&p->graph.pool, home);

	if (!map_get(&p->homes, kept))
		map_put(&p->homes, kept, p);
	free(home);
}

/* A directory that was seen below another root, too (one root may lie in another), is one node. */
static void take_history(struct pedigree_work *work, const struct history *history)
{
	struct pedigree *p = work->pedigree;
	char *key = path_join(p->roots[work->root_index].real, history->dir.ref);
	size_t known = p->graph.n_nodes;
	size_t node = pedigree_node(p, key);

	free(key);
	if (node < known)
		return;
	name_node(p, node, history->dir.ref, work->root_index);
	note_home(p, p->graph.nodes[node].ref);
	lineage_define(&p->graph, node, false);
	p->nodes[node].kind = history->err.code ? PEDIGREE_BROKEN : PEDIGREE_MODEL;
	if (history->err.code) {
		pedigree_complain(p, TROUBLE_BROKEN, node, history->err.msg, NULL, 0);
		return;
	}
	read_facts(p, node, &history->info);
	read_entries(work, node, &history->info);
	work->reading = node;
	claims_read(&history->info, keep_claim, work);
}

static int look(void *arg, const char *root, struct history *history, struct err *err UNUSED)
{
	struct pedigree_work *work = arg;

	if (!work->root || strcmp(work->root, root) != 0)
		enter_root(work, root);
	if (work->root_index != LINEAGE_NONE && (history->has_record || history->err.code))
		take_history(work, history);
	return 0;
}

int pedigree_load(struct pedigree *pedigree, struct session *session, const struct strv *roots,
		  struct err *err)
{
	const struct survey_query query = { .roots = roots };
	struct pedigree_work work = { .pedigree = pedigree };
	int result = survey(session, &query, look, &work, err);

	if (result == 0) {
		work.here = pedigree_here();
		identities_sort(&work.trainings);
		identities_sort(&work.weights);
		pedigree_link(&work);
	}
	identities_release(&work.trainings);
	identities_release(&work.weights);
	free(work.claims);
	free(work.root);
	free(work.here);
	return result;
}

void pedigree_release(struct pedigree *pedigree)
{
	for (size_t i = 0; i < pedigree->n_roots; i++) {
		free(pedigree->roots[i].path);
		free(pedigree->roots[i].real);
	}
	for (size_t i = 0; i < pedigree->n_problems; i++)
		free(pedigree->problems[i].others);
	free(pedigree->problems);
	free(pedigree->roots);
	free(pedigree->nodes);
	free(pedigree->uses);
	map_release(&pedigree->homes);
	lineage_release(&pedigree->graph);
	*pedigree = (struct pedigree)PEDIGREE_INIT;
}

/* ---- datasets ---- */

const struct pedigree_use *pedigree_uses(const struct pedigree *pedigree, size_t node, size_t *n)
{
	size_t low = 0;
	size_t high = pedigree->n_uses;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (pedigree->uses[middle].node < node)
			low = middle + 1;
		else
			high = middle;
	}
	for (*n = 0; low + *n < pedigree->n_uses && pedigree->uses[low + *n].node == node; ++*n)
		;
	return pedigree->n_uses ? pedigree->uses + low : NULL;
}

const char **pedigree_digests(const struct pedigree *pedigree, size_t node, size_t *n)
{
	const struct lineage_node *dataset = &pedigree->graph.nodes[node];
	struct map seen = MAP_INIT;
	const char **list = NULL;

	*n = 0;
	for (size_t i = 0; i < dataset->n_children; i++) {
		size_t n_uses;
		const struct pedigree_use *uses =
			pedigree_uses(pedigree, pedigree->graph.edges[dataset->children[i]].to,
				      &n_uses);

		for (size_t k = 0; k < n_uses; k++) {
			if (uses[k].dataset != pedigree->nodes[node].dataset || !uses[k].digest ||
			    map_get(&seen, uses[k].digest))
				continue;
			map_put(&seen, uses[k].digest, &seen);
			list = xreallocarray(list, seen.n, sizeof(*list));
			list[(*n)++] = uses[k].digest;
		}
	}
	map_release(&seen);
	return list;
}

/* ---- the disk ---- */

const char *pedigree_path(const struct pedigree *pedigree, size_t node)
{
	const char *key = pedigree->graph.nodes[node].ref;
	enum pedigree_kind kind = pedigree->nodes[node].kind;

	if (kind == PEDIGREE_OUTSIDE || kind == PEDIGREE_DATASET)
		return NULL;
	return key[0] == '/' ? key : NULL;
}

bool pedigree_has_checkpoint(const struct pedigree *pedigree, size_t node, const char *checkpoint)
{
	const char *dir = pedigree_path(pedigree, node);
	char *path;
	bool is_gone;

	if (!dir)
		return true;
	path = checkpoint[0] == '/' ? xstrdup(checkpoint) : path_join(dir, checkpoint);
	is_gone = access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR);
	free(path);
	return !is_gone;
}

bool pedigree_has_directory(const struct pedigree *pedigree, size_t node)
{
	const char *dir = pedigree_path(pedigree, node);
	struct stat st;

	return dir && stat(dir, &st) == 0 && S_ISDIR(st.st_mode);
}

/* ---- names and cycles ---- */

struct sorted {
	const char *ref;
	size_t node;
};

static int by_ref(const void *a, const void *b)
{
	return strcmp(((const struct sorted *)a)->ref, ((const struct sorted *)b)->ref);
}

/* Where two have one REF both go by their paths. */
static void set_names(struct pedigree *p)
{
	size_t n = p->graph.n_nodes;
	struct sorted *sorted = xcalloc(n + 1, sizeof(*sorted));

	for (size_t i = 0; i < n; i++)
		sorted[i] = (struct sorted){ p->nodes[i].ref, i };
	if (n)
		qsort(sorted, n, sizeof(*sorted), by_ref);
	for (size_t i = 0; i < n; i++) {
		bool is_shared = (i > 0 && by_ref(&sorted[i - 1], &sorted[i]) == 0) ||
				 (i + 1 < n && by_ref(&sorted[i], &sorted[i + 1]) == 0);
		size_t node = sorted[i].node;
		bool has_path = pedigree_path(p, node) != NULL;

		p->nodes[node].name =
			is_shared && has_path ? p->graph.nodes[node].ref : sorted[i].ref;
	}
	free(sorted);
}

static void find_cycles(struct pedigree *p)
{
	size_t *cycle = lineage_cycles(&p->graph);
	size_t n_cycles = 0;
	size_t first = p->n_problems;

	for (size_t i = 0; i < p->graph.n_nodes; i++) {
		p->nodes[i].cycle = cycle[i];
		if (cycle[i] <= n_cycles)
			continue;
		n_cycles = cycle[i];
		pedigree_complain(p, TROUBLE_CYCLE, i, NULL, NULL, 0);
	}
	for (size_t i = 0; i < p->graph.n_nodes; i++) {
		struct pedigree_problem *problem;

		if (!cycle[i])
			continue;
		problem = &p->problems[first + cycle[i] - 1];
		if ((problem->n_others & (problem->n_others - 1)) == 0)
			problem->others =
				xreallocarray(problem->others,
					      problem->n_others ? problem->n_others * 2 : 1,
					      sizeof(size_t));
		problem->others[problem->n_others++] = i;
	}
	free(cycle);
}

void pedigree_settle(struct pedigree *pedigree)
{
	set_names(pedigree);
	find_cycles(pedigree);
}
