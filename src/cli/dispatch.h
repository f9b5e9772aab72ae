/*
 * dispatch - find the verb, parse its options, run it, report.
 */
#ifndef CLI_DISPATCH_H
#define CLI_DISPATCH_H

/* The exit status of the process (docs/thhost.1, EXIT STATUS). */
int dispatch(int argc, char **argv);

#endif
