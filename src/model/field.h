/*
 * field - one value of a training or of its model, by the name that people give it.
 *
 *	struct subject subject = { .info = &info, .doc = &info.doc, .entry = entry, .ref = ref };
 *	struct value value = VALUE_INIT;
 *	field_read(&subject, "metrics.f1", &value);
 *	value_release(&value);
 *
 *	metrics.NAME  params.NAME  git.NAME  env.NAME    what the training has there
 *	tags.NAME     is the tag there?
 *	datasets.NAME steps on that data set, in all trainings of the model
 *	datasets      the names of all of them
 *	strategy      base model, data sets and steps as far as this training
 *	duration      what it took, in seconds
 *	ref exp path  of the model; trainings: how many; started, ended, updated, status
 *	params env    all of them
 *	NAME          a field of the training, else of the model, else a metric
 *
 * A dot goes one level down, where no key has the dot in its own name. null is as good as absent.
 */
#ifndef MODEL_FIELD_H
#define MODEL_FIELD_H
#include "model/info.h"

/* What is asked about; all borrowed. */
struct subject {
	const struct info *info; /* the model's record, or NULL where there is none */
	const struct json *doc;	 /* holds the training: the record, or a run of the journal */
	size_t entry;		 /* its token; JSON_NONE: no training */
	const char *ref;
	const char *exp; /* NULL: in no experiment */
	const char *path;
};

enum value_type { VALUE_UNDEFINED, VALUE_TRUTH, VALUE_NUMBER, VALUE_TEXT, VALUE_JSON };

struct value {
	enum value_type type;
	bool truth;
	double number;
	bool is_integer; /* 'integer' is the same number, exactly */
	int64_t integer;
	char *text; /* of a text, of a number as it is written, of VALUE_JSON without a 'doc' */
	const struct json *doc; /* of VALUE_JSON, an array or object: its place, or NULL */
	size_t token;
	struct json *made; /* what was made for it, or NULL */
	char *made_text;
};

#define VALUE_INIT                      \
	{                               \
		.type = VALUE_UNDEFINED \
	}
void value_release(struct value *value);

/* The value of a token; JSON_NONE and null are undefined. 'out' is released first. */
void value_of_token(const struct json *doc, size_t token, struct value *out);

/* The number that a text holds, as a value; false (and nothing changed) if it holds none. */
bool value_of_number(const char *text, struct value *out);

/* The value as a number: one of its own, or a text that is one (YAML reads 2e-5 as a text). */
bool value_number(const struct value *value, double *out);

/* Less, equal or greater by what they are: numbers by value, times by time, texts in natural order.
 * For sorting; values of different kinds have an order too, undefined ones come last. */
int value_compare(const struct value *a, const struct value *b);

/* The value as people and tables have it; an array or object as JSON; undefined as nothing. */
void value_add_text(const struct value *value, struct str *out);

void field_read(const struct subject *subject, const char *name, struct value *out);

#endif
