/*
 * run_command - the training's argv and environment.
 */
#ifndef APP_RUN_COMMAND_H
#define APP_RUN_COMMAND_H
#include "app/record.h"

/*
 * The command: 'given', else "command" of the stage's configuration, else what the plugin declares;
 * in the latter two, and with 'fill_given' in the first, {stage} {dataset} {stage_dir} {exp_dir}
 * {base_model} are filled in, each within one argument (no shell). ERR_USAGE if there is none or a
 * placeholder is unknown or has no value.
 */
int run_command(const struct draft *draft, const struct session *session, char *const *given,
		bool fill_given, struct strv *argv, struct err *err);

/* The child's environment: ours and what thhost adds ('added' gets those alone). */
void run_environment(const struct draft *draft, const char *run_id, const char *events_path,
		     bool is_piped, struct strv *env, struct strv *added);

#endif
