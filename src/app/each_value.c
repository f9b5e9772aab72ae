#include "base/base.h"

#include "app/each_value.h"

void each_value(const struct json *doc, size_t token, struct str *path,
		void (*visit)(void *arg, const char *path, size_t token), void *arg)
{
	size_t len = path->len;
	size_t key = json_is(doc, token, JSON_OBJECT) ? json_first(doc, token) : JSON_NONE;

	if (key == JSON_NONE)
		visit(arg, path->buf, token);
	for (; key != JSON_NONE; key = json_next(doc, token, key)) {
		char *name = json_string_copy(doc, key);

		str_addf(path, "%s%s", len ? "." : "", name);
		each_value(doc, key + 1, path, visit, arg);
		str_truncate(path, len);
		free(name);
	}
}
