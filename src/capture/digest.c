#include "base/base.h"

#include "capture/digest.h"

#include "base/mem.h"
#include "capture/digest_cache.h"
#include "model/store.h"
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK (256u << 10)

/* A directory deeper than this, or with more files, is not a checkpoint. */
#define DEPTH_LIMIT 32
#define FILES_LIMIT 200000

static void to_text(struct sha256_ctx *sum, char out[DIGEST_TEXT_SIZE])
{
	uint8_t raw[SHA256_DIGEST_SIZE];

	sha256_digest(sum, sizeof(raw), raw);
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

void digest_bytes(const char *data, size_t len, char out[DIGEST_TEXT_SIZE])
{
	struct sha256_ctx sum;

	sha256_init(&sum);
	sha256_update(&sum, len, (const uint8_t *)data);
	to_text(&sum, out);
}

/* ---- one file ---- */

static int sum_file(int fd, const char *path, char out[DIGEST_TEXT_SIZE], struct err *err)
{
	uint8_t *block = xmalloc(BLOCK);
	struct sha256_ctx sum;
	ssize_t n;

	sha256_init(&sum);
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	while ((n = read(fd, block, BLOCK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		sha256_update(&sum, (size_t)n, block);
	}
	free(block);
	if (n < 0)
		return err_errno(err, ERR_FAILED, "cannot read '%s'", path);
	to_text(&sum, out);
	return 0;
}

static bool is_unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ino == b->st_ino;
}

static int digest_opened(int fd, const char *path, char out[DIGEST_TEXT_SIZE], struct err *err)
{
	struct stat before;
	struct stat after;

	if (fstat(fd, &before) < 0)
		return err_errno(err, ERR_FAILED, "cannot examine '%s'", path);
	if (!S_ISREG(before.st_mode))
		return err_set(err, ERR_INVALID, "'%s' is not a regular file", path);
	if (digest_cache_get(&before, out))
		return 0;
	if (sum_file(fd, path, out, err) < 0)
		return -1;
	if (fstat(fd, &after) < 0 || !is_unchanged(&before, &after))
		return err_set(err, ERR_BUSY, "'%s' changed while it was read", path);
	digest_cache_put(&before, out);
	return 0;
}

static int digest_file(const char *path, char out[DIGEST_TEXT_SIZE], struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int rc;

	if (fd < 0)
		return err_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_FAILED,
				 "cannot open '%s'", path);
	rc = digest_opened(fd, path, out, err);
	close(fd);
	return rc;
}

/* ---- a directory ---- */

struct listing {
	const char *root;
	struct strv names; /* relative */
	uint64_t size;
	int depth;
	bool is_model;
};

static int list_dir(struct listing *l, const char *relative, struct err *err);

static bool is_left_out(const struct listing *l, const char *name)
{
	return l->is_model && (name[0] == '.' || strcmp(name, RECORD_NAME) == 0);
}

static int list_entry(struct listing *l, const char *relative, struct err *err)
{
	char *path = path_join(l->root, relative);
	struct stat link;
	struct stat st;
	int rc = 0;

	if (lstat(path, &link) == 0 && stat(path, &st) == 0) {
		if (S_ISREG(st.st_mode)) {
			strv_push(&l->names, relative);
			l->size += (uint64_t)st.st_size;
		} else if (S_ISDIR(link.st_mode)) {
			rc = list_dir(l, relative, err);
		}
	}
	if (rc == 0 && l->names.n > FILES_LIMIT)
		rc = err_set(err, ERR_INVALID, "'%s' has more than %d files", l->root, FILES_LIMIT);
	free(path);
	return rc;
}

static int list_dir(struct listing *l, const char *relative, struct err *err)
{
	struct strv names = STRV_INIT;
	char *path = path_join(l->root, relative);
	int fd = path_open_dir(path, err);
	int rc = fd < 0 ? -1 : path_list(fd, &names, err);

	if (fd >= 0)
		close(fd);
	if (rc == 0 && ++l->depth > DEPTH_LIMIT)
		rc = err_set(err, ERR_INVALID, "'%s' is nested too deeply", l->root);
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		char *name;

		if (is_left_out(l, names.v[i]))
			continue;
		name = *relative ? path_join(relative, names.v[i]) : xstrdup(names.v[i]);
		rc = list_entry(l, name, err);
		free(name);
	}
	l->depth--;
	strv_release(&names);
	free(path);
	return rc;
}

static int compare_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int sum_listing(struct listing *l, char out[DIGEST_TEXT_SIZE], struct err *err)
{
	struct str lines = STR_INIT;
	int rc = 0;

	qsort(l->names.v, l->names.n, sizeof(*l->names.v), compare_bytes);
	for (size_t i = 0; rc == 0 && i < l->names.n; i++) {
		char *path = path_join(l->root, l->names.v[i]);
		char sum[DIGEST_TEXT_SIZE];
		struct stat st;

		rc = digest_file(path, sum, err);
		if (rc == 0 && stat(path, &st) < 0)
			rc = err_errno(err, ERR_FAILED, "cannot examine '%s'", path);
		if (rc == 0)
			str_addf(&lines, "%s %lld %s\n", l->names.v[i], (long long)st.st_size, sum);
		free(path);
	}
	if (rc == 0)
		digest_bytes(lines.buf, lines.len, out);
	str_release(&lines);
	return rc;
}

static int digest_dir(const char *path, bool is_model, uint64_t limit, struct digest *out,
		      struct err *err)
{
	struct listing l = { .root = path, .names = STRV_INIT, .is_model = is_model };
	int rc = list_dir(&l, "", err);

	out->size = l.size;
	out->files = l.names.n;
	if (rc == 0 && l.names.n && l.size <= limit)
		rc = sum_listing(&l, out->sha256, err);
	else if (rc == 0 && !l.names.n)
		digest_bytes("", 0, out->sha256);
	strv_release(&l.names);
	return rc;
}

static int digest_any(const char *path, bool is_model, uint64_t limit, struct digest *out,
		      struct err *err)
{
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (stat(path, &st) < 0)
		return err_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_FAILED,
				 "cannot examine '%s'", path);
	if (S_ISDIR(st.st_mode))
		return digest_dir(path, is_model, limit, out, err);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, "'%s' is neither a file nor a directory", path);
	out->size = (uint64_t)st.st_size;
	out->files = 1;
	return out->size <= limit ? digest_file(path, out->sha256, err) : 0;
}

int digest_path(const char *path, uint64_t limit, struct digest *out, struct err *err)
{
	return digest_any(path, false, limit, out, err);
}

int digest_model(const char *path, uint64_t limit, struct digest *out, struct err *err)
{
	return digest_any(path, true, limit, out, err);
}
