#include "base/base.h"

#include "sys/temp_name.h"

#include "base/id.h"

#include <unistd.h>

/* ".NAME.tmp." + 10 digits of a pid + three times "." and 16 hex digits must fit in NAME_MAX. */
#define NAME_ROOM (NAME_MAX - 1 - 5 - 10 - 3 * 17)

#define READY_FORMAT ".%llx.%016llx"

void temp_name_prefix(const char *name, char out[TEMP_NAME_SIZE])
{
	uint64_t hash = 14695981039346656037u;

	if (strlen(name) <= NAME_ROOM) {
		snprintf(out, TEMP_NAME_SIZE, ".%s.tmp.", name);
		return;
	}
	for (const char *c = name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 1099511628211u;
	snprintf(out, TEMP_NAME_SIZE, ".%016llx.tmp.", (unsigned long long)hash);
}

int temp_name_make(const char *name, char out[TEMP_NAME_SIZE], struct err *err)
{
	char hex[17];
	size_t len;

	if (id_random_hex(hex, err) < 0)
		return -1;
	temp_name_prefix(name, out);
	len = strlen(out);
	snprintf(out + len, TEMP_NAME_SIZE - len, "%ld.%s", (long)getpid(), hex);
	return 0;
}

void temp_name_ready(const char *tmp, uint64_t ino, uint64_t digest, char out[TEMP_NAME_SIZE])
{
	snprintf(out, TEMP_NAME_SIZE, "%.*s" READY_FORMAT, NAME_MAX - 2 * 17, tmp,
		 (unsigned long long)ino, (unsigned long long)digest);
}

bool temp_name_read(const char *tmp, const char *prefix, uint64_t *ino, uint64_t *digest)
{
	unsigned long long number;
	unsigned long long sum;

	if (sscanf(tmp + strlen(prefix), "%*d.%*16[0-9a-f].%llx.%16llx", &number, &sum) != 2)
		return false;
	*ino = number;
	*digest = sum;
	return true;
}

unsigned int temp_name_number(const char *tmp, const char *prefix)
{
	unsigned int number = 0;

	sscanf(tmp + strlen(prefix), "%*d.%8x", &number);
	return number;
}

/* Eight bytes a step, for 64 MiB; a step is one-to-one, so a change of one word never goes unseen. */
uint64_t temp_name_digest(const struct str *text)
{
	uint64_t hash = 14695981039346656037u ^ text->len;

	for (size_t at = 0; at < text->len; at += sizeof(uint64_t)) {
		size_t left = text->len - at;
		uint64_t word = 0;

		memcpy(&word, text->buf + at, left < sizeof(word) ? left : sizeof(word));
		hash = (hash ^ word) * 1099511628211u;
		hash ^= hash >> 32;
	}
	return hash == TEMP_NO_DIGEST ? 1 : hash;
}

bool temp_name_is(const char *name)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = name[0] == '.' ? strstr(name, ".tmp.") : NULL;

	if (!at)
		return false;
	at += strlen(".tmp.");
	at += strspn(at, "0123456789");
	if (*at++ != '.' || strspn(at, digits) != 16)
		return false;
	at += 16;
	if (!*at)
		return true;
	if (*at++ != '.')
		return false;
	at += strspn(at, digits);
	return *at == '.' && strlen(at + 1) == 16 && strspn(at + 1, digits) == 16;
}
