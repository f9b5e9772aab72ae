/* What the user asks for: a model, a pretrained one, a dataset or a checkpoint. */
#include "base/base.h"

#include "app/pedigree_parts.h"
#include "base/mem.h"
#include "model/history.h"
#include "model/store.h"
#include "sys/path.h"

#include <unistd.h>

/* No name that a record gives begins so. */
#define DATASET_KEY "\1dataset:"

struct question {
	struct pedigree *pedigree;
	struct session *session;
	const char *exp;
	struct err *err;
};

/* ---- datasets ---- */

static size_t dataset_node(struct pedigree *p, const char *dataset)
{
	char *key = xstrf(DATASET_KEY "%s", dataset);
	size_t known = p->graph.n_nodes;
	size_t node = pedigree_node(p, key);

	free(key);
	if (node == known) {
		p->nodes[node].kind = PEDIGREE_DATASET;
		p->nodes[node].ref = p->graph.nodes[node].ref + 1;
		p->nodes[node].dataset = pool_text(&p->graph.pool, dataset);
		lineage_define(&p->graph, node, true);
	}
	return node;
}

/* NULL: every one. */
static void add_datasets(struct pedigree *p, const char *dataset)
{
	for (size_t i = 0; i < p->n_uses; i++) {
		const struct pedigree_use *use = &p->uses[i];

		if (!dataset || strcmp(use->dataset, dataset) == 0)
			lineage_connect(&p->graph, dataset_node(p, use->dataset), use->node,
					"trained_on", NULL, use->is_declared);
	}
}

void pedigree_add_datasets(struct pedigree *pedigree)
{
	add_datasets(pedigree, NULL);
}

static size_t find_dataset(struct pedigree *p, const char *text)
{
	const char *name = has_prefix(text, "dataset:") ? text + strlen("dataset:") : text;

	for (size_t i = 0; i < p->n_uses; i++)
		if (strcmp(p->uses[i].dataset, name) == 0) {
			add_datasets(p, name);
			return dataset_node(p, name);
		}
	return LINEAGE_NONE;
}

/* ---- models ---- */

static size_t node_of_dir(const struct pedigree *p, const struct stage_dir *dir)
{
	char *real = realpath(dir->path, NULL);
	size_t node = real ? lineage_find(&p->graph, real) : LINEAGE_NONE;

	free(real);
	return node;
}

static int refuse_two(const struct question *q, const char *text, size_t a, size_t b)
{
	const struct pedigree *p = q->pedigree;

	err_set(q->err, ERR_INVALID, "'%s' has two meanings: '%s' and '%s'", text,
		pedigree_path(p, a) ? pedigree_path(p, a) : p->nodes[a].ref,
		pedigree_path(p, b) ? pedigree_path(p, b) : p->nodes[b].ref);
	return err_hint(q->err, "a path names one of them");
}

typedef int resolver(const struct question *q, const char *text, struct stage_dir *dir,
		     struct err *err);

static int resolve_plainly(const struct question *q, const char *text, struct stage_dir *dir,
			   struct err *err)
{
	return layout_resolve(&q->session->layout, q->exp, text, dir, err);
}

/* Starts the plugins, for the stages' names. */
static int resolve_fully(const struct question *q, const char *text, struct stage_dir *dir,
			 struct err *err)
{
	return session_resolve(q->session, q->exp, text, dir, err);
}

/* In every root; -1 where it is another in two of them, or where a root has two. */
static int find_model(const struct question *q, const char *text, resolver *resolve, size_t *node,
		      struct err *absent)
{
	const struct pedigree *p = q->pedigree;

	*node = LINEAGE_NONE;
	for (size_t i = 0; i < p->n_roots || i == 0; i++) {
		struct stage_dir dir = STAGE_DIR_INIT;
		struct err own = ERR_INIT;
		size_t here = LINEAGE_NONE;

		if (p->n_roots > 1 && session_move_root(q->session, p->roots[i].path, q->err) < 0)
			return -1;
		if (resolve(q, text, &dir, &own) == 0) {
			here = node_of_dir(p, &dir);
			if (here == LINEAGE_NONE)
				err_set(&own, ERR_NOT_FOUND, "'%s' has no record", dir.ref);
			stage_dir_release(&dir);
		} else if (own.code != ERR_NOT_FOUND) {
			*q->err = own;
			return -1;
		}
		if (here == LINEAGE_NONE)
			*absent = own;
		else if (*node != LINEAGE_NONE && *node != here)
			return refuse_two(q, text, *node, here);
		else
			*node = here;
	}
	return 0;
}

/* What a record, or a child, calls it: also a missing or a pretrained model. */
static int find_named(const struct question *q, const char *text, size_t *node)
{
	const struct pedigree *p = q->pedigree;

	*node = LINEAGE_NONE;
	for (size_t i = 0; i < p->n_roots; i++) {
		char *key =
			text[0] == '/' ? path_absolute(text) : path_join(p->roots[i].real, text);
		size_t here = lineage_find(&p->graph, key);

		free(key);
		if (here == LINEAGE_NONE || here == *node)
			continue;
		if (*node != LINEAGE_NONE)
			return refuse_two(q, text, *node, here);
		*node = here;
	}
	if (*node == LINEAGE_NONE)
		*node = lineage_find(&p->graph, text);
	return 0;
}

/* ---- checkpoints ---- */

static bool entries_name(const struct info *info, const char *checkpoint)
{
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		size_t made = info_entry_member(info, i, "final_checkpoint");

		if (json_string_is(&info->doc, json_member(&info->doc, made, "name"), checkpoint) ||
		    json_string_is(&info->doc, made, checkpoint))
			return true;
	}
	return false;
}

static bool record_names(const char *dir, const char *checkpoint)
{
	struct str text = STR_INIT;
	struct info info = INFO_INIT;
	struct err ignored = ERR_INIT;
	int fd = path_open_dir(dir, &ignored);
	bool names = fd >= 0 && store_read(fd, dir, &text, &ignored) == 0 &&
		     info_open(&info, dir, text.buf, text.len, &ignored) == 0 &&
		     entries_name(&info, checkpoint);

	info_release(&info);
	str_release(&text);
	if (fd >= 0)
		close(fd);
	return names;
}

/* Does the model's own record say so? Else its children do, or it lies there, or there is none. */
static bool has_own_word(const struct pedigree *p, size_t node, const char *checkpoint)
{
	const char *final = p->nodes[node].checkpoint;

	return (final && strcmp(final, checkpoint) == 0) ||
	       (p->nodes[node].kind == PEDIGREE_MODEL &&
		record_names(p->graph.nodes[node].ref, checkpoint));
}

static bool is_known(const struct pedigree *p, size_t node, const char *checkpoint)
{
	const struct lineage_node *n = &p->graph.nodes[node];

	for (size_t i = 0; i < n->n_children; i++)
		if (lineage_is_checkpoint(p->graph.edges[n->children[i]].checkpoint, checkpoint))
			return true;
	return pedigree_path(p, node) && pedigree_has_checkpoint(p, node, checkpoint);
}

/* Between the model and what began from that checkpoint. LINEAGE_NONE: there is none of that name. */
static size_t checkpoint_node(struct pedigree *p, size_t model, const char *checkpoint)
{
	bool is_declared = has_own_word(p, model, checkpoint);
	char *key = path_join(p->graph.nodes[model].ref, checkpoint);
	char *ref = path_join(p->nodes[model].ref, checkpoint);
	size_t node = lineage_find(&p->graph, key);

	if (node == LINEAGE_NONE && (is_declared || is_known(p, model, checkpoint))) {
		node = pedigree_missing(p, key, ref, p->nodes[model].root);
		p->nodes[node].kind = PEDIGREE_CHECKPOINT;
		p->nodes[node].checkpoint = pool_text(&p->graph.pool, checkpoint);
		lineage_define(&p->graph, node, false);
		lineage_split(&p->graph, model, checkpoint, node);
		lineage_connect(&p->graph, model, node, "saved", NULL, is_declared);
	}
	free(ref);
	free(key);
	return node;
}

/* "REF/checkpoint-10": the longest beginning that is a model. */
static int find_checkpoint(const struct question *q, const char *text, size_t *node)
{
	char *head = xstrdup(text);
	char *slash = strrchr(head, '/');
	int result = 0;

	*node = LINEAGE_NONE;
	while (slash && slash != head && *node == LINEAGE_NONE && result == 0) {
		struct err ignored = ERR_INIT;
		size_t model;

		*slash = '\0';
		result = find_named(q, head, &model);
		if (result == 0 && model == LINEAGE_NONE)
			result = find_model(q, head, resolve_plainly, &model, &ignored);
		if (result == 0 && model != LINEAGE_NONE && text[strlen(head) + 1])
			*node = checkpoint_node(q->pedigree, model, text + strlen(head) + 1);
		slash = strrchr(head, '/');
	}
	free(head);
	return result;
}

/* A path as a record has it, from another time or place. */
static size_t find_recorded(const struct question *q, const char *text)
{
	struct pedigree_place place;
	char *here = pedigree_here();
	size_t node;

	pedigree_place(q->pedigree, LINEAGE_NONE, here, text, false, &place);
	node = place.node;
	if (node != LINEAGE_NONE && place.checkpoint)
		node = checkpoint_node(q->pedigree, node, place.checkpoint);
	pedigree_place_release(&place);
	free(here);
	return node;
}

int pedigree_find(struct pedigree *pedigree, struct session *session, const char *exp,
		  const char *text, size_t *node, struct err *err)
{
	const struct question q = {
		.pedigree = pedigree,
		.session = session,
		.exp = exp,
		.err = err,
	};
	struct err absent = ERR_INIT;

	*node = LINEAGE_NONE;
	if (has_prefix(text, "dataset:"))
		*node = find_dataset(pedigree, text);
	if (*node == LINEAGE_NONE && find_named(&q, text, node) < 0)
		return -1;
	if (*node == LINEAGE_NONE && find_model(&q, text, resolve_plainly, node, &absent) < 0)
		return -1;
	if (*node == LINEAGE_NONE)
		*node = find_dataset(pedigree, text);
	if (*node == LINEAGE_NONE && find_checkpoint(&q, text, node) < 0)
		return -1;
	if (*node == LINEAGE_NONE)
		*node = find_recorded(&q, text);
	if (*node == LINEAGE_NONE && find_model(&q, text, resolve_fully, node, &absent) < 0)
		return -1;
	if (*node == LINEAGE_NONE)
		*err = absent;
	return *node == LINEAGE_NONE ? -1 : 0;
}
