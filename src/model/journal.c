#include "base/base.h"

#include "model/journal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "model/run_text.h"
#include "sys/file.h"
#include "sys/path.h"
#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_DIR ".thhost"

/* One run: its command line and metrics, never near this. */
#define RUN_LIMIT (4u << 20)

#define GONE "thhost was killed, or the machine went down, before the run was closed"
#define GONE_BEFORE_RECORD                                                                        \
	"the training ended well, but thhost was killed, ran out of memory, or the machine went " \
	"down, before it was recorded"

/* Behind the id of a run that was given up; holds why. */
#define REVOKED ".revoked"
#define REVOKED_LIMIT 4096

/* What the text of a run grows by at its end. */
#define END_ROOM 512

static const char *const parts[] = { "runs", "logs", "events", "spool" };

/* ---- directories ---- */

/* A team shares its stage directories by mode and group; the journal must not be narrower. */
static void share_like(int stage_dirfd, int fd)
{
	struct stat st;

	/* Not ours, or a file system without modes: it works for us, which is what can be done. */
	if (fstat(stage_dirfd, &st) == 0 && fchmod(fd, (st.st_mode & 07777) | 0700) < 0)
		return;
}

static int make_part(int stage_dirfd, const char *part, struct err *err)
{
	bool made = false;
	int journal;
	int fd = -1;

	if (path_make_dir(stage_dirfd, JOURNAL_DIR, &made, err) < 0)
		return -1;
	journal = path_open_beneath(stage_dirfd, JOURNAL_DIR, O_RDONLY | O_DIRECTORY, err);
	if (journal < 0)
		return -1;
	if (made)
		share_like(stage_dirfd, journal);
	if (path_make_dir(journal, part, &made, err) == 0)
		fd = path_open_beneath(journal, part, O_RDONLY | O_DIRECTORY, err);
	if (fd >= 0 && made)
		share_like(stage_dirfd, fd);
	close(journal);
	return fd;
}

int journal_open_part(int stage_dirfd, const char *part, bool create, struct err *err)
{
	struct err own = ERR_INIT;
	char *name = path_join(JOURNAL_DIR, part);
	int fd = path_open_beneath(stage_dirfd, name, O_RDONLY | O_DIRECTORY, &own);

	free(name);
	if (fd >= 0)
		return fd;
	if (create && own.code == ERR_NOT_FOUND)
		return make_part(stage_dirfd, part, err);
	*err = own;
	return -1;
}

/* ---- writing ---- */

static int run_file_name(const char *run_id, char out[ID_TEXT_SIZE + 5], struct err *err)
{
	if (!id_is_valid(run_id))
		return err_set(err, ERR_INVALID, "'%.100s' is not a run id", run_id);
	snprintf(out, ID_TEXT_SIZE + 5, "%s.json", run_id);
	return 0;
}

static int print_and_write(int runs, const struct run *run, struct str *text,
			   const struct file_replace_options *options, struct err *err)
{
	char name[ID_TEXT_SIZE + 5];

	if (run_file_name(run->run_id, name, err) < 0)
		return -1;
	str_clear(text);
	run_print(run, text, 2);
	str_addch(text, '\n');
	return file_replace(runs, name, text->buf, text->len, options, err) == FILE_DONE ? 0 : -1;
}

/* Nothing here allocates: see journal_end(). */
static bool is_revoked(int runs, const char *run_id)
{
	char name[ID_TEXT_SIZE + sizeof(REVOKED)];

	snprintf(name, sizeof(name), "%s" REVOKED, run_id);
	return faccessat(runs, name, F_OK, 0) == 0;
}

static int refuse_revoked(int runs, const char *run_id, struct err *err)
{
	if (!is_revoked(runs, run_id))
		return 0;
	return err_set(err, ERR_BUSY, "run %.13s was given up: its host was said to be gone",
		       run_id);
}

static int write_run(int runs, const struct run *run, const struct file_replace_options *options,
		     struct err *err)
{
	struct str text = STR_INIT;
	int result = print_and_write(runs, run, &text, options, err);

	str_release(&text);
	return result;
}

static int write_into_journal(int stage_dirfd, const struct run *run,
			      const struct file_replace_options *options, struct err *err)
{
	int runs = journal_open_part(stage_dirfd, "runs", true, err);
	int result;

	if (runs < 0)
		return -1;
	result = refuse_revoked(runs, run->run_id, err);
	if (result == 0)
		result = write_run(runs, run, options, err);
	close(runs);
	return result < 0 ? err_prefix(err, "cannot write the journal of run %s", run->run_id) : 0;
}

static int begin(int stage_dirfd, const struct run *run, bool must_be_new, struct err *err)
{
	const struct file_replace_options options = { .must_be_new = must_be_new };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int fd = journal_open_part(stage_dirfd, parts[i], true, err);

		if (fd < 0)
			return -1;
		close(fd);
	}
	return write_into_journal(stage_dirfd, run, &options, err);
}

int journal_begin(int stage_dirfd, const struct run *run, struct err *err)
{
	return begin(stage_dirfd, run, true, err);
}

int journal_begin_again(int stage_dirfd, const struct run *run, struct err *err)
{
	return begin(stage_dirfd, run, false, err);
}

int journal_update(int stage_dirfd, const struct run *run, struct err *err)
{
	return write_into_journal(stage_dirfd, run, NULL, err);
}

int journal_make_room(int stage_dirfd, const struct run *run, struct journal_room *room,
		      struct err *err)
{
	if (room->runs < 0)
		room->runs = journal_open_part(stage_dirfd, "runs", true, err);
	if (room->runs < 0)
		return -1; /* not reached by tests: the tier 'syscalls' of the campaign is needed */
	str_clear(&room->text);
	run_print(run, &room->text, 2);
	str_reserve(&room->text, END_ROOM);
	return 0;
}

int journal_end(struct journal_room *room, const struct run *run, struct err *err)
{
	if (room->runs < 0) /* not reached by tests: as in journal_make_room() */
		return err_set(err, ERR_FAILED, "the journal of run %s is not open", run->run_id);
	if (refuse_revoked(room->runs, run->run_id, err) < 0)
		return -1;
	return print_and_write(room->runs, run, &room->text, NULL, err);
}

void journal_room_release(struct journal_room *room)
{
	if (room->runs >= 0)
		close(room->runs);
	str_release(&room->text);
	room->runs = -1;
}

/* ---- reading ---- */

/* Whatever its own file says since. */
static void take_revocation(int runs, struct run *run)
{
	char *name = xstrf("%s" REVOKED, run->run_id);
	struct str why = STR_INIT;
	struct err ignored = ERR_INIT;

	if (!run_has_ended(run) &&
	    file_read(runs, name, REVOKED_LIMIT, &why, NULL, &ignored) == 0) {
		run->state = RUN_INTERRUPTED;
		free(run->trouble);
		run->trouble = xstrndup(why.buf, strcspn(why.buf, "\n"));
	}
	str_release(&why);
	free(name);
}

static int read_run(int runs, const char *name, struct run *out, struct file_version *version,
		    struct err *err)
{
	struct str text = STR_INIT;
	int result = -1;

	run_init(out);
	if (file_read(runs, name, RUN_LIMIT, &text, version, err) == 0)
		result = run_parse(name, text.buf, text.len, out, err);
	if (result == 0)
		take_revocation(runs, out);
	str_release(&text);
	if (result < 0)
		run_release(out);
	return result;
}

static bool is_run_name(const char *name)
{
	return name[0] != '.' && has_suffix(name, ".json");
}

static int compare_runs(const void *a, const void *b)
{
	return strcmp(((const struct run *)a)->run_id, ((const struct run *)b)->run_id);
}

/* All that can be read; -1 if a file could not be. What it holds is no run goes into 'broken'. */
static int load_names(int runs, const struct strv *names, struct run_list *out, struct strv *broken,
		      struct err *err)
{
	int result = 0;

	if (names->n)
		out->v = xcalloc(names->n, sizeof(*out->v));
	for (size_t i = 0; i < names->n; i++) {
		struct err own = ERR_INIT;

		if (!is_run_name(names->v[i]))
			continue;
		if (read_run(runs, names->v[i], &out->v[out->n], NULL, &own) == 0) {
			out->n++;
		} else if (own.code == ERR_FAILED) {
			*err = own;
			result = -1;
		} else if (broken && own.code != ERR_NOT_FOUND) {
			strv_pushf(broken, JOURNAL_DIR "/runs/%s", names->v[i]);
		}
	}
	if (out->n > 1) /* ids begin with the time of their making */
		qsort(out->v, out->n, sizeof(*out->v), compare_runs);
	return result;
}

int journal_load(int stage_dirfd, struct run_list *out, struct strv *broken, struct err *err)
{
	struct strv names = STRV_INIT;
	struct err own = ERR_INIT;
	int runs = journal_open_part(stage_dirfd, "runs", false, &own);
	int result;

	*out = (struct run_list){ .v = NULL };
	if (runs < 0 && own.code == ERR_NOT_FOUND)
		return 0;
	if (runs < 0) {
		*err = own;
		return -1;
	}
	result = path_list(runs, &names, err);
	file_sweep_listed(runs, &names);
	if (result == 0)
		result = load_names(runs, &names, out, broken, err);
	strv_release(&names);
	close(runs);
	return result;
}

/* Ids begin with the time of their making; strv_sort() would take their digits for numbers. */
static const char *newest_of(const struct strv *names)
{
	const char *newest = NULL;

	for (size_t i = 0; i < names->n; i++)
		if (is_run_name(names->v[i]) && (!newest || strcmp(names->v[i], newest) > 0))
			newest = names->v[i];
	return newest;
}

int journal_load_newest(int stage_dirfd, struct run_list *out, struct err *err)
{
	struct strv names = STRV_INIT;
	struct strv newest = STRV_INIT;
	struct err own = ERR_INIT;
	const char *name;
	int runs = journal_open_part(stage_dirfd, "runs", false, &own);
	int result = -1;

	*out = (struct run_list){ .v = NULL };
	if (runs < 0 && own.code == ERR_NOT_FOUND)
		return 0;
	if (runs < 0)
		*err = own;
	else
		result = path_list(runs, &names, err);
	file_sweep_listed(runs, &names);
	name = newest_of(&names);
	if (name)
		strv_push(&newest, name);
	if (result == 0)
		result = load_names(runs, &newest, out, NULL, err);
	strv_release(&names);
	strv_release(&newest);
	if (runs >= 0)
		close(runs);
	return result;
}

void run_list_release(struct run_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		run_release(&list->v[i]);
	free(list->v);
	*list = (struct run_list){ .v = NULL };
}

/* The one name that begins with 'prefix'. */
static int find_name(const struct strv *names, const char *prefix, const char **found,
		     struct err *err)
{
	*found = NULL;
	for (size_t i = 0; i < names->n; i++) {
		if (!is_run_name(names->v[i]) || !has_prefix(names->v[i], prefix))
			continue;
		if (*found)
			return err_set(err, ERR_INVALID,
				       "'%s' is the beginning of more than one run id", prefix);
		*found = names->v[i];
	}
	if (!*found)
		return err_set(err, ERR_NOT_FOUND, "no run '%s'", prefix);
	return 0;
}

int journal_find(int stage_dirfd, const char *id_prefix, struct run *out, struct err *err)
{
	struct strv names = STRV_INIT;
	struct err own = ERR_INIT;
	int runs = journal_open_part(stage_dirfd, "runs", false, &own);
	const char *name;
	int result = -1;

	if (runs < 0) {
		if (own.code == ERR_NOT_FOUND)
			return err_set(err, ERR_NOT_FOUND, "no run '%s'", id_prefix);
		*err = own;
		return -1;
	}
	if (path_list(runs, &names, err) == 0 && find_name(&names, id_prefix, &name, err) == 0)
		result = read_run(runs, name, out, NULL, err);
	strv_release(&names);
	close(runs);
	return result;
}

/* ---- the dead ---- */

static bool is_alive(int64_t pid, uint64_t start)
{
	uint64_t now;

	if (pid <= 0 || pid > INT_MAX)
		return false;
	now = proc_start_time((pid_t)pid);
	if (now == 0) /* gone, or another user's that /proc hides */
		return proc_exists((pid_t)pid);
	/* One that nobody has asked for its status yet is gone: in a container that may last. */
	return (start == 0 || now == start) && !proc_is_zombie((pid_t)pid);
}

static bool is_of_this_host(const struct run *run)
{
	char host[HOST_NAME_MAX + 1] = "";

	gethostname(host, sizeof(host) - 1);
	return run->host && run->boot_id && strcmp(run->host, host) == 0;
}

/* Without /proc nobody knows which boot this is. */
static bool is_of_another_boot(const struct run *run)
{
	char boot_id[64];

	clock_boot_id(boot_id);
	return boot_id[0] && run->boot_id[0] && strcmp(run->boot_id, boot_id) != 0;
}

/* Pids of another container mean other processes here. An old journal does not say whose they are. */
static bool can_see_pids(const struct run *run)
{
	return run->pid_ns == 0 || run->pid_ns == proc_pid_namespace();
}

/*
 * Judged from this host alone. While the training itself goes on, the run does too, although the
 * thhost that started it is gone: nobody else will write to its directory.
 */
bool run_is_dead(const struct run *run)
{
	if (run_has_ended(run) || !is_of_this_host(run))
		return false;
	if (is_of_another_boot(run))
		return true;
	return can_see_pids(run) && !is_alive(run->pid, run->pid_start) &&
	       !is_alive(run->child_pid, run->child_start);
}

bool run_is_elsewhere(const struct run *run)
{
	return !run_has_ended(run) && !is_of_this_host(run);
}

bool run_goes_on(const struct run *run)
{
	return !run_has_ended(run) && is_of_this_host(run) && !is_of_another_boot(run) &&
	       can_see_pids(run) && is_alive(run->child_pid, run->child_start);
}

/* The last sign of life: what the log, or else the run's own file, was written at. */
static time_t last_sign(int stage_dirfd, const struct run *run, const struct file_version *version)
{
	struct stat st;

	if (run->log && fstatat(stage_dirfd, run->log, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return st.st_mtim.tv_sec;
	return (time_t)(version->mtime_ns / 1000000000);
}

static void look_at_file(int stage_dirfd, const struct run *run, struct file_version *version)
{
	struct err ignored = ERR_INIT;
	char *name = xstrf(JOURNAL_DIR "/runs/%s.json", run->run_id);

	file_version(stage_dirfd, name, version, &ignored);
	free(name);
}

time_t run_last_sign(int stage_dirfd, const struct run *run)
{
	struct file_version version = { .exists = false };

	look_at_file(stage_dirfd, run, &version);
	return last_sign(stage_dirfd, run, &version);
}

static void mark_gone(int stage_dirfd, struct run *run, const struct file_version *version)
{
	bool ended_well = run->exit_code == 0;
	char when[CLOCK_TEXT_SIZE];
	double seconds;

	run->state = ended_well ? RUN_UNRECORDED : RUN_INTERRUPTED;
	if (!run->end_time) {
		clock_format(last_sign(stage_dirfd, run, version), when);
		run->end_time = xstrdup(when);
	}
	if (run->start_time && clock_between(run->start_time, run->end_time, &seconds) == 0 &&
	    seconds > 0 && run->wall_ms <= 0)
		run->wall_ms = (int64_t)(seconds * 1000);
	if (!run->trouble)
		run->trouble = xstrdup(ended_well ? GONE_BEFORE_RECORD : GONE);
}

void run_mark_gone(int stage_dirfd, struct run *run)
{
	struct file_version version = { .exists = false };

	look_at_file(stage_dirfd, run, &version);
	mark_gone(stage_dirfd, run, &version);
}

/*
 * The list may be older than the end of the run: its owner has closed it and left since. Now that
 * the owner is known to be gone the file does not change any more, unless another process closes it
 * in this moment too, so it is read again, and only that version is replaced. 1: closed.
 */
static int close_run(int stage_dirfd, int runs, struct run *run)
{
	char name[ID_TEXT_SIZE + 5];
	struct err err = ERR_INIT;
	struct file_version version;
	const struct file_replace_options options = { .expected = &version };
	struct run fresh;
	int closed = 0;

	if (run_file_name(run->run_id, name, &err) < 0 ||
	    read_run(runs, name, &fresh, &version, &err) < 0)
		return 0;
	if (!run_has_ended(&fresh) && run_is_dead(&fresh)) {
		mark_gone(stage_dirfd, &fresh, &version);
		closed = write_run(runs, &fresh, &options, &err) == 0;
	}
	run_release(run);
	*run = fresh;
	return closed;
}

int journal_close_dead(int stage_dirfd, struct run_list *list, size_t *closed)
{
	struct err ignored = ERR_INIT;
	int runs = -1;

	*closed = 0;
	for (size_t i = 0; i < list->n; i++) {
		if (!run_is_dead(&list->v[i]))
			continue;
		if (runs < 0)
			runs = journal_open_part(stage_dirfd, "runs", false, &ignored);
		if (runs >= 0)
			*closed += (size_t)close_run(stage_dirfd, runs, &list->v[i]);
	}
	if (runs >= 0)
		close(runs);
	return 0;
}

/* ---- given up ---- */

bool journal_is_revoked(int stage_dirfd, const char *run_id)
{
	struct err ignored = ERR_INIT;
	int runs = journal_open_part(stage_dirfd, "runs", false, &ignored);
	bool found = runs >= 0 && is_revoked(runs, run_id);

	if (runs >= 0)
		close(runs);
	return found;
}

static int revoke_in(int stage_dirfd, int runs, const char *run_id, const char *why,
		     bool ended_well, struct err *err)
{
	char *name = xstrf("%s.json", run_id);
	char *mark = xstrf("%s" REVOKED, run_id);
	char *text = xstrf("%s\n", why);
	struct err own = ERR_INIT;
	struct file_version version;
	struct run run;
	int result = read_run(runs, name, &run, &version, &own);
	bool is_there = result == 0;

	if (is_there && ended_well)
		run.exit_code = 0;
	if (!is_there)
		result = own.code == ERR_NOT_FOUND ? 0 : (*err = own, -1);
	if (result == 0 && (!is_there || (!run_has_ended(&run) && run.exit_code != 0)))
		result = file_replace(runs, mark, text, strlen(text), NULL, err) == FILE_DONE ? 0
											      : -1;
	if (result == 0 && is_there && !run_has_ended(&run)) {
		run.trouble = xstrdup(why);
		mark_gone(stage_dirfd, &run, &version);
		result = write_run(runs, &run, NULL, err);
	}
	if (is_there)
		run_release(&run);
	free(name);
	free(mark);
	free(text);
	return result;
}

int journal_revoke(int stage_dirfd, const char *run_id, const char *why, bool ended_well,
		   struct err *err)
{
	int runs;
	int result;

	if (!id_is_valid(run_id))
		return err_set(err, ERR_INVALID, "'%.100s' is not a run id", run_id);
	runs = journal_open_part(stage_dirfd, "runs", true, err);
	if (runs < 0)
		return -1;
	result = revoke_in(stage_dirfd, runs, run_id, why, ended_well, err);
	close(runs);
	return result;
}

/* ---- logs ---- */

static int open_stream(int stage_dirfd, const char *part, const char *run_id, const char *suffix,
		       struct str *name, struct err *err)
{
	const int flags =
		O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat st;
	int dir;
	int fd;

	if (!id_is_valid(run_id))
		return err_set(err, ERR_INVALID, "'%.100s' is not a run id", run_id);
	dir = journal_open_part(stage_dirfd, part, true, err);
	if (dir < 0)
		return -1;
	str_clear(name);
	str_addf(name, JOURNAL_DIR "/%s/%s%s", part, run_id, suffix);
	fd = openat(dir, path_base(name->buf), flags, 0666);
	if (fd < 0)
		err_errno(err, ERR_FAILED, "cannot open '%s'", name->buf);
	close(dir);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		err_errno(err, ERR_FAILED, "cannot look at '%s'", name->buf);
	else if (S_ISREG(st.st_mode))
		return fd;
	else
		err_set(err, ERR_INVALID, "'%s' is not a file", name->buf);
	close(fd);
	return -1;
}

int journal_open_log(int stage_dirfd, const char *run_id, struct str *name, struct err *err)
{
	return open_stream(stage_dirfd, "logs", run_id, ".log", name, err);
}

int journal_open_events(int stage_dirfd, const char *run_id, struct str *name, struct err *err)
{
	return open_stream(stage_dirfd, "events", run_id, ".jsonl", name, err);
}
