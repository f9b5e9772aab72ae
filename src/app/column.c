#include "base/base.h"

#include "app/column.h"

#include "base/mem.h"

#define MAX_COLUMNS 200 /* more than anybody reads; a bound on what one command line costs */

static void column_release(struct column_spec *column)
{
	free(column->title);
	free(column->field);
}

void column_list_release(struct column_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		column_release(&list->v[i]);
	free(list->v);
	*list = (struct column_list){ .v = NULL };
}

static struct column_spec *push(struct column_list *list)
{
	list->v = xreallocarray(list->v, list->n + 1, sizeof(*list->v));
	list->v[list->n] = (struct column_spec){ .title = NULL };
	return &list->v[list->n++];
}

void column_list_add(struct column_list *list, const char *field)
{
	struct column_spec *column = push(list);

	column->title = xstrdup(field);
	column->field = xstrdup(field);
}

/* One that stands for itself: without its quotes, and no keyword. */
struct word {
	char *text;
	bool is_quoted;
};

/* The words up to the comma or the end; -1 where a quote is not closed or there are more than 'max'. */
static int split(const char **text, struct word *words, size_t max, size_t *n)
{
	const char *at = *text;

	*n = 0;
	for (;;) {
		const char *start;
		bool is_quoted;

		at += strspn(at, " \t\n");
		if (!*at || *at == ',')
			break;
		is_quoted = *at == '`';
		start = at + is_quoted;
		at = start + strcspn(start, is_quoted ? "`" : " \t\n,");
		if (*n == max || (is_quoted && *at != '`'))
			return -1;
		words[*n].text = xstrndup(start, (size_t)(at - start));
		words[*n].is_quoted = is_quoted;
		++*n;
		at += is_quoted;
	}
	*text = at;
	return 0;
}

static bool read_pick(const struct word *word, enum column_pick *out)
{
	static const char *const names[] = { "", "min", "max", "first", "last" };

	for (size_t i = 1; i < ARRAY_SIZE(names); i++) {
		if (word->is_quoted || strcmp(word->text, names[i]) != 0)
			continue;
		*out = (enum column_pick)i;
		return true;
	}
	return false;
}

static int make(struct column_spec *column, const struct word *words, size_t n, bool is_sort)
{
	const char *field;

	if (n && is_sort && !words->is_quoted && words->text[0] == '-') {
		column->is_descending = true;
		memmove(words->text, words->text + 1, strlen(words->text));
	}
	if (n && read_pick(words, &column->pick)) {
		words++;
		n--;
	}
	if (n == 2 && !words[1].is_quoted && strcmp(words[1].text, "step") == 0) {
		column->is_step = true;
		n--;
	}
	if (n != 1 || !*words->text || strcmp(words->text, "=") == 0)
		return -1;
	field = words->text;
	column->field =
		!words->is_quoted && *field == '=' ? xstrf("params.%s", field + 1) : xstrdup(field);
	return 0;
}

/* As it was written, but for what only says what kind it is. */
static char *title_of(const char *text, const char *end, bool is_sort)
{
	struct str title = STR_INIT;

	text += strspn(text, " \t\n");
	if (text < end && (*text == '=' || (is_sort && *text == '-')))
		text++;
	for (; text < end; text++)
		if (*text != '`')
			str_addch(&title, *text);
	str_trim(&title);
	return str_detach(&title);
}

static bool has_title(const struct column_list *list, const char *title)
{
	for (size_t i = 0; i + 1 < list->n; i++) /* all but the newest */
		if (strcmp(list->v[i].title, title) == 0)
			return true;
	return false;
}

/* A title is a key in JSON: "lr, =lr" are "lr" and "params.lr". */
static int set_title(struct column_list *list, char *title)
{
	struct column_spec *column = &list->v[list->n - 1];

	column->title = title;
	if (!has_title(list, title))
		return 0;
	free(column->title);
	column->title = xstrdup(column->field);
	return has_title(list, column->title) ? -1 : 0;
}

int column_list_parse(struct column_list *list, const char *what, const char *text, bool is_sort,
		      struct err *err)
{
	const char *at = text;

	do {
		struct word words[3];
		const char *start = at;
		struct column_spec *column = push(list);
		size_t n;
		int result = split(&at, words, ARRAY_SIZE(words), &n);

		if (result == 0)
			result = make(column, words, n, is_sort);
		for (size_t i = 0; i < n; i++)
			free(words[i].text);
		if (result < 0)
			return err_set(err, ERR_USAGE,
				       "%s, column %zu: expected [min|max|first|last] FIELD [step] "
				       "or =NAME, not '%.*s'",
				       what, (size_t)(start - text) + 1, (int)strcspn(start, ","),
				       start);
		if (set_title(list, title_of(start, at, is_sort)) < 0 && !is_sort)
			return err_set(err, ERR_USAGE, "%s, column %zu: '%s' is there already",
				       what, (size_t)(start - text) + 1,
				       list->v[list->n - 1].title);
		if (list->n > MAX_COLUMNS)
			return err_set(err, ERR_USAGE, "%s: more than %d columns", what,
				       MAX_COLUMNS);
	} while (*at++ == ',');
	return 0;
}

/* ---- values ---- */

static bool counts(const struct value *value)
{
	return value->type != VALUE_UNDEFINED &&
	       !(value->type == VALUE_NUMBER && value->number != value->number);
}

/* Does 'value' take the place of 'best', which came earlier? Of equals the first stays. */
static bool is_picked(enum column_pick pick, const struct value *value, const struct value *best)
{
	if (!counts(value))
		return false;
	if (!counts(best))
		return true;
	if (pick == PICK_LAST)
		return true;
	if (pick == PICK_FIRST)
		return false;
	return pick == PICK_MIN ? value_compare(value, best) < 0 : value_compare(value, best) > 0;
}

/* The training that the column is about; JSON_NONE: none has the field. */
static size_t pick_entry(const struct column_spec *column, const struct subject *subject)
{
	const struct info *info = subject->info;
	struct subject each = *subject;
	struct value value = VALUE_INIT;
	struct value best = VALUE_INIT;
	size_t found = JSON_NONE;

	if (column->pick == PICK_OWN || !info)
		return column->pick == PICK_OWN ? subject->entry : JSON_NONE;
	each.doc = &info->doc;
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		each.entry = i;
		field_read(&each, column->field, &value);
		if (!is_picked(column->pick, &value, &best))
			continue;
		found = i;
		field_read(&each, column->field, &best);
	}
	value_release(&value);
	value_release(&best);
	return found;
}

/* All steps of the model when training 'entry' had ended. */
static void read_step(const struct info *info, size_t entry, struct value *out)
{
	int64_t sum = 0;
	char text[32];

	value_release(out);
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		int64_t steps = info_entry_steps(info, i);

		if (steps > 0 && __builtin_add_overflow(sum, steps, &sum))
			return;
		if (i == entry)
			break;
	}
	snprintf(text, sizeof(text), "%lld", (long long)sum);
	value_of_number(text, out);
}

void column_read(const struct column_spec *column, const struct subject *subject, struct value *out)
{
	struct subject picked = *subject;

	value_release(out);
	picked.entry = pick_entry(column, subject);
	if (column->pick != PICK_OWN) {
		if (picked.entry == JSON_NONE)
			return;
		picked.doc = &subject->info->doc;
	}
	field_read(&picked, column->field, out);
	if (!column->is_step || out->type == VALUE_UNDEFINED)
		return;
	if (picked.info && picked.doc == &picked.info->doc && picked.entry != JSON_NONE)
		read_step(picked.info, picked.entry, out);
	else
		field_read(&picked, "steps", out);
}
