#include "base/base.h"

#include "sys/yaml.h"

#include "base/mem.h"
#include "base/sort.h"
#include "base/utf8.h"
#include "sys/json.h"
#include "sys/yaml_scalar.h"
#include "sys/yaml_tree.h"

/* Aliases repeat what they name: nine lines of them can mean gigabytes. */
#define OUTPUT_LIMIT (16u << 20)

/* Keys that are lists or mappings, all together; keys within keys grow by their backslashes. */
#define KEYS_LIMIT (1u << 20)

/* One less than what json_parse() accepts, so that what comes out can be read. */
#define DEPTH_LIMIT (JSON_MAX_DEPTH - 1)

struct printer {
	const char *name;
	const struct yaml_tree *tree;
	struct str *out;
	struct err *err;
	size_t in_keys; /* bytes printed as keys */
	bool is_in_key;
	int depth;
	/* What is being printed, outermost first. */
	const struct yaml_node *open[DEPTH_LIMIT + 1];
};

static int refuse(struct printer *p, const struct yaml_node *node, const char *what)
{
	return err_set(p->err, ERR_INVALID, "%s:%zu: %s", p->name, node->line, what);
}

static const struct yaml_node *item_of(const struct printer *p, const struct yaml_node *node,
				       size_t at)
{
	return &p->tree->nodes[node->items[at]];
}

/* A tag of another kind leaves the value as it stands. */
static void add_scalar(struct printer *p, const struct yaml_node *node)
{
	if (!node->is_plain || node->is_string || !yaml_add_plain(p->out, node->text, node->len))
		json_add_string(p->out, node->text, node->len);
}

static int add_node(struct printer *p, const struct yaml_node *node);

static int add_sequence(struct printer *p, const struct yaml_node *node)
{
	str_addch(p->out, '[');
	for (size_t i = 0; i < node->n; i++) {
		if (i)
			str_addch(p->out, ',');
		if (add_node(p, item_of(p, node, i)) < 0)
			return -1;
	}
	str_addch(p->out, ']');
	return 0;
}

/* ---- mappings ---- */

struct key {
	const char *text;
	size_t len;
	const struct yaml_node *node;
	char *own; /* 'text' when it had to be made; free() */
};

/* The keys that a mapping being printed has, sorted. */
struct members {
	struct key *keys;
	size_t n;
	bool has_any;
};

static int compare_keys(const void *a, const void *b)
{
	const struct key *x = a;
	const struct key *y = b;
	int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);

	return order || x->len == y->len ? order : x->len < y->len ? -1 : 1;
}

/* A key that is a list or a mapping (a Python tuple) has no form in JSON but that of its text. */
static int print_key(struct printer *p, struct key *key)
{
	struct str *outer = p->out;
	struct str text = STR_INIT;
	bool was_in_key = p->is_in_key;
	int rc;

	p->out = &text;
	p->is_in_key = true;
	rc = add_node(p, key->node);
	p->is_in_key = was_in_key;
	p->out = outer;
	p->in_keys += text.len;
	key->len = text.len;
	key->own = str_detach(&text);
	key->text = key->own;
	return rc;
}

/* A key as text; the members own it, also after an error. */
static int key_text(struct printer *p, const struct yaml_node *node, struct key *out)
{
	*out = (struct key){ .node = node, .text = node->text, .len = node->len };
	if (node->type != YAML_SCALAR)
		return print_key(p, out);
	if (!node->len && node->is_plain) {
		out->text = "null"; /* "? " or ": value", which is no "" */
		out->len = strlen("null");
	}
	return 0;
}

static void members_release(struct members *members)
{
	for (size_t i = 0; i < members->n; i++)
		free(members->keys[i].own);
	free(members->keys);
}

/* All keys of the mapping, and in 'order' (free() it) as they stand there: a key that is a mapping with
 * such keys is printed once, not twice at each level. */
static int collect_keys(struct printer *p, const struct yaml_node *mapping, struct members *members,
			struct key **order)
{
	members->keys = xcalloc(mapping->n / 2 + 1, sizeof(*members->keys));
	for (size_t i = 0; i < mapping->n; i += 2)
		if (key_text(p, item_of(p, mapping, i), &members->keys[members->n++]) < 0)
			return -1;
	*order = xcalloc(members->n + 1, sizeof(**order));
	if (members->n)
		memcpy(*order, members->keys, members->n * sizeof(**order));
	sort_array(members->keys, members->n, sizeof(*members->keys), compare_keys);
	for (size_t i = 1; i < members->n; i++)
		if (compare_keys(&members->keys[i - 1], &members->keys[i]) == 0)
			return refuse(p, members->keys[i].node, "duplicate key");
	return 0;
}

static bool is_merge_key(const struct yaml_node *key)
{
	return key->type == YAML_SCALAR && key->is_plain && strcmp(key->text, "<<") == 0;
}

static int add_pair(struct printer *p, struct members *members, const struct key *key,
		    const struct yaml_node *value)
{
	if (members->has_any)
		str_addch(p->out, ',');
	members->has_any = true;
	json_add_string(p->out, key->text, key->len);
	str_addch(p->out, ':');
	return add_node(p, value);
}

/* The keys of 'more' go over to 'members': of what is merged later, they count first. */
static void take_keys(struct members *members, struct members *more)
{
	members->keys =
		xrealloc(members->keys, (members->n + more->n + 1) * sizeof(*members->keys));
	if (more->n)
		memcpy(members->keys + members->n, more->keys, more->n * sizeof(*more->keys));
	members->n += more->n;
	sort_array(members->keys, members->n, sizeof(*members->keys), compare_keys);
	free(more->keys);
}

/* The pairs of 'from', whose keys are 'order', but merge keys and what 'known' (may be NULL) has. */
static int add_pairs(struct printer *p, struct members *members, const struct members *known,
		     const struct yaml_node *from, const struct key *order)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < from->n / 2; i++) {
		const struct key *key = &order[i];

		if (!is_merge_key(key->node) &&
		    !(known && bsearch(key, known->keys, known->n, sizeof(*key), compare_keys)))
			rc = add_pair(p, members, key, item_of(p, from, 2 * i + 1));
	}
	return rc;
}

/* The members of 'from' that the mapping does not have yet ("<<: *defaults"). */
static int add_merged(struct printer *p, struct members *members, const struct yaml_node *from)
{
	struct members more = { .n = 0 };
	struct key *order = NULL;
	int rc;

	if (from->type != YAML_MAPPING)
		return refuse(p, from, "'<<' needs a mapping or a list of them");
	rc = collect_keys(p, from, &more, &order);
	if (rc == 0)
		rc = add_pairs(p, members, members, from, order);
	free(order);
	if (rc == 0)
		take_keys(members, &more);
	else
		members_release(&more); /* with a key, perhaps, that has no text */
	return rc;
}

/* What "<<" stands for: a mapping, or a list of mappings of which the first that has a key counts. */
static int add_all_merged(struct printer *p, struct members *members, const struct yaml_node *from)
{
	int rc = 0;

	if (from->type != YAML_SEQUENCE)
		return add_merged(p, members, from);
	for (size_t i = 0; rc == 0 && i < from->n; i++)
		rc = add_merged(p, members, item_of(p, from, i));
	return rc;
}

static int add_members(struct printer *p, const struct yaml_node *node, struct members *members)
{
	struct key *order = NULL;
	int rc = collect_keys(p, node, members, &order);

	if (rc == 0)
		rc = add_pairs(p, members, NULL, node, order);
	free(order);
	for (size_t i = 0; rc == 0 && i < node->n; i += 2)
		if (is_merge_key(item_of(p, node, i)))
			return add_all_merged(p, members, item_of(p, node, i + 1));
	return rc;
}

static int add_mapping(struct printer *p, const struct yaml_node *node)
{
	struct members members = { .n = 0 };
	int rc;

	str_addch(p->out, '{');
	rc = add_members(p, node, &members);
	str_addch(p->out, '}');
	members_release(&members);
	return rc;
}

/* ---- any node ---- */

/* An object that holds a reference to itself, its parent say: there is no end to what it holds. */
static bool is_open(const struct printer *p, const struct yaml_node *node)
{
	for (int i = 1; i <= p->depth; i++)
		if (p->open[i] == node)
			return true;
	return false;
}

static int add_node(struct printer *p, const struct yaml_node *node)
{
	int rc = 0;

	if (p->in_keys + (p->is_in_key ? p->out->len : 0) > KEYS_LIMIT ||
	    p->out->len > OUTPUT_LIMIT)
		return refuse(p, node, "too large once its aliases are expanded");
	if (is_open(p, node)) {
		str_adds(p->out, "null");
		return 0;
	}
	if (++p->depth > DEPTH_LIMIT)
		return refuse(p, node, "nested too deeply");
	p->open[p->depth] = node;
	if (node->type == YAML_SEQUENCE)
		rc = add_sequence(p, node);
	else if (node->type == YAML_MAPPING)
		rc = add_mapping(p, node);
	else
		add_scalar(p, node);
	p->depth--;
	return rc;
}

int yaml_to_json(const char *name, const char *text, size_t len, struct str *out, struct err *err)
{
	struct yaml_tree tree = YAML_TREE_INIT;
	struct printer printer = { .name = name, .tree = &tree, .out = out, .err = err };
	int rc;

	str_clear(out);
	if (!utf8_is_valid(text, len) || memchr(text, '\0', len))
		return err_set(err, ERR_INVALID, "%s: not valid UTF-8 text", name);
	rc = yaml_tree_read(&tree, name, text, len, DEPTH_LIMIT, err);
	if (rc == 0 && tree.n)
		rc = add_node(&printer, &tree.nodes[0]);
	else if (rc == 0)
		str_adds(out, "null");
	if (rc < 0)
		str_clear(out);
	yaml_tree_release(&tree);
	return rc;
}
