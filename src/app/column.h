/*
 * column - what a listing shows of each model, as people write it: "exp, max f1, f1 step, =lr".
 *
 *	FIELD        a field of model/field.h, in `...` where it has blanks or commas in its name
 *	=NAME        a hyperparameter
 *	min F, max F, first F, last F    over all trainings of the model
 *	... step     after how many steps, of all trainings, that value came
 */
#ifndef APP_COLUMN_H
#define APP_COLUMN_H
#include "model/field.h"

enum column_pick { PICK_OWN, PICK_MIN, PICK_MAX, PICK_FIRST, PICK_LAST };

struct column_spec {
	char *title;
	char *field;
	enum column_pick pick;
	bool is_step;
	bool is_descending; /* of a sort key: "-FIELD" */
};

struct column_list {
	struct column_spec *v;
	size_t n;
};

void column_list_release(struct column_list *list);

/* Add the columns of 'text', which are separated by commas. 'what' is the option, for the message;
 * with 'is_sort' each may begin with '-'. ERR_USAGE. */
int column_list_parse(struct column_list *list, const char *what, const char *text, bool is_sort,
		      struct err *err);

/* Add a plain field. */
void column_list_add(struct column_list *list, const char *field);

/* The value for one row; 'out' is released first. */
void column_read(const struct column_spec *column, const struct subject *subject,
		 struct value *out);

#endif
