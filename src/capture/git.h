/*
 * git - which commit a training ran from.
 */
#ifndef CAPTURE_GIT_H
#define CAPTURE_GIT_H
#include "base/str.h"

/*
 * {"commit","branch","dirty","modified","untracked","remote"} of the repository that 'cwd' (NULL:
 * ours) lies in. 'json' stays empty without one or without git; 'notes' gets the reason. Takes at
 * most 7 seconds and writes nothing to the repository.
 */
void capture_git(const char *cwd, struct str *json, struct strv *notes);

#endif
