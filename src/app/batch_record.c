#include "base/base.h"

#include "app/batch_record.h"

#include "app/settle.h"
#include "app/taken.h"
#include "base/mem.h"
#include "capture/digest.h"
#include "sys/path.h"

#include <unistd.h>

/* So many composed entries are held in memory at most before they are written. */
#define GROUP_MAX 1000

/* Of them, so many are put to their plugin at a time. */
#define WINDOW_MAX ((size_t)100)

void batch_recordings_init(struct batch_recordings *recordings, size_t n)
{
	recordings->v = xcalloc(n ? n : 1, sizeof(*recordings->v));
	recordings->n = n;
}

void batch_recordings_release(struct batch_recordings *recordings)
{
	for (size_t i = 0; i < recordings->n; i++) {
		free(recordings->v[i].err);
		strv_release(&recordings->v[i].warnings);
	}
	free(recordings->v);
	*recordings = (struct batch_recordings){ .v = NULL };
}

static bool is_recorded(const struct batch_recorded *recorded)
{
	return recorded->what == BATCH_RECORDED || recorded->what == BATCH_ALREADY;
}

static void set_error(struct batch_recorded *recorded, enum batch_recording what,
		      const struct err *err)
{
	recorded->what = what;
	free(recorded->err);
	recorded->err = xmalloc(sizeof(*err));
	*recorded->err = *err;
}

/* ---- who it is ---- */

void batch_recording_id(const struct batch_step *step, char out[ID_TEXT_SIZE])
{
	const struct batch_settings *settings = &step->job->settings;
	struct str text = STR_INIT;
	char hex[DIGEST_TEXT_SIZE];

	str_addf(&text, "thhost batch recording\n%s\n%s\n", step->ref, step->job->name);
	for (size_t i = 0; i < settings->n; i++)
		str_addf(&text, "%s=%s\n", settings->v[i].key, settings->v[i].text);
	digest_bytes(text.buf, text.len, hex);
	/* A UUID of version 8 (RFC 9562): 122 bits that we choose. */
	snprintf(out, ID_TEXT_SIZE, "%.8s-%.4s-8%.3s-a%.3s-%.12s", hex, hex + 8, hex + 12, hex + 15,
		 hex + 18);
	str_release(&text);
}

/* ---- one record ---- */

/* The recordings that go to one directory at once. */
struct group {
	const char *ref; /* of the steps */
	size_t *jobs;
	size_t n;
	size_t cap;
};

/* What is composed and not yet written. */
struct composed {
	struct values values;
	struct draft draft;
	struct entry entry;
	struct str text; /* the entry as printed, for the journal */
	size_t job;
	bool is_open;
};

struct recorder {
	struct session *session;
	const struct batch_plan *plan;
	const bool *chosen;
	struct batch_recordings *out;
	struct group *groups;
	size_t n_groups;
	struct map by_ref; /* index + 1 */
	size_t *group_of;  /* of each job: index + 1, while it waits there */
};

static void composed_release(struct composed *c)
{
	if (c->is_open)
		draft_release(&c->draft);
	values_release(&c->values);
	entry_release(&c->entry);
	str_release(&c->text);
}

static int compose(struct recorder *r, struct composed *c, struct draft_answer *answer,
		   struct err *err)
{
	const struct batch_step *step = &r->plan->steps[c->job];
	struct jsonw w = jsonw_begin(&c->text, 2);

	c->is_open = true;
	if (draft_open_answered(&c->draft, r->session, &c->values, false, answer, err) < 0 ||
	    (c->values.from && taken_extract(&c->draft, r->session, err) < 0))
		return -1;
	c->draft.additive = true;
	if (!c->draft.run_id[0])
		batch_recording_id(step, c->draft.run_id);
	if (draft_compose(&c->draft, r->session, &c->entry, &r->out->v[c->job].warnings, err) < 0)
		return -1;
	entry_print(&c->entry, &w);
	return 0;
}

/* The same files under another job, or by hand: they are there, which is what was wanted. */
static bool is_taken(const struct composed *c)
{
	struct err ignored = ERR_INIT;

	return c->values.from && taken_check(&c->draft, &ignored) < 0;
}

/* Thousands may wait together: only the first keeps its directory open, and its plugin's text. */
static void slim(struct composed *c)
{
	plugin_plan_release(&c->draft.plan);
	if (c->draft.dir.fd >= 0)
		close(c->draft.dir.fd);
	c->draft.dir.fd = -1;
}

/* The run ids of the entries that a directory's record has: one look for all. */
struct known {
	struct map ids;
	struct strv owned;
};

static void find_known(const struct batch_step *step, struct known *known)
{
	struct err ignored = ERR_INIT;
	int fd = path_open_dir(step->path, &ignored);
	struct str text = STR_INIT;
	struct info info = INFO_INIT;

	if (fd >= 0 && store_read(fd, step->ref, &text, &ignored) == 0 &&
	    info_open(&info, step->ref, text.buf, text.len, &ignored) == 0)
		for (size_t i = info_first_entry(&info); i != JSON_NONE;
		     i = info_next_entry(&info, i)) {
			char *id = info_entry_string(&info, i, "run_id");

			if (id && !map_get(&known->ids, id)) {
				strv_push_take(&known->owned, id);
				map_put(&known->ids, id, id);
			} else {
				free(id);
			}
		}
	info_release(&info);
	str_release(&text);
	if (fd >= 0)
		close(fd);
}

static bool is_known(const struct known *known, const struct batch_step *step)
{
	char id[ID_TEXT_SIZE];

	batch_recording_id(step, id);
	return map_get(&known->ids, id) != NULL;
}

static void refuse(struct recorder *r, struct composed *c, struct err *err)
{
	batch_place(err, r->plan->steps[c->job].job, NULL);
	set_error(&r->out->v[c->job], BATCH_REFUSED, err);
	composed_release(c);
}

/* What the file says of a job that is not recorded yet. False: there is nothing to be composed. */
static bool begin(struct recorder *r, const struct known *known, size_t job, struct composed *c)
{
	const struct batch_step *step = &r->plan->steps[job];
	struct err err = ERR_INIT;

	if (is_known(known, step)) {
		r->out->v[job].what = BATCH_ALREADY;
		return false;
	}
	memset(c, 0, sizeof(*c));
	values_init(&c->values);
	entry_init(&c->entry);
	str_init(&c->text);
	c->job = job;
	if (batch_values(step, &c->values, &err) == 0)
		return true;
	refuse(r, c, &err);
	return false;
}

/* True if 'c' is to be written now. */
static bool complete(struct recorder *r, struct composed *c, struct draft_answer *answer)
{
	struct err err = ERR_INIT;

	if (compose(r, c, answer, &err) < 0) {
		refuse(r, c, &err);
		return false;
	}
	if (!is_taken(c))
		return true;
	r->out->v[c->job].what = BATCH_ALREADY;
	composed_release(c);
	return false;
}

/* Some jobs of a group: those that are to be written are put to all[n] and on; their number then. */
static size_t compose_some(struct recorder *r, const struct known *known, const size_t *jobs,
			   size_t n_jobs, struct composed *all, size_t n)
{
	struct draft_answer answers[WINDOW_MAX];
	struct values *values[WINDOW_MAX];
	struct composed *begun = all + n;
	size_t n_begun = 0;

	for (size_t i = 0; i < n_jobs; i++)
		n_begun += begin(r, known, jobs[i], &begun[n_begun]);
	for (size_t i = 0; i < n_begun; i++)
		values[i] = &begun[i].values;
	draft_ask_each(r->session, values, n_begun, answers);
	for (size_t i = 0; i < n_begun; i++) {
		struct composed *c = &all[n];

		if (c != &begun[i])
			*c = begun[i];
		if (complete(r, c, &answers[i])) {
			if (n)
				slim(c);
			n++;
		}
		draft_answer_release(&answers[i]);
	}
	return n;
}

static size_t compose_all(struct recorder *r, const struct group *group, struct composed *all)
{
	struct known known = { .ids = MAP_INIT, .owned = STRV_INIT };
	size_t n = 0;

	find_known(&r->plan->steps[group->jobs[0]], &known);
	for (size_t i = 0; i < group->n; i += WINDOW_MAX) {
		size_t some = group->n - i < WINDOW_MAX ? group->n - i : WINDOW_MAX;

		n = compose_some(r, &known, group->jobs + i, some, all, n);
	}
	map_release(&known.ids);
	strv_release(&known.owned);
	return n;
}

/* The run of the directory whose entry this may be; the descriptor is the first one's. */
static void settle(struct composed *c, int dirfd)
{
	int own = c->draft.dir.fd;

	c->draft.dir.fd = dirfd;
	settle_run(&c->draft, c->text.buf);
	c->draft.dir.fd = own;
}

static void tell(struct recorder *r, struct composed *all, size_t n, int result,
		 const struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct batch_recorded *recorded = &r->out->v[all[i].job];

		if (result == 0) {
			recorded->what = BATCH_RECORDED;
			settle(&all[i], all[0].draft.dir.fd);
		} else {
			set_error(recorded,
				  err->code == ERR_SPOOLED ? BATCH_SPOOLED : BATCH_REFUSED, err);
		}
	}
	if (result == 0 && err->code) /* STORE_NOT_DURABLE */
		strv_push(&r->out->v[all[n - 1].job].warnings, err->msg);
}

static void write_all(struct recorder *r, struct composed *all, size_t n)
{
	struct record_outcome outcome = { .entry = STR_INIT, .spooled = STR_INIT };
	struct entry *entries = xcalloc(n, sizeof(*entries));
	struct err err = ERR_INIT;
	int result;

	for (size_t i = 0; i < n; i++)
		entries[i] = all[i].entry; /* borrowed: released with 'all' */
	result = draft_make_dir(&all[0].draft, r->session, &err);
	if (result == 0)
		result = draft_append(&all[0].draft, &all[n - 1].draft, r->session, entries, n,
				      SPOOL_DAMAGE, &outcome, &err);
	tell(r, all, n, result, &err);
	record_outcome_release(&outcome);
	free(entries);
}

static void record_group(struct recorder *r, struct group *group)
{
	struct composed *all = xcalloc(group->n ? group->n : 1, sizeof(*all));
	size_t n = compose_all(r, group, all);

	if (n)
		write_all(r, all, n);
	for (size_t i = 0; i < n; i++)
		composed_release(&all[i]);
	for (size_t i = 0; i < group->n; i++)
		r->group_of[group->jobs[i]] = 0;
	group->n = 0;
	free(all);
}

/* ---- all of them ---- */

static struct group *group_of(struct recorder *r, const char *ref)
{
	uintptr_t at = (uintptr_t)map_get(&r->by_ref, ref);

	if (at)
		return &r->groups[at - 1];
	/* Powers of two: the first, and then whenever they are full. */
	if ((r->n_groups & (r->n_groups - 1)) == 0)
		r->groups = xreallocarray(r->groups, r->n_groups ? r->n_groups * 2 : 1,
					  sizeof(*r->groups));
	r->groups[r->n_groups++] = (struct group){ .ref = ref };
	map_put(&r->by_ref, ref, (void *)(uintptr_t)r->n_groups);
	return &r->groups[r->n_groups - 1];
}

/* What it waits for is written first. False if that failed. */
static bool settle_needs(struct recorder *r, size_t job)
{
	const struct batch_needs *needs = &r->plan->order.of[job];
	bool is_free = true;

	for (size_t i = 0; i < needs->n; i++) {
		size_t on = needs->v[i].on;

		if (r->group_of[on])
			record_group(r, &r->groups[r->group_of[on] - 1]);
		if (r->plan->steps[on].is_recording && (!r->chosen || r->chosen[on]) &&
		    !is_recorded(&r->out->v[on]))
			is_free = false;
	}
	return is_free;
}

static void add_to_group(struct recorder *r, size_t job)
{
	const struct batch_step *step = &r->plan->steps[job];
	struct group *group = group_of(r, step->ref);

	/* The history that it begins with can only come first. */
	if (group->n && (batch_get(step->job, "init_from") || group->n == GROUP_MAX))
		record_group(r, group);
	if (group->n == group->cap) {
		group->cap = group->cap ? group->cap * 2 : 8;
		group->jobs = xreallocarray(group->jobs, group->cap, sizeof(*group->jobs));
	}
	group->jobs[group->n++] = job;
	r->group_of[job] = (size_t)(group - r->groups) + 1;
}

static void recorder_release(struct recorder *r)
{
	for (size_t i = 0; i < r->n_groups; i++)
		free(r->groups[i].jobs);
	free(r->groups);
	free(r->group_of);
	map_release(&r->by_ref);
}

int batch_record(struct session *session, const struct batch_plan *plan, const bool *chosen,
		 struct batch_recordings *out, struct err *err)
{
	struct recorder r = { .session = session, .plan = plan, .chosen = chosen, .out = out };

	if (session_all_stages(session, err) < 0)
		return -1;
	r.group_of = xcalloc(plan->n ? plan->n : 1, sizeof(*r.group_of));
	for (size_t i = 0; i < plan->n; i++) {
		size_t job = plan->order.sorted[i];

		if (!plan->steps[job].is_recording || (chosen && !chosen[job]))
			continue;
		if (settle_needs(&r, job))
			add_to_group(&r, job);
		else
			out->v[job].what = BATCH_BLOCKED;
	}
	for (size_t i = 0; i < r.n_groups; i++)
		if (r.groups[i].n)
			record_group(&r, &r.groups[i]);
	recorder_release(&r);
	return 0;
}
