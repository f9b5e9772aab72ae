/*
 * Which model came from which. A base model is a text: a path of the machine where the training ran,
 * which may be another one, or a name on the Hub. In this order it is looked for
 *
 *	1. as a path here: from the root, the experiment, the directories above the root, or absolute;
 *	2. by the end of the path: ".../exp_1/stage1_hrds/checkpoint-500" is exp_1/stage1_hrds of a tree
 *	   that was moved; two components must agree, or one and what follows is there;
 *	3. by content: what lies at the path has the weights of one checkpoint in the tree.
 *
 * "current" in a path means the experiment of the training itself where that has such a directory,
 * for the link pointed there while it ran; else where it points now.
 */
#include "base/base.h"

#include "app/adopt_reading.h"

#include "base/mem.h"
#include "sys/path.h"

#include <sys/stat.h>
#include <unistd.h>

/* Directories above the root from which a training may have been started. */
#define LEVELS_ABOVE 3

struct link {
	struct adopt *adopt;
	size_t *by_ref;	    /* models in the order of their refs */
	size_t *by_name;    /* in the order of the last component */
	struct str current; /* what "current" points to now, or "" */
	char *root;	    /* without links */
};

struct place {
	size_t model; /* ADOPT_NONE: none */
	char *rest;   /* what follows its directory, or NULL */
	bool by_content;
	bool is_ambiguous;
};

/* ---- finding by name ---- */

static const struct adopt *sorting; /* qsort has no argument for it */

static int compare_refs(const void *a, const void *b)
{
	return strcmp(sorting->models[*(const size_t *)a].ref,
		      sorting->models[*(const size_t *)b].ref);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(path_base(sorting->models[*(const size_t *)a].ref),
		      path_base(sorting->models[*(const size_t *)b].ref));
}

static size_t *sorted(const struct adopt *adopt, int (*compare)(const void *, const void *))
{
	size_t *list = xcalloc(adopt->n + 1, sizeof(*list));

	for (size_t i = 0; i < adopt->n; i++)
		list[i] = i;
	sorting = adopt;
	if (adopt->n)
		qsort(list, adopt->n, sizeof(*list), compare);
	return list;
}

static size_t find_ref(const struct link *link, const char *ref)
{
	const struct adopt *adopt = link->adopt;
	size_t from = 0;
	size_t to = adopt->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = strcmp(adopt->models[link->by_ref[middle]].ref, ref);

		if (order == 0)
			return link->by_ref[middle];
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return ADOPT_NONE;
}

/* The first in link->by_name whose last component is 'name', or adopt->n. */
static size_t first_named(const struct link *link, const char *name)
{
	const struct adopt *adopt = link->adopt;
	size_t from = 0;
	size_t to = adopt->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (strcmp(path_base(adopt->models[link->by_name[middle]].ref), name) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* The model in whose directory 'relative' (below the root) lies. */
static bool find_around(const struct link *link, const char *relative, struct place *place)
{
	char *head = xstrdup(relative);
	size_t len = strlen(head);
	bool found = false;

	while (len && !found) {
		head[len] = '\0';
		place->model = find_ref(link, head);
		found = place->model != ADOPT_NONE;
		if (found && relative[len])
			place->rest = xstrdup(relative + len + 1);
		while (!found && len && head[len - 1] != '/')
			len--;
		if (!found && len)
			len--;
	}
	free(head);
	return found;
}

/* ---- as a path here ---- */

/* 'path' with its links resolved as far as it is there; fresh memory. */
static char *resolve_links(const char *path)
{
	char *head = path_absolute(path);
	char *whole = xstrdup(head);
	char *real;
	char *found;

	while (!(real = realpath(head, NULL)) && strcmp(head, "/") != 0) {
		char *up = path_dir(head);

		free(head);
		head = up;
	}
	found = real && strlen(whole) > strlen(head)
			? path_join(real, whole + strlen(head) + (strcmp(head, "/") != 0))
			: xstrdup(real ? real : whole);
	free(real);
	free(head);
	free(whole);
	return found;
}

static bool exists_below(const struct link *link, size_t model, const char *rest)
{
	char *ref = path_join(link->root, link->adopt->models[model].ref);
	char *path = path_join(ref, rest);
	struct stat st;
	bool there = stat(path, &st) == 0;

	free(path);
	free(ref);
	return there;
}

/* Without "current" as its first component: the training's own experiment, if that has such a
 * directory. */
static char *without_current(const struct link *link, size_t self, const char *relative)
{
	const char *exp = link->adopt->models[self].exp;
	struct place place = { .model = ADOPT_NONE };
	char *own;

	if (!has_prefix(relative, "current/"))
		return xstrdup(relative);
	own = xstrf("%s/%s", exp ? exp : "", relative + strlen("current/"));
	if (exp && find_around(link, own, &place) && place.model != self) {
		free(place.rest);
		return own;
	}
	free(place.rest);
	free(own);
	return link->current.len ? xstrf("%s/%s", link->current.buf, relative + strlen("current/"))
				 : xstrdup(relative);
}

static bool find_at(const struct link *link, size_t self, const char *path, struct place *place)
{
	char *plain = path_absolute(path);
	size_t len = strlen(link->root);
	char *real;
	char *relative;
	bool found = false;

	/* Before the link is followed, for it may point elsewhere now. */
	if (has_prefix(plain, link->root) && has_prefix(plain + len, "/current/")) {
		relative = without_current(link, self, plain + len + 1);
		found = find_around(link, relative, place);
		free(relative);
	}
	real = found ? NULL : resolve_links(plain);
	if (real && has_prefix(real, link->root) && real[len] == '/')
		found = find_around(link, real + len + 1, place);
	free(real);
	free(plain);
	return found;
}

static bool is_path_text(const char *text)
{
	return strchr(text, '/') || strchr(text, '\\');
}

static bool find_here(const struct link *link, size_t self, const char *text, struct place *place)
{
	const struct adopt_model *model = &link->adopt->models[self];
	char *dir = path_join(link->root, model->exp ? model->exp : "");
	bool found = false;

	if (text[0] == '/') {
		free(dir);
		return find_at(link, self, text, place);
	}
	/* A path relative to nobody knows what: what it names must be there. */
	for (int i = 0; i <= LEVELS_ABOVE + 1 && !found; i++) {
		char *path = path_join(dir, text);
		char *up = path_dir(dir);
		struct stat st;

		if (stat(path, &st) == 0 || strstr(text, "current/"))
			found = find_at(link, self, path, place);
		free(path);
		free(dir);
		dir = up;
	}
	free(dir);
	return found;
}

/* ---- by the end of the path ---- */

static void split_path(const char *text, struct strv *parts)
{
	while (*text) {
		size_t len = strcspn(text, "/\\");

		if (len && !(len == 1 && text[0] == '.'))
			strv_pushn(parts, text, len);
		text += len;
		text += strspn(text, "/\\");
	}
}

/* How many components of "ROOT/REF", from its end, are those before and at parts[at]. */
static size_t agreement(const struct link *link, size_t model, const struct strv *parts, size_t at)
{
	char *whole = path_join(path_base(link->root), link->adopt->models[model].ref);
	struct strv own = STRV_INIT;
	size_t n = 0;

	split_path(whole, &own);
	while (n < own.n && n <= at && strcmp(own.v[own.n - 1 - n], parts->v[at - n]) == 0)
		n++;
	strv_release(&own);
	free(whole);
	return n;
}

static char *join_from(const struct strv *parts, size_t from)
{
	struct str text = STR_INIT;

	for (size_t i = from; i < parts->n; i++)
		str_addf(&text, "%s%s", i > from ? "/" : "", parts->v[i]);
	if (!text.len)
		return NULL;
	return str_detach(&text);
}

struct best {
	size_t model;
	size_t agree;
	size_t at;
	bool is_tied;
};

static void try_named(const struct link *link, size_t self, const struct strv *parts, size_t at,
		      struct best *best)
{
	const struct adopt *adopt = link->adopt;

	for (size_t i = first_named(link, parts->v[at]);
	     i < adopt->n &&
	     strcmp(path_base(adopt->models[link->by_name[i]].ref), parts->v[at]) == 0;
	     i++) {
		size_t model = link->by_name[i];
		size_t agree = agreement(link, model, parts, at);
		char *rest = join_from(parts, at + 1);
		bool counts = agree >= 2 || (rest && exists_below(link, model, rest));

		free(rest);
		if (!counts || model == self || agree < best->agree)
			continue;
		best->is_tied = agree == best->agree;
		best->agree = agree;
		best->model = model;
		best->at = at;
	}
}

/* The names that a path gives to "current" are those of the experiment of the training. */
static void replace_current(const struct link *link, size_t self, struct strv *parts)
{
	const char *exp = link->adopt->models[self].exp;

	for (size_t i = 0; i + 1 < parts->n; i++) {
		struct place place = { .model = ADOPT_NONE };
		char *own;

		if (strcmp(parts->v[i], "current") != 0)
			continue;
		own = xstrf("%s/%s", exp ? exp : "", parts->v[i + 1]);
		if (exp && find_around(link, own, &place) && place.model != self) {
			free(parts->v[i]);
			parts->v[i] = xstrdup(exp);
		} else if (link->current.len) {
			free(parts->v[i]);
			parts->v[i] = xstrdup(link->current.buf);
		}
		free(place.rest);
		free(own);
	}
}

static bool find_by_end(const struct link *link, size_t self, const char *text, struct place *place)
{
	struct strv parts = STRV_INIT;
	struct best best = { .model = ADOPT_NONE };

	split_path(text, &parts);
	replace_current(link, self, &parts);
	for (size_t i = parts.n; i-- > 0;)
		try_named(link, self, &parts, i, &best);
	place->is_ambiguous = best.is_tied;
	if (best.model != ADOPT_NONE && !best.is_tied) {
		place->model = best.model;
		place->rest = join_from(&parts, best.at + 1);
	}
	strv_release(&parts);
	return place->model != ADOPT_NONE;
}

/* ---- by content ---- */

static bool find_by_content(const struct link *link, size_t self, const char *text,
			    struct place *place)
{
	char *path = text[0] == '/' ? xstrdup(text) : path_join(link->root, text);
	struct stat st;

	if (stat(path, &st) == 0)
		place->model = adopt_same_weights(link->adopt, self, path, &place->rest);
	place->by_content = place->model != ADOPT_NONE;
	free(path);
	return place->by_content;
}

static bool find(const struct link *link, size_t self, const char *text, struct place *place)
{
	*place = (struct place){ .model = ADOPT_NONE };
	if (is_path_text(text)) {
		if (find_here(link, self, text, place) || find_by_end(link, self, text, place))
			return true;
	}
	return text[0] && find_by_content(link, self, text, place);
}

/* ---- edges ---- */

static void add_edge(struct adopt_model *model, size_t from, const char *relation, char *checkpoint,
		     bool by_content)
{
	for (size_t i = 0; i < model->n_edges; i++)
		if (model->edges[i].from == from) {
			free(checkpoint);
			return;
		}
	model->edges = xreallocarray(model->edges, model->n_edges + 1, sizeof(*model->edges));
	model->edges[model->n_edges++] = (struct adopt_edge){
		.from = from,
		.relation = relation,
		.checkpoint = checkpoint,
		.by_content = by_content,
	};
}

static bool has_or_gets_record(const struct adopt_model *model)
{
	return model->state == ADOPT_READY || model->state == ADOPT_RECORDED;
}

/*
 * A new directory begun from a checkpoint of the same stage goes on with that model, as 'run
 * --init-from' has it: only where both are stages of the pipeline, whose names say what they are, and
 * of one experiment.
 */
static bool goes_on(const struct adopt_model *model, const struct adopt_model *base)
{
	return model->is_home && base->is_home && model->stage && base->stage &&
	       strcmp(model->stage, base->stage) == 0 && model->exp && base->exp &&
	       strcmp(model->exp, base->exp) == 0;
}

/* "checkpoint-500" of "checkpoint-500/pytorch_model.bin". */
static void trim_checkpoint(char *rest)
{
	char *slash = rest ? strrchr(rest, '/') : NULL;

	if (slash && strchr(slash, '.') && !strchr(slash, '='))
		*slash = '\0';
}

static void take_place(struct adopt *adopt, size_t self, struct place *place)
{
	struct adopt_model *model = &adopt->models[self];
	const struct adopt_model *base = &adopt->models[place->model];

	trim_checkpoint(place->rest);
	model->base_model = place->rest ? path_join(base->ref, place->rest) : xstrdup(base->ref);
	model->base_how = "inferred";
	if (!has_or_gets_record(base)) {
		strv_pushf(&model->notes, "its base '%s' has no record: %s", base->ref,
			   base->reason ? base->reason : "not recorded");
		free(place->rest);
		return;
	}
	add_edge(model, place->model, goes_on(model, base) ? "continues" : "starts_from",
		 place->rest, place->by_content);
}

/* The surest text that leads to another model; else the surest text. */
static void link_bases(const struct link *link, size_t self)
{
	struct adopt *adopt = link->adopt;
	struct adopt_model *model = &adopt->models[self];
	const char *outside = NULL;

	for (size_t i = 0; i < model->bases.n; i++) {
		struct place place;
		bool found = find(link, self, model->bases.v[i], &place);

		if (found && place.model != self) {
			take_place(adopt, self, &place);
			return;
		}
		if (place.is_ambiguous)
			strv_pushf(&model->notes, "'%s' fits several directories",
				   model->bases.v[i]);
		if (!found && !outside)
			outside = model->bases.v[i];
		free(place.rest); /* a checkpoint of its own: it went on in place */
	}
	if (outside)
		model->base_model = xstrdup(outside);
}

/* The features or models of the same experiment that the stage works from. */
static void link_needs(const struct link *link, size_t self)
{
	struct adopt_model *model = &link->adopt->models[self];

	for (size_t i = 0; i < model->needs.n; i++) {
		size_t base = find_ref(link, model->needs.v[i]);

		if (base == ADOPT_NONE || base == self ||
		    !has_or_gets_record(&link->adopt->models[base]))
			continue;
		add_edge(model, base, "uses", NULL, false);
		if (!model->base_model) {
			model->base_model = xstrdup(link->adopt->models[base].ref);
			model->base_how = "inferred";
		}
	}
}

static void tell_base(struct adopt_model *model)
{
	struct entry *entry = &model->entries[model->n_entries - 1];

	if (!model->base_model)
		return;
	entry_add_extra_string(entry, "base_model", model->base_model);
	adopt_set_evidence(entry, "base_model", model->base_how ? model->base_how : "observed",
			   model->base_how != NULL);
}

/* ---- the order ---- */

enum { UNSEEN, ON_THE_WAY, DONE };

/* Bases first. What leads back to where we came from is no edge: nothing comes from itself. */
static void order_model(struct adopt *adopt, size_t i, unsigned char *seen, size_t *n)
{
	struct adopt_model *model = &adopt->models[i];
	size_t kept = 0;

	seen[i] = ON_THE_WAY;
	for (size_t k = 0; k < model->n_edges; k++) {
		struct adopt_edge edge = model->edges[k];

		if (seen[edge.from] == ON_THE_WAY) {
			strv_pushf(&model->notes, "'%s' seems to come from it and it from that one",
				   adopt->models[edge.from].ref);
			free(edge.checkpoint);
			continue;
		}
		if (seen[edge.from] == UNSEEN)
			order_model(adopt, edge.from, seen, n);
		model->edges[kept++] = edge;
	}
	model->n_edges = kept;
	seen[i] = DONE;
	adopt->order[(*n)++] = i;
}

/* From the last on: what lies deeper is recorded before what lies above it, so that a run that was
 * killed leaves for the next one to see what it saw. */
static void order_models(struct adopt *adopt)
{
	unsigned char *seen = xcalloc(adopt->n + 1, 1);
	size_t n = 0;

	adopt->order = xcalloc(adopt->n + 1, sizeof(*adopt->order));
	for (size_t i = adopt->n; i-- > 0;)
		if (seen[i] == UNSEEN)
			order_model(adopt, i, seen, &n);
	free(seen);
}

void adopt_link(struct adopt *adopt)
{
	struct link link = { .adopt = adopt, .current = STR_INIT };
	struct err ignored = ERR_INIT;
	char target[4096];
	ssize_t len = readlinkat(adopt->session->layout.rootfd, "current", target, sizeof(target));

	if (len > 0 &&
	    layout_find_experiment(&adopt->session->layout, "current", &link.current, &ignored) < 0)
		str_clear(&link.current);
	link.root = realpath(adopt->session->layout.root, NULL);
	if (!link.root)
		link.root = xstrdup(adopt->session->layout.root);
	link.by_ref = sorted(adopt, compare_refs);
	link.by_name = sorted(adopt, compare_names);
	for (size_t i = 0; i < adopt->n; i++)
		if (adopt->models[i].state == ADOPT_READY) {
			link_bases(&link, i);
			link_needs(&link, i);
			tell_base(&adopt->models[i]);
		}
	order_models(adopt);
	free(link.by_ref);
	free(link.by_name);
	free(link.root);
	str_release(&link.current);
}
