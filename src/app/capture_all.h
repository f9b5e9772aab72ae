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
	struct strv notes;	/* what could not be captured, and why */
};

#define CAPTURE_TEXTS_INIT                                                                        \
	{                                                                                         \
		.git = STR_INIT, .environment = STR_INIT, .command = STR_INIT, .notes = STRV_INIT \
	}

/* 'argv': the training's command, or NULL; 'cwd': where it runs, NULL: here. Never fails: what is
 * missing is noted. */
void capture_all(struct capture_texts *texts, const struct conf *conf, char *const *argv,
		 const char *cwd);
void capture_texts_release(struct capture_texts *texts);

/*
 * The same beside a training: a process of its own asks git, the driver and Python, so that neither
 * the training's start nor its output waits for them, and what git says is of the start.
 *
 *	capture_start(&job, conf, argv, cwd);
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
int capture_start(struct capture_job *job, const struct conf *conf, char *const *argv,
		  const char *cwd);

/* Take what has come, without waiting if there is something; closes job->fd at the end. */
void capture_receive(struct capture_job *job);
void capture_finish(struct capture_job *job, struct capture_texts *texts);

#endif
