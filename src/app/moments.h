/*
 * moments - mean and standard deviation of numbers that come one by one.
 */
#ifndef APP_MOMENTS_H
#define APP_MOMENTS_H
#include "base/base.h"

struct moments {
	size_t n;
	double mean;
	double spread; /* sum of the squared distances from the mean */
};

/* 'value' must be finite. */
void moments_add(struct moments *moments, double value);

/* The sample standard deviation; NAN for fewer than two. */
double moments_deviation(const struct moments *moments);

#endif
