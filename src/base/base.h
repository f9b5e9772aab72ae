/*
 * base - what every file of thhost includes first.
 *
 * Feature macros, the few attributes that we use, and the functions that nobody
 * may call here. Includes nothing of ours.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define MUST_CHECK __attribute__((warn_unused_result))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Unbounded copies, hidden static buffers and the locale have no place in a program that guards
 * other people's files: naming one of these does not compile. */
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok
#pragma GCC poison gmtime localtime ctime asctime ctime_r asctime_r tmpnam tempnam mktemp
#pragma GCC poison atoi atol atof system popen

#endif
