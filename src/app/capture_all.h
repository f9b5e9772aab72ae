/*
 * capture_all - what the configuration wants captured, as JSON texts for an entry.
 */
#ifndef APP_CAPTURE_ALL_H
#define APP_CAPTURE_ALL_H
#include "base/str.h"
#include "model/conf.h"

struct capture_texts {
	struct str git;         /* "" where there is no repository */
	struct str environment; /* "" where it is not wanted */
	struct str command;     /* the argv, masked; "" without one */
	struct strv notes;      /* what could not be captured, and why */
};

#define CAPTURE_TEXTS_INIT                                                                         \
	{ .git = STR_INIT, .environment = STR_INIT, .command = STR_INIT, .notes = STRV_INIT }

/* 'argv': the training's command, or NULL; 'cwd': where it runs, NULL: here. Never fails: what is
 * missing is noted. */
void capture_all(struct capture_texts *texts, const struct conf *conf, char *const *argv,
		 const char *cwd);
void capture_texts_release(struct capture_texts *texts);

#endif
