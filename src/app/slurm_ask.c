#include "base/base.h"

#include "app/slurm_ask.h"

#include "base/clock.h"
#include "base/mem.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ASK_MS 60000 /* a busy controller may need that long for a long queue */
#define OUTPUT_LIMIT ((size_t)256 << 20)
#define ERRORS_LIMIT ((size_t)64 << 10)

/* ---- the environment ---- */

static bool is_kept(const char *entry)
{
	static const char *const kept[] = {
		"SLURM_CONF=",	       "SLURM_CONF_SERVER=", "SLURM_JWT=",
		"SBATCH_ACCOUNT=",     "SBATCH_PARTITION=",  "SBATCH_QOS=",
		"SBATCH_RESERVATION=", "SBATCH_TIMELIMIT=",
	};
	static const char *const dropped[] = { "SLURM_", "SBATCH_",  "SQUEUE_",
					       "SACCT_", "SCANCEL_", "CUDA_VISIBLE_DEVICES=" };

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (has_prefix(entry, kept[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
		if (has_prefix(entry, dropped[i]))
			return false;
	return true;
}

void slurm_environment(struct strv *env)
{
	for (char **entry = environ; *entry; entry++)
		if (is_kept(*entry))
			strv_push(env, *entry);
}

bool slurm_has_command(const char *name)
{
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t len = strcspn(path, ":");
		char *file = xstrf("%.*s/%s", (int)len, len ? path : ".", name);
		bool found = access(file, X_OK) == 0;

		free(file);
		if (found)
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

/* ---- commands ---- */

/* Its own words: each line of them, without its own name in front. */
static void say_errors(const struct str *errors, struct str *out)
{
	const char *p = errors->buf;

	while (*p) {
		size_t len = strcspn(p, "\n");
		const char *said = strstr(p, ": error: ");

		if (said && said < p + len) {
			len -= (size_t)(said + 9 - p);
			p = said + 9;
		}
		if (len)
			str_addf(out, "%s%.*s", out->len ? "; " : "", (int)len, p);
		p += len + (p[len] == '\n');
	}
}

/* Not refused, but not heard: it may be tried again. */
static bool is_unheard(const char *text)
{
	static const char *const words[] = { "Unable to contact", "timed out",	"onnection refused",
					     "connect failure",	  "Zero Bytes", "ommunication",
					     "temporarily" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

static int refuse(const char *name, const struct proc_answer *answer, struct err *err)
{
	struct str said = STR_INIT;
	bool is_busy;

	say_errors(&answer->errors, &said);
	is_busy = answer->timed_out || WIFSIGNALED(answer->status) || is_unheard(said.buf);
	if (answer->timed_out)
		str_adds(&said, said.len ? "; no answer" : "no answer");
	else if (!said.len && WIFSIGNALED(answer->status))
		str_adds(&said, "it was killed");
	else if (!said.len)
		str_addf(&said, "status %d", WEXITSTATUS(answer->status));
	err_set(err, is_busy ? ERR_BUSY : ERR_FAILED, "%s: %s", name, said.buf);
	str_release(&said);
	return -1;
}

int slurm_do(const struct slurm_command *command, struct str *out, struct err *err)
{
	struct strv env = STRV_INIT;
	struct proc_answer answer = PROC_ANSWER_INIT;
	struct proc_request request = { .argv = command->argv,
					.input = command->input,
					.input_len = command->input ? strlen(command->input) : 0,
					.output_limit = OUTPUT_LIMIT,
					.deadline_ms = command->deadline_ms,
					.stop_at = command->stop_at };
	int result;

	slurm_environment(&env);
	request.env = env.v;
	result = proc_capture(&request, &answer, err);
	if (result == 0 && !proc_succeeded(&answer))
		result = refuse(command->argv[0], &answer, err);
	if (result == 0)
		str_add(out, answer.out.buf, answer.out.len);
	proc_answer_release(&answer);
	strv_release(&env);
	return result;
}

/* ---- questions ---- */

static void close_streams(struct slurm_question *q)
{
	if (q->out_fd >= 0)
		close(q->out_fd);
	if (q->errors_fd >= 0)
		close(q->errors_fd);
	q->out_fd = -1;
	q->errors_fd = -1;
}

static int start(struct slurm_question *q, char *const *argv, int null)
{
	struct spawn_failure failure = { .number = 0 };
	struct strv env = STRV_INIT;
	sigset_t none;
	struct spawn spawn = { .argv = argv,
			       .std = { null, q->out_fd, q->errors_fd },
			       .own_group = true,
			       .close_others = true,
			       .mask = &none };
	int result;

	sigemptyset(&none);
	slurm_environment(&env);
	spawn.env = env.v;
	result = spawn_start(&spawn, &q->pid, &failure);
	strv_release(&env);
	errno = failure.number;
	return result;
}

int slurm_ask_begin(struct slurm_question *q, char *const *argv, struct err *err)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int result = -1;

	str_clear(&q->out);
	str_clear(&q->errors);
	q->out_fd = memfd_create("slurm-out", MFD_CLOEXEC);
	q->errors_fd = memfd_create("slurm-errors", MFD_CLOEXEC);
	q->began_ms = clock_monotonic_ms();
	if (null >= 0 && q->out_fd >= 0 && q->errors_fd >= 0)
		result = start(q, argv, null);
	if (result < 0) {
		err_errno(err, ERR_FAILED, "cannot ask with '%s'", argv[0]);
		q->pid = 0;
		close_streams(q);
	}
	if (null >= 0)
		close(null);
	return result;
}

static void take_stream(int fd, size_t limit, struct str *out)
{
	struct stat st;
	size_t size;
	ssize_t n;

	if (fstat(fd, &st) < 0 || st.st_size <= 0)
		return;
	size = (uintmax_t)st.st_size < limit ? (size_t)st.st_size : limit;
	str_reserve(out, size);
	n = pread(fd, out->buf, size, 0);
	out->len = n > 0 ? (size_t)n : 0;
	out->buf[out->len] = '\0';
}

enum slurm_answer slurm_ask_look(struct slurm_question *q)
{
	struct str said = STR_INIT;
	int status = 0;
	pid_t got = waitpid(q->pid, &status, WNOHANG);

	if (got == 0 && clock_monotonic_ms() - q->began_ms > ASK_MS) {
		kill(-q->pid, SIGKILL);
		got = waitpid(q->pid, &status, 0);
	}
	if (got == 0 || (got < 0 && errno == EINTR))
		return SLURM_ASKED;
	q->pid = 0;
	take_stream(q->out_fd, OUTPUT_LIMIT, &q->out);
	take_stream(q->errors_fd, ERRORS_LIMIT, &q->errors);
	close_streams(q);
	if (got > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return SLURM_ANSWERED;
	say_errors(&q->errors, &said);
	str_sets(&q->errors, said.len ? said.buf : "no answer");
	str_release(&said);
	return SLURM_NO_ANSWER;
}

void slurm_question_release(struct slurm_question *q)
{
	if (q->pid) {
		kill(-q->pid, SIGKILL);
		while (waitpid(q->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close_streams(q);
	str_release(&q->out);
	str_release(&q->errors);
	*q = (struct slurm_question)SLURM_QUESTION_INIT;
}
