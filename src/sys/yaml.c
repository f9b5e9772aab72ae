#include "base/base.h"

#include "sys/yaml.h"

#include "base/mem.h"
#include "base/sort.h"
#include "base/utf8.h"
#include "sys/json.h"

#include <ctype.h>
#include <libfyaml.h>

/* Aliases repeat what they name: nine lines of them can mean gigabytes. */
#define OUTPUT_LIMIT (16u << 20)

/* One less than what json_parse() accepts, so that what comes out can be read. */
#define DEPTH_LIMIT (JSON_MAX_DEPTH - 1)

/* libfyaml compares each key with all before it: minutes for a large mapping. We sort. */
#define FLAGS (FYPCF_QUIET | FYPCF_ALLOW_DUPLICATE_KEYS)

struct printer {
	const char *name;
	struct str *out;
	struct err *err;
	size_t in_keys; /* bytes printed as keys: they count for the limit too */
	int depth;
	struct fy_node
		*open[DEPTH_LIMIT + 1]; /* the nodes that are being printed, outermost first */
};

/* ---- plain scalars ---- */

static bool is_one_of(const char *text, size_t len, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
			return true;
	return false;
}

#define IS_ONE_OF(text, len, ...)                                  \
	is_one_of(text, len, (const char *const[]){ __VA_ARGS__ }, \
		  ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })))

static bool add_word(struct str *out, const char *text, size_t len)
{
	if (len == 0 || IS_ONE_OF(text, len, "~", "null", "Null", "NULL"))
		str_adds(out, "null");
	else if (IS_ONE_OF(text, len, "true", "True", "TRUE"))
		str_adds(out, "true");
	else if (IS_ONE_OF(text, len, "false", "False", "FALSE"))
		str_adds(out, "false");
	else if (IS_ONE_OF(text, len, ".nan", ".NaN", ".NAN"))
		str_adds(out, "NaN");
	else if (IS_ONE_OF(text, len, ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"))
		str_adds(out, "Infinity");
	else if (IS_ONE_OF(text, len, "-.inf", "-.Inf", "-.INF"))
		str_adds(out, "-Infinity");
	else
		return false;
	return true;
}

static size_t digits(const char *p, const char *end, const char *set)
{
	size_t n = 0;

	while (p + n < end && strchr(set, p[n]) && p[n])
		n++;
	return n;
}

/* 0x1F and 0o17; up to 64 bits, beyond that it stays a string. */
static bool add_based(struct str *out, const char *text, size_t len)
{
	const char *set = len > 2 && text[1] == 'x' ? "0123456789abcdefABCDEF" : "01234567";
	char copy[24];

	if (len < 3 || len > 18 || text[0] != '0' || (text[1] != 'x' && text[1] != 'o') ||
	    digits(text + 2, text + len, set) != len - 2)
		return false;
	memcpy(copy, text + 2, len - 2);
	copy[len - 2] = '\0';
	str_addf(out, "%llu", strtoull(copy, NULL, text[1] == 'x' ? 16 : 8));
	return true;
}

/* "e-05"; 0 if there is none, the length if it ends the text, else the text is no number. */
static size_t exponent(const char *p, const char *end)
{
	const char *start = p;
	size_t n;

	if (p == end || (*p != 'e' && *p != 'E'))
		return 0;
	p++;
	if (p < end && (*p == '+' || *p == '-'))
		p++;
	n = digits(p, end, "0123456789");
	return n ? (size_t)(p - start) + n : 0;
}

/*
 * A decimal number in JSON's spelling: no '+', digits on both sides of the point, no leading zeros.
 * An exponent needs a point, as in PyYAML: "1e-05" is a string there, and so it is here.
 */
static bool add_decimal(struct str *out, const char *text, size_t len)
{
	const char *end = text + len;
	const char *p = text + (len && (*text == '+' || *text == '-'));
	const char *whole = p;
	size_t n_whole = digits(p, end, "0123456789");
	size_t n_fraction = 0;
	size_t n_exponent = 0;
	bool has_point;

	p += n_whole;
	has_point = p < end && *p == '.';
	if (has_point) {
		n_fraction = digits(p + 1, end, "0123456789");
		n_exponent = exponent(p + 1 + n_fraction, end);
	}
	if (n_whole + n_fraction == 0 || p + has_point + n_fraction + n_exponent != end)
		return false;
	while (n_whole > 1 && *whole == '0') {
		whole++;
		n_whole--;
	}
	str_addf(out, "%s%.*s", *text == '-' ? "-" : "", n_whole ? (int)n_whole : 1,
		 n_whole ? whole : "0");
	if (has_point)
		str_addf(out, ".%.*s%.*s", n_fraction ? (int)n_fraction : 1,
			 n_fraction ? p + 1 : "0", (int)n_exponent, p + 1 + n_fraction);
	return true;
}

/* ---- nodes ---- */

/* fy_node_get_scalar_token() and friends keep the mark; a node without one is in line 1. */
static size_t node_line(struct fy_node *node)
{
	struct fy_token *token = fy_node_is_scalar(node) ? fy_node_get_scalar_token(node) : NULL;
	const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;

	return mark && mark->line >= 0 ? (size_t)mark->line + 1 : 0;
}

static int refuse(struct printer *p, struct fy_node *node, const char *what)
{
	size_t line = node ? node_line(node) : 0;

	if (line)
		return err_set(p->err, ERR_INVALID, "%s:%zu: %s", p->name, line, what);
	return err_set(p->err, ERR_INVALID, "%s: %s", p->name, what);
}

/* The tag says string: "!!str" or "!". Every other tag leaves the value as it stands. */
static bool is_string_tag(struct fy_node *node)
{
	size_t len = 0;
	const char *tag = fy_node_get_tag(node, &len);

	return tag && IS_ONE_OF(tag, len, "!", "!!str", "tag:yaml.org,2002:str");
}

static void add_scalar(struct printer *p, struct fy_node *node)
{
	size_t len = 0;
	const char *text = fy_node_get_scalar(node, &len);
	bool is_plain =
		fy_node_get_style(node) == FYNS_PLAIN || fy_node_get_style(node) == FYNS_ANY;

	if (!text)
		text = ""; /* not reached by tests: the library has "" for an empty one */
	if (is_plain && !is_string_tag(node) &&
	    (add_word(p->out, text, len) || add_based(p->out, text, len) ||
	     add_decimal(p->out, text, len)))
		return;
	json_add_string(p->out, text, len);
}

static int add_node(struct printer *p, struct fy_node *node);

static int add_sequence(struct printer *p, struct fy_node *node)
{
	void *at = NULL;
	struct fy_node *item;
	const char *separator = "";

	str_addch(p->out, '[');
	while ((item = fy_node_sequence_iterate(node, &at))) {
		str_adds(p->out, separator);
		separator = ",";
		if (add_node(p, item) < 0)
			return -1;
	}
	str_addch(p->out, ']');
	return 0;
}

struct key {
	const char *text;
	size_t len;
	struct fy_node *node;
	char *own; /* 'text' when it had to be made; free() */
};

/* One mapping being printed, with its own keys sorted: libfyaml's lookups are linear. */
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
	int rc;

	p->out = &text;
	rc = add_node(p, key->node);
	p->out = outer;
	p->in_keys += text.len;
	key->len = text.len;
	key->own = str_detach(&text);
	key->text = key->own;
	return rc;
}

/* A key as text; key_clear() it, also after an error. */
static int key_text(struct printer *p, struct fy_node_pair *pair, struct key *out)
{
	struct fy_node *node = fy_node_pair_key(pair);

	*out = (struct key){ .node = node };
	if (node && fy_node_is_alias(node)) {
		out->node = fy_node_resolve_alias(node);
		if (!out->node)
			return refuse(p, node, "an alias without its anchor");
		node = out->node;
	}
	if (node && !fy_node_is_scalar(node))
		return print_key(p, out);
	out->text = node ? fy_node_get_scalar(node, &out->len) : NULL;
	if (!out->len && (!node || fy_node_get_style(node) == FYNS_PLAIN)) {
		out->text = "null"; /* "? " or ": value", which is no "" */
		out->len = 4;
	}
	return 0;
}

static void key_clear(struct key *key)
{
	free(key->own);
	key->own = NULL;
}

static int collect_keys(struct printer *p, struct fy_node *mapping, struct members *members)
{
	int count = fy_node_mapping_item_count(mapping);
	struct fy_node_pair *pair;
	void *at = NULL;

	members->keys = xcalloc(count > 0 ? (size_t)count : 1, sizeof(*members->keys));
	while ((int)members->n < count && (pair = fy_node_mapping_iterate(mapping, &at)))
		if (key_text(p, pair, &members->keys[members->n++]) < 0)
			return -1;
	sort_array(members->keys, members->n, sizeof(*members->keys), compare_keys);
	for (size_t i = 1; i < members->n; i++)
		if (compare_keys(&members->keys[i - 1], &members->keys[i]) == 0)
			return refuse(p, members->keys[i].node, "duplicate key");
	return 0;
}

static bool is_merge_key(struct fy_node *key)
{
	size_t len = 0;
	const char *text = key ? fy_node_get_scalar(key, &len) : NULL;

	return text && len == 2 && memcmp(text, "<<", 2) == 0 &&
	       fy_node_get_style(key) == FYNS_PLAIN;
}

static int add_pair(struct printer *p, struct members *members, const struct key *key,
		    struct fy_node *value)
{
	if (members->has_any)
		str_addch(p->out, ',');
	members->has_any = true;
	json_add_string(p->out, key->text, key->len);
	str_addch(p->out, ':');
	return add_node(p, value);
}

static void members_release(struct members *members)
{
	for (size_t i = 0; i < members->n; i++)
		key_clear(&members->keys[i]);
	free(members->keys);
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

/* The members of 'from' that the mapping does not have yet ("<<: *defaults"). */
static int add_merged(struct printer *p, struct members *members, struct fy_node *from)
{
	struct members more = { .n = 0 };
	struct fy_node_pair *pair;
	void *at = NULL;
	int rc;

	if (from && fy_node_is_alias(from))
		from = fy_node_resolve_alias(from);
	if (!from || !fy_node_is_mapping(from))
		return refuse(p, from, "'<<' needs a mapping or a list of them");
	rc = collect_keys(p, from, &more);
	while (rc == 0 && (pair = fy_node_mapping_iterate(from, &at))) {
		struct key key;

		rc = key_text(p, pair, &key);
		if (rc == 0 && !is_merge_key(key.node) &&
		    !bsearch(&key, members->keys, members->n, sizeof(key), compare_keys))
			rc = add_pair(p, members, &key, fy_node_pair_value(pair));
		key_clear(&key);
	}
	if (rc == 0)
		take_keys(members, &more);
	else
		members_release(&more); /* with a key, perhaps, that has no text */
	return rc;
}

/* What "<<" stands for: a mapping, or a list of mappings of which the first that has a key counts. */
static int add_all_merged(struct printer *p, struct members *members, struct fy_node *from)
{
	struct fy_node *item;
	void *at = NULL;
	int rc = 0;

	if (!from || !fy_node_is_sequence(from))
		return add_merged(p, members, from);
	while (rc == 0 && (item = fy_node_sequence_iterate(from, &at)))
		rc = add_merged(p, members, item);
	return rc;
}

static int add_members(struct printer *p, struct fy_node *node, struct members *members)
{
	struct fy_node *merged = NULL;
	struct fy_node_pair *pair;
	void *at = NULL;
	int rc = collect_keys(p, node, members);

	while (rc == 0 && (pair = fy_node_mapping_iterate(node, &at))) {
		struct key key;

		rc = key_text(p, pair, &key);
		if (is_merge_key(key.node))
			merged = fy_node_pair_value(pair);
		else if (rc == 0)
			rc = add_pair(p, members, &key, fy_node_pair_value(pair));
		key_clear(&key);
	}
	return rc == 0 && merged ? add_all_merged(p, members, merged) : rc;
}

static int add_mapping(struct printer *p, struct fy_node *node)
{
	struct members members = { .n = 0 };
	int rc;

	str_addch(p->out, '{');
	rc = add_members(p, node, &members);
	str_addch(p->out, '}');
	members_release(&members);
	return rc;
}

/* An object that holds a reference to itself, its parent say: there is no end to what it holds. */
static bool is_open(const struct printer *p, const struct fy_node *node)
{
	for (int i = 1; i <= p->depth; i++)
		if (p->open[i] == node)
			return true;
	return false;
}

static int add_node(struct printer *p, struct fy_node *node)
{
	int rc = 0;

	if (node && fy_node_is_alias(node)) {
		struct fy_node *target = fy_node_resolve_alias(node);

		if (!target)
			return refuse(p, node, "an alias without its anchor");
		node = is_open(p, target) ? NULL : target;
	}
	if (p->out->len + p->in_keys > OUTPUT_LIMIT)
		return refuse(p, node, "too large once its aliases are expanded");
	if (++p->depth > DEPTH_LIMIT)
		return refuse(p, node, "nested too deeply");
	p->open[p->depth] = node;
	if (!node)
		str_adds(p->out, "null");
	else if (fy_node_is_sequence(node))
		rc = add_sequence(p, node);
	else if (fy_node_is_mapping(node))
		rc = add_mapping(p, node);
	else
		add_scalar(p, node);
	p->depth--;
	return rc;
}

/* ---- the document ---- */

static int report(struct fy_diag *diag, const char *name, struct err *err)
{
	void *at = NULL;
	struct fy_diag_error *first = fy_diag_errors_iterate(diag, &at);

	if (!first) /* not reached by tests: it does not fail without an error */
		return err_set(err, ERR_INVALID, "%s: not YAML", name);
	return err_set(err, ERR_INVALID, "%s:%d: %s", name, first->line, first->msg);
}

/* not reached by tests: the library calls it for what it prints beside its list of errors */
static void say_nothing(struct fy_diag *diag UNUSED, void *user UNUSED, const char *text UNUSED,
			size_t len UNUSED)
{
}

/* Not fy_diag_cfg_default(): it asks whether stderr is a terminal, which a confined worker may not. */
static struct fy_diag *quiet_diag(void)
{
	const struct fy_diag_cfg config = { .output_fn = say_nothing,
					    .level = FYET_ERROR,
					    .module_mask = (1U << FYEM_MAX) - 1 };
	struct fy_diag *diag = fy_diag_create(&config);

	if (diag)
		fy_diag_set_collect_errors(diag, true);
	return diag;
}

static int convert(struct fy_parser *parser, struct fy_diag *diag, const char *name,
		   struct str *out, struct err *err)
{
	struct printer printer = { .name = name, .out = out, .err = err };
	struct fy_document *doc = fy_parse_load_document(parser);
	int rc;

	if (!doc && fy_diag_got_error(diag))
		return report(diag, name, err);
	rc = add_node(&printer, doc ? fy_document_root(doc) : NULL);
	fy_parse_document_destroy(parser, doc);
	return rc;
}

static int parse(const char *name, const char *text, size_t len, struct str *out, struct err *err)
{
	struct fy_diag *diag = quiet_diag();
	struct fy_parse_cfg config = { .search_path = "", .flags = FLAGS, .diag = diag };
	struct fy_parser *parser = fy_parser_create(&config);
	int rc = -1;

	str_clear(out);
	if (!diag || !parser || fy_parser_set_string(parser, text, len) < 0)
		err_set(err, ERR_INTERNAL,
			"cannot start the YAML parser"); /* not reached by tests: no memory */
	else
		rc = convert(parser, diag, name, out, err);
	if (rc < 0)
		str_clear(out);
	fy_parser_destroy(parser);
	fy_diag_destroy(diag);
	return rc;
}

/* Where the ':' of a line is that begins with an alias as its key, "*id001:"; NULL if it does not. */
static const char *alias_colon(const char *p, const char *end)
{
	const char *name;

	while (p < end && (*p == ' ' || ((*p == '-' || *p == '?') && p + 1 < end && p[1] == ' ')))
		p++;
	if (p == end || *p != '*')
		return NULL;
	name = ++p;
	while (p < end && (isalnum((unsigned char)*p) || *p == '_' || *p == '-'))
		p++;
	if (p == name || p == end || *p != ':')
		return NULL;
	return p + 1 == end || strchr(" \r\n", p[1]) ? p : NULL;
}

/*
 * PyYAML writes an alias that is a key as "*id001: 5". In YAML 1.2 the colon is a part of the name,
 * and nothing in the text is a key. The same text with a blank before such colons; false without any.
 */
static bool part_alias_keys(const char *text, size_t len, struct str *out)
{
	const char *end = text + len;
	const char *done = text;

	for (const char *line = text; line < end;) {
		const char *colon = alias_colon(line, end);
		const char *newline = memchr(line, '\n', (size_t)(end - line));

		if (colon) {
			str_add(out, done, (size_t)(colon - done));
			str_addch(out, ' ');
			done = colon;
		}
		line = newline ? newline + 1 : end;
	}
	if (done == text)
		return false;
	str_add(out, done, (size_t)(end - done));
	return true;
}

/*
 * libfyaml 0.7.12 crashes when it gives up on a key of the form "? a:", a tab, and another of "?", ":"
 * and "-". What PyYAML and people write has no tab there: 'p' is a line that may begin such a key.
 */
static bool has_tab_in_key(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '-'))
		p++;
	if (p == end || *p != '?')
		return false;
	for (; p < end && *p != '\n' && *p != '\r'; p++) {
		const char *blank = p + 1;

		while (*p == ':' && blank < end && *blank == ' ')
			blank++;
		if (*p == ':' && blank < end && *blank == '\t')
			return true;
	}
	return false;
}

static bool is_deadly(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((i == 0 || text[i - 1] == '\n' || text[i - 1] == '\r') &&
		    has_tab_in_key(text + i, text + len))
			return true;
	return false;
}

int yaml_to_json(const char *name, const char *text, size_t len, struct str *out, struct err *err)
{
	struct str parted = STR_INIT;
	struct err first = ERR_INIT;
	int rc;

	if (!utf8_is_valid(text, len) || memchr(text, '\0', len)) {
		str_clear(out);
		return err_set(err, ERR_INVALID, "%s: not valid UTF-8 text", name);
	}
	if (is_deadly(text, len)) {
		str_clear(out);
		return err_set(err, ERR_INVALID, "%s: a tab after the ':' of a key with '?'", name);
	}
	rc = parse(name, text, len, out, &first);
	if (rc < 0 && part_alias_keys(text, len, &parted))
		rc = parse(name, parted.buf, parted.len, out, err);
	else if (rc < 0)
		*err = first;
	str_release(&parted);
	return rc;
}
