/* REFs, names and paths over a small tree in $TMPDIR, which the caller removes: nothing leads out. */
#include "base/base.h"

#include "fuzz.h"
#include "base/mem.h"
#include "model/layout.h"
#include "sys/path.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static struct layout layout;
static char root[PATH_MAX];

static void make_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void make_stage(const char *path)
{
	char *record = xstrf("%s/training_info.json", path);

	CHECK(mkdir(path, 0777) == 0);
	make_file(record,
		  "{\"training_history\":[{\"run_id\":\"0199f6a0-7a3c-7c44-9c51-1b2f7f3f2a10\"}]}");
	free(record);
}

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
	static const struct stage_name names[] = { { "stage3", "parent_finder", "pf" } };
	static const struct stage_map map = { names, 1 };
	const char *temp = getenv("TMPDIR");
	char *dir = xstrf("%s/fuzz-ref-XXXXXX", temp ? temp : "/tmp");
	struct err err = ERR_INIT;

	CHECK(mkdtemp(dir) && realpath(dir, root) && chdir(root) == 0);
	free(dir);
	CHECK(mkdir("exp_1", 0777) == 0 && symlink("exp_1", "current") == 0);
	make_stage("exp_1/stage1_d");
	make_stage("exp_1/parent_finder_业务");
	make_stage("exp_1/stage1_d/fold_1");
	make_stage("exp_1/features_d");
	CHECK(symlink("/", "exp_1/out") == 0 && symlink("../../..", "exp_1/up_d") == 0);
	CHECK(layout_open(&layout, root, &map, &err) == 0);
	return 0;
}

static bool is_within(int fd)
{
	char *link = xstrf("/proc/self/fd/%d", fd);
	char real[PATH_MAX];
	ssize_t n = readlink(link, real, sizeof(real) - 1);

	free(link);
	CHECK(n > 0);
	real[n] = '\0';
	return has_prefix(real, root);
}

static void check_resolve(const char *ref)
{
	struct stage_dir dir = STAGE_DIR_INIT;
	struct err err = ERR_INIT;

	if (layout_resolve(&layout, NULL, ref, &dir, &err) == 0)
		CHECK(dir.fd >= 0 && dir.name && dir.ref && dir.path);
	else
		CHECK(err.code != ERR_NONE && err.msg[0]);
	stage_dir_release(&dir);
	dir = (struct stage_dir)STAGE_DIR_INIT;
	if (layout_resolve_recorded(&layout, NULL, ref, &dir, &err) == 0)
		CHECK(is_within(dir.fd));
	stage_dir_release(&dir);
}

static void check_names(const char *text)
{
	struct err err = ERR_INIT;
	char *stage = NULL;
	char *dataset = NULL;
	char *path = path_absolute(text);
	int fd;

	if (path_check_name("dataset", text, &err) == 0)
		CHECK(!strchr(text, '/') && text[0] != '.' && text[0] != '-' &&
		      strlen(text) <= 100);
	if (path_check_relative("path", text, &err) == 0)
		CHECK(text[0] != '/' && text[0] != '.' && !strstr(text, "/."));
	CHECK(path[0] == '/' && !strstr(path, "//") && !strstr(path, "/../") &&
	      !strstr(path, "/./"));
	free(path_relative_to(path, root));
	free(path);
	layout_split_name(&layout, text, &stage, &dataset);
	free(stage);
	free(dataset);
	fd = path_open_beneath(layout.rootfd, text, O_PATH, &err);
	if (fd >= 0) {
		CHECK(is_within(fd));
		close(fd);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);

	check_names(text);
	check_resolve(text);
	free(text);
	return 0;
}
