/*
 * mem - allocation that does not fail.
 *
 * Out of memory ends the process with status 70: an append that stops there has
 * changed nothing, because the record is replaced in one step (sys/file.h). Where
 * that is no longer so, mem_end_as() says what holds instead.
 * Whoever gets a pointer from here frees it with free().
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H
#include "base/base.h"

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *ptr, size_t size);
void *xreallocarray(void *ptr, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);

/* A copy of 's', or NULL for NULL. */
char *xstrdup_or_null(const char *s);

/* 'prefix' + printf-like text in fresh memory. */
char *xstrf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/*
 * From now on out of memory ends with 'status', and 'text' (static) goes behind the message. The
 * first one to say so is right until mem_end_plainly(): false, and no effect, for others.
 */
bool mem_end_as(int status, const char *text);
void mem_end_plainly(void);

#endif
