#include "base/base.h"

#include "app/cursor.h"

#include "base/utf8.h"
#include "base/width.h"

#define TAB 8

/* The length of the escape sequence at 'text' if it only colours or erases; 0: it is cut off; -1: it
 * may move the cursor. */
static int harmless_escape(const char *text, size_t len)
{
	size_t i = 2;

	if (len < 2)
		return 0;
	if (text[1] != '[')
		return -1;
	while (i < len && ((text[i] >= '0' && text[i] <= '9') || text[i] == ';'))
		i++;
	if (i == len)
		return len < sizeof(((struct cursor *)0)->partial) ? 0 : -1;
	return text[i] == 'm' || text[i] == 'K' ? (int)i + 1 : -1;
}

/* A character that is cut off at the end of the block is waited for. */
static bool is_cut_off(const char *text, size_t len)
{
	unsigned char c = (unsigned char)text[0];
	size_t want = c >= 0xf5 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;

	return len < want;
}

/* The bytes that the next thing on the line takes: 0: wait for more. Moves the column. */
static size_t step(struct cursor *cursor, const char *text, size_t len)
{
	char one[5] = "";
	uint32_t c;
	size_t width;
	int escape;

	switch (*text) {
	case '\n':
	case '\r':
		cursor->column = 0;
		return 1;
	case '\t':
		cursor->column = (cursor->column / TAB + 1) * TAB;
		return 1;
	case '\033':
		escape = harmless_escape(text, len);
		if (escape < 0)
			cursor->column = CURSOR_UNKNOWN;
		return escape < 0 ? 1 : (size_t)escape;
	default:
		break;
	}
	width = utf8_decode(text, len, &c);
	if (!width && is_cut_off(text, len))
		return 0;
	if (!width || c < 0x20 || c == 0x7f) {
		cursor->column = CURSOR_UNKNOWN;
		return width ? width : 1;
	}
	memcpy(one, text, width);
	cursor->column += display_width(one);
	return width;
}

static void take(struct cursor *cursor, const char *data, size_t len)
{
	size_t i = 0;

	cursor->n_partial = 0;
	while (i < len && cursor->column != CURSOR_UNKNOWN) {
		size_t n = step(cursor, data + i, len - i);

		if (!n) {
			cursor->n_partial = len - i;
			memcpy(cursor->partial, data + i, len - i);
			return;
		}
		i += n;
	}
}

/* What follows the last newline; all of it if there is none. */
static const char *last_line(const char *data, size_t *len, bool *fresh)
{
	const char *newline = memrchr(data, '\n', *len);

	*fresh = newline != NULL;
	if (!newline)
		return data;
	*len -= (size_t)(newline + 1 - data);
	return newline + 1;
}

/* Of a line that redraws itself only what follows the last '\r' counts. */
static const char *last_redraw(const char *data, size_t *len, bool *fresh)
{
	const char *back = memrchr(data, '\r', *len);

	if (!back)
		return data;
	*fresh = true;
	*len -= (size_t)(back + 1 - data);
	return back + 1;
}

/* Finish what the last block cut off; the bytes of 'data' that belong to it. */
static size_t take_partial(struct cursor *cursor, const char *data, size_t len)
{
	char joined[2 * sizeof(cursor->partial)];
	size_t had = cursor->n_partial;
	size_t more = len < sizeof(cursor->partial) ? len : sizeof(cursor->partial);
	size_t used;

	if (!had)
		return 0;
	memcpy(joined, cursor->partial, had);
	memcpy(joined + had, data, more);
	cursor->n_partial = 0;
	used = step(cursor, joined, had + more);
	if (used >= had)
		return used - had;
	cursor->column = CURSOR_UNKNOWN; /* still not whole, or not what it looked like */
	return 0;
}

void cursor_follow(struct cursor *cursor, const char *data, size_t len, int columns)
{
	bool is_fresh;
	size_t used;

	data = last_line(data, &len, &is_fresh);
	/* A '\r' leads back to a known column only while the cursor has not left its line. */
	if (cursor->column != CURSOR_UNKNOWN || is_fresh)
		data = last_redraw(data, &len, &is_fresh);
	if (is_fresh) {
		cursor->column = 0;
		cursor->n_partial = 0;
	}
	if (len > CURSOR_LIMIT)
		cursor->column = CURSOR_UNKNOWN;
	if (cursor->column == CURSOR_UNKNOWN)
		return;
	used = take_partial(cursor, data, len);
	if (cursor->column != CURSOR_UNKNOWN)
		take(cursor, data + used, len - used);
	/* At or beyond the right margin it depends on the terminal where the cursor is. */
	if (cursor->column >= columns)
		cursor->column = CURSOR_UNKNOWN;
}
