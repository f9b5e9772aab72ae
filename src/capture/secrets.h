/*
 * secrets - what must not get into a record.
 *
 * Arguments and environment variables are kept with the run; a key among them
 * would be published with the first rsync. Two rules: the name of a flag or
 * variable matches a pattern of [record] mask, or the value itself looks like a
 * key of a known service or holds a password in a URL. What is hidden reads "***".
 */
#ifndef CAPTURE_SECRETS_H
#define CAPTURE_SECRETS_H
#include "base/str.h"

/* "--api-key", "WANDB_API_KEY", "logger.token": does the name match? Case and '-' do not count. */
bool secrets_is_name(const char *name, const struct strv *patterns);

/* 'argv' with secrets hidden, appended to 'out'. */
void secrets_mask_argv(char *const *argv, const struct strv *patterns, struct strv *out);

/* The value of a variable, appended to 'out'. */
void secrets_mask_value(const char *name, const char *value, const struct strv *patterns,
			struct str *out);

/* Any text: known keys, bearer tokens and credentials in URLs hidden; appended to 'out'. */
void secrets_mask_text(const char *text, struct str *out);

#endif
