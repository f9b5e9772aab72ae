/*
 * masked - JSON that a training's files wrote, without the secrets in it.
 *
 * Hyperparameters as other programs keep them may hold a hub's token or a
 * password in an address; see capture/secrets.h for what is hidden.
 */
#ifndef APP_MASKED_H
#define APP_MASKED_H
#include "base/err.h"
#include "model/conf.h"

/* JSON text 'json' into 'out' (appended): secret strings become "***". With 'strict' NaN and Infinity
 * become null; else they stay. ERR_INVALID if it is no JSON. */
int masked_json(const char *json, const struct conf *conf, bool strict, struct str *out,
		struct err *err);

#endif
