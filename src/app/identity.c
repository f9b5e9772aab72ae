#include "base/base.h"

#include "app/identity.h"

#include "base/mem.h"

#define FNV_PRIME 1099511628211u

/* FNV-1a, twice with other beginnings. */
static const struct identity beginning = { { 14695981039346656037u, 0x27d4eb2f165667c5u } };

static void mix(struct identity *identity, unsigned char c)
{
	identity->v[0] = (identity->v[0] ^ c) * FNV_PRIME;
	identity->v[1] = ((identity->v[1] ^ c) * FNV_PRIME) ^ (identity->v[1] >> 47);
}

struct identity identity_of_text(const char *text)
{
	struct identity identity = beginning;

	if (!text || !*text)
		return (struct identity){ { 0, 0 } };
	for (; *text; text++)
		mix(&identity, (unsigned char)*text);
	return identity;
}

/* Without blanks: an inherited entry may be laid out as its new file is. */
static void mix_member(struct identity *identity, const struct info *info, size_t entry,
		       const char *key)
{
	size_t value = info_entry_member(info, entry, key);
	size_t len = 0;
	const char *raw = value == JSON_NONE ? "" : json_raw(&info->doc, value, &len);

	for (size_t i = 0; i < len; i++)
		if (!strchr(" \t\r\n", raw[i]))
			mix(identity, (unsigned char)raw[i]);
	mix(identity, 0);
}

struct identity identity_of_entry(const struct info *info, size_t entry)
{
	static const char *const keys[] = { "dataset", "steps", "start_time", "end_time",
					    "metrics" };
	char *run_id = info_entry_string(info, entry, "run_id");
	struct identity identity = identity_of_text(run_id);

	free(run_id);
	if (identity_is_known(identity))
		return identity;
	identity = beginning;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		mix_member(&identity, info, entry, keys[i]);
	return identity;
}

bool identity_is_known(struct identity identity)
{
	return identity.v[0] || identity.v[1];
}

bool identity_equal(struct identity a, struct identity b)
{
	return a.v[0] == b.v[0] && a.v[1] == b.v[1];
}

void identities_add(struct identities *all, struct identity identity, size_t owner)
{
	if (!identity_is_known(identity))
		return;
	if (all->n == all->cap) {
		all->cap = all->cap ? all->cap * 2 : 64;
		all->v = xreallocarray(all->v, all->cap, sizeof(*all->v));
	}
	all->v[all->n++] = (struct identity_owner){ identity, owner };
}

static int compare(struct identity a, struct identity b)
{
	for (size_t i = 0; i < ARRAY_SIZE(a.v); i++)
		if (a.v[i] != b.v[i])
			return a.v[i] < b.v[i] ? -1 : 1;
	return 0;
}

static int by_identity(const void *a, const void *b)
{
	const struct identity_owner *left = a;
	const struct identity_owner *right = b;
	int order = compare(left->identity, right->identity);

	return order ? order : (left->owner > right->owner) - (left->owner < right->owner);
}

/* One owner may have one identity twice: a record that holds an entry twice. */
void identities_sort(struct identities *all)
{
	size_t kept = 0;

	if (all->n)
		qsort(all->v, all->n, sizeof(*all->v), by_identity);
	for (size_t i = 0; i < all->n; i++)
		if (!kept || by_identity(&all->v[kept - 1], &all->v[i]) != 0)
			all->v[kept++] = all->v[i];
	all->n = kept;
}

/* The first that is not before 'wanted'. */
static size_t lower_bound(const struct identities *all, const struct identity_owner *wanted)
{
	size_t low = 0;
	size_t high = all->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_identity(&all->v[middle], wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t identities_find(const struct identities *all, struct identity identity,
		       const struct identity_owner **first)
{
	const struct identity_owner wanted = { identity, 0 };
	size_t at = identity_is_known(identity) ? lower_bound(all, &wanted) : all->n;
	size_t n = 0;

	*first = all->n ? all->v + at : NULL;
	while (at + n < all->n && identity_equal(all->v[at + n].identity, identity))
		n++;
	return n;
}

bool identities_has(const struct identities *all, struct identity identity, size_t owner)
{
	const struct identity_owner wanted = { identity, owner };
	size_t at = identity_is_known(identity) ? lower_bound(all, &wanted) : all->n;

	return at < all->n && by_identity(&all->v[at], &wanted) == 0;
}

void identities_release(struct identities *all)
{
	free(all->v);
	*all = (struct identities)IDENTITIES_INIT;
}
