/*
 * adopt_home - what the config.yml of an experiment tells of a stage directory.
 *
 *	const struct adopt_home *home = adopt_home_of(adopt, "exp_1");
 *	const struct stage_state *state = adopt_home_state(home, "features_hrds");
 *	adopt_home_runs(home, "stage1_hrds", &runs, &n);
 *
 * Of one experiment at a time: the walk meets them one after the other.
 */
#ifndef APP_ADOPT_HOME_H
#define APP_ADOPT_HOME_H
#include "app/adopt.h"
#include "sys/json.h"

struct adopt_home {
	char *exp;
	struct stage_state *states;
	size_t n_states;
	struct str text; /* config.yml as JSON */
	struct json doc;
	bool has_doc;
};

/* One start of a training, as "runs" lists them. Times and texts are the file's, or NULL. */
struct adopt_run {
	char *timestamp; /* ISO 8601 */
	char *dataset;
	struct strv argv;
	char *training;	      /* JSON object text of what it was given, or NULL */
	char *model;	      /* name or path of what it began from */
	char *resumed;	      /* checkpoint that it went on from */
	int64_t max_steps;    /* -1: not said */
	int64_t resumed_from; /* the step of that checkpoint; 0: from the start, -1: not told */
};

/* Without a config.yml one that tells nothing; a broken one is warned of. */
const struct adopt_home *adopt_home_of(struct adopt *adopt, const char *exp);
void adopt_home_free(struct adopt_home *home);

/* NULL: it says nothing of that directory. */
const struct stage_state *adopt_home_state(const struct adopt_home *home, const char *dir);

/* The runs of directory 'dir', oldest first. */
void adopt_home_runs(const struct adopt_home *home, const char *dir, struct adopt_run **runs,
		     size_t *n);
void adopt_runs_release(struct adopt_run *runs, size_t n);

/* The static part for a stage, and the model that the experiment began from; fresh memory or NULL. */
char *adopt_home_settings(const struct adopt_home *home, const char *stage);
char *adopt_home_model(const struct adopt_home *home);

/* "2026-11-23 03:07:30" as ISO 8601, or NULL if it is no time. */
char *adopt_iso(const char *text);

#endif
