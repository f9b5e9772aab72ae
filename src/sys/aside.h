/*
 * aside - a file out of the way, kept under a name of its own.
 *
 *	if (aside_move(runs, "x.json", quarantine, &kept, &err) < 0) ...
 *	// kept: "x.json.20251210_201220"
 *
 * Nothing is ever overwritten: a name that is taken gets eight random digits more. What lies in the
 * new directory is synced before 0 is returned.
 */
#ifndef SYS_ASIDE_H
#define SYS_ASIDE_H
#include "base/err.h"
#include "base/str.h"

/* Move regular file 'name' of directory 'dirfd' into directory 'to'; its name there in 'kept'.
 * ERR_NOT_FOUND: it is gone already. */
int aside_move(int dirfd, const char *name, int to, struct str *kept, struct err *err);

/*
 * Give it a second name in 'to': for a file that stays where it is until something better takes its
 * place. A file that has one there already keeps that one; where there are no links it is copied.
 */
int aside_link(int dirfd, const char *name, int to, struct str *kept, struct err *err);

#endif
