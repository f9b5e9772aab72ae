/*
 * packed - values (model/field.h) one after the other in few bytes, for what is kept of many rows.
 *
 *	packed_add(&out, &value);
 *	const char *at = out.buf;
 *	at = packed_read(at, &value);
 *
 * An array or object is kept as its text on one line. What packed_read() gives borrows the bytes: it
 * lasts as long as they do, and is never released.
 */
#ifndef APP_PACKED_H
#define APP_PACKED_H
#include "model/field.h"

void packed_add(struct str *out, const struct value *value);

/* A text, or NULL for an undefined value. */
void packed_add_text(struct str *out, const char *text);

/* The value at 'at'; what comes after it. */
const char *packed_read(const char *at, struct value *out);

/* The same where it is a text: NULL if it is undefined. */
const char *packed_read_text(const char *at, const char **text);

#endif
