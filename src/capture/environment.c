#include "base/base.h"

#include "capture/environment.h"

#include "base/mem.h"
#include "capture/gpu.h"
#include "capture/host.h"
#include "capture/python.h"
#include "capture/secrets.h"
#include "sys/json.h"

#include <fnmatch.h>
#include <unistd.h>

static bool is_allowed(const char *name, const struct strv *patterns)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (fnmatch(patterns->v[i], name, 0) == 0)
			return true;
	return false;
}

/* Names of allowed variables, sorted, so that two entries compare line by line. */
static void allowed_names(char *const *env, const struct strv *patterns, struct strv *names)
{
	for (; env && *env; env++) {
		char *name = xstrndup(*env, strcspn(*env, "="));

		if (is_allowed(name, patterns) && !strv_has(names, name))
			strv_push_take(names, name);
		else
			free(name);
	}
	strv_sort(names);
}

static void print_variables(struct jsonw *w, char *const *env, const struct capture_options *o)
{
	static const struct strv none = STRV_INIT;
	struct strv names = STRV_INIT;

	allowed_names(env, o->allow ? o->allow : &none, &names);
	if (names.n) {
		jsonw_key(w, "env");
		jsonw_object(w);
	}
	for (size_t i = 0; i < names.n; i++) {
		const char *value = host_variable(env, names.v[i]);
		struct str masked = STR_INIT;

		secrets_mask_value(names.v[i], value ? value : "", o->mask ? o->mask : &none,
				   &masked);
		jsonw_pair_string(w, names.v[i], masked.buf);
		str_release(&masked);
	}
	if (names.n)
		jsonw_end(w);
	strv_release(&names);
}

void capture_environment(struct str *json, struct strv *notes, const struct capture_options *o)
{
	char *const *env = o->env ? o->env : environ;
	struct str part = STR_INIT;
	struct jsonw w;

	str_clear(json);
	w = jsonw_begin(json, 0);
	jsonw_object(&w);
	host_print(&w, notes);
	if (o->with_gpu)
		capture_gpu(&part, notes);
	if (part.len)
		jsonw_pair_raw(&w, "gpu", part.buf);
	str_clear(&part);
	if (o->argv)
		capture_python(o->argv, &part, notes);
	if (part.len)
		jsonw_pair_raw(&w, "python", part.buf);
	host_print_slurm(&w, env);
	print_variables(&w, env, o);
	jsonw_end(&w);
	str_release(&part);
}
