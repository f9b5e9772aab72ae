/*
 * run - a training from its start to its entry.
 *
 * The intent is on disk before the child starts; its output passes through
 * untouched and into a log; when it has ended well, the stage's plugin reads what
 * it left and one entry is appended. Whatever goes wrong with recording, the
 * training's own outcome is not changed, and nothing is lost: the entry is
 * spooled, or the run stays in the journal with the reason.
 *
 * A job that Slurm has put back into the queue goes on with the run that it had begun, as its next
 * attempt, and makes one entry of all (run_requeue.h).
 */
#ifndef APP_RUN_H
#define APP_RUN_H
#include "app/record.h"
#include "model/journal.h"
#include "sys/proc.h"

struct run_options {
	struct values *values; /* stage and dataset are set */
	char *const *argv;     /* after "--", or NULL: from the configuration or the plugin */
	const char *run_id;    /* NULL: a fresh one */
	bool fill;	       /* also the command after "--" has placeholders */
	bool no_record;
	bool dry_run;
	bool quiet;
	bool no_progress;
	bool strict; /* trouble with recording shows in the exit status */
};

struct run_report {
	struct draft draft;
	struct proc_outcome child;
	struct run run;
	struct record_outcome outcome;
	bool is_recorded; /* the entry is in the record */
	bool was_over;	  /* a job that Slurm restarted: this run had ended well, nothing was run */
	bool is_wanted;	  /* a record was to be made of this run */
	struct err trouble;    /* why it is not there; ERR_NONE: all is well */
	struct strv argv;      /* what was run */
	struct strv env_added; /* NAME=VALUE that the child got from us */
};

/*
 * -1: thhost itself could not start it (status 125); nothing ran. 0: the child ran (or could not be
 * executed: see report->child), and the report tells the rest. With dry_run nothing is started or
 * written.
 */
int run_training(struct session *session, const struct run_options *options,
		 struct run_report *report, struct err *err);
void run_report_release(struct run_report *report);

/* One process of a distributed job records: RANK, SLURM_PROCID, OMPI_COMM_WORLD_RANK, PMI_RANK. */
bool run_is_recorder(void);

#endif
