/*
 * batch_needed - would a job do anything new? ("--needed")
 *
 * It would not where its record has an entry of its own, completed, on the same data set, from the same
 * base model and parents (their newest runs), with the same command and parameters, and of the same
 * code: the commit of the repository, with nothing in it changed then or now; and no file that the
 * command names has been written since. A base model that is a file or a directory has the digest
 * that the entry has of it; where the entry has none, or none are wanted, it has not been written
 * since. Where the configuration says where the data set lies ("dataset_path"), its digest is the
 * entry's too. What an entry does not tell cannot be compared and counts as changed, but for the base
 * model, and for the code where there is no repository, then and now.
 */
#ifndef APP_BATCH_NEEDED_H
#define APP_BATCH_NEEDED_H
#include "app/batch_plan.h"

/* 'why' is fresh memory: "recorded by run 019abc...", or what is new. 'git' (see batch_code()) is
 * asked for once for all jobs. */
bool batch_is_needed(struct session *session, const struct batch_step *step, const char *cwd,
		     const struct str *git, char **why);

/* What git says of directory 'cwd' now; empty without a repository. */
void batch_code(const char *cwd, struct str *git);

#endif
