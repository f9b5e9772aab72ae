#include "base/base.h"

#include "model/run_text.h"

#include "base/mem.h"
#include "sys/json.h"

#include <math.h>

#define SCHEMA "thhost.run/1"

static const char *const state_words[] = {
	[RUN_STARTING] = "starting",	 [RUN_RUNNING] = "running",
	[RUN_RECORDED] = "recorded",	 [RUN_SPOOLED] = "spooled",
	[RUN_UNRECORDED] = "unrecorded", [RUN_COMPLETED] = "completed",
	[RUN_FAILED] = "failed",	 [RUN_INTERRUPTED] = "interrupted",
};

/* Members by kind: what they are called and where they live. */
struct member {
	const char *key;
	size_t offset;
};

#define MEMBER(name)                              \
	{                                         \
#name, offsetof(struct run, name) \
	}

static const struct member names[] = {
	MEMBER(stage), MEMBER(dataset), MEMBER(exp),	MEMBER(cwd),
	MEMBER(host),  MEMBER(boot_id), MEMBER(job_id),
};
static const struct member process_ids[] = {
	MEMBER(pid), MEMBER(pid_start), MEMBER(child_pid), MEMBER(child_start), MEMBER(pid_ns),
};
static const struct member times[] = { MEMBER(start_time), MEMBER(end_time) };
static const struct member origins[] = { MEMBER(base_model), MEMBER(init_from), MEMBER(log),
					 MEMBER(trouble) };
/* Printed only where they are known. */
static const struct member digests[] = { MEMBER(base_model_digest), MEMBER(dataset_digest) };
static const struct member values[] = { MEMBER(last_metrics), MEMBER(parents),	       MEMBER(git),
					MEMBER(environment),  MEMBER(usage),	       MEMBER(said),
					MEMBER(entry),	      MEMBER(earlier_attempts) };

static char **string_at(struct run *run, const struct member *member)
{
	return (char **)(void *)((char *)run + member->offset);
}

static const char *string_of(const struct run *run, const struct member *member)
{
	return *(char *const *)(const void *)((const char *)run + member->offset);
}

/* int64_t and uint64_t alike: neither pids nor ticks since boot come near the sign. */
static int64_t *number_at(struct run *run, const struct member *member)
{
	return (int64_t *)(void *)((char *)run + member->offset);
}

static int64_t number_of(const struct run *run, const struct member *member)
{
	return *(const int64_t *)(const void *)((const char *)run + member->offset);
}

/* ---- life ---- */

void run_init(struct run *run)
{
	*run = (struct run){ .exit_code = -1, .last_step = -1, .last_epoch = (double)NAN };
}

static void release_strings(struct run *run, const struct member *members, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(*string_at(run, &members[i]));
}

void run_release(struct run *run)
{
	release_strings(run, names, ARRAY_SIZE(names));
	release_strings(run, times, ARRAY_SIZE(times));
	release_strings(run, origins, ARRAY_SIZE(origins));
	release_strings(run, digests, ARRAY_SIZE(digests));
	release_strings(run, values, ARRAY_SIZE(values));
	strv_release(&run->command);
	run_init(run);
}

const char *run_state_word(enum run_state state)
{
	return state_words[state];
}

bool run_has_ended(const struct run *run)
{
	return run->state != RUN_STARTING && run->state != RUN_RUNNING;
}

/* ---- printing ---- */

static void print_strings(const struct run *run, const struct member *members, size_t n,
			  struct jsonw *w)
{
	for (size_t i = 0; i < n; i++)
		jsonw_pair_string(w, members[i].key, string_of(run, &members[i]));
}

static void print_int_or_null(struct jsonw *w, const char *key, int64_t value, int64_t none)
{
	if (value != none) {
		jsonw_pair_int(w, key, value);
		return;
	}
	jsonw_key(w, key);
	jsonw_null(w);
}

static void print_command(const struct run *run, struct jsonw *w)
{
	jsonw_key(w, "command");
	jsonw_array(w);
	for (size_t i = 0; i < run->command.n; i++)
		jsonw_string(w, run->command.v[i]);
	jsonw_end(w);
}

static void print_end(const struct run *run, struct jsonw *w)
{
	print_int_or_null(w, "wall_ms", run->wall_ms, 0);
	print_int_or_null(w, "exit_code", run->exit_code, -1);
	print_int_or_null(w, "signal", run->signal, 0);
	print_int_or_null(w, "last_step", run->last_step, -1);
	jsonw_key(w, "last_epoch");
	jsonw_real(w, run->last_epoch);
}

void run_print(const struct run *run, struct str *out, int indent)
{
	struct jsonw w = jsonw_begin(out, indent);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", SCHEMA);
	jsonw_pair_string(&w, "run_id", run->run_id);
	jsonw_pair_string(&w, "state", run_state_word(run->state));
	print_strings(run, names, ARRAY_SIZE(names), &w);
	print_command(run, &w);
	for (size_t i = 0; i < ARRAY_SIZE(process_ids); i++)
		print_int_or_null(&w, process_ids[i].key, number_of(run, &process_ids[i]), 0);
	if (run->restarts)
		jsonw_pair_int(&w, "restarts", run->restarts);
	print_strings(run, times, ARRAY_SIZE(times), &w);
	print_end(run, &w);
	print_strings(run, origins, ARRAY_SIZE(origins), &w);
	for (size_t i = 0; i < ARRAY_SIZE(digests); i++)
		if (string_of(run, &digests[i]))
			jsonw_pair_string(&w, digests[i].key, string_of(run, &digests[i]));
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		if (string_of(run, &values[i]))
			jsonw_pair_raw(&w, values[i].key, string_of(run, &values[i]));
	jsonw_end(&w);
}

/* ---- parsing ---- */

static void parse_strings(const struct json *doc, const struct member *members, size_t n,
			  struct run *out)
{
	for (size_t i = 0; i < n; i++)
		*string_at(out, &members[i]) =
			json_string_copy(doc, json_member(doc, 0, members[i].key));
}

static void parse_values(const struct json *doc, struct run *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		size_t token = json_member(doc, 0, values[i].key);

		if (json_is(doc, token, JSON_OBJECT) || json_is(doc, token, JSON_ARRAY))
			*string_at(out, &values[i]) = json_raw_copy(doc, token);
	}
}

static int64_t parse_int(const struct json *doc, const char *key, int64_t none)
{
	int64_t value;

	return json_int64(doc, json_member(doc, 0, key), &value) < 0 ? none : value;
}

static void parse_numbers(const struct json *doc, struct run *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(process_ids); i++)
		*number_at(out, &process_ids[i]) = parse_int(doc, process_ids[i].key, 0);
	out->restarts = parse_int(doc, "restarts", 0);
	out->wall_ms = parse_int(doc, "wall_ms", 0);
	out->exit_code = (int)parse_int(doc, "exit_code", -1);
	out->signal = (int)parse_int(doc, "signal", 0);
	out->last_step = parse_int(doc, "last_step", -1);
	if (json_real(doc, json_member(doc, 0, "last_epoch"), &out->last_epoch) < 0)
		out->last_epoch = (double)NAN;
}

static void parse_command(const struct json *doc, struct run *out)
{
	size_t list = json_member(doc, 0, "command");

	if (!json_is(doc, list, JSON_ARRAY))
		return;
	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i))
		if (json_is(doc, i, JSON_STRING))
			strv_push_take(&out->command, json_string_copy(doc, i));
}

static int parse_state(const struct json *doc, const char *name, struct run *out, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(state_words); i++)
		if (json_string_is(doc, json_member(doc, 0, "state"), state_words[i])) {
			out->state = (enum run_state)i;
			return 0;
		}
	return err_set(err, ERR_INVALID, "%s: 'state' is missing or unknown", name);
}

static int parse_identity(const struct json *doc, const char *name, struct run *out,
			  struct err *err)
{
	char *id = json_string_copy(doc, json_member(doc, 0, "run_id"));
	bool valid = id && id_is_valid(id);

	if (valid)
		snprintf(out->run_id, sizeof(out->run_id), "%s", id);
	free(id);
	if (!valid || !json_string_is(doc, json_member(doc, 0, "schema"), SCHEMA))
		return err_set(err, ERR_INVALID, "%s: not a run (%s)", name, SCHEMA);
	return 0;
}

int run_parse(const char *name, const char *text, size_t len, struct run *out, struct err *err)
{
	struct json doc = JSON_INIT;
	int result = -1;

	if (json_parse(&doc, name, text, len, JSON_STRICT, err) == 0 &&
	    parse_identity(&doc, name, out, err) == 0 && parse_state(&doc, name, out, err) == 0) {
		parse_strings(&doc, names, ARRAY_SIZE(names), out);
		parse_strings(&doc, times, ARRAY_SIZE(times), out);
		parse_strings(&doc, origins, ARRAY_SIZE(origins), out);
		parse_strings(&doc, digests, ARRAY_SIZE(digests), out);
		parse_values(&doc, out);
		parse_command(&doc, out);
		parse_numbers(&doc, out);
		result = 0;
	}
	json_release(&doc);
	return result;
}
