/*
 * verify - is everything below the root in order? And what can be put right.
 *
 * Verifying changes nothing but the state of runs whose process is gone. Repairing
 * puts spooled entries into their records and asks the plugin again about runs
 * that ended well but could not be read; nothing is ever deleted.
 */
#ifndef APP_VERIFY_H
#define APP_VERIFY_H
#include "app/history.h"
#include "app/session.h"

struct finding {
	char *ref;
	char *text;    /* "PATH:LINE: message" */
	char *code;    /* "json", "type", "derived", "spool", "unrecorded", "run", "temporary" */
	bool is_error; /* else a warning */
};

struct findings {
	struct finding *v;
	size_t n;
	size_t n_errors;
	size_t n_checked; /* records looked at */
	size_t n_entries;
};

/* Check one directory, or all below the root. */
void verify_history(const struct history *history, struct findings *out);
void findings_release(struct findings *findings);

struct repair_report {
	struct strv done; /* one line for each thing put right */
	struct strv left; /* what could not be, and why */
};

/* Put right what can be in this directory. 'dry': only say it. */
void repair_history(struct session *session, const struct history *history, bool dry,
		    struct repair_report *report);
void repair_report_release(struct repair_report *report);

#endif
