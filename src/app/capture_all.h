/*
 * capture_all - what the configuration wants captured, as JSON texts for an entry.
 */
#ifndef APP_CAPTURE_ALL_H
#define APP_CAPTURE_ALL_H
#include "base/str.h"
#include "model/conf.h"

struct capture_texts {
	struct str git;		/* "" where there is no repository */
	struct str environment; /* "" where it is not wanted */
	struct str command;	/* the argv, masked; "" without one */
	struct str dataset;	/* digest of the data set, as capture_dataset() makes it; or "" */
	struct strv notes;	/* what could not be captured, and why */
};

#define CAPTURE_TEXTS_INIT                                                     \
	{                                                                      \
		.git = STR_INIT, .environment = STR_INIT, .command = STR_INIT, \
		.dataset = STR_INIT, .notes = STRV_INIT                        \
	}

/* Where to look; each may be NULL. */
struct capture_place {
	char *const *argv; /* the training's command */
	const char *cwd;   /* where it runs; NULL: here */
	const char *data;  /* the place of its data set */
};

/* Never fails: what is missing is noted. */
void capture_all(struct capture_texts *texts, const struct conf *conf,
		 const struct capture_place *place);

/* "sha256:..." of the file or directory. -1: it cannot be read, changes, or is larger than
 * record.digest_limit_mb (ERR_INVALID). */
int capture_dataset(const struct conf *conf, const char *path, struct str *out, struct err *err);

/* The same of a base model (digest_model()). */
int capture_model(const struct conf *conf, const char *path, struct str *out, struct err *err);
void capture_texts_release(struct capture_texts *texts);

/*
 * The same beside a training: a process of its own asks git, the driver and Python, and reads the data
 * set, so that neither the training's start nor its output waits for them, and what git says and what
 * the data are is of the start.
 *
 *	capture_start(&job, conf, &place);
 *	while (job.fd >= 0) capture_receive(&job);      when the descriptor is readable
 *	capture_finish(&job, &texts);                   waits for what is missing
 */
struct capture_job {
	int fd;	   /* to poll; -1: all is there, or nothing was started */
	pid_t pid; /* 0: none */
	struct str text;
};

#define CAPTURE_JOB_INIT                             \
	{                                            \
		.fd = -1, .pid = 0, .text = STR_INIT \
	}

/* -1: no process could be made; capture_all() still can be called. */
int capture_start(struct capture_job *job, const struct conf *conf,
		  const struct capture_place *place);

/* Take what has come, without waiting if there is something; closes job->fd at the end. */
void capture_receive(struct capture_job *job);
void capture_finish(struct capture_job *job, struct capture_texts *texts);

#endif
