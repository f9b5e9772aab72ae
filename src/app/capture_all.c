#include "base/base.h"

#include "app/capture_all.h"

#include "base/err.h"
#include "capture/environment.h"
#include "capture/git.h"
#include "capture/secrets.h"
#include "sys/json.h"

static void add_command(struct str *out, char *const *argv, const struct strv *mask)
{
	struct strv masked = STRV_INIT;
	struct jsonw w = jsonw_begin(out, 0);

	secrets_mask_argv(argv, mask, &masked);
	jsonw_array(&w);
	for (size_t i = 0; i < masked.n; i++)
		jsonw_string(&w, masked.v[i]);
	jsonw_end(&w);
	strv_release(&masked);
}

void capture_all(struct capture_texts *texts, const struct conf *conf, char *const *argv,
		 const char *cwd)
{
	struct strv allow = STRV_INIT;
	struct strv mask = STRV_INIT;
	const struct capture_options options = {
		.argv = argv,
		.allow = &allow,
		.mask = &mask,
		.with_gpu = conf_bool(conf, "record.capture_gpu"),
	};

	conf_list(conf, "record.env_allow", &allow);
	conf_list(conf, "record.mask", &mask);
	if (conf_bool(conf, "record.capture_git"))
		capture_git(cwd, &texts->git, &texts->notes);
	if (conf_bool(conf, "record.capture_environment"))
		capture_environment(&texts->environment, &texts->notes, &options);
	if (argv)
		add_command(&texts->command, argv, &mask);
	strv_release(&allow);
	strv_release(&mask);
}

void capture_texts_release(struct capture_texts *texts)
{
	str_release(&texts->git);
	str_release(&texts->environment);
	str_release(&texts->command);
	strv_release(&texts->notes);
}
