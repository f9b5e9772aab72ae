/*
 * visit - the directories that a verb is about: those that its operands name, or all below the root.
 */
#ifndef CLI_VISIT_H
#define CLI_VISIT_H
#include "model/history.h"
#include "cli/command.h"

typedef void visitor(struct cli *cli, const char *operand, struct history *history, void *arg);

/*
 * Call 'visit' for each, with what history_read() found; 'operand' is NULL where none was given. With
 * operands, or with --exp, only there. Paths of the directories are added to 'visited'.
 */
int visit_directories(struct cli *cli, visitor *visit, void *arg, struct strv *visited,
		      struct err *err);

/* Was it asked for all there is? */
bool visits_all(const struct cli *cli);

#endif
