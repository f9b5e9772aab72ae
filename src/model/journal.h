/*
 * journal - the runs of one stage directory, and entries that wait to be recorded.
 *
 * A run that fails, is killed or still goes on is never in training_history; it
 * lives here. In the stage directory:
 *
 *	.thhost/runs/<run_id>.json   one run, replaced in one step at each change
 *	.thhost/logs/<run_id>.log    what it printed
 *	.thhost/events/<run_id>.jsonl  what it told through $THHOST_EVENTS
 *	.thhost/spool/<run_id>.json  an entry that could not be put into the record
 *	.thhost/quarantine/NAME.TIME  what did not parse and was put out of the way ("repair")
 *
 * Calling sequence of a run: journal_begin() before the child starts (synced),
 * journal_update() with the child's pid, journal_end() the moment it has ended,
 * journal_update() when all is done. A run whose process is gone is closed by
 * journal_close_dead(), which whoever reads the journal calls: as "unrecorded" if
 * its training is known to have ended well, else as "interrupted"; a run on
 * another host is never judged. One that its scheduler has put back into the
 * queue begins once more with journal_begin_again(): the same run, one attempt more.
 */
#ifndef MODEL_JOURNAL_H
#define MODEL_JOURNAL_H
#include "base/err.h"
#include "base/id.h"
#include "base/str.h"

enum run_state {
	RUN_STARTING, /* the intent is on disk, the child not yet started */
	RUN_RUNNING,
	RUN_RECORDED,	 /* ended well and its entry is in training_info.json */
	RUN_SPOOLED,	 /* ended well, its entry waits in the spool */
	RUN_UNRECORDED,	 /* ended well, but nothing could be extracted; 'trouble' says why */
	RUN_COMPLETED,	 /* ended well, recording not wanted (--no-record, not rank 0) */
	RUN_FAILED,	 /* the child ended with an error or could not be started */
	RUN_INTERRUPTED, /* ended by a signal, or found dead */
};

struct run {
	char run_id[ID_TEXT_SIZE];
	enum run_state state;
	char *stage;
	char *dataset;
	char *exp;
	struct strv command; /* masked (capture/secrets) */
	char *cwd;
	char *host;
	char *boot_id;
	int64_t pid;	    /* thhost's own; 0: none */
	uint64_t pid_start; /* its start time in ticks since boot */
	int64_t child_pid;  /* 0: not started */
	uint64_t child_start;
	uint64_t pid_ns;  /* the namespace that both pids are of; 0: unknown */
	char *job_id;	  /* "slurm:4711", or NULL */
	int64_t restarts; /* how often that job had been put back into the queue when this began */
	char *earlier_attempts; /* JSON array text, oldest first; NULL: this is the first */
	char *start_time;	/* ISO 8601 with offset */
	char *end_time;		/* NULL while it runs */
	int64_t wall_ms;
	int exit_code;		 /* -1: none */
	int signal;		 /* 0: none */
	int64_t last_step;	 /* -1: unknown */
	double last_epoch;	 /* NAN: unknown */
	char *last_metrics;	 /* JSON object text, or NULL */
	char *base_model;	 /* as given, or NULL */
	char *base_model_digest; /* "sha256:..." of what it was at the first attempt's start, or NULL */
	char *dataset_digest; /* the same of the data set, at the start of this attempt */
	char *parents;	      /* JSON array text, or NULL */
	char *git;	      /* JSON object text, or NULL */
	/* Of an unrecorded run, for the entry it may still get; JSON object texts, or NULL. */
	char *environment;
	char *usage;
	char *said;	 /* what flags and events told, as 'thhost record --json-input' has it */
	char *init_from; /* REF given with --init-from, or NULL */
	char *entry; /* of one that is recorded or spooled: the entry, should the record lose it */
	char *log;   /* path relative to the stage directory, or NULL */
	char *trouble; /* why it is not recorded, or NULL */
};

void run_init(struct run *run);
void run_release(struct run *run);
const char *run_state_word(enum run_state state); /* "running", "failed", ... */
bool run_has_ended(const struct run *run);

/* The run as a JSON object (schema "thhost.run/1"), for --json. */
void run_print(const struct run *run, struct str *out, int indent);

/* Make .thhost and its parts, and write the intent, synced to the disk. */
int journal_begin(int stage_dirfd, const struct run *run, struct err *err);
int journal_update(int stage_dirfd, const struct run *run, struct err *err);

/* The same for a run that is there: its attempts, run_fold_attempt() among them, are on the disk before
 * the child starts again. */
int journal_begin_again(int stage_dirfd, const struct run *run, struct err *err);

/*
 * The write at the training's end: from then on there is something to lose, even if memory runs out
 * in the next moment. So journal_end() allocates nothing; journal_make_room(), after each change of
 * the run but its end, sees to that.
 */
struct journal_room {
	int runs; /* .thhost/runs; -1: not open */
	struct str text;
};

#define JOURNAL_ROOM_INIT                    \
	{                                    \
		.runs = -1, .text = STR_INIT \
	}

int journal_make_room(int stage_dirfd, const struct run *run, struct journal_room *room,
		      struct err *err);
int journal_end(struct journal_room *room, const struct run *run, struct err *err);
void journal_room_release(struct journal_room *room);

struct run_list {
	struct run *v;
	size_t n;
};

/*
 * All runs, oldest first. A file that does not parse does not hide the others: it is named in
 * 'broken' (may be NULL). Nor does one that cannot be read, but then the result is
 * -1: 'out' has what could be. No journal at all is an empty list.
 */
int journal_load(int stage_dirfd, struct run_list *out, struct strv *broken, struct err *err);
void run_list_release(struct run_list *list);

/* Only the newest one, without reading the others; none is an empty list. */
int journal_load_newest(int stage_dirfd, struct run_list *out, struct err *err);

/* One run by its id or an unambiguous prefix. ERR_NOT_FOUND. */
int journal_find(int stage_dirfd, const char *id_prefix, struct run *out, struct err *err);

/*
 * Close runs whose process is gone: same host, boot and pid namespace with a dead or reused pid, or
 * same host and another boot. One whose training had ended with 0 becomes "unrecorded". The count
 * in 'closed'. Best effort: an unwritable directory changes nothing.
 */
int journal_close_dead(int stage_dirfd, struct run_list *list, size_t *closed);

/* Is it recorded as running, and its thhost and its training are gone? Judged as above. */
bool run_is_dead(const struct run *run);

/* Is it recorded as running on another host, which alone can tell? */
bool run_is_elsewhere(const struct run *run);

/* When the run gave its last sign of life: its log, or else its own file, was written. 0: unknown. */
time_t run_last_sign(int stage_dirfd, const struct run *run);

/*
 * As journal_close_dead() closes one, but in 'run' alone, and whatever host it was on: for who knows
 * from elsewhere that it is over.
 */
void run_mark_gone(int stage_dirfd, struct run *run);

/* Add 'former', an attempt at the same run that is over, and those before it to 'run'. */
void run_fold_attempt(struct run *run, const struct run *former);

/* All attempts of 'run', which ended well, as its entry has them: JSON array text in fresh memory, or
 * NULL where there was only one. */
char *run_attempts_text(const struct run *run);

/* When the first attempt began. Fresh memory, or NULL. */
char *run_first_start(const struct run *run);

/* How many there are, this one included. */
size_t run_count_attempts(const struct run *run);

/* Does its training go on, on this host, for all that can be told? Its thhost may be gone. */
bool run_goes_on(const struct run *run);

/*
 * Of a run on a host that the user says is gone: whatever its processes there still do, it is over.
 * What is kept in .thhost/runs/<run_id>.revoked holds them off, should they live after all: no
 * change of this run's file is taken, it does not begin, and store_append() refuses its entry.
 * 'why' is what is told of it. One whose training has 'ended_well' (or had, says the journal) is
 * closed as unrecorded instead, for its entry may be made by anybody. The caller has the lock of the
 * record. A run that the journal does not have can never begin.
 */
int journal_revoke(int stage_dirfd, const char *run_id, const char *why, bool ended_well,
		   struct err *err);
bool journal_is_revoked(int stage_dirfd, const char *run_id);

/* Open (create) .thhost/logs/<run_id>.log or events/<run_id>.jsonl for appending; its path,
 * relative to the stage directory, in 'name'. */
int journal_open_log(int stage_dirfd, const char *run_id, struct str *name, struct err *err);
int journal_open_events(int stage_dirfd, const char *run_id, struct str *name, struct err *err);

/*
 * Open directory .thhost/'part' ("runs", "logs", "events", "spool", "quarantine"); with 'create' make
 * it, synced and as writable for others as the stage directory is. ERR_NOT_FOUND without.
 */
int journal_open_part(int stage_dirfd, const char *part, bool create, struct err *err);

/* ---- the spool ---- */

/*
 * What waits: everything an append needs. 'text' is one JSON object:
 * {"schema":"thhost.spool/1","run_id","dir": absolute stage directory,"why": "...","head":{...},
 *  "additive","inherited_ref","inherited": text of a record,"entries":[...]};
 * model/store makes and reads it.
 */

/*
 * Keep 'text' under 'run_id': in the stage directory; if that cannot be written, in
 * $XDG_STATE_HOME/thhost/spool; if that fails too, in $TMPDIR. 'where' gets the path. Only when
 * every place failed: -1, and the caller prints the text itself to stderr.
 */
int spool_put(int stage_dirfd, const char *stage_dir, const char *run_id, const char *text,
	      size_t len, struct str *where, struct err *err);

/* The places outside of the tree, whether they are there or not. */
void spool_places(struct strv *paths);

/* The stage directories (absolute, as spooled) that something in those places waits for; one may be
 * there twice. -1 where a place cannot be read. */
int spool_dirs(struct strv *dirs, struct err *err);

/*
 * Paths of what waits for this stage directory (absolute, as spooled), here and in the fallback
 * places, oldest first. 'stage_dirfd' -1: only the fallback places; 'stage_dir' NULL with it: all.
 */
int spool_list(int stage_dirfd, const char *stage_dir, struct strv *paths, struct err *err);

/*
 * For a walk over many stage directories: what waits in the fallback places, for all of them, looked
 * at again only when some time has passed.
 */
struct spool_elsewhere {
	struct strv paths;
	struct strv dirs; /* of each path: the stage directory that it is for */
	struct err err;	  /* ERR_NONE, or why not all could be looked at */
	int64_t read;	  /* when, in monotonic milliseconds; 0: never */
};

#define SPOOL_ELSEWHERE_INIT                                            \
	{                                                               \
		.paths = STRV_INIT, .dirs = STRV_INIT, .err = ERR_INIT, \
	}
void spool_elsewhere_release(struct spool_elsewhere *elsewhere);

/* spool_list() with them. 'stage_dirfd' -1: nothing waits in the stage directory itself. */
int spool_list_with(int stage_dirfd, const char *stage_dir, struct spool_elsewhere *elsewhere,
		    struct strv *paths, struct err *err);

#endif
