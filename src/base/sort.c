#include "base/base.h"

#include "base/sort.h"

void sort_array(void *base, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	char *v = base;
	char element[SORT_MAX_SIZE];
	size_t gap = 1;

	while (gap < n / 3)
		gap = 3 * gap + 1;
	for (; gap > 0; gap /= 3)
		for (size_t i = gap; i < n; i++) {
			size_t at = i;

			memcpy(element, v + i * size, size);
			for (; at >= gap && compare(v + (at - gap) * size, element) > 0; at -= gap)
				memcpy(v + at * size, v + (at - gap) * size, size);
			memcpy(v + at * size, element, size);
		}
}
