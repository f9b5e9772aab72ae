#include "base/base.h"

#include "base/id.h"

#include "base/clock.h"

#include <errno.h>
#include <sys/random.h>

static int random_bytes(unsigned char *out, size_t len, struct err *err)
{
	while (len) {
		ssize_t n = getrandom(out, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_errno(err, ERR_INTERNAL, "cannot get random bytes");
		out += n;
		len -= (size_t)n;
	}
	return 0;
}

int id_make(char out[ID_TEXT_SIZE], struct err *err)
{
	unsigned char b[16];
	uint64_t ms = (uint64_t)clock_now_ms();

	if (random_bytes(b, sizeof(b), err) < 0)
		return -1;
	for (int i = 0; i < 6; i++)
		b[i] = (unsigned char)(ms >> (40 - 8 * i));
	b[6] = (unsigned char)(0x70 | (b[6] & 0x0f));
	b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
	snprintf(out, ID_TEXT_SIZE,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
	return 0;
}

bool id_is_valid(const char *text)
{
	for (size_t i = 0; i < ID_TEXT_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !text[i] || !strchr("0123456789abcdefABCDEF", text[i]))
			return false;
	}
	return text[ID_TEXT_SIZE - 1] == '\0';
}

int id_random_hex(char out[17], struct err *err)
{
	unsigned char b[8];

	if (random_bytes(b, sizeof(b), err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(b); i++)
		snprintf(out + 2 * i, 3, "%02x", b[i]);
	return 0;
}
