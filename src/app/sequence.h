/*
 * sequence - what a model was trained on, one after the other, and patterns of it.
 *
 *	struct sequence sequence = sequence_of(&info);
 *	if (sequence_matches(&sequence, &pattern)) ...
 *	sequence_release(&sequence);
 */
#ifndef APP_SEQUENCE_H
#define APP_SEQUENCE_H
#include "model/info.h"

/* One training, or the base model, which has no steps. */
struct sequence_part {
	char *name;	  /* of the data set */
	char *with_steps; /* "hrds:10000" */
	bool is_training;
};

struct sequence {
	struct sequence_part *v; /* the first is the base model */
	size_t n;
};

struct sequence sequence_of(const struct info *info);
void sequence_release(struct sequence *sequence);

/* "microsoft/layoutxlm-base > hrds > hrdh", fresh memory. */
char *sequence_text(const struct sequence *sequence, bool with_steps);

/* The same only for what is the same: a name may hold " > ". Fresh memory. */
char *sequence_key(const struct sequence *sequence, const char *stage, bool with_steps);

/*
 * The parts of "hrds > *": each names a data set ("hrds", "hrds:10000"), '?' is any one, '*' any number
 * of them, none included. What stands first may also be the base model. ERR_USAGE for an empty part.
 */
int sequence_pattern(const char *text, struct strv *parts, struct err *err);

/* 'pattern' NULL: always. */
bool sequence_matches(const struct sequence *sequence, const struct strv *pattern);

#endif
