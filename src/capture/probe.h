/*
 * probe - small files of the system, read without fuss.
 *
 * THHOST_TEST_SYSROOT names a directory that stands for "/" in tests.
 */
#ifndef CAPTURE_PROBE_H
#define CAPTURE_PROBE_H
#include "base/str.h"

/* Where an absolute path of the system lies, fresh memory. */
char *probe_path(const char *path);

bool probe_exists(const char *path);

/* The first 64 KiB of a file, cut at a NUL; false (and empty) if there is none. */
bool probe_read(const char *path, struct str *out);

/* The value behind "KEY<separator>" at the start of a line, trimmed and without quotes. */
bool probe_value(const struct str *text, const char *key, char separator, struct str *out);

/* Milliseconds that a helper may take; THHOST_TEST_DEADLINE_MS replaces them in tests. */
int probe_deadline(int ms);

#endif
