#include "base/base.h"

#include "sys/yaml_tree.h"

#include "base/map.h"
#include "base/mem.h"

#include <yaml.h>

struct anchor {
	char *name;
	size_t node;
	struct anchor *next;
};

struct composer {
	struct yaml_tree *tree;
	const char *name;
	struct err *err;
	size_t *open; /* the collections that are being read, outermost first */
	size_t depth;
	size_t max_depth;
	struct map by_name;
	struct anchor *anchors;
};

static int refuse(struct composer *c, const yaml_mark_t *mark, const char *what)
{
	return err_set(c->err, ERR_INVALID, "%s:%zu: %s", c->name, mark->line + 1, what);
}

/* ---- nodes ---- */

static size_t new_node(struct composer *c, enum yaml_type type, const yaml_event_t *event)
{
	struct yaml_tree *tree = c->tree;

	if (tree->n == tree->cap) {
		tree->cap = tree->cap ? tree->cap * 2 : 32;
		tree->nodes = xreallocarray(tree->nodes, tree->cap, sizeof(*tree->nodes));
	}
	tree->nodes[tree->n] =
		(struct yaml_node){ .type = type, .line = event->start_mark.line + 1 };
	return tree->n++;
}

/* Into the innermost open collection; the root has none. */
static void add_to_open(struct composer *c, size_t index)
{
	struct yaml_node *parent;

	if (!c->depth)
		return;
	parent = &c->tree->nodes[c->open[c->depth - 1]];
	if (parent->n == parent->cap) {
		parent->cap = parent->cap ? parent->cap * 2 : 4;
		parent->items = xreallocarray(parent->items, parent->cap, sizeof(*parent->items));
	}
	parent->items[parent->n++] = index;
}

/* A name that is given once more means the later node from there on. */
static void remember(struct composer *c, const yaml_char_t *name, size_t index)
{
	struct anchor *anchor;

	if (!name)
		return;
	anchor = map_get(&c->by_name, (const char *)name);
	if (!anchor) {
		anchor = xcalloc(1, sizeof(*anchor));
		anchor->name = xstrdup((const char *)name);
		anchor->next = c->anchors;
		c->anchors = anchor;
		map_put(&c->by_name, anchor->name, anchor);
	}
	anchor->node = index;
}

static bool is_string_tag(const yaml_char_t *tag)
{
	const char *text = (const char *)tag;

	return text && (strcmp(text, "!") == 0 || strcmp(text, YAML_STR_TAG) == 0);
}

/* ---- events ---- */

static int add_scalar(struct composer *c, const yaml_event_t *event)
{
	size_t index = new_node(c, YAML_SCALAR, event);
	struct yaml_node *node = &c->tree->nodes[index];

	node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->is_string = is_string_tag(event->data.scalar.tag);
	node->len = event->data.scalar.length;
	node->text = xstrndup((const char *)event->data.scalar.value, node->len);
	remember(c, event->data.scalar.anchor, index);
	add_to_open(c, index);
	return 0;
}

static int begin(struct composer *c, enum yaml_type type, const yaml_char_t *anchor,
		 const yaml_event_t *event)
{
	size_t index;

	if (c->depth == c->max_depth)
		return refuse(c, &event->start_mark, "nested too deeply");
	index = new_node(c, type, event);
	remember(c, anchor, index);
	add_to_open(c, index);
	c->open[c->depth++] = index;
	return 0;
}

static int add_alias(struct composer *c, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	const struct anchor *anchor = map_get(&c->by_name, name);

	if (!anchor)
		return refuse(c, &event->start_mark, "an alias without its anchor");
	add_to_open(c, anchor->node);
	return 0;
}

/* 1: that was the end of the document, or of all. */
static int take(struct composer *c, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return add_scalar(c, event);
	case YAML_SEQUENCE_START_EVENT:
		return begin(c, YAML_SEQUENCE, event->data.sequence_start.anchor, event);
	case YAML_MAPPING_START_EVENT:
		return begin(c, YAML_MAPPING, event->data.mapping_start.anchor, event);
	case YAML_ALIAS_EVENT:
		return add_alias(c, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		c->depth--;
		return 0;
	case YAML_DOCUMENT_END_EVENT:
	case YAML_STREAM_END_EVENT:
		return 1;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_START_EVENT:
		break;
	}
	return 0;
}

/* What the parser has to say: the scanner knows no line where the encoding is at fault. */
static int report(struct composer *c, const yaml_parser_t *parser)
{
	const char *problem = parser->problem ? parser->problem : "no memory";
	const char *where = parser->context ? parser->context : "";

	return err_set(c->err, ERR_INVALID, "%s:%zu: %s%s%s", c->name,
		       parser->problem_mark.line + 1, problem, *where ? " " : "", where);
}

static int compose(struct composer *c, yaml_parser_t *parser)
{
	int result = 0;

	while (result == 0) {
		yaml_event_t event;

		if (!yaml_parser_parse(parser, &event))
			return report(c, parser);
		result = take(c, &event);
		yaml_event_delete(&event);
	}
	return result < 0 ? -1 : 0;
}

static void composer_release(struct composer *c)
{
	struct anchor *next;

	for (struct anchor *anchor = c->anchors; anchor; anchor = next) {
		next = anchor->next;
		free(anchor->name);
		free(anchor);
	}
	map_release(&c->by_name);
	free(c->open);
}

int yaml_tree_read(struct yaml_tree *tree, const char *name, const char *text, size_t len,
		   size_t depth, struct err *err)
{
	struct composer c = {
		.tree = tree, .name = name, .err = err, .max_depth = depth, .by_name = MAP_INIT
	};
	yaml_parser_t parser;
	int result;

	if (!yaml_parser_initialize(&parser)) /* not reached by tests: no memory */
		return err_set(err, ERR_INTERNAL, "cannot start the YAML parser");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	c.open = xcalloc(depth, sizeof(*c.open));
	result = compose(&c, &parser);
	yaml_parser_delete(&parser);
	composer_release(&c);
	return result;
}

void yaml_tree_release(struct yaml_tree *tree)
{
	for (size_t i = 0; i < tree->n; i++) {
		free(tree->nodes[i].text);
		free(tree->nodes[i].items);
	}
	free(tree->nodes);
	*tree = (struct yaml_tree)YAML_TREE_INIT;
}
