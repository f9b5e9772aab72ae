/* What is shown to people: no byte that a terminal acts upon, no more columns than there are. */
#include "base/base.h"

#include "fuzz.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/width.h"

static void check_harmless(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len) {
		uint32_t c;
		size_t width = utf8_decode(text + i, len - i, &c);

		CHECK(width && !utf8_is_control(c) && c >= 0x20 && c != 0x7f);
		CHECK(c < 0x80 || c > 0x9f);
		CHECK((c < 0x202a || c > 0x202e) && (c < 0x2066 || c > 0x2069));
		i += width;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str safe = STR_INIT;
	char *text = xstrndup((const char *)data, size);
	int columns = (int)(fuzz_hash(data, size) % 40) + 1;
	char *cut;

	add_harmless(&safe, (const char *)data, size);
	check_harmless(safe.buf, safe.len);
	cut = display_cut(safe.buf, columns);
	check_harmless(cut, strlen(cut));
	CHECK(display_width(cut) <= columns);
	free(cut);
	cut = display_cut(text, columns);
	CHECK(display_width(text) >= 0 && display_width(cut) <= columns);
	free(cut);
	free(text);
	str_release(&safe);
	return 0;
}
