/*
 * opt - options of a verb, by getopt_long.
 *
 *	struct options options = OPTIONS_INIT;
 *	if (options_parse(&options, specs, argc, argv, &err) < 0) ...
 *	const char *dataset = option_value(&options, "dataset");
 *
 * Long names must be written out (glibc would take abbreviations, which break
 * scripts when an option is added). Everything after "--" is the command and is
 * not looked at. An unknown option suggests the nearest known one.
 */
#ifndef CLI_OPT_H
#define CLI_OPT_H
#include "base/err.h"
#include "base/str.h"

struct option_spec {
	const char *name;     /* without dashes; NULL ends the table */
	char letter;	      /* short form, or 0 */
	const char *argument; /* "FILE": takes a value; NULL: a switch */
	const char *help;     /* one line */
};

struct option_use {
	const struct option_spec *spec;
	const char *value; /* borrowed from argv; NULL for a switch */
};

struct options {
	struct option_use *v;
	size_t n;
	struct strv operands;
	char **command; /* what follows "--", NULL if there is no "--"; borrowed from argv */
	size_t command_len;
};

#define OPTIONS_INIT                                                                        \
	{                                                                                   \
		.v = NULL, .n = 0, .operands = STRV_INIT, .command = NULL, .command_len = 0 \
	}

/* Parse argv[1..]; 'common' options are known to every verb. ERR_USAGE. */
int options_parse(struct options *options, const struct option_spec *specs,
		  const struct option_spec *common, int argc, char **argv, struct err *err);
void options_release(struct options *options);

bool option_given(const struct options *options, const char *name);

/* The last value given for 'name', or NULL. */
const char *option_value(const struct options *options, const char *name);

/* The next value of a repeatable option at or after *position (start at 0), or NULL. */
const char *option_each(const struct options *options, const char *name, size_t *position);

/* A whole number within the limits. 0 and 'out' untouched if the option was not given; ERR_USAGE. */
int option_integer(const struct options *options, const char *name, int64_t min, int64_t max,
		   int64_t *out, struct err *err);

#endif
