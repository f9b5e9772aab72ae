/*
 * environment - the "environment" of an entry: the machine that a training ran on.
 */
#ifndef CAPTURE_ENVIRONMENT_H
#define CAPTURE_ENVIRONMENT_H
#include "base/str.h"

struct capture_options {
	char *const *argv;	  /* the training's command, for its Python; NULL: none */
	char *const *env;	  /* its environment; NULL: ours */
	const struct strv *allow; /* [record] env_allow */
	const struct strv *mask;  /* [record] mask */
	bool with_gpu;
};

/*
 * {"host","os","kernel","cpu","cpus","memory_bytes","limits","container","gpu":{...},
 * "python":{...},"slurm":{...},"env":{...}}; what is unknown is left out, and 'notes' (for 'doctor')
 * says why. Never fails. Run it once, before the training: it may take seconds where a driver sleeps.
 */
void capture_environment(struct str *json, struct strv *notes, const struct capture_options *o);

#endif
