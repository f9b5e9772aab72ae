/* A worker's answer, as the host reads it: the plan, the result, the error. No worker runs. */
#include "base/base.h"

#include "fuzz.h"
#include "base/mem.h"
#include "model/info.h"
#include "script/plugin.h"
#include "script/source.h"
#include "script/value.h"
#include "sys/json.h"
#include "sys/path.h"
#include "sys/proc.h"

#include <fcntl.h>

static const uint8_t *input;
static size_t input_size;
static int dirfd;

static char path[] = "/p/stage1.lua";
static char name[] = "stage1";
static char kind[] = "stage";
static struct plugin_file file = { .kind = kind, .name = name, .path = path };
static const struct plugin_set set = {
	.files = &file, .n = 1, .limits = { .load_ms = 500, .call_ms = 2000, .memory = 64 << 20 }
};

int __wrap_proc_capture(const struct proc_request *request, struct proc_answer *answer,
			struct err *err);
int __wrap_sources_add_plugin(struct sources *s, int number, const struct plugin_file *plugin,
			      struct err *err);
void __wrap_log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* The first byte of an input that starts with '!' is the worker's end; what follows its stderr, up to
 * a newline. Other inputs are answers of a worker that ended well. */
int __wrap_proc_capture(const struct proc_request *request UNUSED, struct proc_answer *answer,
			struct err *err UNUSED)
{
	const char *text = (const char *)input;
	size_t size = input_size;
	const char *end = size > 1 && text[0] == '!' ? memchr(text, '\n', size) : NULL;

	if (end) {
		answer->status = (unsigned char)text[1];
		str_add(&answer->errors, text + 2, end > text + 2 ? (size_t)(end - text) - 2 : 0);
		size -= (size_t)(end - text) + 1;
		text = end + 1;
	}
	str_add(&answer->out, text, size);
	return 0;
}

int __wrap_sources_add_plugin(struct sources *s UNUSED, int number UNUSED,
			      const struct plugin_file *plugin UNUSED, struct err *err UNUSED)
{
	return 0;
}

void __wrap_log_warn(const char *fmt UNUSED, ...)
{
}

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
	dirfd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(dirfd >= 0);
	return 0;
}

static void check_json(const char *text, enum json_type type)
{
	struct json doc = JSON_INIT;
	struct err err = ERR_INIT;

	CHECK(!text || json_parse(&doc, "t", text, strlen(text), JSON_NONFINITE_OK, &err) == 0);
	CHECK(!text || json_is(&doc, 0, type));
	json_release(&doc);
}

static void check_plan(void)
{
	struct plugin_plan plan = PLUGIN_PLAN_INIT;
	struct err err = ERR_INIT;

	if (plugin_describe(&set, "stage1", NULL, NULL, &plan, &err) == 0) {
		CHECK(path_check_name("dir", plan.dir, &err) == 0);
		CHECK(plan.version && plan.summary && plan.model_name);
		for (size_t i = 0; i < plan.n_inputs; i++)
			CHECK(plan.inputs[i].name && plan.inputs[i].pattern);
		for (size_t i = 0; i < plan.n_metrics; i++)
			CHECK(plan.metrics[i].name);
		for (size_t i = 0; i < plan.n_rules; i++)
			CHECK(plan.rules[i].find && plan.rules[i].match);
		check_json(plan.issues, JSON_ARRAY);
	} else {
		CHECK(err.code == ERR_PLUGIN && err.msg[0]);
	}
	plugin_plan_release(&plan);
}

/* The same as the answers to several entries, a line for each; what has none is asked alone. */
static void check_plans(void)
{
	char entry[] = "{\"steps\":1}";
	char *const entries[] = { entry, entry, entry };
	struct plugin_plan plans[ARRAY_SIZE(entries)];
	struct err errs[ARRAY_SIZE(entries)];

	plugin_describe_each(&set, "stage1", NULL, entries, ARRAY_SIZE(entries), plans, errs);
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		if (errs[i].code)
			CHECK(errs[i].code == ERR_PLUGIN && errs[i].msg[0] && !plans[i].name);
		else
			CHECK(plans[i].version && plans[i].model_name);
		check_json(plans[i].issues, JSON_ARRAY);
		plugin_plan_release(&plans[i]);
	}
}

/* What came through fits into an entry. */
static void check_result(const struct plugin_result *result)
{
	struct entry entry = ENTRY_INIT;
	struct err err = ERR_INIT;

	entry_init(&entry);
	CHECK(!result->metrics || entry_set_metrics(&entry, result->metrics, &err) == 0);
	CHECK(!result->hyperparams ||
	      entry_set_hyperparams(&entry, result->hyperparams, &err) == 0);
	CHECK(!result->epochs || json_is_number_text(result->epochs, strlen(result->epochs), NULL));
	CHECK(!result->has_steps || (result->steps >= 0 && result->resumed_from <= result->steps));
	CHECK(result->resumed_from >= 0);
	check_json(result->planned, JSON_OBJECT);
	check_json(result->sources, JSON_OBJECT);
	check_json(result->issues, JSON_ARRAY);
	entry_release(&entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct plugin_plan plan = { .stage = name, .name = name, .path = path };
	struct plugin_call call = { .dirfd = dirfd, .dir_name = "stage1_d" };
	struct plugin_result result = PLUGIN_RESULT_INIT;
	struct err err = ERR_INIT;

	input = data;
	input_size = size;
	check_plan();
	check_plans();
	if (plugin_extract(&set, &plan, &call, &result, &err) == 0)
		check_result(&result);
	else
		CHECK(err.code == ERR_PLUGIN && err.msg[0]);
	plugin_result_release(&result);
	return 0;
}
