/*
 * oom_lua - in a plugin worker of the test program, Lua's own allocations fail.
 *
 * Where the plan says OOM_LUA, a worker does its whole work over and over in one process, once with
 * each allocation of Lua failing and once with all from that one on until the step under way has
 * ended. After each: the step has failed with a message that names the plugin and what was short, or
 * has given the same as ever; the same step, done again in the same state, gives the same as ever;
 * and when all is given back nothing has leaked. What is wrong goes to PROGRAM.flaws, the reports of
 * the sanitizers to PROGRAM.asan.PID. Linked with -Wl,--wrap=worker_main.
 */
#include "base/base.h"

#include "script/confine.h"

/* The worker's own reading of its request, unconfined: the sanitizers need the world. */
#define worker_main worker_main_again
#define confine_self(limits, active, missing, err) \
	((void)(limits), (void)(active), (void)(missing), (void)(err), 0)
#include "script/worker.c"
#undef worker_main

#include "oom.h"

#include <fcntl.h>
#include <limits.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#include <sys/mman.h>

/* Looking for leaks takes longer than a shot. */
#define SHOTS_A_LOOK 100

#define MAX_FLAWS 50

int __real_worker_main(int argc, char **argv);
int __wrap_worker_main(int argc, char **argv);

/* Between Lua and limited_alloc(). */
static struct {
	lua_Alloc alloc;
	void *ud;
	size_t n;
	size_t fail_at; /* 0: none */
	bool for_ever;
	bool has_failed;
} gate;

static FILE *flaws;
static int n_flaws;

static void *gated_alloc(void *ud, void *ptr, size_t osize, size_t nsize)
{
	/* Lua relies on it: making a block smaller does not fail. */
	bool grows = nsize > (ptr ? osize : 0);

	(void)ud;
	if (grows && ++gate.n >= gate.fail_at && gate.fail_at &&
	    (gate.for_ever || gate.n == gate.fail_at)) {
		gate.has_failed = true;
		return NULL;
	}
	return gate.alloc(gate.ud, ptr, osize, nsize);
}

/* ---- one life of a worker ---- */

static void arm(size_t fail_at, bool for_ever)
{
	gate.n = 0;
	gate.fail_at = fail_at;
	gate.for_ever = for_ever;
	gate.has_failed = false;
}

static void begin_life(struct worker *w, int request)
{
	struct err err = ERR_INIT;

	memset(w, 0, sizeof(*w));
	str_init(&w->text);
	str_init(&w->calls.plan);
	str_init(&w->calls.result);
	str_init(&w->calls.hyperparams);
	str_init(&w->calls.issues);
	str_init(&w->calls.scratch);
	lseek(request, 0, SEEK_SET);
	if (dup2(request, STDIN_FILENO) < 0 || prepare(w, &err) < 0) {
		fprintf(flaws, "cannot prepare: %s\n", err.msg);
		_exit(1);
	}
	gate.alloc = lua_getallocf(w->calls.state.L, &gate.ud);
	lua_setallocf(w->calls.state.L, gated_alloc, NULL);
}

static void free_inputs(struct api *api)
{
	for (size_t i = 0; i < api->n_inputs; i++) {
		for (size_t k = 0; k < api->inputs[i].n; k++) {
			free(api->inputs[i].files[k].name);
			free(api->inputs[i].files[k].mtime);
			free(api->inputs[i].files[k].why);
		}
		free(api->inputs[i].files);
		free(api->inputs[i].name);
	}
	free(api->inputs);
}

/* What a worker leaves to the end of its process. */
static void end_life(struct worker *w)
{
	struct calls *c = &w->calls;
	struct str *texts[] = { &w->text,   &c->plan,	 &c->result,	   &c->hyperparams,
				&c->issues, &c->scratch, &c->state.raised, &c->state.hint };
	char *strings[] = { c->api.stage, c->api.dataset,  c->api.exp,
			    c->api.now,	  c->api.dir_name, c->contract.stage };
	struct strv *lists[] = { &c->api.argv, &c->api.config_keys, &c->api.config_values,
				 &c->api.infos, &c->api.warnings };

	gate.fail_at = 0;
	lua_close(c->state.L);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		str_release(texts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		free(strings[i]);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_release(lists[i]);
	for (int i = 0; i < c->contract.n; i++) {
		free(c->contract.plugins[i].kind);
		free(c->contract.plugins[i].name);
		free(c->contract.plugins[i].path);
	}
	for (size_t i = 0; i < c->state.n_sources; i++) {
		free((void *)(uintptr_t)c->state.sources[i].module);
		free((void *)(uintptr_t)c->state.sources[i].path);
		str_release(c->state.sources[i].code);
		free(c->state.sources[i].code);
	}
	free(c->state.sources);
	free_inputs(&c->api);
	json_release(&w->doc);
}

/* ---- the steps ---- */

static const struct step {
	const char *name;
	int (*run)(struct calls *c, struct err *err);
	size_t text;	  /* offset of what it gives in struct calls; 0: nothing */
	bool is_for_call; /* else for a description */
	bool is_for_both;
	bool once; /* a second time in one state makes no sense */
} steps[] = {
	{ .name = "load", .run = calls_load, .is_for_both = true, .once = true },
	{ .name = "describe", .run = calls_describe, .text = offsetof(struct calls, plan) },
	{ .name = "extract",
	  .run = calls_extract,
	  .text = offsetof(struct calls, result),
	  .is_for_call = true },
	{ .name = "hyperparams",
	  .run = calls_hyperparams,
	  .text = offsetof(struct calls, hyperparams),
	  .is_for_call = true },
	{ .name = "validate",
	  .run = calls_validate,
	  .text = offsetof(struct calls, issues),
	  .is_for_call = true },
};

static struct str *text_of_step(struct calls *c, const struct step *step)
{
	return (struct str *)(void *)((char *)c + step->text);
}

static bool is_wanted(const struct worker *w, const struct step *step)
{
	bool is_call = json_string_is(&w->doc, json_member(&w->doc, 0, "op"), "call");

	if (!is_call && step->run == calls_validate)
		return w->calls.entry != JSON_NONE;
	return step->is_for_both || step->is_for_call == is_call;
}

/* What each step gives, and how many allocations it makes, when nothing fails. */
static struct {
	struct str text;
	size_t allocations;
} usual[ARRAY_SIZE(steps)];

static void learn(int request)
{
	struct worker w;

	begin_life(&w, request);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct err err = ERR_INIT;

		str_init(&usual[i].text);
		if (!is_wanted(&w, &steps[i]))
			continue;
		arm(0, false);
		if (steps[i].run(&w.calls, &err) < 0)
			fprintf(flaws, "%s fails anyway: %s\n", steps[i].name, err.msg);
		usual[i].allocations = gate.n;
		if (steps[i].text)
			str_sets(&usual[i].text, text_of_step(&w.calls, &steps[i])->buf);
	}
	end_life(&w);
}

static void note_flaw(size_t i, size_t fail_at, bool for_ever, const char *what, const char *more)
{
	if (n_flaws++ < MAX_FLAWS)
		fprintf(flaws, "%s, allocation %zu of %zu%s: %s: %s\n", steps[i].name, fail_at,
			usual[i].allocations, for_ever ? " and all after it" : "", what, more);
}

static bool is_as_usual(struct calls *c, size_t i)
{
	return !steps[i].text || strcmp(text_of_step(c, &steps[i])->buf, usual[i].text.buf) == 0;
}

/* Step 'target' with an allocation that fails, the others as always. */
static void shoot(int request, size_t target, size_t fail_at, bool for_ever)
{
	struct worker w;
	int result = 0;

	begin_life(&w, request);
	for (size_t i = 0; i <= target && result == 0; i++) {
		struct err err = ERR_INIT;

		if (!is_wanted(&w, &steps[i]))
			continue;
		arm(i == target ? fail_at : 0, for_ever);
		result = steps[i].run(&w.calls, &err);
		if (result == 0 && !is_as_usual(&w.calls, i))
			note_flaw(i, fail_at, for_ever, "gave something else",
				  text_of_step(&w.calls, &steps[i])->buf);
		if (result < 0 && (err.code != ERR_PLUGIN || !strstr(err.msg, "plugin '") ||
				   !strstr(err.msg, "memory")))
			note_flaw(i, fail_at, for_ever, "a poor message", err.msg);
		if (i == target && gate.has_failed)
			__atomic_add_fetch(&oom_plan->failed, 1, __ATOMIC_RELAXED);
	}
	if (result < 0 && !steps[target].once) {
		struct err err = ERR_INIT;

		arm(0, false);
		str_clear(text_of_step(&w.calls, &steps[target]));
		if (steps[target].run(&w.calls, &err) < 0)
			note_flaw(target, fail_at, for_ever, "fails ever after", err.msg);
		else if (!is_as_usual(&w.calls, target))
			note_flaw(target, fail_at, for_ever, "gives something else ever after",
				  text_of_step(&w.calls, &steps[target])->buf);
	}
	end_life(&w);
}

/* lua-cjson's decoder does not expect Lua to raise: the buffer goes with the process, which is capped. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_new\n";
}

const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}

static void look_for_leaks(const char *after, size_t fail_at)
{
	if (__lsan_do_recoverable_leak_check() && n_flaws++ < MAX_FLAWS)
		fprintf(flaws, "a leak, noticed after %s, allocation %zu\n", after, fail_at);
}

static void sweep(int request)
{
	size_t every = oom_plan->fail_at > 0 ? (size_t)oom_plan->fail_at : 1;
	size_t shots = 0;

	learn(request);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		for (size_t n = 1; n <= usual[i].allocations; n += every) {
			shoot(request, i, n, false);
			shoot(request, i, n, true);
			if (++shots % SHOTS_A_LOOK == 0)
				look_for_leaks(steps[i].name, n);
		}
		look_for_leaks(steps[i].name, usual[i].allocations);
	}
}

/* ---- the request, kept to be read many times ---- */

static int keep_request(void)
{
	int fd = memfd_create("request", MFD_CLOEXEC);
	char block[READ_SIZE];
	ssize_t n;

	while ((n = read(STDIN_FILENO, block, sizeof(block))) > 0)
		if (write(fd, block, (size_t)n) != n)
			_exit(1);
	return fd;
}

int __wrap_worker_main(int argc, char **argv)
{
	char path[PATH_MAX + 16];
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX);
	int request;

	if (!oom_plan || oom_plan->role != OOM_LUA || argc > 2 || len < 0)
		return __real_worker_main(argc, argv);
	snprintf(path + len, 16, ".asan");
	__sanitizer_set_report_path(path);
	snprintf(path + len, 16, ".flaws");
	flaws = fopen(path, "ae");
	request = keep_request();
	sweep(request);
	fclose(flaws);
	lseek(request, 0, SEEK_SET);
	dup2(request, STDIN_FILENO);
	return __real_worker_main(argc, argv);
}
