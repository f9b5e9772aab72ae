/*
 * yaml_tree - a YAML document as nodes. The one door to libyaml.
 *
 *	struct yaml_tree tree = YAML_TREE_INIT;
 *	if (yaml_tree_read(&tree, "config.yml", text, len, &err) == 0 && tree.n)
 *		look_at(&tree.nodes[0]);
 *	yaml_tree_release(&tree);
 *
 * libyaml is the parser of PyYAML's own C loader: what Python writes is read as Python reads it. An
 * alias is the node that it names, which may be one that it lies in.
 */
#ifndef SYS_YAML_TREE_H
#define SYS_YAML_TREE_H
#include "base/err.h"

enum yaml_type { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
	enum yaml_type type;
	bool is_plain;	/* a scalar that is neither quoted nor a block */
	bool is_string; /* its tag says so: "!!str" or "!" */
	size_t line;	/* the first is 1 */
	char *text;	/* of a scalar; terminated, and may hold '\0' */
	size_t len;
	size_t *items; /* indexes of nodes; of a mapping key, value, key, value */
	size_t n;
	size_t cap;
};

struct yaml_tree {
	struct yaml_node *nodes; /* the root comes first; none: there is no document */
	size_t n;
	size_t cap;
};

#define YAML_TREE_INIT                          \
	{                                       \
		.nodes = NULL, .n = 0, .cap = 0 \
	}

/* The first document. ERR_INVALID "NAME:LINE: ..."; also for what lies deeper than 'depth'. */
int yaml_tree_read(struct yaml_tree *tree, const char *name, const char *text, size_t len,
		   size_t depth, struct err *err);
void yaml_tree_release(struct yaml_tree *tree);

#endif
