/*
 * verify - is everything below the root in order?
 *
 * Looks, and changes nothing: not even the state of a run whose process is gone. What it finds,
 * app/repair puts right where that is safe; each text says what else can be done.
 */
#ifndef APP_VERIFY_H
#define APP_VERIFY_H
#include "model/history.h"
#include "app/session.h"

struct finding {
	char *ref;     /* NULL: it belongs to no stage directory */
	char *code;    /* thhost-verify(1) lists them */
	char *path;    /* the file concerned */
	size_t line;   /* in it, from 1; 0: not of a line */
	char *text;    /* "PATH:LINE: message" */
	bool is_error; /* else a warning */
};

struct findings {
	struct finding *v;
	size_t n;
	size_t cap;
	size_t n_errors;
	size_t n_checked; /* records looked at */
	size_t n_entries;
};

/* Check one directory, from history_read(). */
void verify_history(struct session *session, const struct history *history, struct findings *out);

/* Once: the spools outside of the tree, and the root itself. 'visited': paths of the directories that
 * were checked. */
void verify_places(struct session *session, const struct strv *visited, struct findings *out);
void findings_release(struct findings *findings);

#endif
