#include "base/base.h"

#include "app/moments.h"

#include <math.h>

/* Welford's way: no difference of large sums. */
void moments_add(struct moments *moments, double value)
{
	double distance = value - moments->mean;

	moments->n++;
	moments->mean += distance / (double)moments->n;
	moments->spread += distance * (value - moments->mean);
}

double moments_deviation(const struct moments *moments)
{
	return moments->n < 2 ? (double)NAN : sqrt(moments->spread / (double)(moments->n - 1));
}
