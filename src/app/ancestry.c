#include "base/base.h"

#include "app/ancestry.h"

#include "app/parents.h"
#include "base/mem.h"

static void connect_list(struct lineage *lineage, const struct json *doc, size_t list, size_t node)
{
	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i)) {
		char *ref = json_string_copy(doc, json_member(doc, i, "ref"));
		char *relation = json_string_copy(doc, json_member(doc, i, "relation"));
		char *checkpoint = json_string_copy(doc, json_member(doc, i, "checkpoint"));
		bool declared = json_string_is(doc, json_member(doc, i, "how"), "declared");

		if (ref)
			lineage_connect(lineage, lineage_node(lineage, ref), node,
					relation ? relation : "starts_from", checkpoint, declared);
		free(ref);
		free(relation);
		free(checkpoint);
	}
}

/* The entry that this directory itself made, or JSON_NONE. */
static size_t first_own_entry(const struct info *info)
{
	size_t i = info_first_entry(info);

	while (i != JSON_NONE && info_entry_is_inherited(info, i))
		i = info_next_entry(info, i);
	return i;
}

static void connect_inherited(struct lineage *lineage, const struct info *info, size_t node)
{
	size_t own = first_own_entry(info);
	size_t last = JSON_NONE;
	char *ref;

	for (size_t i = info_first_entry(info); i != own; i = info_next_entry(info, i))
		last = i;
	if (last == JSON_NONE)
		return;
	ref = info_entry_string(info, last, "inherited_from");
	lineage_connect(lineage, lineage_node(lineage, ref), node, "continues", NULL, true);
	free(ref);
}

/* A record without edges of its own began with its base model, in the tree or outside. */
static void connect_base(struct lineage *lineage, struct layout *layout,
			 const struct history *history, size_t node)
{
	char *base = info_string(&history->info, "base_model");
	struct base_place place = BASE_PLACE_INIT;
	size_t parent;

	if (!base || !*base || lineage->nodes[node].n_parents) {
		free(base);
		return;
	}
	if (parents_find_base(layout, history->dir.exp, base, &place)) {
		parent = lineage_node(lineage, place.dir.ref);
		lineage_connect(lineage, parent, node, "starts_from", place.checkpoint, false);
	} else if (strcmp(base, "unknown") != 0) {
		parent = lineage_node(lineage, base);
		lineage_define(lineage, parent, "pretrained", true);
		lineage_connect(lineage, parent, node, "starts_from", NULL, true);
	}
	base_place_release(&place);
	free(base);
}

void ancestry_add(struct lineage *lineage, const struct history *history, struct layout *layout)
{
	const struct info *info = &history->info;
	const struct json *doc = &info->doc;
	size_t node = lineage_node(lineage, history->dir.ref);

	if (lineage->nodes[node].is_missing)
		lineage_define(lineage, node, NULL, false);
	connect_list(lineage, doc, json_member(doc, 0, "parents"), node);
	for (size_t e = first_own_entry(info); e != JSON_NONE; e = info_next_entry(info, e))
		connect_list(lineage, doc, info_entry_member(info, e, "parents"), node);
	connect_inherited(lineage, info, node);
	connect_base(lineage, layout, history, node);
}

static bool is_readable(const struct history *history)
{
	return history->has_record && !history->err.code;
}

void ancestry_build(struct lineage *lineage, const struct histories *all, struct layout *layout,
		    char *(*label_of)(const struct info *info))
{
	for (size_t i = 0; i < all->n; i++) {
		char *label;

		if (!is_readable(&all->v[i]))
			continue;
		label = label_of(&all->v[i].info);
		lineage_define(lineage, lineage_node(lineage, all->v[i].dir.ref), label, false);
		free(label);
	}
	for (size_t i = 0; i < all->n; i++)
		if (is_readable(&all->v[i]))
			ancestry_add(lineage, &all->v[i], layout);
}

bool *ancestry_relatives(const struct lineage *lineage, size_t target)
{
	bool *shown = xcalloc(lineage->n_nodes + 1, sizeof(*shown));
	bool *above = xcalloc(lineage->n_nodes + 1, sizeof(*above));

	if (target == LINEAGE_NONE) {
		memset(shown, true, lineage->n_nodes * sizeof(*shown));
	} else {
		lineage_reach(lineage, target, true, above);
		lineage_reach(lineage, target, false, shown);
		for (size_t i = 0; i < lineage->n_nodes; i++) {
			/* A pretrained model has many children that are no relatives. */
			if (above[i] && !shown[i] && !lineage->nodes[i].is_outside)
				lineage_reach(lineage, i, false, shown);
			shown[i] = shown[i] || above[i];
		}
	}
	free(above);
	return shown;
}
