/*
 * batch_judge - what became of a run that a batch has started, by the journal of its stage directory.
 */
#ifndef APP_BATCH_JUDGE_H
#define APP_BATCH_JUDGE_H
#include "app/batch_plan.h"
#include "model/journal.h"

enum batch_verdict {
	BATCH_NOT_BEGUN,  /* the journal does not have it */
	BATCH_GOES_ON,	  /* here, or on another host, which alone can tell */
	BATCH_ENDED_WELL, /* its entry is in the record, or none was wanted */
	BATCH_UNSETTLED,  /* it ended well, but is not recorded: 'repair' may mend that */
	BATCH_FAILED,
	BATCH_INTERRUPTED, /* by a signal, or because everything was killed */
};

struct batch_finding {
	enum batch_verdict verdict;
	bool is_elsewhere;
	char *host;	   /* where it is or was; NULL: not begun */
	int exit_code;	   /* of the training; -1: none */
	int signal;	   /* that ended the training; 0: none */
	int64_t pid;	   /* of the 'thhost run', on this host; 0 */
	int64_t last_step; /* -1: unknown */
	char *start_time;  /* of its last attempt; NULL: not begun */
	char *end_time;	   /* NULL: it goes on */
	char *why;	   /* or NULL */
};

void batch_finding_release(struct batch_finding *finding);

/*
 * The run goes on, or was about to begin, on another host, and somebody who must know says that it is
 * over: close it with 'why', and see to it that nothing of it is ever recorded, should it live after
 * all. 'gone_host': all of that host is gone, and what it has locked in the stage directory is freed;
 * NULL: only the run is. ERR_BUSY while its record is locked there.
 */
int batch_give_up(const struct batch_step *step, const char *run_id, const char *gone_host,
		  const char *why, struct err *err);

/* Look, and close the run where everybody is gone. -1 where the journal cannot be read. */
int batch_judge(const struct batch_step *step, const char *run_id, struct batch_finding *out,
		struct err *err);

#endif
