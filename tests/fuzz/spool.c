/*
 * A spooled entry, up to where it would be put into a record: no directory is opened here.
 * Link with --wrap for what is defined below as __wrap_...
 */
#include "base/base.h"

#include "fuzz.h"
#include "model/store.h"
#include "sys/file.h"
#include "sys/path.h"

static const uint8_t *input;
static size_t input_size;
static bool was_understood;

int __wrap_file_read_path(const char *path, size_t limit, struct str *out, struct err *err);
int __wrap_path_open_dir(const char *path, struct err *err);

int __wrap_file_read_path(const char *path UNUSED, size_t limit UNUSED, struct str *out,
			  struct err *err UNUSED)
{
	str_clear(out);
	str_add(out, (const char *)input, input_size);
	return 0;
}

int __wrap_path_open_dir(const char *path, struct err *err)
{
	CHECK(path);
	was_understood = true;
	return err_set(err, ERR_NOT_FOUND, "spooled: no directory");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct info_summary after;
	struct err err = ERR_INIT;

	input = data;
	input_size = size;
	was_understood = false;
	CHECK(store_unspool("spooled", 0, &after, &err) == STORE_UNCHANGED);
	CHECK(err.code == (was_understood ? ERR_NOT_FOUND : ERR_INVALID));
	CHECK(has_prefix(err.msg, "spooled:"));
	return 0;
}
