/*
 * The same weights in two places. Sizes say little, for all models of one architecture have one size;
 * a few pieces of the files say much, and only where those agree the digests are compared.
 */
#include "base/base.h"

#include "app/adopt.h"

#include "base/mem.h"
#include "capture/digest.h"
#include "sys/path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 4096
#define PIECES 4
#define NAMES_MAX 4096

static const char *const patterns[] = {
	"model.safetensors",
	"pytorch_model.bin",
	"adapter_model.safetensors",
	"adapter_model.bin",
	"model-00001-of-*.safetensors",
	"pytorch_model-00001-of-*.bin",
	"*.pt",
	"*.pth",
	"*.ckpt",
	"*.h5",
	"*.keras",
};

/* Where checkpoints lie in a training's directory. */
static const char *const places[] = { "", "checkpoint*/", "checkpoints/", "weights/", "*best*/" };

static bool is_state(const char *name)
{
	static const char *const begins[] = { "optimizer", "scheduler", "scaler", "rng_state",
					      "training_args" };

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (has_prefix(path_base(name), begins[i]))
			return true;
	return false;
}

/* Files with weights in the directory, relative to it; those of its checkpoints too if 'deep'. */
static void list_weights(int dirfd, bool deep, struct strv *names)
{
	struct err ignored = ERR_INIT;

	for (size_t p = 0; p < (deep ? ARRAY_SIZE(places) : 1); p++)
		for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
			char *pattern = xstrf("%s%s", places[p], patterns[i]);

			path_glob(dirfd, pattern, NAMES_MAX, names, &ignored);
			free(pattern);
		}
}

static bool read_piece(int fd, char *out, off_t at, size_t len)
{
	return pread(fd, out, len, at) == (ssize_t)len;
}

static bool pieces_agree(int a, int b, off_t size)
{
	char left[PIECE];
	char right[PIECE];

	for (int i = 0; i < PIECES; i++) {
		off_t at = size > PIECE ? (size - PIECE) * i / (PIECES - 1) : 0;
		size_t len = size > PIECE ? PIECE : (size_t)size;

		if (!read_piece(a, left, at, len) || !read_piece(b, right, at, len) ||
		    memcmp(left, right, len) != 0)
			return false;
	}
	return true;
}

static bool digests_agree(const char *a, const char *b)
{
	struct digest left;
	struct digest right;
	struct err ignored = ERR_INIT;

	return digest_path(a, UINT64_MAX, &left, &ignored) == 0 &&
	       digest_path(b, UINT64_MAX, &right, &ignored) == 0 &&
	       strcmp(left.sha256, right.sha256) == 0;
}

static bool is_same_file(const char *a, const char *b)
{
	int left = open(a, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int right = open(b, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat sa;
	struct stat sb;
	bool same = left >= 0 && right >= 0 && fstat(left, &sa) == 0 && fstat(right, &sb) == 0 &&
		    S_ISREG(sa.st_mode) && S_ISREG(sb.st_mode) && sa.st_size == sb.st_size &&
		    sa.st_size > 0 && pieces_agree(left, right, sa.st_size) &&
		    ((sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino) || digests_agree(a, b));

	if (left >= 0)
		close(left);
	if (right >= 0)
		close(right);
	return same;
}

/* The checkpoint of model 'i' that has the weights of file 'path', or NULL; fresh memory. */
static char *find_in_model(const struct adopt *adopt, size_t i, const char *path)
{
	const struct layout *layout = &adopt->session->layout;
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	char *dir = path_join(layout->root, adopt->models[i].ref);
	int fd = path_open_dir(dir, &ignored);
	char *found = NULL;

	if (fd >= 0)
		list_weights(fd, true, &names);
	for (size_t k = 0; k < names.n && !found; k++) {
		char *other = path_join(dir, names.v[k]);

		if (!is_state(names.v[k]) && is_same_file(path, other))
			found = xstrdup(names.v[k]);
		free(other);
	}
	if (fd >= 0)
		close(fd);
	strv_release(&names);
	free(dir);
	return found;
}

/* The file with the weights at 'path'; fresh memory, or NULL. */
static char *weights_at(const char *path)
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	struct stat st;
	char *found = NULL;
	int fd;

	if (stat(path, &st) < 0)
		return NULL;
	if (S_ISREG(st.st_mode))
		return xstrdup(path);
	fd = path_open_dir(path, &ignored);
	if (fd >= 0) {
		list_weights(fd, false, &names);
		close(fd);
	}
	for (size_t i = 0; i < names.n && !found; i++)
		if (!is_state(names.v[i]))
			found = path_join(path, names.v[i]);
	strv_release(&names);
	return found;
}

size_t adopt_same_weights(struct adopt *adopt, size_t self, const char *path, char **checkpoint)
{
	char *file = weights_at(path);
	size_t found = ADOPT_NONE;

	*checkpoint = NULL;
	for (size_t i = 0; file && i < adopt->n; i++) {
		char *name;

		if (i == self || adopt->models[i].state == ADOPT_LEFT)
			continue;
		name = find_in_model(adopt, i, file);
		if (name &&
		    found !=
			    ADOPT_NONE) { /* two have them: which of them it was, nobody can tell */
			free(name);
			free(*checkpoint);
			*checkpoint = NULL;
			found = ADOPT_NONE;
			break;
		}
		if (name) {
			*checkpoint = name;
			found = i;
		}
	}
	free(file);
	return found;
}
