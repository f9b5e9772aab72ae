#include "base/base.h"

#include "script/inputs.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/store.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names that one pattern may match. */
#define MATCH_LIMIT 4096

/* Names that all patterns of a plugin may match: each costs some system calls and a line of the
 * request. */
#define TOTAL_LIMIT ((size_t)4 * MATCH_LIMIT)

/* Descriptors that we need ourselves while a worker is started: the record's, pipes, spare ones. */
#define RESERVED_FDS 64

/* As deep as any name of a pattern may lie. */
#define MAX_LEVELS 32

static const char *const log_patterns[] = { "*.log", "*.out", "log.txt" };

/* A log that the user named by an absolute path may lie outside of the stage directory. */
static int open_name(int dirfd, const char *name, int flags, struct err *err)
{
	if (name[0] == '/')
		return open(name, flags | O_CLOEXEC);
	return path_open_beneath(dirfd, name, flags, err);
}

/* Only what is a regular file, and then again by its descriptor, is opened: to open a FIFO lets go of
 * whoever waits to write into it, and to open a device may do anything. */
static int open_regular(int dirfd, const char *name, struct stat *st, struct err *err)
{
	int fd = open_name(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, err);

	if (fd >= 0 && fstat(fd, st) == 0) {
		if (S_ISREG(st->st_mode))
			return fd;
		errno = ENXIO; /* it was one when we looked */
	}
	err_errno(err, ERR_FAILED, "cannot look at '%s'", name);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* 1: it is there, 0: it is not, or not for us; -1: it cannot be told. */
static int look_at(int dirfd, const char *name, struct input_file *out, struct err *err)
{
	struct err own = ERR_INIT;
	size_t len = strlen(name);
	int fd = open_name(dirfd, name, O_PATH, &own);
	struct stat st;
	bool ok = fd >= 0 && fstat(fd, &st) == 0;

	if (!ok)
		err_errno(&own, ERR_FAILED, "cannot look at '%s'", name);
	if (fd >= 0)
		close(fd);
	if (ok && S_ISREG(st.st_mode)) {
		fd = open_regular(dirfd, name, &st, &own);
		ok = fd >= 0;
		if (ok)
			close(fd);
	}
	if (!ok)
		return own.number == ENXIO ? 0 : path_pass_over(&own, err);
	*out = (struct input_file){ .name = xstrndup(name, len - (len && name[len - 1] == '/')),
				    .size = S_ISREG(st.st_mode) ? st.st_size : 0,
				    .mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) +
						st.st_mtim.tv_nsec,
				    .place = -1,
				    .is_dir = S_ISDIR(st.st_mode),
				    .is_regular = S_ISREG(st.st_mode) };
	clock_format(st.st_mtim.tv_sec, out->mtime);
	return 1;
}

/* The names of the run's log. */
static int find_logs(const struct plugin_call *call, struct strv *names, struct err *err)
{
	if (call->log) {
		strv_push(names, call->log);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(log_patterns); i++)
		if (path_glob(call->dirfd, log_patterns[i], MATCH_LIMIT, names, err) < 0)
			return -1;
	strv_sort(names);
	return 0;
}

/* The last in natural order; of logs the newest. */
static size_t choose(const struct input *input, bool is_log)
{
	size_t best = input->n ? input->n - 1 : 0;

	for (size_t i = 0; is_log && i < input->n; i++)
		if (input->files[i].mtime_ns > input->files[best].mtime_ns)
			best = i;
	return best;
}

static int find_names(const struct plugin_input *declared, const struct plugin_call *call,
		      size_t limit, struct strv *names, struct err *err)
{
	struct strv all = STRV_INIT;
	int result;

	if (strcmp(declared->pattern, "@log") == 0)
		return find_logs(call, names, err);
	if (!call->only)
		return path_glob(call->dirfd, declared->pattern, limit, names, err);
	result = path_glob(call->dirfd, declared->pattern, limit, &all, err);
	if (strv_has(&all, call->only))
		strv_push(names, call->only);
	strv_release(&all);
	return result;
}

/* 'left': names that all patterns may still match. Beyond it a tree is cut, as beyond its own limit. */
static int find_input(struct input *input, const struct plugin_input *declared,
		      const struct plugin_call *call, size_t left, struct err *err)
{
	struct strv names = STRV_INIT;
	bool is_log = strcmp(declared->pattern, "@log") == 0;
	bool is_tree = has_prefix(declared->pattern, "**/");
	size_t limit = is_tree && left < MATCH_LIMIT ? left : MATCH_LIMIT;
	int result = find_names(declared, call, limit, &names, err);

	*input = (struct input){ .name = declared->name, .is_tree = is_tree };
	input->files = xcalloc(names.n + 1, sizeof(*input->files));
	for (size_t i = 0; i < names.n && result == 0; i++) {
		int is_there = look_at(call->dirfd, names.v[i], &input->files[input->n], err);

		input->n += is_there > 0;
		result = is_there < 0 ? -1 : 0;
	}
	input->chosen = choose(input, is_log);
	strv_release(&names);
	return result;
}

/* How many files may be handed to a worker here. */
static size_t max_files(void)
{
	struct rlimit limit;
	rlim_t n = SPAWN_MAX_PASSED + RESERVED_FDS;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < n)
		n = limit.rlim_cur;
	return n > RESERVED_FDS ? (size_t)n - RESERVED_FDS : 0;
}

static void open_file(struct inputs *inputs, struct input_file *file, int dirfd, size_t limit)
{
	struct err err = ERR_INIT;
	struct stat st;
	int fd;

	if (file->place >= 0)
		return;
	file->why = "is not a regular file";
	if (!file->is_regular)
		return;
	if (inputs->n_fds >= limit) {
		file->why = "was not opened: too many files match";
		return;
	}
	fd = open_regular(dirfd, file->name, &st, &err);
	if (fd < 0) {
		log_warn("%s", err.msg); /* the cause; the plugin may do without */
		file->why = "cannot be read";
		return;
	}
	file->size = st.st_size;
	file->place = (int)inputs->n_fds;
	inputs->fds[inputs->n_fds++] = fd;
}

static int level_of(const char *name)
{
	int level = 0;

	for (; (name = strchr(name, '/')); name++)
		level++;
	return level;
}

/* The files of one input that lie 'level' directories down. */
static void open_level(struct inputs *inputs, struct input *input, int level, int dirfd,
		       size_t limit)
{
	for (size_t i = 0; i < input->n; i++)
		if (level_of(input->files[i].name) == level)
			open_file(inputs, &input->files[i], dirfd, limit);
}

static void open_files(struct inputs *inputs, int dirfd)
{
	size_t limit = max_files();

	for (size_t i = 0; i < inputs->n; i++)
		if (inputs->v[i].n && !inputs->v[i].is_tree)
			open_file(inputs, &inputs->v[i].files[inputs->v[i].chosen], dirfd, limit);
	for (size_t i = 0; i < inputs->n; i++)
		for (size_t k = inputs->v[i].n; !inputs->v[i].is_tree && k-- > 0;)
			open_file(inputs, &inputs->v[i].files[k], dirfd, limit);
	for (int level = 0; level < MAX_LEVELS; level++)
		for (size_t i = 0; i < inputs->n; i++)
			if (inputs->v[i].is_tree)
				open_level(inputs, &inputs->v[i], level, dirfd, limit);
}

static int missing(const struct plugin_plan *plan, const struct plugin_input *declared,
		   const struct plugin_call *call, struct err *err)
{
	bool is_log = strcmp(declared->pattern, "@log") == 0;

	err_set(err, ERR_PLUGIN, "plugin '%s' (%s): input '%s' (%.200s) matches nothing in '%s'",
		plan->name, plan->path, declared->name, declared->pattern, call->dir_name);
	err->number = ENODATA;
	if (is_log && call->log)
		err_hint(err, "the log '%s' cannot be read", call->log);
	else if (is_log)
		err_hint(err, "there is no *.log, *.out or log.txt in the directory");
	return -1;
}

int inputs_open(struct inputs *inputs, const struct plugin_plan *plan,
		const struct plugin_call *call, struct err *err)
{
	size_t total = 0;

	inputs->v = xcalloc(plan->n_inputs + 1, sizeof(*inputs->v));
	for (size_t i = 0; i < plan->n_inputs; i++) {
		struct input *input = &inputs->v[inputs->n++];

		if (find_input(input, &plan->inputs[i], call, TOTAL_LIMIT - total, err) < 0)
			return err_prefix(err, "plugin '%s' (%s): input '%s'", plan->name,
					  plan->path, plan->inputs[i].name);
		if (!input->n && !plan->inputs[i].is_optional)
			return missing(plan, &plan->inputs[i], call, err);
		total += input->n;
		if (total > TOTAL_LIMIT)
			return err_set(err, ERR_PLUGIN,
				       "plugin '%s' (%s): its inputs match more than %zu files",
				       plan->name, plan->path, TOTAL_LIMIT);
	}
	open_files(inputs, call->dirfd);
	return 0;
}

char *inputs_seen(const struct inputs *inputs, size_t *n)
{
	struct strv lines = STRV_INIT;
	struct str text = STR_INIT;

	for (size_t i = 0; i < inputs->n; i++)
		for (size_t k = 0; k < inputs->v[i].n; k++) {
			const struct input_file *file = &inputs->v[i].files[k];

			if (file->is_regular && !has_prefix(path_base(file->name), RECORD_NAME))
				strv_pushf(&lines, "%s %lld %lld\n", file->name,
					   (long long)file->size, (long long)file->mtime_ns);
		}
	strv_sort(&lines);
	*n = 0;
	for (size_t i = 0; i < lines.n; i++) {
		if (i && strcmp(lines.v[i], lines.v[i - 1]) == 0)
			continue; /* several inputs match it */
		str_adds(&text, lines.v[i]);
		++*n;
	}
	strv_release(&lines);
	return str_detach(&text);
}

void inputs_release(struct inputs *inputs)
{
	for (size_t i = 0; i < inputs->n; i++) {
		for (size_t k = 0; k < inputs->v[i].n; k++)
			free(inputs->v[i].files[k].name);
		free(inputs->v[i].files);
	}
	for (size_t i = 0; i < inputs->n_fds; i++)
		close(inputs->fds[i]);
	free(inputs->v);
	*inputs = (struct inputs)INPUTS_INIT;
}
