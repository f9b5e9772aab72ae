/* thhost.ini: all that is asked of a configuration that loads. */
#include "base/base.h"

#include "fuzz.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "model/conf.h"
#include "sys/file.h"

static const uint8_t *input;
static size_t input_size;

int __wrap_file_read_path(const char *path, size_t limit, struct str *out, struct err *err);

int __wrap_file_read_path(const char *path, size_t limit UNUSED, struct str *out, struct err *err)
{
	str_clear(out);
	if (strcmp(path, "/c/thhost.ini") != 0)
		return err_set(err, ERR_NOT_FOUND, "no '%s'", path);
	str_add(out, (const char *)input, input_size);
	return 0;
}

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
	return setenv("XDG_CONFIG_HOME", "/nowhere", 1) + setenv("HOME", "/nowhere", 1);
}

static void check_known(const struct conf *conf, const struct conf_key *key)
{
	char *name = xstrf("%s.%s", key->section, key->key);
	const char *value = conf_get(conf, name);
	struct strv list = STRV_INIT;
	struct err err = ERR_INIT;

	CHECK(value && utf8_is_valid(value, strlen(value)));
	CHECK(conf_check_value(key, value, &err) == 0);
	if (key->kind == CONF_PATHS)
		conf_paths(conf, name, &list);
	if (key->kind == CONF_LIST)
		conf_list(conf, name, &list);
	if (key->kind == CONF_INT)
		CHECK(conf_int(conf, name) >= key->min && conf_int(conf, name) <= key->max);
	if (key->kind == CONF_BOOL)
		conf_bool(conf, name);
	if (key->kind == CONF_PATH)
		free(conf_path(conf, name));
	strv_release(&list);
	free(name);
}

static void check_stages(const struct conf *conf)
{
	struct strv keys = STRV_INIT;
	struct strv values = STRV_INIT;
	struct strv words = STRV_INIT;
	struct err err = ERR_INIT;
	const char *command = conf_stage(conf, "s", "d", "command");

	conf_stage_all(conf, "s", "d", &keys, &values);
	CHECK(keys.n == values.n);
	if (command && conf_split_command(command, &words, &err) == 0)
		CHECK(words.n == 0 || words.v[words.n] == NULL);
	strv_release(&keys);
	strv_release(&values);
	strv_release(&words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf conf = { .n = 0 };
	struct err err = ERR_INIT;
	size_t n;
	const struct conf_key *keys = conf_keys(&n);

	input = data;
	input_size = size;
	if (conf_load(&conf, "/c/thhost.ini", "/c", &err) == 0) {
		for (size_t i = 0; i < n; i++)
			check_known(&conf, &keys[i]);
		check_stages(&conf);
	} else {
		CHECK(err.code == ERR_INVALID && has_prefix(err.msg, "/c/thhost.ini:"));
	}
	conf_release(&conf);
	return 0;
}
