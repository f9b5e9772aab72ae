/*
 * turns - run commands by turns and print the median wall time of each, in milliseconds.
 *
 *	turns RUNS RESET COMMAND... :: COMMAND... :: ...
 *
 * Turns, because a busy machine then slows all of them alike; output goes to /dev/null. RESET is a
 * shell command that comes before each round, untimed; ":" for none. One line for each command:
 * the median, the minimum, the largest memory (KiB) of its runs, and the median of the processor time
 * that it and its children took, which other work on the machine disturbs less.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_COMMANDS 16
#define MAX_RUNS 1000

struct command {
	char **argv;
	double ms[MAX_RUNS];
	double cpu_ms[MAX_RUNS];
	long kib;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double ms_of(const struct timeval *t)
{
	return (double)t->tv_sec * 1e3 + (double)t->tv_usec / 1e3;
}

static void become(char **argv)
{
	int null = open("/dev/null", O_RDWR);

	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	execvp(argv[0], argv);
	_exit(127);
}

static void run(struct command *command, int round)
{
	struct rusage usage;
	double start = now_ms();
	pid_t pid = vfork();
	int status;

	if (pid == 0)
		become(command->argv);
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status != 0) {
		fprintf(stderr, "turns: '%s' failed\n", command->argv[0]);
		exit(1);
	}
	command->ms[round] = now_ms() - start;
	command->cpu_ms[round] = ms_of(&usage.ru_utime) + ms_of(&usage.ru_stime);
	if (usage.ru_maxrss > command->kib)
		command->kib = usage.ru_maxrss;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left;
	double b = *(const double *)right;

	return a < b ? -1 : a > b;
}

/* Cut the arguments at each "::". */
static int split(char **argv, struct command *commands)
{
	int n = 0;

	while (*argv && n < MAX_COMMANDS) {
		commands[n++].argv = argv;
		while (*argv && strcmp(*argv, "::") != 0)
			argv++;
		if (*argv)
			*argv++ = NULL;
	}
	return n;
}

int main(int argc, char **argv)
{
	static struct command commands[MAX_COMMANDS];
	int runs = argc > 3 ? atoi(argv[1]) : 0;
	int n = argc > 3 ? split(argv + 3, commands) : 0;

	if (runs < 1 || runs > MAX_RUNS || n < 1)
		return 2;
	for (int round = -1; round < runs; round++) { /* the first round warms the caches */
		if (system(argv[2]) != 0)
			return 1;
		for (int i = 0; i < n; i++) /* each goes first in its turn */
			run(&commands[(i + round + n) % n], round < 0 ? 0 : round);
	}
	for (int i = 0; i < n; i++) {
		qsort(commands[i].ms, (size_t)runs, sizeof(double), compare);
		qsort(commands[i].cpu_ms, (size_t)runs, sizeof(double), compare);
		printf("%.3f %.3f %ld %.3f\n", commands[i].ms[runs / 2], commands[i].ms[0],
		       commands[i].kib, commands[i].cpu_ms[runs / 2]);
	}
	return 0;
}
