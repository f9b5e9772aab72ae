/*
 * each_value - the values of nested objects by their dotted paths.
 */
#ifndef APP_EACH_VALUE_H
#define APP_EACH_VALUE_H
#include "base/str.h"
#include "sys/json.h"

/*
 * Call 'visit' for every value at or below 'token' that is no object, in order, with its path: 'path',
 * then the keys, with dots between ("per_class_f1.title"). An empty object is a value, an array is
 * one. 'path' is as before afterwards.
 */
void each_value(const struct json *doc, size_t token, struct str *path,
		void (*visit)(void *arg, const char *path, size_t token), void *arg);

#endif
