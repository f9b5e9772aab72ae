#include "base/base.h"

#include "index/place.h"

/* What ends a component: below any byte of a name. */
#define END '\0'

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A run of digits as "0", how many count, and those: between '/' and ':' as any digit would be. */
static const char *add_digits(const char *at, const char *end, struct str *out)
{
	const char *from;

	while (at < end && *at == '0')
		at++;
	for (from = at; at < end && is_digit(*at); at++)
		;
	str_addch(out, '0');
	/* A name has up to 255 bytes, and no byte shall be END. */
	str_addch(out, (char)((at - from) / 128 + 1));
	str_addch(out, (char)((at - from) % 128 + 1));
	str_add(out, from, (size_t)(at - from));
	return at;
}

static void add_component(const char *name, size_t len, struct str *out)
{
	const char *end = name + len;

	for (const char *at = name; at < end;) {
		if (is_digit(*at))
			at = add_digits(at, end, out);
		else
			str_addch(out, *at++);
	}
	str_addch(out, END);
	str_add(out, name, len); /* "a01" and "a1" differ */
	str_addch(out, END);
}

void place_key(const char *path, struct str *out)
{
	str_clear(out);
	while (*path) {
		size_t len = strcspn(path, "/");

		add_component(path, len, out);
		path += len + (path[len] == '/');
	}
}

void place_key_end(struct str *key)
{
	key->buf[key->len - 1] = END + 1; /* of the raw name: no other key has it there */
}

int place_compare(const char *a, const char *b)
{
	struct str key_a = STR_INIT;
	struct str key_b = STR_INIT;
	int order;

	place_key(a, &key_a);
	place_key(b, &key_b);
	order = memcmp(key_a.buf, key_b.buf, key_a.len < key_b.len ? key_a.len : key_b.len);
	if (!order)
		order = (key_a.len > key_b.len) - (key_a.len < key_b.len);
	str_release(&key_a);
	str_release(&key_b);
	return order;
}
