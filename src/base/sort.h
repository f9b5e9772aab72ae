/*
 * sort - in place, in no memory of its own, and without a system call.
 *
 * For what runs in a worker: qsort() asks the kernel how much memory there is
 * before it sorts more than a kilobyte, and that is more than a worker may ask.
 */
#ifndef BASE_SORT_H
#define BASE_SORT_H
#include "base/base.h"

/* Shell's way, some n^1.3 comparisons; equal elements may change places. 'size' is at most
 * SORT_MAX_SIZE. */
#define SORT_MAX_SIZE 64
void sort_array(void *base, size_t n, size_t size, int (*compare)(const void *, const void *));

#endif
