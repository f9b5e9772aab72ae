/*
 * th_parents(id, ref, exp, root): one row for each model that this one came from, by the rules of
 * app/claims.c as far as a record tells, which has no tree at hand:
 *
 *	parent, relation, checkpoint, how   as in "parents"; the same parent twice is one row
 *	source      parents, inherited or base_model
 *	place, rest         where in the tree a base model would lie: the REF, and what follows it
 *	near, near_rest     the same if it is relative to the experiment
 */
#include "base/base.h"

#include "base/mem.h"
#include "index/unfold.h"

struct edge {
	char *parent;
	char *relation;
	char *checkpoint;
	const char *how;
	const char *source;
};

struct edges {
	struct edge *v;
	size_t n;
	const char *ref;
};

/* Takes over 'edge', whose 'parent' may be NULL. */
static void add_edge(struct edges *edges, struct edge *edge)
{
	struct edge *same = NULL;

	for (size_t i = 0; edge->parent && i < edges->n; i++)
		if (strcmp(edges->v[i].parent, edge->parent) == 0)
			same = &edges->v[i];
	if (same && strcmp(edge->how, "declared") == 0)
		same->how = edge->how;
	if (!edge->parent || same || strcmp(edge->parent, edges->ref) == 0) {
		free(edge->parent);
		free(edge->relation);
		free(edge->checkpoint);
		return;
	}
	edges->v = xreallocarray(edges->v, edges->n + 1, sizeof(*edges->v));
	edges->v[edges->n++] = *edge;
}

static void add_list(struct edges *edges, const struct json *doc, size_t list)
{
	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i)) {
		bool is_declared = json_string_is(doc, json_member(doc, i, "how"), "declared");
		struct edge edge = {
			.parent = json_string_copy(doc, json_member(doc, i, "ref")),
			.relation = json_string_copy(doc, json_member(doc, i, "relation")),
			.checkpoint = json_string_copy(doc, json_member(doc, i, "checkpoint")),
			.how = is_declared ? "declared" : "inferred",
			.source = "parents",
		};

		if (!edge.relation)
			edge.relation = xstrdup("starts_from");
		add_edge(edges, &edge);
	}
}

static void add_inherited(struct edges *edges, const struct info *info, size_t own)
{
	struct edge edge = { .how = "declared", .source = "inherited" };
	size_t last = JSON_NONE;

	for (size_t i = info_first_entry(info); i != own; i = info_next_entry(info, i))
		last = i;
	if (last == JSON_NONE)
		return;
	edge.parent = info_entry_string(info, last, "inherited_from");
	edge.relation = xstrdup("continues");
	add_edge(edges, &edge);
}

static void add_base(struct edges *edges, const struct info *info)
{
	struct edge edge = { .how = "declared", .source = "base_model" };
	char *base = info_string(info, "base_model");

	if (edges->n || !base || !*base || strcmp(base, "unknown") == 0) {
		free(base);
		return;
	}
	edge.parent = base;
	edge.relation = xstrdup("starts_from");
	add_edge(edges, &edge);
}

static void collect(struct edges *edges, const struct info *info)
{
	const struct json *doc = &info->doc;
	size_t own = info_first_entry(info);

	while (own != JSON_NONE && info_entry_is_inherited(info, own))
		own = info_next_entry(info, own);
	add_list(edges, doc, json_member(doc, 0, "parents"));
	for (size_t i = own; i != JSON_NONE; i = info_next_entry(info, i))
		add_list(edges, doc, info_entry_member(info, i, "parents"));
	add_inherited(edges, info, own);
	add_base(edges, info);
}

/* ---- where a base model may lie in the tree ---- */

/* 'base' without the root, where it begins with that: as a whole, or with its last name alone, as a
 * path from the project's directory has it. */
static const char *below_root(const char *base, const char *root)
{
	const char *name = strrchr(root, '/');
	size_t len = strlen(root);

	if (has_prefix(base, "./"))
		base += 2;
	if (strncmp(base, root, len) == 0 && base[len] == '/')
		return base + len + 1;
	name = name ? name + 1 : root;
	len = strlen(name);
	if (len && strncmp(base, name, len) == 0 && base[len] == '/')
		return base + len + 1;
	return base;
}

/* The first 'n' names of 'path' behind 'prefix' into 'place', the others into 'rest'. */
static void split(const char *prefix, const char *path, int n, char **place, char **rest)
{
	const char *end = path;

	for (; n; n--) {
		end += *end == '/';
		end += strcspn(end, "/");
	}
	*place = xstrf("%s%.*s", prefix, (int)(end - path), path);
	end += strspn(end, "/");
	*rest = *end ? xstrdup(end) : NULL;
}

static void push_text(struct db_rows *rows, const char *text)
{
	struct db_value value = { .type = DB_NULL };

	if (text) {
		value.type = DB_TEXT;
		value.text = text;
		value.len = strlen(text);
	}
	db_rows_add(rows, &value);
}

static void push_places(struct db_rows *rows, const char *base, const char *exp, const char *root)
{
	const char *path = below_root(base, root);
	char *prefix = xstrf("%s%s", exp ? exp : "", exp ? "/" : "");
	char *parts[4];

	split("", path, 2, &parts[0], &parts[1]);
	split(prefix, path, 1, &parts[2], &parts[3]);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		push_text(rows, parts[i]);
		free(parts[i]);
	}
	free(prefix);
}

static void push_edge(struct db_rows *rows, const struct edge *edge, const char *exp,
		      const char *root)
{
	bool is_base = strcmp(edge->source, "base_model") == 0;

	push_text(rows, edge->parent);
	push_text(rows, edge->relation);
	push_text(rows, edge->checkpoint);
	push_text(rows, edge->how);
	push_text(rows, edge->source);
	if (is_base) {
		push_places(rows, edge->parent, exp, root);
		return;
	}
	push_text(rows, edge->parent);
	for (int i = 0; i < 3; i++)
		push_text(rows, NULL);
}

static void fill_parents(struct db *db, const struct db_value *args, struct db_rows *rows)
{
	struct edges edges = { .v = NULL, .ref = args[1].text ? args[1].text : "" };
	const char *root = args[3].text ? args[3].text : "";
	struct info info = INFO_INIT;
	struct str text = STR_INIT;

	if (unfold_open(db, &args[0], &text, &info))
		collect(&edges, &info);
	for (size_t i = 0; i < edges.n; i++) {
		push_edge(rows, &edges.v[i], args[2].text, root);
		free(edges.v[i].parent);
		free(edges.v[i].relation);
		free(edges.v[i].checkpoint);
	}
	free(edges.v);
	info_release(&info);
	str_release(&text);
}

const struct db_table unfold_parents = {
	.name = "th_parents",
	.columns = "parent, relation, checkpoint, how, source, place, rest, near, near_rest",
	.n_columns = 9,
	.n_args = 4,
	.fill = fill_parents,
};
