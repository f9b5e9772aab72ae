/*
 * worker - both ends of the process boundary behind which plugins run.
 *
 * The parent starts this program again with WORKER_VERB, an empty environment and
 * no descriptors but stdin, stdout, stderr and the inputs (10, 11, ...), and sends
 * one JSON document; the worker confines itself (confine.h; without the mandatory
 * parts it refuses), runs the plugin and answers with one JSON document.
 */
#ifndef SCRIPT_WORKER_H
#define SCRIPT_WORKER_H

#define WORKER_VERB "--plugin-worker"
#define PROBE_ARG "probe"

/* The whole life of a worker; main() calls it when argv[1] is WORKER_VERB. Returns its exit status. */
int worker_main(int argc, char **argv);

#endif
