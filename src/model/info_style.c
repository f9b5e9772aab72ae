#include "base/base.h"

#include "model/info_style.h"

void info_style_release(struct info_style *style)
{
	str_release(&style->separator);
	str_release(&style->before);
	str_release(&style->after);
}

/* The blanks that end at offset 'end'. */
static size_t blanks_before(const struct json *doc, size_t end)
{
	size_t start = end;

	while (start && strchr(" \t\r\n", doc->text[start - 1]) && doc->text[start - 1])
		start--;
	return end - start;
}

/* The columns in front of the thing at 'offset', or -1 if it does not begin its line. */
static int indentation(const struct json *doc, size_t offset)
{
	size_t start = offset;

	while (start && (doc->text[start - 1] == ' ' || doc->text[start - 1] == '\t'))
		start--;
	return start && doc->text[start - 1] == '\n' ? (int)(offset - start) : -1;
}

/* Take fill and newline from the line that the thing at 'offset' begins. */
static void copy_line_style(const struct json *doc, size_t offset, int indent, struct jsonw *layout)
{
	size_t newline = offset - (size_t)indent - 1;

	if (indent && doc->text[offset - 1] == '\t')
		layout->fill = '\t';
	if (newline && doc->text[newline - 1] == '\r')
		layout->newline = "\r\n";
}

static bool has_blank_after_colon(const struct json *doc, size_t object)
{
	size_t key = json_first(doc, object);
	const char *colon;
	size_t end;

	if (key == JSON_NONE)
		return false; /* not reached by tests: what gives the style has members */
	end = doc->tokens[key + 1].start;
	colon = memchr(doc->text + doc->tokens[key].end, ':', end - doc->tokens[key].end);
	return colon && colon + 1 < doc->text + end;
}

/* The layout of 'object'; its closing bracket stands 'base' columns in, -1 if behind something. */
static struct jsonw layout_like(const struct json *doc, size_t object, int *base)
{
	const struct json_token *token = &doc->tokens[object];
	struct jsonw layout = jsonw_begin(NULL, 0);
	size_t first = token->size ? doc->tokens[object + 1].start : token->start;
	int inner = token->size ? indentation(doc, first) : -1;

	*base = indentation(doc, token->end - 1);
	layout.lines = inner >= 0;
	layout.blanks = has_blank_after_colon(doc, object);
	if (inner < 0)
		return layout;
	copy_line_style(doc, first, inner, &layout);
	layout.base = *base > 0 ? *base : 0;
	layout.indent = inner > layout.base ? inner - layout.base : 0;
	return layout;
}

static void add_new_line(const struct jsonw *layout, int columns, struct str *out)
{
	str_adds(out, layout->newline);
	for (int i = 0; i < columns; i++)
		str_addch(out, layout->fill);
}

static size_t last_item(const struct json *doc, size_t container)
{
	size_t last = JSON_NONE;

	for (size_t i = json_first(doc, container); i != JSON_NONE;
	     i = json_next(doc, container, i))
		last = i;
	return last;
}

/* As the last entry is, and as it stands apart from what is before it. */
static void style_of_entries(const struct info *info, struct info_style *style)
{
	const struct json *doc = &info->doc;
	size_t last = last_item(doc, info->history);
	size_t start = doc->tokens[last].start;
	size_t blanks = blanks_before(doc, start);
	int base;

	style->layout = layout_like(doc, last, &base);
	str_adds(&style->separator, ",");
	str_add(&style->separator, doc->text + start - blanks, blanks);
	if (info_entry_count(info) == 1 && !blanks && (style->layout.blanks || style->layout.lines))
		str_adds(&style->separator, " "); /* "[{" says nothing about "}, {" */
	str_add(&style->before, style->separator.buf, style->separator.len);
	style->position = doc->tokens[last].end;
}

/* No entry to go by: one level below the array, which is one level below the record. */
static void style_of_record(const struct info *info, struct info_style *style)
{
	const struct json *doc = &info->doc;
	const struct json_token *array = &doc->tokens[info->history];
	bool has_newline =
		memchr(doc->text + array->start, '\n', array->end - array->start) != NULL;
	int unit;
	int base;

	style->position = array->start + 1;
	style->layout = layout_like(doc, 0, &base);
	unit = style->layout.indent;
	if (!style->layout.lines) {
		str_adds(&style->separator, style->layout.blanks ? ", " : ",");
		return;
	}
	style->layout.base += 2 * unit;
	str_adds(&style->separator, ",");
	add_new_line(&style->layout, style->layout.base, &style->separator);
	add_new_line(&style->layout, style->layout.base, &style->before);
	if (!has_newline)
		add_new_line(&style->layout, style->layout.base - unit, &style->after);
}

void info_style_detect(const struct info *info, struct info_style *style)
{
	if (info_entry_count(info))
		style_of_entries(info, style);
	else
		style_of_record(info, style);
}
