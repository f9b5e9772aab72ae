#include "base/base.h"

#include "app/capture_all.h"

#include "base/err.h"
#include "capture/digest.h"
#include "capture/environment.h"
#include "capture/git.h"
#include "capture/secrets.h"
#include "sys/json.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void add_command(struct str *out, char *const *argv, const struct strv *mask)
{
	struct strv masked = STRV_INIT;
	struct jsonw w = jsonw_begin(out, 0);

	secrets_mask_argv(argv, mask, &masked);
	jsonw_array(&w);
	for (size_t i = 0; i < masked.n; i++)
		jsonw_string(&w, masked.v[i]);
	jsonw_end(&w);
	strv_release(&masked);
}

typedef int (*digest_fn)(const char *, uint64_t, struct digest *, struct err *);

static int add_digest(const struct conf *conf, const char *path, digest_fn make, struct str *out,
		      struct err *err)
{
	int64_t limit_mb = conf_int(conf, "record.digest_limit_mb");
	struct digest digest;

	if (make(path, (uint64_t)limit_mb << 20, &digest, err) < 0)
		return -1;
	if (!digest.sha256[0])
		return err_set(err, ERR_INVALID,
			       "'%s' is larger than record.digest_limit_mb (%lld MiB)", path,
			       (long long)limit_mb);
	str_clear(out);
	str_addf(out, "sha256:%s", digest.sha256);
	return 0;
}

int capture_dataset(const struct conf *conf, const char *path, struct str *out, struct err *err)
{
	return add_digest(conf, path, digest_path, out, err);
}

int capture_model(const struct conf *conf, const char *path, struct str *out, struct err *err)
{
	return add_digest(conf, path, digest_model, out, err);
}

static void add_dataset(struct capture_texts *texts, const struct conf *conf, const char *path)
{
	struct err err = ERR_INIT;

	if (path && capture_dataset(conf, path, &texts->dataset, &err) < 0)
		strv_pushf(&texts->notes, "no digest of the data set: %s", err.msg);
}

void capture_all(struct capture_texts *texts, const struct conf *conf,
		 const struct capture_place *place)
{
	struct strv allow = STRV_INIT;
	struct strv mask = STRV_INIT;
	const struct capture_options options = {
		.argv = place->argv,
		.allow = &allow,
		.mask = &mask,
		.with_gpu = conf_bool(conf, "record.capture_gpu"),
	};

	conf_list(conf, "record.env_allow", &allow);
	conf_list(conf, "record.mask", &mask);
	if (conf_bool(conf, "record.capture_git"))
		capture_git(place->cwd, &texts->git, &texts->notes);
	add_dataset(texts, conf, place->data);
	if (conf_bool(conf, "record.capture_environment"))
		capture_environment(&texts->environment, &texts->notes, &options);
	if (place->argv)
		add_command(&texts->command, place->argv, &mask);
	strv_release(&allow);
	strv_release(&mask);
}

void capture_texts_release(struct capture_texts *texts)
{
	str_release(&texts->git);
	str_release(&texts->environment);
	str_release(&texts->command);
	str_release(&texts->dataset);
	strv_release(&texts->notes);
}

/* ---- beside a training ---- */

static void print_texts(const struct capture_texts *texts, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 0);

	jsonw_object(&w);
	if (texts->git.len)
		jsonw_pair_raw(&w, "git", texts->git.buf);
	if (texts->environment.len)
		jsonw_pair_raw(&w, "environment", texts->environment.buf);
	if (texts->command.len)
		jsonw_pair_raw(&w, "command", texts->command.buf);
	if (texts->dataset.len)
		jsonw_pair_string(&w, "dataset", texts->dataset.buf);
	jsonw_end(&w);
}

/* The training may be told to stop, and still end well: then it is recorded, with all of this. */
static void ignore_stops(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGPIPE };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaction(numbers[i], &ignore, NULL);
}

static NORETURN void capture_and_leave(int fd, const struct conf *conf,
				       const struct capture_place *place)
{
	struct capture_texts texts = CAPTURE_TEXTS_INIT;
	struct str out = STR_INIT;
	size_t sent = 0;

	ignore_stops();
	capture_all(&texts, conf, place);
	print_texts(&texts, &out);
	while (sent < out.len) {
		ssize_t n = write(fd, out.buf + sent, out.len - sent);

		if (n < 0 && errno != EINTR)
			break;
		sent += n > 0 ? (size_t)n : 0;
	}
	_exit(0); /* what stdio holds is the parent's to write */
}

int capture_start(struct capture_job *job, const struct conf *conf,
		  const struct capture_place *place)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	job->pid = fork();
	if (job->pid == 0)
		capture_and_leave(fds[1], conf, place);
	close(fds[1]);
	job->fd = fds[0];
	if (job->pid > 0)
		return 0;
	close(fds[0]);
	*job = (struct capture_job)CAPTURE_JOB_INIT;
	return -1;
}

void capture_receive(struct capture_job *job)
{
	char block[4096];
	ssize_t n = read(job->fd, block, sizeof(block));

	if (n > 0)
		str_add(&job->text, block, (size_t)n);
	if (n > 0 || (n < 0 && errno == EINTR))
		return;
	close(job->fd);
	job->fd = -1;
}

static void take_text(const struct json *doc, const char *key, struct str *out)
{
	size_t token = json_member(doc, 0, key);
	char *text;

	if (token == JSON_NONE)
		return;
	text = json_is(doc, token, JSON_STRING) ? json_string_copy(doc, token)
						: json_raw_copy(doc, token);
	str_sets(out, text);
	free(text);
}

void capture_finish(struct capture_job *job, struct capture_texts *texts)
{
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT; /* it was killed: there is nothing to tell */

	while (job->fd >= 0)
		capture_receive(job);
	if (job->pid > 0)
		while (waitpid(job->pid, NULL, 0) < 0 && errno == EINTR)
			;
	if (job->text.len &&
	    json_parse(&doc, "capture", job->text.buf, job->text.len, JSON_STRICT, &ignored) == 0) {
		take_text(&doc, "git", &texts->git);
		take_text(&doc, "environment", &texts->environment);
		take_text(&doc, "command", &texts->command);
		take_text(&doc, "dataset", &texts->dataset);
	}
	json_release(&doc);
	str_release(&job->text);
	*job = (struct capture_job)CAPTURE_JOB_INIT;
}
