/* tokenize FILE RUNS: the median speed of sys/json over FILE, in MB/s. */
#include "base/base.h"

#include "base/str.h"
#include "sys/file.h"
#include "sys/json.h"

#include <time.h>

#define MAX_RUNS 1000

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left;
	double b = *(const double *)right;

	return a < b ? -1 : a > b;
}

int main(int argc, char **argv)
{
	static double seconds[MAX_RUNS];
	struct str text = STR_INIT;
	struct err err = ERR_INIT;
	int runs = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 0;

	if (runs < 1 || runs > MAX_RUNS || file_read_path(argv[1], JSON_MAX_LEN, &text, &err) < 0)
		return 2;
	for (int i = 0; i < runs; i++) {
		struct json doc = JSON_INIT;
		double start = now_s();

		if (json_parse(&doc, argv[1], text.buf, text.len, JSON_STRICT, &err) < 0)
			return 1;
		json_release(&doc);
		seconds[i] = now_s() - start;
	}
	qsort(seconds, (size_t)runs, sizeof(double), compare);
	printf("%.0f\n", (double)text.len / 1e6 / seconds[runs / 2]);
	str_release(&text);
	return 0;
}
