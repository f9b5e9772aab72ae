/*
 * run_text - a run's file back into a struct run; its printer is run_print().
 *
 * For model/journal only. Keys that are absent or of another type stay unset: a
 * newer thhost may have written the file.
 */
#ifndef MODEL_RUN_TEXT_H
#define MODEL_RUN_TEXT_H
#include "model/journal.h"

/* 'out' is initialised; the caller releases it in any case. ERR_INVALID. */
int run_parse(const char *name, const char *text, size_t len, struct run *out, struct err *err);

#endif
