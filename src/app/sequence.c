#include "base/base.h"

#include "app/sequence.h"

#include "base/mem.h"

int sequence_pattern(const char *text, struct strv *parts, struct err *err)
{
	for (const char *at = text, *end; at; at = end ? end + 1 : NULL) {
		struct str part = STR_INIT;
		bool is_empty;

		end = strchr(at, '>');
		str_add(&part, at, end ? (size_t)(end - at) : strlen(at));
		str_trim(&part);
		is_empty = !part.len;
		strv_push_take(parts, str_detach(&part));
		if (!is_empty)
			continue;
		err_set(err, ERR_USAGE, "an empty part in the pattern '%s'", text);
		return err_hint(err, "write for instance 'hrds > *'");
	}
	return 0;
}

static bool is_part(const struct sequence_part *part, const char *pattern)
{
	return (part->is_training && strcmp(pattern, "?") == 0) ||
	       strcmp(pattern, part->name) == 0 || strcmp(pattern, part->with_steps) == 0;
}

/* Do the parts from 'first' on match all of the pattern? After a mismatch the last '*' takes one
 * more. */
static bool matches_from(const struct sequence *sequence, size_t first, const struct strv *pattern)
{
	size_t star = SIZE_MAX;
	size_t resume = 0;
	size_t p = 0;

	for (size_t i = first; i < sequence->n;) {
		if (p < pattern->n && strcmp(pattern->v[p], "*") == 0) {
			star = p++;
			resume = i;
		} else if (p < pattern->n && is_part(&sequence->v[i], pattern->v[p])) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern->n && strcmp(pattern->v[p], "*") == 0)
		p++;
	return p == pattern->n;
}

bool sequence_matches(const struct sequence *sequence, const struct strv *pattern)
{
	return !pattern || matches_from(sequence, 1, pattern) || matches_from(sequence, 0, pattern);
}

struct sequence sequence_of(const struct info *info)
{
	char *base = info_string(info, "base_model");
	struct sequence sequence = {
		.v = xcalloc(info_entry_count(info) + 1, sizeof(*sequence.v)),
	};

	if (!base || !*base) {
		free(base);
		base = xstrdup("unknown");
	}
	sequence.v[sequence.n++] = (struct sequence_part){ base, xstrdup(base), false };
	for (size_t i = info_first_entry(info); i != JSON_NONE; i = info_next_entry(info, i)) {
		struct sequence_part *part = &sequence.v[sequence.n++];

		part->name = info_entry_string(info, i, "dataset");
		if (!part->name)
			part->name = xstrdup("?");
		part->is_training = true;
		part->with_steps =
			xstrf("%s:%lld", part->name, (long long)info_entry_steps(info, i));
	}
	return sequence;
}

void sequence_release(struct sequence *sequence)
{
	for (size_t i = 0; i < sequence->n; i++) {
		free(sequence->v[i].name);
		free(sequence->v[i].with_steps);
	}
	free(sequence->v);
}

char *sequence_text(const struct sequence *sequence, bool with_steps)
{
	struct str out = STR_INIT;

	for (size_t i = 0; i < sequence->n; i++)
		str_addf(&out, "%s%s", i ? " > " : "",
			 with_steps ? sequence->v[i].with_steps : sequence->v[i].name);
	return str_detach(&out);
}

char *sequence_key(const struct sequence *sequence, const char *stage, bool with_steps)
{
	struct str key = STR_INIT;

	str_addf(&key, "%zu:%s", strlen(stage), stage);
	for (size_t i = 0; i < sequence->n; i++) {
		const struct sequence_part *part = &sequence->v[i];
		const char *text = with_steps ? part->with_steps : part->name;

		str_addf(&key, " %zu:%s", strlen(text), text);
	}
	return str_detach(&key);
}
