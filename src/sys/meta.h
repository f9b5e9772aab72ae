/*
 * meta - who may do what with a file, carried over to its successor.
 *
 * For sys/replace only: a replaced file is a new inode, and owner, group, mode,
 * ACL and user attributes must not get lost on the way. Never gives anybody more
 * rights than before; what cannot be kept is told on stderr.
 */
#ifndef SYS_META_H
#define SYS_META_H
#include "base/err.h"
#include "sys/file.h"

/*
 * Give 'fd' (a file that we have just made, mode 0600) what 'old_fd', in version 'old', has. 'name'
 * is for messages.
 */
int meta_copy(int fd, int old_fd, const struct file_version *old, const char *name,
	      struct err *err);

#endif
