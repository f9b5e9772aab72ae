#include "base/base.h"

#include "base/width.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <locale.h>
#include <wchar.h>

/* The width of the character at 'text' and how many bytes it has. */
static int width_at(const char *text, size_t len, size_t *bytes)
{
	uint32_t c;
	int columns;

	*bytes = utf8_decode(text, len, &c);
	if (!*bytes) {
		*bytes = 1;
		return 1;
	}
	columns = wcwidth((wchar_t)c);
	return columns > 0 ? columns : 0;
}

static locale_t enter_utf8(void)
{
	static locale_t utf8;

	if (!utf8)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	return utf8 ? uselocale(utf8) : (locale_t)0;
}

static void leave_utf8(locale_t old)
{
	if (old)
		uselocale(old);
}

/* The bytes of 'text' that fit into 'columns'; their width in 'width'. */
static size_t bytes_within(const char *text, int columns, int *width)
{
	size_t len = strlen(text);
	locale_t old = enter_utf8();
	size_t i = 0;

	*width = 0;
	while (i < len) {
		size_t bytes;
		int next = width_at(text + i, len - i, &bytes);

		if (*width + next > columns)
			break;
		*width += next;
		i += bytes;
	}
	leave_utf8(old);
	return i;
}

int display_width(const char *text)
{
	int width;

	bytes_within(text, INT32_MAX, &width);
	return width;
}

char *display_cut(const char *text, int columns)
{
	int width;

	if (bytes_within(text, columns, &width) == strlen(text))
		return xstrdup(text);
	return xstrf("%.*s…", (int)bytes_within(text, columns - 1, &width), text);
}
