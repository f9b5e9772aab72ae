#include "base/base.h"

#include "model/batch.h"

#include "base/mem.h"
#include "model/conf.h"

/* One part of a list up to its comma or line's end; NULL if a quote has no end. */
static const char *take_part(const char *p, struct str *part)
{
	bool was_quoted = false;

	while (*p && *p != ',' && *p != '\n') {
		if (!was_quoted && part->len == 0 && (*p == '"' || *p == '\'')) {
			const char *end = strchr(p + 1, *p);

			if (!end)
				return NULL;
			str_add(part, p + 1, (size_t)(end - p - 1));
			was_quoted = true;
			p = end + 1;
		} else if (was_quoted && *p != ' ' && *p != '\t') {
			return NULL;
		} else {
			if (!was_quoted && (part->len || (*p != ' ' && *p != '\t')))
				str_addch(part, *p);
			p++;
		}
	}
	if (!was_quoted)
		str_trim(part);
	return p;
}

int batch_split_list(const char *text, struct strv *out, struct err *err)
{
	const char *p = text;

	for (;;) {
		struct str part = STR_INIT;
		const char *end = take_part(p, &part);

		if (!end || !part.len) {
			str_release(&part);
			return err_set(err, ERR_INVALID,
				       end ? "a part of the list '%s' is empty"
					   : "a quote does not end with its part of the list '%s'",
				       text);
		}
		strv_push_take(out, str_detach(&part));
		if (!*end)
			return 0;
		p = end + 1;
		if (!p[strspn(p, " \t\n")]) /* a comma at the end of the last line */
			return 0;
	}
}

int batch_sbatch_words(const char *text, struct strv *words, struct err *err)
{
	char *line = xstrdup(text);
	int result;

	for (char *p = line; *p; p++)
		if (*p == '\n')
			*p = ' ';
	result = conf_split_command(line, words, err);
	free(line);
	return result;
}
