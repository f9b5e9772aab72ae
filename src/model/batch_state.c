#include "base/base.h"

#include "model/batch_state.h"

#include "base/clock.h"
#include "base/mem.h"
#include "sys/file.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA "thhost.batch/1"
#define PLACE ".thhost/batches"
#define BATCH_FILE "batch.json"
#define JOURNAL_FILE "journal.jsonl"
#define LOCK_FILE "lock"
#define CANCEL_FILE "cancel"
#define LOGS "logs"

static const char *const words[] = {
	[BATCH_JOB_WAITING] = "waiting",     [BATCH_JOB_RUNNING] = "running",
	[BATCH_JOB_DONE] = "done",	     [BATCH_JOB_SKIPPED] = "skipped",
	[BATCH_JOB_FAILED] = "failed",	     [BATCH_JOB_BLOCKED] = "blocked",
	[BATCH_JOB_CANCELLED] = "cancelled",
};

const char *batch_job_state_word(enum batch_job_state state)
{
	return words[state];
}

bool batch_job_is_over(enum batch_job_state state)
{
	return state != BATCH_JOB_WAITING && state != BATCH_JOB_RUNNING;
}

bool batch_job_is_good(enum batch_job_state state)
{
	return state == BATCH_JOB_DONE || state == BATCH_JOB_SKIPPED;
}

/* ---- one job ---- */

static void progress_init(struct batch_progress *progress)
{
	*progress = (struct batch_progress){ .exit_code = -1 };
}

void batch_progress_release(struct batch_progress *progress)
{
	char *const owned[] = { progress->host, progress->boot_id,    progress->executor_id,
				progress->gpus, progress->start_time, progress->end_time,
				progress->why,	progress->queue };

	for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
		free(owned[i]);
	progress_init(progress);
}

static void print_progress(const char *job, const char *holder, const struct batch_progress *p,
			   struct str *out)
{
	struct jsonw w = jsonw_begin(out, 0);
	char now[CLOCK_TEXT_SIZE];

	clock_format(clock_now(), now);
	jsonw_object(&w);
	jsonw_pair_string(&w, "time", now);
	jsonw_pair_string(&w, "holder", holder);
	jsonw_pair_string(&w, "job", job);
	jsonw_pair_string(&w, "state", words[p->state]);
	jsonw_pair_int(&w, "attempt", p->attempt);
	jsonw_pair_int(&w, "failures", p->failures);
	jsonw_pair_string(&w, "run_id", p->run_id[0] ? p->run_id : NULL);
	jsonw_pair_string(&w, "host", p->host);
	jsonw_pair_string(&w, "boot_id", p->boot_id);
	jsonw_pair_int(&w, "pid", p->pid);
	jsonw_pair_int(&w, "pid_start", (int64_t)p->pid_start);
	jsonw_pair_int(&w, "pid_ns", (int64_t)p->pid_ns);
	jsonw_pair_string(&w, "executor_id", p->executor_id);
	jsonw_pair_string(&w, "gpus", p->gpus);
	jsonw_pair_string(&w, "start_time", p->start_time);
	jsonw_pair_string(&w, "end_time", p->end_time);
	jsonw_pair_int(&w, "exit_code", p->exit_code);
	jsonw_pair_string(&w, "why", p->why);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static int64_t number_of(const struct json *doc, const char *key, int64_t preset)
{
	int64_t value;

	return json_int64(doc, json_member(doc, 0, key), &value) == 0 ? value : preset;
}

static char *text_of(const struct json *doc, const char *key)
{
	return json_string_copy(doc, json_member(doc, 0, key));
}

static int parse_state(const struct json *doc, enum batch_job_state *out)
{
	size_t token = json_member(doc, 0, "state");

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (json_string_is(doc, token, words[i])) {
			*out = (enum batch_job_state)i;
			return 0;
		}
	return -1;
}

static void parse_progress(const struct json *doc, enum batch_job_state state,
			   struct batch_progress *p)
{
	char *run_id = text_of(doc, "run_id");

	batch_progress_release(p);
	p->state = state;
	p->attempt = (int)number_of(doc, "attempt", 0);
	p->failures = (int)number_of(doc, "failures", 0);
	if (run_id && id_is_valid(run_id))
		snprintf(p->run_id, sizeof(p->run_id), "%s", run_id);
	free(run_id);
	p->host = text_of(doc, "host");
	p->boot_id = text_of(doc, "boot_id");
	p->pid = number_of(doc, "pid", 0);
	p->pid_start = (uint64_t)number_of(doc, "pid_start", 0);
	p->pid_ns = (uint64_t)number_of(doc, "pid_ns", 0);
	p->executor_id = text_of(doc, "executor_id");
	p->gpus = text_of(doc, "gpus");
	p->start_time = text_of(doc, "start_time");
	p->end_time = text_of(doc, "end_time");
	p->exit_code = (int)number_of(doc, "exit_code", -1);
	p->why = text_of(doc, "why");
}

/* ---- the journal ---- */

/* A line without a holder is of an older version, whose lines all count. */
static int take_job(struct batch_state *state, const struct json *doc)
{
	enum batch_job_state what;
	char *name = text_of(doc, "job");
	uintptr_t at = name ? (uintptr_t)map_get(&state->batch.by_name, name) : 0;
	size_t holder = json_member(doc, 0, "holder");
	bool is_late = holder != JSON_NONE && state->signature &&
		       !json_string_is(doc, holder, state->signature);

	free(name);
	if (!at || parse_state(doc, &what) < 0)
		return -1;
	if (!is_late)
		parse_progress(doc, what, &state->jobs[at - 1]);
	return 0;
}

/* -1: it is not whole. */
static int take_line(struct batch_state *state, const char *line, size_t len)
{
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT;
	int result = -1;

	if (json_parse(&doc, JOURNAL_FILE, line, len, JSON_STRICT, &ignored) == 0) {
		char *signature = text_of(&doc, "signed");

		if (signature) {
			free(state->signature);
			state->signature = signature;
			result = 0;
		} else {
			result = take_job(state, &doc);
		}
	}
	json_release(&doc);
	return result;
}

static int read_journal(struct batch_state *state, struct err *err)
{
	struct str text = STR_INIT;
	struct err own = ERR_INIT;
	const char *p;

	for (size_t i = 0; i < state->batch.n_jobs; i++)
		batch_progress_release(&state->jobs[i]);
	state->n_torn = 0;
	free(state->signature);
	state->signature = NULL;
	if (file_read(state->dirfd, JOURNAL_FILE, JSON_MAX_LEN, &text, NULL, &own) < 0) {
		str_release(&text);
		if (own.code == ERR_NOT_FOUND)
			return 0;
		*err = own;
		return err_prefix(err, "the journal of batch %.13s", state->id);
	}
	p = text.buf;
	while (p < text.buf + text.len) {
		const char *newline = memchr(p, '\n', text.len - (size_t)(p - text.buf));
		const char *end = newline ? newline : text.buf + text.len;

		if (end > p && take_line(state, p, (size_t)(end - p)) < 0)
			state->n_torn++;
		p = end + 1;
	}
	str_release(&text);
	return 0;
}

/* A line that a crash cut off ends here, so that the next one is not joined to it. */
static int end_last_line(int fd)
{
	struct stat st;
	char last;

	if (fstat(fd, &st) < 0)
		return -1;
	if (st.st_size == 0)
		return 0;
	if (pread(fd, &last, 1, st.st_size - 1) != 1)
		return -1;
	return last == '\n' || write(fd, "\n", 1) == 1 ? 0 : -1;
}

static void host_name(char out[HOST_NAME_MAX + 1])
{
	memset(out, 0, HOST_NAME_MAX + 1);
	gethostname(out, HOST_NAME_MAX);
}

/* On the disk before anything is done: what an earlier holder writes from here on does not count. */
static int sign_journal(struct batch_state *state, struct err *err)
{
	struct jsonw w = jsonw_begin(&state->pending, 0);
	char now[CLOCK_TEXT_SIZE];
	char host[HOST_NAME_MAX + 1];

	clock_format(clock_now(), now);
	host_name(host);
	jsonw_object(&w);
	jsonw_pair_string(&w, "time", now);
	jsonw_pair_string(&w, "signed", state->lock.nonce);
	jsonw_pair_string(&w, "host", host);
	jsonw_pair_int(&w, "pid", getpid());
	jsonw_end(&w);
	str_addch(&state->pending, '\n');
	return batch_state_sync(state, err);
}

static int open_journal(struct batch_state *state, struct err *err)
{
	const int flags = O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC;

	state->journal = openat(state->dirfd, JOURNAL_FILE, flags, 0666);
	if (state->journal < 0 || end_last_line(state->journal) < 0 ||
	    path_sync_dir(state->dirfd) < 0)
		return err_errno(err, ERR_FAILED, "cannot open the journal of batch %.13s",
				 state->id);
	return sign_journal(state, err);
}

void batch_state_note(struct batch_state *state, size_t job)
{
	print_progress(state->batch.jobs[job].name, state->lock.nonce, &state->jobs[job],
		       &state->pending);
}

static int check_lock(struct batch_state *state, struct err *err)
{
	if (lock_check(&state->lock, err) == 0)
		return 0;
	err_prefix(err, "batch %.13s is not ours any more", state->id);
	return err_hint(err, "'thhost batch status %.13s' tells who works on it now", state->id);
}

int batch_state_beat(struct batch_state *state, struct err *err)
{
	if (check_lock(state, err) < 0)
		return -1; /* not reached by tests: the next line to be written finds it first */
	futimens(state->lock.fd, NULL); /* where it cannot be told, the journal's lines are signs */
	return 0;
}

static int hint_resume(const struct batch_state *state, struct err *err)
{
	return err_hint(err, "'thhost batch run %.13s --resume' goes on, once that is mended",
			state->id);
}

int batch_state_sync(struct batch_state *state, struct err *err)
{
	if (!state->pending.len)
		return 0;
	if (check_lock(state, err) < 0)
		return -1;
	if (file_write_all(state->journal, state->pending.buf, state->pending.len, err,
			   JOURNAL_FILE) < 0) {
		err_prefix(err, "the journal of batch %.13s", state->id);
		return hint_resume(state, err);
	}
	str_clear(&state->pending);
	if (fdatasync(state->journal) < 0) {
		err_errno(err, ERR_FAILED, "cannot sync the journal of batch %.13s", state->id);
		return hint_resume(state, err);
	}
	return 0;
}

/* ---- the jobs as they were read ---- */

static int write_batch(struct batch_state *state, struct err *err)
{
	const struct file_replace_options options = { .must_be_new = true };
	struct str text = STR_INIT;
	struct jsonw w = jsonw_begin(&text, 1);
	enum file_result result;

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", SCHEMA);
	jsonw_pair_string(&w, "id", state->id);
	jsonw_pair_string(&w, "created", state->created);
	jsonw_pair_string(&w, "host", state->host);
	jsonw_pair_string(&w, "root", state->root);
	jsonw_pair_string(&w, "cwd", state->cwd);
	jsonw_pair_string(&w, "experiment", state->common_exp);
	batch_print(&state->batch, &w);
	jsonw_end(&w);
	str_addch(&text, '\n');
	result = file_replace(state->dirfd, BATCH_FILE, text.buf, text.len, &options, err);
	str_release(&text);
	return result == FILE_DONE ? 0 : -1;
}

static int parse_batch(struct batch_state *state, const struct str *text, struct err *err)
{
	struct json doc = JSON_INIT;
	char *name = xstrf("batch %.13s", state->id);
	int result = json_parse(&doc, name, text->buf, text->len, JSON_STRICT, err);

	if (result == 0)
		result = batch_parse(name, &doc, 0, &state->batch, err);
	if (result == 0) {
		state->created = text_of(&doc, "created");
		state->host = text_of(&doc, "host");
		state->root = text_of(&doc, "root");
		state->cwd = text_of(&doc, "cwd");
		state->common_exp = text_of(&doc, "experiment");
		if (!state->created || !state->root || !state->cwd)
			result = err_set(err, ERR_INVALID, "%s: not the state of a batch", name);
	}
	json_release(&doc);
	free(name);
	return result;
}

static void make_jobs(struct batch_state *state)
{
	size_t n = state->batch.n_jobs;

	state->jobs = xcalloc(n ? n : 1, sizeof(*state->jobs));
	for (size_t i = 0; i < n; i++)
		progress_init(&state->jobs[i]);
}

/* ---- places ---- */

/* A team shares its root by mode and group; what is below must not be narrower. */
static void share_like(int rootfd, int fd)
{
	struct stat st;

	/* Not ours, or a file system without modes: it works for us, which is what can be done. */
	if (fstat(rootfd, &st) == 0 && fchmod(fd, (st.st_mode & 07777) | 0700) < 0)
		return;
}

static int make_below(int rootfd, int dirfd, const char *name, struct err *err)
{
	bool made = false;
	int fd;

	if (path_make_dir(dirfd, name, &made, err) < 0)
		return -1;
	fd = path_open_beneath(dirfd, name, O_RDONLY | O_DIRECTORY, err);
	if (fd >= 0 && made)
		share_like(rootfd, fd);
	return fd;
}

static int make_place(int rootfd, struct err *err)
{
	int journal = make_below(rootfd, rootfd, ".thhost", err);
	int fd = journal < 0 ? -1 : make_below(rootfd, journal, "batches", err);

	if (journal >= 0)
		close(journal);
	return fd;
}

static int open_place(int rootfd, struct err *err)
{
	return path_open_beneath(rootfd, PLACE, O_RDONLY | O_DIRECTORY, err);
}

/*
 * The way from the root to the file, as words: the same on hosts that have both below different mount
 * points. Both are absolute.
 */
static void way_to(const char *root, const char *path, struct str *out)
{
	size_t common = 0;

	for (size_t i = 0; root[i] && root[i] == path[i]; i++)
		if (path[i + 1] == '/' && (root[i + 1] == '/' || !root[i + 1]))
			common = i + 1;
	for (const char *p = root + common; *p; p++)
		if (*p == '/' && p[1])
			str_adds(out, "../");
	str_adds(out, path + common + (path[common] == '/'));
}

/* FNV-1a of the way to the file: one lock for each, whatever its name holds. */
static void lock_name(const char *root, const char *path, char out[64])
{
	uint64_t h = 14695981039346656037u;
	struct str way = STR_INIT;

	way_to(root, path, &way);
	for (size_t i = 0; i < way.len; i++)
		h = (h ^ (unsigned char)way.buf[i]) * 1099511628211u;
	snprintf(out, 64, ".file-%016llx.lock", (unsigned long long)h);
	str_release(&way);
}

int batch_state_reserve(struct batch_state *state, int rootfd, const char *root, const char *path,
			struct err *err)
{
	char name[64];
	int place = make_place(rootfd, err);
	int result;

	if (place < 0)
		return -1;
	lock_name(root, path, name);
	result = lock_acquire(&state->file_lock, place, name, path, 0, err);
	close(place);
	if (result < 0 && err->code == ERR_BUSY) {
		err_prefix(err, "a batch of this file is being worked on");
		err_hint(err, "'thhost batch status' shows it");
	}
	return result;
}

int batch_state_evict(struct batch_state *state, int rootfd, const char *root, const char *host,
		      struct err *err)
{
	char name[64];
	int place = open_place(rootfd, err);
	int file;
	int own;

	if (place < 0)
		return -1; /* not reached by tests: the batch was just read from there */
	lock_name(root, state->batch.path, name);
	file = lock_break(place, name, host, err);
	own = file < 0 ? -1 : lock_break(state->dirfd, LOCK_FILE, host, err);
	close(place);
	return own < 0 ? -1 : file || own;
}

static int lock_state(struct batch_state *state, struct err *err)
{
	char *where = xstrf("batch %.13s", state->id);
	int result = lock_acquire(&state->lock, state->dirfd, LOCK_FILE, where, 0, err);

	free(where);
	return result;
}

/* ---- the whole ---- */

static int make_directory(struct batch_state *state, int rootfd, struct err *err)
{
	int place = make_place(rootfd, err);
	int logs = -1;

	if (place < 0)
		return -1;
	state->dirfd = make_below(rootfd, place, state->id, err);
	if (state->dirfd >= 0)
		logs = make_below(rootfd, state->dirfd, LOGS, err);
	close(place);
	if (logs >= 0)
		close(logs);
	return logs < 0 ? -1 : 0;
}

int batch_state_create(struct batch_state *state, int rootfd, const struct batch_start *start,
		       struct err *err)
{
	char now[CLOCK_TEXT_SIZE];
	char host[HOST_NAME_MAX + 1] = "";

	state->batch = *start->batch;
	memset(start->batch, 0, sizeof(*start->batch));
	clock_format(clock_now(), now);
	gethostname(host, sizeof(host) - 1);
	state->root = xstrdup(start->root);
	state->cwd = xstrdup(start->cwd);
	state->common_exp = xstrdup_or_null(start->common_exp);
	state->created = xstrdup(now);
	state->host = xstrdup(host);
	make_jobs(state);
	if (id_make(state->id, err) < 0 || make_directory(state, rootfd, err) < 0 ||
	    lock_state(state, err) < 0 || write_batch(state, err) < 0)
		return -1;
	return open_journal(state, err);
}

int batch_state_open(struct batch_state *state, int rootfd, const char *id, struct err *err)
{
	struct str text = STR_INIT;
	int place;
	int result = -1;

	*state = (struct batch_state)BATCH_STATE_INIT;
	if (!id_is_valid(id)) /* not reached by tests: batch_state_list() gave it */
		return err_set(err, ERR_NOT_FOUND, "there is no batch '%.100s'", id);
	snprintf(state->id, sizeof(state->id), "%s", id);
	place = open_place(rootfd, err);
	if (place < 0)
		return -1;
	state->dirfd = path_open_beneath(place, id, O_RDONLY | O_DIRECTORY, err);
	close(place);
	if (state->dirfd >= 0 &&
	    file_read(state->dirfd, BATCH_FILE, JSON_MAX_LEN, &text, NULL, err) == 0)
		result = parse_batch(state, &text, err);
	str_release(&text);
	if (result == 0) {
		make_jobs(state);
		result = read_journal(state, err);
	}
	return result;
}

static int check_root(const struct batch_state *state, int rootfd, const char *root,
		      struct err *err)
{
	struct stat held;
	struct stat named;

	if (fstat(rootfd, &held) == 0 && stat(state->root, &named) == 0 &&
	    held.st_dev == named.st_dev && held.st_ino == named.st_ino)
		return 0;
	err_set(err, ERR_INVALID, "batch %.13s was begun where its root is '%s'; here that is '%s'",
		state->id, state->root, root);
	return err_hint(err,
			"go on with it where the root, the batch file and '%s' have these names",
			state->cwd);
}

int batch_state_take(struct batch_state *state, int rootfd, const char *root, struct err *err)
{
	if (check_root(state, rootfd, root, err) < 0 ||
	    batch_state_reserve(state, rootfd, root, state->batch.path, err) < 0 ||
	    lock_state(state, err) < 0)
		return -1;
	return read_journal(state, err) < 0 ? -1 : open_journal(state, err);
}

void batch_state_release(struct batch_state *state)
{
	for (size_t i = 0; state->jobs && i < state->batch.n_jobs; i++)
		batch_progress_release(&state->jobs[i]);
	free(state->jobs);
	batch_release(&state->batch);
	free(state->root);
	free(state->cwd);
	free(state->common_exp);
	free(state->created);
	free(state->host);
	free(state->signature);
	str_release(&state->pending);
	if (state->journal >= 0)
		close(state->journal);
	lock_release(&state->lock);
	lock_release(&state->file_lock);
	if (state->dirfd >= 0)
		close(state->dirfd);
	*state = (struct batch_state)BATCH_STATE_INIT;
}

bool batch_state_is_taken(const struct batch_state *state)
{
	return lock_is_held(state->dirfd, LOCK_FILE);
}

char *batch_state_holder(const struct batch_state *state)
{
	return lock_holder_host(state->dirfd, LOCK_FILE);
}

static time_t written_at(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mtim.tv_sec : 0;
}

time_t batch_state_sign(const struct batch_state *state)
{
	time_t lock = written_at(state->dirfd, LOCK_FILE);
	time_t journal = written_at(state->dirfd, JOURNAL_FILE);

	return lock > journal ? lock : journal;
}

time_t batch_state_job_sign(const struct batch_state *state, size_t job)
{
	char *name =
		xstrf(LOGS "/%s.%d.log", state->batch.jobs[job].name, state->jobs[job].attempt);
	time_t when = written_at(state->dirfd, name);

	free(name);
	return when;
}

/* ---- cancel ---- */

int batch_state_cancel(const struct batch_state *state, struct err *err)
{
	return file_replace(state->dirfd, CANCEL_FILE, "", 0, NULL, err) < 0 ? -1 : 0;
}

bool batch_state_is_cancelled(const struct batch_state *state)
{
	return faccessat(state->dirfd, CANCEL_FILE, F_OK, 0) == 0;
}

int batch_state_uncancel(const struct batch_state *state, struct err *err)
{
	return file_remove(state->dirfd, CANCEL_FILE, err);
}

/* ---- logs ---- */

static int open_in_logs(const struct batch_state *state, const char *name, int flags,
			struct err *err)
{
	int logs = path_open_beneath(state->dirfd, LOGS, O_RDONLY | O_DIRECTORY, err);
	int fd = -1;

	if (logs >= 0) {
		fd = openat(logs, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0666);
		if (fd < 0)
			err_errno(err, path_is_absent(errno) ? ERR_NOT_FOUND : ERR_FAILED,
				  "cannot open the log '%s'", name);
		close(logs);
	}
	return fd;
}

int batch_state_open_log(const struct batch_state *state, size_t job, int attempt, bool create,
			 struct err *err)
{
	int flags = create ? O_WRONLY | O_CREAT | O_APPEND : O_RDONLY;
	char *name = xstrf("%s.%d.log", state->batch.jobs[job].name, attempt);
	int fd = open_in_logs(state, name, flags, err);

	free(name);
	return fd;
}

int batch_state_open_output(const struct batch_state *state, const char *executor_id,
			    struct err *err)
{
	char *name = xstrf("%s.out", executor_id);
	int fd;

	for (char *p = name; *p; p++)
		if (*p == ':' || *p == '/')
			*p = '-';
	fd = open_in_logs(state, name, O_RDONLY, err);
	free(name);
	return fd;
}

/* ---- finding ---- */

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int batch_state_list(int rootfd, struct strv *ids, struct err *err)
{
	struct strv names = STRV_INIT;
	struct err own = ERR_INIT;
	int place = open_place(rootfd, &own);
	int result;

	if (place < 0 && own.code == ERR_NOT_FOUND)
		return 0;
	if (place < 0) {
		*err = own;
		return -1;
	}
	result = path_list(place, &names, err);
	for (size_t i = 0; i < names.n && result == 0; i++)
		if (id_is_valid(names.v[i]))
			strv_push(ids, names.v[i]);
	if (ids->n > 1) /* they begin with the time; its digits have no natural order */
		qsort(ids->v, ids->n, sizeof(*ids->v), compare_ids);
	strv_release(&names);
	close(place);
	return result;
}

static bool is_meant(const struct batch_state *state, const char *text, const char *path)
{
	return has_prefix(state->id, text) || strcmp(state->batch.name, text) == 0 ||
	       strcmp(state->batch.path, path) == 0;
}

/*
 * One that cannot be read may be the one that is meant: an older one of the same name is not taken in
 * its place.
 */
static int refuse_older(const struct err *damage, const char *id, struct err *err)
{
	*err = *damage;
	return err_hint(err, "name another one by its id, or move '" PLACE "/%s' out of the root",
			id);
}

int batch_state_find(struct batch_state *state, int rootfd, const char *text, struct err *err)
{
	struct strv ids = STRV_INIT;
	struct err damage = ERR_INIT;
	const char *damaged = NULL;
	char *path = path_absolute(text ? text : "");
	int result = batch_state_list(rootfd, &ids, err);
	bool found = false;

	for (size_t i = ids.n; i > 0 && result == 0 && !found; i--) {
		const char *id = ids.v[i - 1];
		struct err trouble = ERR_INIT;

		found = batch_state_open(state, rootfd, id, &trouble) == 0 &&
			(!text || is_meant(state, text, path));
		if (!found)
			batch_state_release(state);
		if (trouble.code && text && has_prefix(id, text)) {
			*err = trouble;
			result = -1;
		} else if (trouble.code && trouble.code != ERR_NOT_FOUND && !damaged) {
			damage = trouble; /* not found: it was killed before it had begun */
			damaged = id;
		}
	}
	if (damaged && result == 0 && !(found && text && has_prefix(state->id, text)))
		result = refuse_older(&damage, damaged, err);
	else if (result == 0 && !found)
		result = text ? err_set(err, ERR_NOT_FOUND, "there is no batch '%s'", text)
			      : err_set(err, ERR_NOT_FOUND, "there is no batch yet");
	strv_release(&ids);
	free(path);
	return result;
}
