/*
 * batch_parts - what the files that read a batch share. Nobody else includes this.
 *
 * batch_file.c reads sections, batch_expand.c makes jobs of them, batch_fill.c puts values in the
 * place of their names.
 */
#ifndef MODEL_BATCH_PARTS_H
#define MODEL_BATCH_PARTS_H
#include "model/batch.h"

struct batch_section {
	char *name;
	bool is_matrix;
	char *file;
	size_t line;
	struct batch_settings settings;
};

/* "seed" is a parameter like others. */
const char *batch_canonical_key(const char *key);

/* Make the jobs of one section. */
int batch_expand(struct batch *batch, const struct batch_settings *defaults,
		 const struct batch_section *section, struct err *err);

/*
 * 'text' with {dataset}, {stage}, {exp}, {seed}, {param.NAME}, {job} filled in from the job's settings,
 * into 'out'; "{{" becomes a brace. ERR_INVALID, without the place, for one that is unknown or not set.
 */
int batch_fill(const struct batch_job *job, const char *text, struct str *out, struct err *err);

#endif
