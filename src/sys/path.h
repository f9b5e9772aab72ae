/*
 * path - names that are safe, and opening beneath a directory.
 *
 * A name that a user gives (experiment, stage, dataset) becomes one component of
 * a path: it may not leave the tree, hide, look like an option or like one of our
 * own files. Nothing here follows a symbolic link out of the tree.
 */
#ifndef SYS_PATH_H
#define SYS_PATH_H
#include "base/err.h"
#include "base/str.h"

/*
 * ERR_INVALID unless 'name' is 1 to 100 bytes of valid UTF-8 without control characters, '/' or
 * '\', does not start with '.' or '-', and does not end in .lock, .tmp or .bak. 'what' ("dataset")
 * is for the message.
 */
int path_check_name(const char *what, const char *name, struct err *err);

/* ERR_INVALID unless 'relative' is a relative path whose components all pass and never "..". */
int path_check_relative(const char *what, const char *relative, struct err *err);

/* 'dir' "/" 'name' in fresh memory; just 'name' if 'dir' is "" or ".". */
char *path_join(const char *dir, const char *name);

/* The last component (points into 'path'); "." gives ".". */
const char *path_base(const char *path);

/* Everything before it, in fresh memory; "." if there is nothing. */
char *path_dir(const char *path);

/* The next component at *at (its length in 'len'), or NULL at the end; *at moves behind it. */
const char *path_next(const char **at, size_t *len);

/* Absolute, without "." and ".." and double slashes, links not resolved; fresh memory. */
char *path_absolute(const char *path);

/* 'path' as seen from directory 'from' (both absolute), e.g. "../stage1_hrds"; fresh memory. */
char *path_relative_to(const char *path, const char *from);

/* Open directory 'path' (O_DIRECTORY). ERR_NOT_FOUND if absent, else ERR_FAILED. */
int path_open_dir(const char *path, struct err *err);

/* A directory that is empty, has no name any more and takes no entry: it stands for one that is not
 * there yet. ERR_FAILED. */
int path_open_nothing(struct err *err);

/*
 * Open 'relative' beneath 'dirfd' (openat2 with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS; without
 * openat2, component by component and no links at all). ERR_NOT_FOUND, ERR_INVALID if it would
 * leave 'dirfd', else ERR_FAILED. Returns a descriptor with O_CLOEXEC, or -1.
 */
int path_open_beneath(int dirfd, const char *relative, int flags, struct err *err);

/*
 * Make directory 'name' in 'dirfd' (an existing one is fine) and sync 'dirfd'. 'made' may be NULL.
 */
int path_make_dir(int dirfd, const char *name, bool *made, struct err *err);

/*
 * fsync of a directory that is open for reading. 0, or -1 with errno. A file system that has no such
 * thing (EINVAL) is no failure.
 */
int path_sync_dir(int dirfd);

/* Names in directory 'dirfd' without "." and "..", in natural order. */
int path_list(int dirfd, struct strv *names, struct err *err);

/*
 * Each entry of the open directory 'fd' but "." and "..", read from 'fd' itself, which is at its end
 * afterwards: no other descriptor, half the system calls. 'type' is a DT_ of <dirent.h>. -1: errno.
 */
typedef void (*path_entry_fn)(void *arg, const char *name, unsigned char type);
int path_each_entry(int fd, path_entry_fn fn, void *arg);

/*
 * Is there something called 'path'? 1, with its kind and mode in 'mode' (may be NULL); 0: nothing that
 * we could see, errno says why; -1: it cannot be told. What only failed to answer must not pass for
 * absent.
 */
int path_exists(const char *path, mode_t *mode, struct err *err);

/* Does this errno of a look at a name say that we have no such thing? */
bool path_is_absent(int number);

/*
 * What a look at a name failed with: 0 if it is absent or not for us, which is said ("passed over:
 * ..."); else -1 and '*err' is 'why': an error is no absence.
 */
int path_pass_over(const struct err *why, struct err *err);

/* Does this errno say that the file system cannot do such a thing? The only ones after which
 * another way is tried: any other error is an error. */
bool path_is_unsupported(int number);

/* The error of one that could not be listed, from errno: ERR_FAILED, with its path. */
int path_list_error(int dirfd, struct err *err);

/*
 * Expand 'pattern' beneath 'dirfd': '*' and '?' match within one component, never a leading dot;
 * a final '/' asks for directories only. Relative names in natural order; at most 'limit' (beyond
 * that ERR_INVALID). Links out of the tree are passed over.
 *
 * A pattern that begins with "**" and a slash holds at any depth, 'dirfd' itself included, to 8
 * directories down; hidden directories and links to directories are not entered, and it stands for
 * files unless it ends in '/'. It may well match too much: then the deepest are left out, and a
 * warning is logged. 'names' must be empty.
 */
int path_glob(int dirfd, const char *pattern, size_t limit, struct strv *names, struct err *err);

#endif
