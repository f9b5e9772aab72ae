#include "base/base.h"

#include "app/claims.h"

struct reader {
	const struct info *info;
	claim_fn *fn;
	void *arg;
	char *base;		 /* of the model */
	char *heir_of;		 /* the REF that the last inherited entry is from, or NULL */
	struct identity at_last; /* that entry */
};

static struct identity identity_at(const struct json *doc, size_t object, const char *key)
{
	char *text = json_string_copy(doc, json_member(doc, object, key));
	struct identity identity = identity_of_text(text);

	free(text);
	return identity;
}

static void read_parent(const struct reader *r, size_t parent)
{
	const struct json *doc = &r->info->doc;
	char *ref = json_string_copy(doc, json_member(doc, parent, "ref"));
	char *relation = json_string_copy(doc, json_member(doc, parent, "relation"));
	char *checkpoint = json_string_copy(doc, json_member(doc, parent, "checkpoint"));
	char *path = json_string_copy(doc, json_member(doc, parent, "path"));
	struct claim claim = {
		.kind = CLAIM_PARENT,
		.ref = ref,
		.relation = relation ? relation : "starts_from",
		.checkpoint = checkpoint && *checkpoint ? checkpoint : NULL,
		.path = path,
		.is_declared = json_string_is(doc, json_member(doc, parent, "how"), "declared"),
		.training = identity_at(doc, parent, "run_id"),
		.weights = identity_at(doc, parent, "sha256"),
	};

	/* Whoever has that entry as its own is the parent. */
	if (ref && r->heir_of && strcmp(ref, r->heir_of) == 0 && !identity_is_known(claim.training))
		claim.training = r->at_last;
	if (ref && *ref)
		r->fn(r->arg, &claim);
	free(ref);
	free(relation);
	free(checkpoint);
	free(path);
}

static void read_list(const struct reader *r, size_t list)
{
	const struct json *doc = &r->info->doc;

	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i))
		read_parent(r, i);
}

static void say_base(const struct reader *r, enum claim_kind kind, const char *base, const char *of,
		     struct identity of_training)
{
	const struct claim claim = {
		.kind = kind,
		.ref = base,
		.relation = "starts_from",
		.of = of,
		.of_training = of_training,
	};

	if (base && *base && strcmp(base, "unknown") != 0)
		r->fn(r->arg, &claim);
}

/* The entry that this directory itself made, or JSON_NONE. */
static size_t first_own(const struct info *info)
{
	size_t i = info_first_entry(info);

	while (i != JSON_NONE && info_entry_is_inherited(info, i))
		i = info_next_entry(info, i);
	return i;
}

/* From 'before' the model went on in 'of': what inherited entries tell of records that may be gone. */
static void say_of_ancestor(const struct reader *r, const char *before, struct identity last,
			    const char *of, struct identity first)
{
	const struct claim claim = {
		.kind = CLAIM_INHERITED,
		.ref = before,
		.relation = "continues",
		.training = last,
		.of = of,
		.of_training = first,
	};

	if (before)
		r->fn(r->arg, &claim);
	else
		say_base(r, CLAIM_BASE, r->base, of, first);
}

static void read_inherited(struct reader *r, size_t own)
{
	const struct info *info = r->info;
	struct identity last = { { 0, 0 } };
	char *at = NULL;

	for (size_t i = info_first_entry(info); i != own; i = info_next_entry(info, i)) {
		char *from = info_entry_string(info, i, "inherited_from");

		if (from && *from && (!at || strcmp(at, from) != 0)) {
			say_of_ancestor(r, at, last, from, identity_of_entry(info, i));
			free(at);
			at = from;
		} else {
			free(from);
		}
		last = identity_of_entry(info, i);
	}
	free(at);
}

static void find_last_inherited(struct reader *r, size_t own)
{
	const struct info *info = r->info;
	size_t last = JSON_NONE;

	for (size_t i = info_first_entry(info); i != own; i = info_next_entry(info, i))
		last = i;
	if (last == JSON_NONE)
		return;
	r->heir_of = info_entry_string(info, last, "inherited_from");
	r->at_last = identity_of_entry(info, last);
}

static void read_own(const struct reader *r, size_t entry)
{
	const struct info *info = r->info;
	size_t parents = info_entry_member(info, entry, "parents");
	char *base;

	read_list(r, parents);
	if (parents != JSON_NONE)
		return;
	base = info_entry_string(info, entry, "base_model");
	if (base && (!r->base || strcmp(base, r->base) != 0))
		say_base(r, CLAIM_ENTRY_BASE, base, NULL, (struct identity){ { 0, 0 } });
	free(base);
}

void claims_read(const struct info *info, claim_fn *fn, void *arg)
{
	struct reader r = {
		.info = info,
		.fn = fn,
		.arg = arg,
		.base = info_string(info, "base_model"),
	};
	size_t own = first_own(info);
	struct claim heir = { .kind = CLAIM_INHERITED, .relation = "continues" };

	find_last_inherited(&r, own);
	read_list(&r, json_member(&info->doc, 0, "parents"));
	for (size_t i = own; i != JSON_NONE; i = info_next_entry(info, i))
		read_own(&r, i);
	heir.ref = r.heir_of;
	heir.is_declared = true;
	heir.training = r.at_last;
	if (heir.ref && *heir.ref)
		fn(arg, &heir);
	say_base(&r, CLAIM_BASE, r.base, NULL, (struct identity){ { 0, 0 } });
	read_inherited(&r, own);
	free(r.base);
	free(r.heir_of);
}
