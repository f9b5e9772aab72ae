/*
 * fields - an ordered tree of names and JSON values, for composing a new entry.
 *
 * Metrics and hyperparameters come from several places (plugin, events, flags);
 * they meet here, later ones win, and print as one JSON object. Values stay the
 * JSON text that they came as. An existing record never passes through this.
 */
#ifndef APP_FIELDS_H
#define APP_FIELDS_H
#include "base/err.h"
#include "base/str.h"

struct fields {
	char *key; /* NULL for the root */
	char *raw; /* JSON text of a leaf; NULL: an object of 'kids' */
	struct fields **kids;
	size_t n;
};

struct fields *fields_new(void);
void fields_free(struct fields *fields);
bool fields_empty(const struct fields *fields);

/* Merge the members of JSON object 'text' (NaN allowed) into 'fields'; nested objects merge too. */
int fields_merge(struct fields *fields, const char *name, const char *text, struct err *err);

/* Set "per_class_f1.title" (dots nest) to JSON text 'raw'. */
int fields_set(struct fields *fields, const char *path, const char *raw, struct err *err);

/* The JSON text of member 'key', or NULL if there is none or it is an object. Borrowed. */
const char *fields_get(const struct fields *fields, const char *key);

/* "K=V" as given with --metric: V must be a number, or nan, inf, -inf. */
int fields_set_metric(struct fields *fields, const char *assignment, struct err *err);

/* "K=V" as given with --param: a number, true, false, null or a JSON array stays what it is, the rest
 * is a string. */
int fields_set_param(struct fields *fields, const char *assignment, struct err *err);

/* Sort the members of the object itself by 'rank'; those of one rank stay in their order. */
void fields_order(struct fields *fields, int (*rank)(const char *name, const void *arg),
		  const void *arg);

/* The object as JSON text on one line. */
void fields_print(const struct fields *fields, struct str *out);

/* Same, or NULL if there is nothing; fresh memory. */
char *fields_text(const struct fields *fields);

#endif
