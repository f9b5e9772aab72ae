/*
 * taken - from where an entry is read: which data set that tells, and whether it
 * was taken before.
 *
 * The identity of a source is the SHA-256 of the names, sizes and times of the files
 * that the plugin was given, our own left out: reading them all would take as long
 * as the training's files are large. A tree that was moved is the same source; one
 * of whose files was written again is another.
 */
#ifndef APP_TAKEN_H
#define APP_TAKEN_H
#include "app/record.h"

/*
 * The data set of values->from where none is given, into values->dataset: what follows the stage in
 * the directory's name ("stage1_hrds"), else what the training's own files say. 'how' (borrowed;
 * "inferred", "declared", ...) and values->dataset stay NULL where nothing tells. -1: the plugin
 * failed.
 */
int taken_dataset(struct session *session, struct values *values, const char **how,
		  struct err *err);

/* "taken_from" of the entry, as JSON; "" if nothing was read. */
void taken_print(const struct draft *draft, struct str *out);

/* ERR_INVALID if the record has an entry from the same source. */
int taken_check(const struct draft *draft, struct err *err);

/* Open what --from names, a directory or one file of it: the inputs for draft_extract(), with
 * 'absolute' as the owner of the names. The descriptor is the caller's to close. */
int taken_open(const char *from, struct extract_source *source, char **absolute, struct err *err);

/*
 * Read values->from by the plugin. ERR_INVALID for a training that failed, unless values->steps say
 * that it counts; a run of that directory which could not record itself gives its id to the draft.
 */
int taken_extract(struct draft *draft, struct session *session, struct err *err);

#endif
