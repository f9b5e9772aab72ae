/*
 * base_files - the base model of a training, where it is a file or a directory on this machine.
 *
 * What it was when the training began is a digest in the entry ("base_model_digest"). It belongs to the
 * base model that was known then: a plugin may find another one in what the training left.
 */
#ifndef APP_BASE_FILES_H
#define APP_BASE_FILES_H
#include "app/record.h"
#include "model/journal.h"

/* What draft->base_path, or else draft->base_model, names; NULL: nothing. Borrowed. */
const char *base_files_name(const struct draft *draft);

/* Where that lies, as seen from directory 'cwd' (NULL: here), in fresh memory; NULL: no file or
 * directory of that name is there, so it is the name of a model elsewhere. -1: it cannot be told. */
int base_files_path(const struct draft *draft, const char *cwd, char **path, struct err *err);

/* Its digest now, or "": it is elsewhere, or beyond record.digest_limit_mb. One that cannot be read is
 * warned of. */
void base_files_digest(const struct draft *draft, const struct conf *conf, const char *cwd,
		       struct str *out);

/* The digest that the journal has of the base model that 'draft' names; NULL: none, or of another. */
const char *base_files_digest_of(const struct run *run, const struct draft *draft);

#endif
