/*
 * info_checker - a walk through a record's rules. For info_check.c, which knows
 * the rules that an append insists on, and info_verify.c, which looks closer.
 */
#ifndef MODEL_INFO_CHECKER_H
#define MODEL_INFO_CHECKER_H
#include "model/info.h"

enum {
	DATASET,
	STEPS,
	EPOCHS,
	METRICS,
	HYPERPARAMS,
	START_TIME,
	END_TIME,
	RUN_ID,
	INHERITED,
	N_ENTRY
};

enum {
	MODEL_NAME,
	STAGE,
	FINAL_CHECKPOINT,
	BASE_MODEL,
	CREATED_AT,
	LAST_UPDATED,
	TOTAL_STEPS,
	LAST_DATASET,
	HISTORY,
	SCHEMA_VERSION,
	PARENTS,
	N_TOP,
};

struct checker {
	const struct info *info;
	const struct json *doc;
	struct info_summary *summary;
	struct info_issues *issues; /* NULL: info_validate() */
	struct err *err;	    /* its first error */
	size_t line;		    /* of 'line_end', so that lines are counted once */
	const char *line_end;
	size_t top[N_TOP];     /* value tokens, JSON_NONE for what is absent */
	size_t entry[N_ENTRY]; /* the same for the entry at hand; at the end, for the last one */
	size_t index;	       /* of the entry at hand */
	size_t first_start;    /* the first entry's start_time */
	bool seen_own;	       /* an entry that is not inherited */
};

enum level { WARNING, ERROR };

/* Count a fault, and keep it as an issue or, the first one, as the error. 'path' is taken; it
 * stands in quotes at the start of the message. */
void checker_report(struct checker *c, enum level level, const char *code, size_t token, char *path,
		    const char *fmt, ...) PRINTF_LIKE(6, 7);

/* "training_history[1].steps" of the entry at hand, "training_history[1]" for NULL; fresh memory. */
char *checker_entry_path(const struct checker *c, const char *key);

/* Report a value that is not what is 'wanted' ("a string"); 'path' is taken. 'owner' is where a
 * missing member should be. */
void checker_check_type(struct checker *c, enum level level, size_t owner, size_t value, char *path,
			const char *wanted, bool is_required);

/* A document that info_open() refused: the error's text becomes the only issue. */
void checker_keep_open_error(struct info_issues *issues, const char *name, const struct err *err);

/* An integer that may count steps? */
bool checker_is_count(const struct json *doc, size_t token);

/* info_open() with json_parse_stream(); 'stream' NULL: all tokens stay. */
int info_open_stream(struct info *info, const char *name, const char *text, size_t len,
		     const struct json_stream *stream, struct err *err);

/* What only info_check() asks: within the entry at hand, at the top, and over all. */
void checker_look_into_entry(struct checker *c, size_t entry);
void checker_look_into_top(struct checker *c);
void checker_compare_derived(struct checker *c);
void checker_compare_run_ids(struct checker *c);

#endif
