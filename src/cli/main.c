/*
 * main - from argv to a verb, and from an error to words and a status.
 */
#include "base/base.h"

#include "base/log.h"
#include "cli/command.h"
#include "cli/dispatch.h"
#include "script/worker.h"

int main(int argc, char **argv)
{
	/* A worker must not do anything of what follows: it is on the other side of the fence. */
	if (argc > 1 && strcmp(argv[1], WORKER_VERB) == 0)
		return worker_main(argc, argv);
	return dispatch(argc, argv);
}
