/*
 * digest - the SHA-256 of checkpoints and data. The one door to nettle.
 *
 * A large file's digest is kept in $XDG_CACHE_HOME/thhost/digest under its device
 * and inode, and used again while size, mtime and ctime are the same. A directory's
 * is that of the lines "<relative name> <size> <sha256>\n" of its regular files in
 * the order of their bytes; links to files count as files (the Hugging Face cache
 * is made of them), links to directories are passed over.
 */
#ifndef CAPTURE_DIGEST_H
#define CAPTURE_DIGEST_H
#include "base/err.h"

#define DIGEST_TEXT_SIZE 65

struct digest {
	char sha256[DIGEST_TEXT_SIZE]; /* "" if 'size' is beyond the limit */
	uint64_t size;		       /* in bytes, of all files */
	uint64_t files;
};

/*
 * The digest of a file or directory. Beyond 'limit' bytes in all only size and number of files are
 * told. ERR_NOT_FOUND; ERR_BUSY if a file changes while it is read; ERR_INVALID: it is neither, or too
 * large a tree; else ERR_FAILED.
 */
int digest_path(const char *path, uint64_t limit, struct digest *out, struct err *err);

/*
 * The same of a model. In a directory that is what is not hidden, and no record: the ".cache" of a
 * download, ".thhost" and "training_info.json" tell of the model and change without it.
 */
int digest_model(const char *path, uint64_t limit, struct digest *out, struct err *err);

/* The digest of 'len' bytes. */
void digest_bytes(const char *data, size_t len, char out[DIGEST_TEXT_SIZE]);

#endif
