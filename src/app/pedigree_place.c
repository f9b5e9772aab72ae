/*
 * Where the path of a base model leads. Nearly all records name something outside the tree, a Hub id,
 * so what costs system calls comes last.
 */
#include "base/base.h"

#include "app/parents.h"
#include "app/pedigree_parts.h"
#include "base/mem.h"
#include "sys/path.h"

#include <limits.h>
#include <unistd.h>

/* More components than any path of ours has; to compare ends takes the square of it. */
#define PARTS_MAX 32

struct seeker {
	struct pedigree *pedigree;
	size_t child;
	const char *text;
	bool make;
	struct pedigree_place *out;
};

void pedigree_place_release(struct pedigree_place *place)
{
	free(place->checkpoint);
	free(place->others);
	*place = (struct pedigree_place){ .node = LINEAGE_NONE };
}

static void found(struct seeker *s, size_t node, const char *rest, const char *found_by)
{
	s->out->node = node;
	s->out->checkpoint = *rest ? xstrdup(rest) : NULL;
	s->out->found_by = found_by;
}

/* The model that 'path' is, or lies in; no shorter than 'known' bytes of it. */
static bool climb(struct seeker *s, const char *path, size_t known)
{
	const struct lineage *graph = &s->pedigree->graph;
	char *head = xstrdup(path);
	char *slash = head + strlen(head);
	size_t node = LINEAGE_NONE;

	while (slash && slash != head && (size_t)(slash - head) >= known) {
		*slash = '\0';
		node = lineage_find(graph, head);
		if (node != LINEAGE_NONE)
			break;
		slash = strrchr(head, '/');
	}
	if (node != LINEAGE_NONE) {
		const char *rest = path + strlen(head);

		found(s, node, *rest ? rest + 1 : rest, "path");
	}
	free(head);
	return node != LINEAGE_NONE;
}

static size_t root_above(const struct pedigree *p, const char *path, const char **rest)
{
	for (size_t i = 0; i < p->n_roots; i++) {
		size_t len = strlen(p->roots[i].real);

		if (strncmp(path, p->roots[i].real, len) == 0 && path[len] == '/') {
			*rest = path + len + 1;
			return i;
		}
	}
	return LINEAGE_NONE;
}

/*
 * A model of the tree that is gone: in an experiment that has others, if the record says so itself
 * (behind the first 'known' bytes) or its directory is there, or, if 'is_sure' that a path is
 * meant, where nothing lies any more. What is there and holds no trainings is no model of ours.
 * Nor is one whose path is no longer than 'given' bytes.
 */
static bool make_missing(struct seeker *s, const char *path, size_t known, size_t given,
			 bool is_sure)
{
	struct pedigree *p = s->pedigree;
	const char *rest;
	size_t root = root_above(p, path, &rest);
	const char *name = root == LINEAGE_NONE ? NULL : strchr(rest, '/');
	size_t exp_len;
	size_t len;
	char *key;
	char *home;
	bool is_there;
	bool makes;

	if (!name || !name[1])
		return false;
	exp_len = (size_t)(name - path);
	len = exp_len + 1 + strcspn(name + 1, "/");
	key = xstrndup(path, len);
	home = xstrndup(path, exp_len);
	is_there = access(key, F_OK) == 0;
	makes = len >= given &&
		(map_get(&p->homes, home) ? exp_len > known || is_there : is_sure && !is_there);
	if (makes)
		found(s, pedigree_missing(p, key, key + (rest - path), root),
		      path[len] ? path + len + 1 : "", "path");
	free(home);
	free(key);
	return makes;
}

/* 'path' is absolute, and everything of it behind 'known' bytes is as the record has it. What these
 * alone lead to is nothing that a record means: it may be where somebody happens to stand. */
static bool try_path(struct seeker *s, const char *path, size_t known, bool is_sure)
{
	char *lexical = path_absolute(path);
	bool is_own = s->child != LINEAGE_NONE && strncmp(lexical, path, known) == 0;
	size_t given = is_own ? known : 0;
	size_t first = known + strcspn(path + known, "/");
	char *head = xstrndup(path, first);
	char *real = NULL;
	bool done = climb(s, lexical, given);

	if (!done && (!known || access(head, F_OK) == 0))
		real = parents_resolve_links(path, parents_spare(path + known));
	if (!done && real)
		done = climb(s, real, 0);
	if (!done && s->make)
		done = make_missing(s, real ? real : lexical, real ? 0 : known, real ? 0 : given,
				    is_sure);
	free(lexical);
	free(head);
	free(real);
	return done;
}

static bool try_below(struct seeker *s, const char *dir, bool is_sure)
{
	char *path = path_join(dir, s->text);
	bool done = *dir && try_path(s, path, strlen(dir) + 1, is_sure);

	free(path);
	return done;
}

/* ---- by the end of the path ---- */

struct ends {
	const char *parts[PARTS_MAX + 1]; /* where each begins; the last: the end */
	size_t n;
};

static bool split(const char *text, struct ends *ends)
{
	ends->n = 0;
	while (*text) {
		text += strspn(text, "/");
		if (!*text)
			break;
		if (ends->n == PARTS_MAX)
			return false;
		ends->parts[ends->n++] = text;
		text += strcspn(text, "/");
	}
	ends->parts[ends->n] = text;
	return true;
}

static void add_other(struct pedigree_place *place, size_t node)
{
	place->others = xreallocarray(place->others, place->n_others + 1, sizeof(size_t));
	place->others[place->n_others++] = node;
}

/* The models, root by root, whose REF is these components. */
static void match_ends(struct seeker *s, const struct ends *ends, size_t from, size_t n)
{
	const struct pedigree *p = s->pedigree;
	const char *last = ends->parts[from + n - 1];
	size_t len = (size_t)(last - ends->parts[from]) + strcspn(last, "/");

	for (size_t i = 0; i < p->n_roots; i++) {
		char *key = xstrf("%s/%.*s", p->roots[i].real, (int)len, ends->parts[from]);
		size_t node = lineage_find(&p->graph, key);

		if (node != LINEAGE_NONE && p->nodes[node].kind != PEDIGREE_MISSING)
			add_other(s->out, node);
		free(key);
	}
}

/* One of several that is below the child's own root is the one. */
static void choose_end(struct seeker *s, const char *rest)
{
	const struct pedigree *p = s->pedigree;
	struct pedigree_place *out = s->out;
	size_t own = LINEAGE_NONE;

	for (size_t i = 0; i < out->n_others; i++)
		if (s->child != LINEAGE_NONE &&
		    p->nodes[out->others[i]].root == p->nodes[s->child].root)
			own = out->others[i];
	if (out->n_others == 1)
		own = out->others[0];
	if (own == LINEAGE_NONE)
		return;
	found(s, own, rest + strspn(rest, "/"), "path_end");
	free(out->others);
	out->others = NULL;
	out->n_others = 0;
}

/* A tree that was moved: the longest REF that stands in the path, two components at least. */
static bool try_ends(struct seeker *s)
{
	struct ends ends;

	if (!split(s->text, &ends) || (s->text[0] != '/' && ends.n < 3) ||
	    access(s->text, F_OK) == 0)
		return false;
	for (size_t n = ends.n; n >= 2; n--)
		for (size_t from = 0; from + n <= ends.n; from++) {
			const char *last = ends.parts[from + n - 1];

			match_ends(s, &ends, from, n);
			if (s->out->n_others) {
				choose_end(s, last + strcspn(last, "/"));
				return true;
			}
		}
	return false;
}

/* ---- all of them ---- */

static bool try_places(struct seeker *s, const char *here)
{
	const struct pedigree *p = s->pedigree;
	const struct pedigree_node *child;
	const char *root;
	char *exp;
	bool done;

	if (s->text[0] == '/')
		return try_path(s, s->text, 0, true);
	if (try_below(s, here, false))
		return true;
	if (s->child == LINEAGE_NONE || p->nodes[s->child].root == LINEAGE_NONE)
		return false;
	child = &p->nodes[s->child];
	root = p->roots[child->root].real;
	if (try_below(s, root, false))
		return true;
	if (!strchr(child->ref, '/'))
		return false;
	exp = xstrf("%s/%.*s", root, (int)strcspn(child->ref, "/"), child->ref);
	done = try_below(s, exp, false);
	free(exp);
	return done;
}

void pedigree_place(struct pedigree *pedigree, size_t child, const char *here, const char *text,
		    bool make, struct pedigree_place *out)
{
	struct seeker s = {
		.pedigree = pedigree,
		.child = child,
		.text = text,
		.make = make,
		.out = out,
	};
	size_t known;

	*out = (struct pedigree_place){ .node = LINEAGE_NONE };
	if (!*text || strlen(text) >= PATH_MAX)
		return;
	known = text[0] == '/' ? lineage_find(&pedigree->graph, text) : LINEAGE_NONE;
	if (known != LINEAGE_NONE && pedigree->nodes[known].kind == PEDIGREE_OUTSIDE)
		return; /* looked for before, in vain */
	if (!try_places(&s, here))
		try_ends(&s);
}
