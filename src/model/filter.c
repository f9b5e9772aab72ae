#include "base/base.h"

#include "model/filter.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "model/when.h"

enum op {
	OP_OR,
	OP_AND,
	OP_NOT,
	OP_TRUE, /* a field alone */
	OP_UNDEFINED,
	OP_EQUAL,
	OP_UNEQUAL,
	OP_LESS,
	OP_AT_MOST,
	OP_GREATER,
	OP_AT_LEAST,
	OP_CONTAINS,
	OP_IN,
};

struct literal {
	struct value value;
	bool is_time; /* 'when' is what the text says as a time */
	struct when when;
};

struct node {
	enum op op;
	size_t left; /* and, or, not: nodes */
	size_t right;
	char *field;
	size_t first; /* literals */
	size_t n;
	bool is_asked;
	bool is_seen; /* the field was defined somewhere */
};

struct filter {
	struct node *nodes;
	size_t n_nodes;
	struct literal *literals;
	size_t n_literals;
	size_t root;
};

/* ---- words of an expression ---- */

enum kind {
	KIND_END,
	KIND_WORD,   /* a field or a keyword */
	KIND_FIELD,  /* `...` */
	KIND_TEXT,   /* '...' or "..." */
	KIND_NUMBER, /* looks like one */
	KIND_SIGN,   /* ( ) [ ] , and the operators */
};

struct parser {
	struct filter *filter;
	const char *text;
	size_t start; /* of the current word */
	size_t end;
	enum kind kind;
	struct str word; /* its content */
	size_t depth;
	time_t now;
	struct err *err;
};

static size_t column_at(const char *text, size_t offset)
{
	size_t column = 1;
	uint32_t c;

	for (size_t i = 0; i < offset; column++) {
		size_t width = utf8_decode(text + i, offset - i, &c);

		i += width ? width : 1;
	}
	return column;
}

static int fail_at(struct parser *p, size_t offset, const char *expected, const char *found)
{
	return err_set(p->err, ERR_USAGE, "filter, column %zu: expected %s, not %s",
		       column_at(p->text, offset), expected, found);
}

static int fail(struct parser *p, const char *expected)
{
	char *found = p->kind == KIND_END
			      ? xstrdup("the end")
			      : xstrf("'%.*s'", (int)(p->end - p->start), p->text + p->start);

	fail_at(p, p->start, expected, found);
	free(found);
	return -1;
}

static bool is_word_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

static bool is_word_part(char c)
{
	return is_word_start(c) || (c >= '0' && c <= '9') || (c && strchr("-./:@%#+", c));
}

static bool is_number_start(char c)
{
	return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.';
}

/* From the quote at p->start to the next one like it. */
static int read_quoted(struct parser *p)
{
	char quote = p->text[p->start];
	const char *at = p->text + p->start + 1;

	while (*at && *at != quote) {
		if (*at == '\\' && quote != '`' && at[1])
			at++;
		str_addch(&p->word, *at++);
	}
	if (!*at)
		return err_set(p->err, ERR_USAGE, "filter, column %zu: the quote %c is not closed",
			       column_at(p->text, p->start), quote);
	p->end = (size_t)(at - p->text) + 1;
	p->kind = quote == '`' ? KIND_FIELD : KIND_TEXT;
	return 0;
}

static int read_sign(struct parser *p)
{
	static const char *const signs[] = { "!=", "<=", ">=", "==", "=", "<",
					     ">",  "(",	 ")",  "[",  "]", "," };
	const char *at = p->text + p->start;

	for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
		if (!has_prefix(at, signs[i]))
			continue;
		p->kind = KIND_SIGN;
		p->end = p->start + strlen(signs[i]);
		str_adds(&p->word, strcmp(signs[i], "==") == 0 ? "=" : signs[i]);
		return 0;
	}
	p->kind = KIND_SIGN;
	p->end = p->start + 1;
	return fail(p, "a field, a value or an operator");
}

static int next(struct parser *p)
{
	char c;

	str_clear(&p->word);
	p->start = p->end + strspn(p->text + p->end, " \t\r\n");
	p->end = p->start;
	c = p->text[p->start];
	if (!c) {
		p->kind = KIND_END;
		return 0;
	}
	if (c == '"' || c == '\'' || c == '`')
		return read_quoted(p);
	if (!is_word_start(c) && !is_number_start(c))
		return read_sign(p);
	while (is_word_part(p->text[p->end]))
		p->end++;
	p->kind = is_word_start(c) ? KIND_WORD : KIND_NUMBER;
	str_add(&p->word, p->text + p->start, p->end - p->start);
	return 0;
}

static bool is_word(const struct parser *p, const char *word)
{
	return p->kind == KIND_WORD && str_equals(&p->word, word);
}

static bool is_sign(const struct parser *p, const char *sign)
{
	return p->kind == KIND_SIGN && str_equals(&p->word, sign);
}

static bool is_keyword(const struct parser *p)
{
	static const char *const words[] = { "and",	 "or",	      "not",  "is",   "in",
					     "contains", "undefined", "true", "false" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (is_word(p, words[i]))
			return true;
	return false;
}

/* ---- the tree ---- */

static int too_many(struct parser *p)
{
	return err_set(p->err, ERR_USAGE, "filter, column %zu: more than %d fields and values",
		       column_at(p->text, p->start), FILTER_MAX_TERMS);
}

static size_t add_node(struct filter *filter, enum op op)
{
	filter->nodes = xreallocarray(filter->nodes, filter->n_nodes + 1, sizeof(*filter->nodes));
	filter->nodes[filter->n_nodes] = (struct node){ .op = op };
	return filter->n_nodes++;
}

static int add_literal(struct parser *p)
{
	struct filter *filter = p->filter;
	struct literal literal = { .is_time = false };
	struct err ignored = ERR_INIT;

	if (p->kind == KIND_TEXT) {
		literal.value.type = VALUE_TEXT;
		literal.value.text = xstrdup(p->word.buf);
		literal.is_time = when_parse(p->word.buf, p->now, &literal.when, &ignored) == 0;
	} else if (is_word(p, "true") || is_word(p, "false")) {
		literal.value.type = VALUE_TRUTH;
		literal.value.truth = is_word(p, "true");
	} else if (p->kind != KIND_NUMBER || !value_of_number(p->word.buf, &literal.value)) {
		fail(p, "a number, true, false or a text in quotes");
		return p->kind == KIND_WORD
			       ? err_hint(p->err, "a text stands in quotes: \"%s\"", p->word.buf)
			       : -1;
	}
	filter->literals =
		xreallocarray(filter->literals, filter->n_literals + 1, sizeof(*filter->literals));
	filter->literals[filter->n_literals++] = literal;
	if (filter->n_literals > FILTER_MAX_TERMS)
		return too_many(p);
	return next(p);
}

static int parse_list(struct parser *p)
{
	if (!is_sign(p, "["))
		return fail(p, "'['");
	do {
		if (next(p) < 0 || add_literal(p) < 0)
			return -1;
	} while (is_sign(p, ","));
	return is_sign(p, "]") ? next(p) : fail(p, "',' or ']'");
}

/* "is [not] undefined", after the "is" */
static int parse_is(struct parser *p, enum op *op, bool *is_negated)
{
	if (next(p) < 0)
		return -1;
	if (is_word(p, "not")) {
		*is_negated = true;
		if (next(p) < 0)
			return -1;
	}
	if (!is_word(p, "undefined"))
		return fail(p, *is_negated ? "'undefined'" : "'undefined' or 'not undefined'");
	*op = OP_UNDEFINED;
	return next(p);
}

static bool read_operator(const struct parser *p, enum op *op)
{
	static const struct {
		const char *sign;
		enum op op;
	} signs[] = {
		{ "=", OP_EQUAL },    { "!=", OP_UNEQUAL }, { "<", OP_LESS },
		{ "<=", OP_AT_MOST }, { ">", OP_GREATER },  { ">=", OP_AT_LEAST },
	};

	for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
		if (!is_sign(p, signs[i].sign))
			continue;
		*op = signs[i].op;
		return true;
	}
	return false;
}

/* What is asked of a field; nothing: whether it is true. */
static int parse_test(struct parser *p, enum op *op, bool *is_negated)
{
	*op = OP_TRUE;
	if (is_word(p, "is"))
		return parse_is(p, op, is_negated);
	if (read_operator(p, op))
		return next(p) < 0 ? -1 : add_literal(p);
	if (is_word(p, "not")) {
		*is_negated = true;
		if (next(p) < 0)
			return -1;
		if (!is_word(p, "in") && !is_word(p, "contains"))
			return fail(p, "'in' or 'contains' after 'not'");
	}
	if (is_word(p, "contains")) {
		*op = OP_CONTAINS;
		return next(p) < 0 ? -1 : add_literal(p);
	}
	if (is_word(p, "in")) {
		*op = OP_IN;
		return next(p) < 0 ? -1 : parse_list(p);
	}
	return 0;
}

static size_t negated(struct filter *filter, size_t node)
{
	size_t result = add_node(filter, OP_NOT);

	filter->nodes[result].left = node;
	return result;
}

static int parse_field(struct parser *p, size_t *out)
{
	struct filter *filter = p->filter;
	bool is_negated = false;
	enum op op;
	size_t node;

	if (p->kind != KIND_FIELD && (p->kind != KIND_WORD || is_keyword(p)))
		return fail(p, "a field, 'not' or '('");
	if (filter->n_nodes >= FILTER_MAX_TERMS)
		return too_many(p);
	node = add_node(filter, OP_TRUE);
	filter->nodes[node].field = xstrdup(p->word.buf);
	filter->nodes[node].first = filter->n_literals;
	if (next(p) < 0 || parse_test(p, &op, &is_negated) < 0)
		return -1;
	filter->nodes[node].op = op;
	filter->nodes[node].n = filter->n_literals - filter->nodes[node].first;
	*out = is_negated ? negated(filter, node) : node;
	return 0;
}

static int parse_or(struct parser *p, size_t *out);

static int parse_brackets(struct parser *p, size_t *out)
{
	if (next(p) < 0 || parse_or(p, out) < 0)
		return -1;
	return is_sign(p, ")") ? next(p) : fail(p, "'and', 'or' or ')'");
}

static int parse_not(struct parser *p, size_t *out)
{
	bool is_not = is_word(p, "not");
	int result;

	if (!is_not && !is_sign(p, "("))
		return parse_field(p, out);
	if (++p->depth > FILTER_MAX_DEPTH)
		return err_set(p->err, ERR_USAGE, "filter, column %zu: nested deeper than %d",
			       column_at(p->text, p->start), FILTER_MAX_DEPTH);
	if (!is_not) {
		result = parse_brackets(p, out);
	} else if ((result = next(p)) == 0 && (result = parse_not(p, out)) == 0) {
		*out = negated(p->filter, *out);
	}
	p->depth--;
	return result;
}

static size_t joined(struct filter *filter, enum op op, size_t left, size_t right)
{
	size_t node = add_node(filter, op);

	filter->nodes[node].left = left;
	filter->nodes[node].right = right;
	return node;
}

static int parse_and(struct parser *p, size_t *out)
{
	size_t right;

	if (parse_not(p, out) < 0)
		return -1;
	while (is_word(p, "and")) {
		if (next(p) < 0 || parse_not(p, &right) < 0)
			return -1;
		*out = joined(p->filter, OP_AND, *out, right);
	}
	return 0;
}

static int parse_or(struct parser *p, size_t *out)
{
	size_t right;

	if (parse_and(p, out) < 0)
		return -1;
	while (is_word(p, "or")) {
		if (next(p) < 0 || parse_and(p, &right) < 0)
			return -1;
		*out = joined(p->filter, OP_OR, *out, right);
	}
	return 0;
}

struct filter *filter_parse(const char *text, time_t now, struct err *err)
{
	struct filter *filter = xcalloc(1, sizeof(*filter));
	struct parser p = {
		.filter = filter, .text = text, .word = STR_INIT, .now = now, .err = err
	};
	bool is_read = false;

	if (strlen(text) > FILTER_MAX_LEN)
		err_set(err, ERR_USAGE, "filter: longer than %d bytes", FILTER_MAX_LEN);
	else if (next(&p) == 0 && parse_or(&p, &filter->root) == 0)
		is_read = p.kind == KIND_END || fail(&p, "'and', 'or' or the end") == 0;
	str_release(&p.word);
	if (is_read)
		return filter;
	filter_free(filter);
	return NULL;
}

void filter_free(struct filter *filter)
{
	if (!filter)
		return;
	for (size_t i = 0; i < filter->n_nodes; i++)
		free(filter->nodes[i].field);
	for (size_t i = 0; i < filter->n_literals; i++)
		value_release(&filter->literals[i].value);
	free(filter->nodes);
	free(filter->literals);
	free(filter);
}

/* ---- asking ---- */

enum order { ORDER_LESS, ORDER_EQUAL, ORDER_GREATER, ORDER_NONE };

static enum order order_of(int sign)
{
	return sign < 0 ? ORDER_LESS : sign > 0 ? ORDER_GREATER : ORDER_EQUAL;
}

static enum order compare_numbers(const struct value *value, const struct value *literal)
{
	double a;
	double b;

	if (value->is_integer && literal->is_integer)
		return order_of(value_compare(value, literal));
	if (!value_number(value, &a) || !value_number(literal, &b) || a != a || b != b)
		return ORDER_NONE;
	return a < b ? ORDER_LESS : a > b ? ORDER_GREATER : ORDER_EQUAL;
}

static enum order compare_text(const struct value *value, const struct literal *literal)
{
	double seconds;
	int order;

	if (literal->is_time && clock_parse(value->text, &seconds, NULL) == 0)
		return order_of(when_compare(&literal->when, seconds));
	if (strcmp(value->text, literal->value.text) == 0)
		return ORDER_EQUAL;
	order = natural_compare(value->text, literal->value.text);
	return order < 0 ? ORDER_LESS : order > 0 ? ORDER_GREATER : ORDER_NONE;
}

static enum order compare(const struct value *value, const struct literal *literal)
{
	const struct value *other = &literal->value;

	if (value->type == VALUE_TEXT && other->type == VALUE_TEXT)
		return compare_text(value, literal);
	if (value->type == VALUE_TRUTH && other->type == VALUE_TRUTH)
		return value->truth == other->truth ? ORDER_EQUAL : ORDER_NONE;
	return compare_numbers(value, other);
}

static bool is_true(const struct value *value)
{
	switch (value->type) {
	case VALUE_UNDEFINED: /* not reached by tests: only defined values are asked */
		return false;
	case VALUE_TRUTH:
		return value->truth;
	case VALUE_NUMBER:
		return value->number < 0 || value->number > 0;
	case VALUE_TEXT:
		return *value->text != '\0';
	case VALUE_JSON:
		return json_first(value->doc, value->token) != JSON_NONE;
	}
	return false; /* not reached by tests: each type has its case */
}

/* A part of a text, an element of a list, a key of an object. */
static bool contains(const struct value *value, const struct literal *literal)
{
	const struct json *doc = value->doc;
	const char *text = literal->value.text;
	struct value item = VALUE_INIT;
	bool found = false;

	if (value->type == VALUE_TEXT)
		return text && strstr(value->text, text);
	if (value->type != VALUE_JSON)
		return false;
	if (json_is(doc, value->token, JSON_OBJECT))
		return text && json_member(doc, value->token, text) != JSON_NONE;
	for (size_t i = json_first(doc, value->token); i != JSON_NONE && !found;
	     i = json_next(doc, value->token, i)) {
		value_of_token(doc, i, &item);
		found = item.type != VALUE_UNDEFINED && compare(&item, literal) == ORDER_EQUAL;
	}
	value_release(&item);
	return found;
}

static bool is_any(const struct value *value, const struct literal *literals, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (compare(value, &literals[i]) == ORDER_EQUAL)
			return true;
	return false;
}

/* Is this what the operator asks for? Values without an order are unequal, and no more. */
static bool is_asked_for(enum op op, enum order order)
{
	static const struct {
		bool less;
		bool equal;
		bool greater;
		bool none;
	} wanted[] = {
		[OP_EQUAL] = { .equal = true },
		[OP_UNEQUAL] = { .less = true, .greater = true, .none = true },
		[OP_LESS] = { .less = true },
		[OP_AT_MOST] = { .less = true, .equal = true },
		[OP_GREATER] = { .greater = true },
		[OP_AT_LEAST] = { .greater = true, .equal = true },
	};

	switch (order) {
	case ORDER_LESS:
		return wanted[op].less;
	case ORDER_EQUAL:
		return wanted[op].equal;
	case ORDER_GREATER:
		return wanted[op].greater;
	case ORDER_NONE:
		return wanted[op].none;
	}
	return false; /* not reached by tests: each order has its case */
}

static bool test_defined(const struct node *node, const struct literal *literals,
			 const struct value *value)
{
	if (node->op == OP_TRUE)
		return is_true(value);
	if (node->op == OP_CONTAINS)
		return contains(value, literals);
	if (node->op == OP_IN)
		return is_any(value, literals, node->n);
	return is_asked_for(node->op, compare(value, literals));
}

static bool test(struct filter *filter, struct node *node, const struct subject *subject)
{
	struct value value = VALUE_INIT;
	bool is_defined;
	bool result;

	field_read(subject, node->field, &value);
	is_defined = value.type != VALUE_UNDEFINED;
	node->is_asked = true;
	node->is_seen |= is_defined;
	if (node->op == OP_UNDEFINED)
		result = !is_defined;
	else
		result = is_defined && test_defined(node, filter->literals + node->first, &value);
	value_release(&value);
	return result;
}

/* As deep as the expression has terms. */
static bool matches(struct filter *filter, size_t at, const struct subject *subject)
{
	struct node *node = &filter->nodes[at];

	if (node->op == OP_NOT)
		return !matches(filter, node->left, subject);
	if (node->op != OP_OR && node->op != OP_AND)
		return test(filter, node, subject);
	if (matches(filter, node->left, subject) == (node->op == OP_OR))
		return node->op == OP_OR;
	return matches(filter, node->right, subject);
}

bool filter_matches(struct filter *filter, const struct subject *subject)
{
	return matches(filter, filter->root, subject);
}

const char *filter_unseen(const struct filter *filter, size_t *position)
{
	while (*position < filter->n_nodes) {
		const struct node *node = &filter->nodes[(*position)++];

		if (node->op != OP_UNDEFINED && node->is_asked && !node->is_seen)
			return node->field;
	}
	return NULL;
}
