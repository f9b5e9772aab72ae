/*
 * duplex - a helper that lives on, talked to over one socket.
 *
 * The helper is this program again, with an empty environment; the socket is its
 * stdin and its stdout and keeps messages apart (SOCK_SEQPACKET): a message is
 * sent as a whole or not at all. Our side never blocks. Knows nothing of plugins.
 */
#ifndef SYS_DUPLEX_H
#define SYS_DUPLEX_H
#include "base/err.h"

struct duplex {
	int fd; /* -1: none */
	pid_t pid;
};

#define DUPLEX_INIT                 \
	{                           \
		.fd = -1, .pid = -1 \
	}

/* Start ourselves with 'argv'. ERR_FAILED if that does not work. */
int duplex_start(struct duplex *d, char *const *argv, struct err *err);

enum duplex_result { DUPLEX_GONE = -1, DUPLEX_LATER = 0, DUPLEX_DONE = 1 };

/* DUPLEX_LATER: the other end is slow, nothing was sent. */
enum duplex_result duplex_send(const struct duplex *d, const char *data, size_t len);

/* One message into 'buf'; its length in 'len'. DUPLEX_LATER: there is none. */
enum duplex_result duplex_receive(const struct duplex *d, char *buf, size_t size, size_t *len);

/* Kill the helper if it lives, and reap it. */
void duplex_stop(struct duplex *d);

#endif
