/*
 * batch - what a batch file says: trainings to run or to record.
 *
 *	struct batch batch;
 *	if (batch_read(&batch, "home.ini", &err) < 0) ...
 *	for (size_t i = 0; i < batch.n_jobs; i++)
 *		puts(batch_get(&batch.jobs[i], "stage"));
 *	batch_release(&batch);
 *
 * A job is its name and its settings: those of [defaults], of its own section, of
 * its row of a table of trials and of its place in a matrix, the later ones winning,
 * with the placeholders filled in. config/batch.example.ini is the annotated
 * reference; the table in batch_keys.c has every key. Each setting knows the file
 * and line that it came from. Knows nothing of trees, plugins or processes.
 */
#ifndef MODEL_BATCH_H
#define MODEL_BATCH_H
#include "base/err.h"
#include "base/map.h"
#include "base/str.h"
#include "sys/json.h"

/* What a matrix or a table may make: more is a slip. */
#define BATCH_MAX_JOBS 100000

enum batch_kind {
	BATCH_TEXT,
	BATCH_NAME,	  /* one component of a path: see sys/path.h */
	BATCH_PATH,	  /* relative to the file that names it; absolute once it is read */
	BATCH_LIST,	  /* "a, b": see batch_split_list() */
	BATCH_COMMAND,	  /* several lines are one; see conf_split_command() */
	BATCH_LINES,	  /* each line says something of its own */
	BATCH_NUMBER,	  /* whole, from 'min' to 'max' */
	BATCH_REAL,	  /* from 0 */
	BATCH_BOOL,	  /* yes no true false on off 1 0 */
	BATCH_DURATION,	  /* "1h30m": see batch_seconds() */
	BATCH_CHOICE,	  /* one of 'choices' */
	BATCH_SLURM_TIME, /* a duration, or Slurm's "1-12:00:00" */
	BATCH_SBATCH,	  /* options of sbatch: see batch_sbatch_words() */
};

/* Where a key may stand. */
enum batch_where {
	BATCH_IN_BATCH = 1 << 0,
	BATCH_IN_JOB = 1 << 1,	  /* [job], [matrix], [defaults], a column of trials */
	BATCH_IN_MATRIX = 1 << 2, /* only [matrix] */
	BATCH_IN_SOURCE = 1 << 3, /* [job] and [matrix], not [defaults] */
	BATCH_RECORDING = 1 << 4, /* only for a job that records */
	BATCH_RUNNING = 1 << 5,	  /* only for a job that runs */
};

struct batch_key {
	const char *name; /* "param." at its end: any name may follow */
	enum batch_kind kind;
	unsigned where; /* enum batch_where */
	int64_t min;
	int64_t max;
	const char *choices; /* separated by blanks */
};

const struct batch_key *batch_keys(size_t *n);

/* The key of that name in one of the places 'where', or NULL. */
const struct batch_key *batch_find_key(const char *name, unsigned where);

/* Is 'text' of the key's kind? ERR_INVALID says what was expected. */
int batch_check_value(const struct batch_key *key, const char *name, const char *text,
		      struct err *err);

struct batch_setting {
	char *key;
	char *text;
	char *file;
	size_t line;
	unsigned depth; /* of the file while it is read: 0 the batch file, 1 what it includes */
};

struct batch_settings {
	struct batch_setting *v;
	size_t n;
	size_t cap;
};

/* The setting, or NULL. */
const struct batch_setting *batch_setting(const struct batch_settings *settings, const char *key);

/* Add it, or replace the one with that key. */
void batch_set(struct batch_settings *settings, const char *key, const char *text, const char *file,
	       size_t line);
void batch_settings_release(struct batch_settings *settings);

struct batch_job {
	char *name;
	char *section; /* the name of the [job] or [matrix] that it comes from */
	char *file;    /* where that stands */
	size_t line;
	struct batch_settings settings;
};

struct batch {
	char *path; /* absolute */
	char *name;
	struct batch_settings settings; /* [batch] */
	struct strv files;		/* all that were read: the file itself, includes, trials */
	struct batch_job *jobs;		/* in the order of the file */
	size_t n_jobs;
	size_t cap_jobs;
	struct map by_name;
};

/*
 * Read the file, what it includes and its tables of trials, and make the jobs. ERR_INVALID reads
 * "FILE:LINE: ..."; ERR_NOT_FOUND for a file that is not there.
 */
int batch_read(struct batch *batch, const char *path, struct err *err);
void batch_release(struct batch *batch);

/* A job's value of a key, or NULL. */
const char *batch_get(const struct batch_job *job, const char *key);
int64_t batch_int(const struct batch_job *job, const char *key, int64_t preset);
bool batch_bool(const struct batch_job *job, const char *key, bool preset);
int64_t batch_seconds_of(const struct batch_job *job, const char *key, int64_t preset);

/* The same of [batch]. */
const char *batch_option(const struct batch *batch, const char *key, const char *preset);

/* Does it record what lies there, and run nothing? */
bool batch_is_recording(const struct batch_job *job);

/* "NAME=VALUE" for every setting "PREFIX.NAME". */
void batch_pairs(const struct batch_job *job, const char *prefix, struct strv *out);

/*
 * The argv of "command", with what is known filled in and {stage_dir}, {exp_dir} and {base_model} left
 * for 'thhost run --fill'; with "shell = yes" that is sh, -c and the line. Nothing without a command.
 */
int batch_argv(const struct batch_job *job, struct strv *argv, struct err *err);

/* The words of "sbatch", over all of its lines. ERR_INVALID. */
int batch_sbatch_words(const char *text, struct strv *words, struct err *err);

/* The jobs that a word of "after" names: a job, a section or a pattern. Indices into 'out' (the caller
 * frees it). */
size_t batch_match(const struct batch *batch, const char *word, size_t **out);

/* "FILE:LINE: " in front of the error: where 'key' of the job was set, or the job itself. */
int batch_place(struct err *err, const struct batch_job *job, const char *key);

/* ---- text ---- */

/* "a, 'b, c', d" into its parts: commas and newlines separate, quotes protect. ERR_INVALID. */
int batch_split_list(const char *text, struct strv *out, struct err *err);

/* "1h30m", "90s", "2d" in seconds; -1 if it is no such time. */
int64_t batch_seconds(const char *text);

bool batch_is_true(const char *text);

/* ---- tables of trials ---- */

struct batch_row {
	size_t line;
	struct strv keys;
	struct strv values; /* of each key */
};

struct batch_rows {
	struct batch_row *v;
	size_t n;
};

/* A CSV text with a line of names, or a JSON array of flat objects ('name' ends in .json). What is
 * empty or null is not set. ERR_INVALID, with the place. */
int batch_read_trials(const char *name, const char *text, size_t len, struct batch_rows *out,
		      struct err *err);
void batch_rows_release(struct batch_rows *rows);

/* ---- keeping it ---- */

/* The batch as members of an open object, and back: what a batch's state on the disk begins with. */
void batch_print(const struct batch *batch, struct jsonw *w);
int batch_parse(const char *name, const struct json *doc, size_t object, struct batch *out,
		struct err *err);

/* For those that make jobs: takes what the job owns. ERR_INVALID where the name is taken. */
int batch_add_job(struct batch *batch, struct batch_job *job, struct err *err);
void batch_job_release(struct batch_job *job);

#endif
