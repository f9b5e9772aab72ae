/*
 * id - UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then random bits.
 * Sorts by time of making, so a directory of runs lists in order.
 */
#ifndef BASE_ID_H
#define BASE_ID_H
#include "base/err.h"

#define ID_TEXT_SIZE 37

/* A fresh id. ERR_INTERNAL where the kernel gives no random bytes. */
int id_make(char out[ID_TEXT_SIZE], struct err *err);

bool id_is_valid(const char *text);

/* 16 random hex digits and a NUL, for the names of temporary files. */
int id_random_hex(char out[17], struct err *err);

#endif
