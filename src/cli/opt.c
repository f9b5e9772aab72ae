#include "base/base.h"

#include "cli/opt.h"

#include "base/mem.h"

#include <errno.h>
#include <getopt.h>

#define OPERAND 1 /* what getopt_long() calls an operand where letters begin with '-' */

struct table {
	const struct option_spec **specs;
	struct option *longs;
	struct str letters;
	size_t n;
};

static void table_add(struct table *table, const struct option_spec *specs)
{
	for (; specs && specs->name; specs++) {
		struct option *entry;

		table->specs = xreallocarray(table->specs, table->n + 1, sizeof(*table->specs));
		table->longs = xreallocarray(table->longs, table->n + 2, sizeof(*table->longs));
		table->specs[table->n] = specs;
		entry = &table->longs[table->n];
		memset(entry, 0, 2 * sizeof(*entry));
		entry->name = specs->name;
		entry->has_arg = specs->argument ? required_argument : no_argument;
		entry->val = 256 + (int)table->n; /* beyond any letter */
		if (specs->letter) {
			str_addch(&table->letters, specs->letter);
			if (specs->argument)
				str_addch(&table->letters, ':');
		}
		table->n++;
	}
}

static void table_release(struct table *table)
{
	free(table->specs);
	free(table->longs);
	str_release(&table->letters);
}

static const struct option_spec *table_find(const struct table *table, int code)
{
	for (size_t i = 0; i < table->n; i++)
		if (code == 256 + (int)i || code == table->specs[i]->letter)
			return table->specs[i];
	return NULL;
}

/* The one option that 'word' may be short for, or NULL. */
static const char *only_longer(const char *const *names, size_t n, const char *word)
{
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!has_prefix(names[i], word))
			continue;
		if (found)
			return NULL;
		found = names[i];
	}
	return found;
}

static int unknown_option(const struct table *table, const char *given, struct err *err)
{
	char *word = xstrndup(given, strcspn(given, "="));
	const char **names = xcalloc(table->n, sizeof(*names));
	const char *near = NULL;

	for (size_t i = 0; i < table->n; i++)
		names[i] = table->specs[i]->name;
	err_set(err, ERR_USAGE, "unknown option '%s'", word);
	if (has_prefix(word, "--"))
		near = only_longer(names, table->n, word + 2);
	if (has_prefix(word, "--") && !near)
		near = nearest_word(word + 2, names, table->n);
	if (near)
		err_hint(err, "did you mean '--%s'?", near);
	free(names);
	free(word);
	return -1;
}

/* glibc accepts "--data" for "--dataset": what was written must be the whole name. */
static bool is_abbreviated(const char *given, const char *name)
{
	size_t len = strcspn(given, "=");

	return has_prefix(given, "--") &&
	       (len - 2 != strlen(name) || strncmp(given + 2, name, len - 2) != 0);
}

static void add_use(struct options *options, const struct option_spec *spec, const char *value)
{
	options->v = xreallocarray(options->v, options->n + 1, sizeof(*options->v));
	options->v[options->n].spec = spec;
	options->v[options->n].value = value;
	options->n++;
}

static int parse_all(struct options *options, const struct table *table, int argc, char **argv,
		     struct err *err)
{
	int code;

	opterr = 0;
	optind = 0; /* glibc: start afresh */
	for (;;) {
		const struct option_spec *spec;
		const char *given = argv[optind ? optind : 1];

		code = getopt_long(argc, argv, table->letters.buf, table->longs, NULL);
		if (code < 0)
			return 0;
		if (code == OPERAND) {
			strv_push(&options->operands, optarg);
			continue;
		}
		if (optind > 1 && has_prefix(argv[optind - 1], "--"))
			given = argv[optind - 1];
		spec = table_find(table, code);
		if (code == ':' && (spec = table_find(table, optopt)))
			return err_set(err, ERR_USAGE, "option '--%s' needs a value (%s)",
				       spec->name, spec->argument);
		if (!spec && optopt > 255 && (spec = table_find(table, optopt)))
			return err_set(err, ERR_USAGE, "option '--%s' takes no value", spec->name);
		if (!spec && optopt && optopt < 256)
			return err_set(err, ERR_USAGE, "unknown option '-%c'", optopt);
		if (!spec)
			return unknown_option(table, argv[optind - 1], err);
		if (code >= 256 && spec->argument && optarg == argv[optind - 1] && optind > 2)
			given = argv[optind - 2];
		if (code >= 256 && is_abbreviated(given, spec->name))
			return unknown_option(table, given, err);
		add_use(options, spec, spec->argument ? optarg : NULL);
	}
}

static int find_separator(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0)
			return i;
	return argc;
}

int options_parse(struct options *options, const struct option_spec *specs,
		  const struct option_spec *common, int argc, char **argv, struct err *err)
{
	struct table table = { .specs = NULL, .longs = NULL, .letters = STR_INIT, .n = 0 };
	int end = find_separator(argc, argv);
	char **copy = xcalloc((size_t)end + 1, sizeof(*copy));
	int result;

	/* getopt_long() may permute: it gets a copy that ends before the separator. */
	memcpy(copy, argv, (size_t)end * sizeof(*copy));
	if (end < argc) {
		options->command = argv + end + 1;
		options->command_len = (size_t)(argc - end - 1);
	}
	str_adds(&table.letters, "-:"); /* operands in their place, POSIXLY_CORRECT or not */
	table_add(&table, specs);
	table_add(&table, common);
	result = parse_all(options, &table, end, copy, err);
	table_release(&table);
	free(copy);
	return result;
}

void options_release(struct options *options)
{
	free(options->v);
	strv_release(&options->operands);
	options->v = NULL;
	options->n = 0;
}

const char *option_each(const struct options *options, const char *name, size_t *position)
{
	while (*position < options->n) {
		const struct option_use *use = &options->v[(*position)++];

		if (strcmp(use->spec->name, name) == 0)
			return use->value ? use->value : "";
	}
	return NULL;
}

const char *option_value(const struct options *options, const char *name)
{
	const char *last = NULL;
	const char *value;
	size_t position = 0;

	while ((value = option_each(options, name, &position)))
		last = value;
	return last;
}

bool option_given(const struct options *options, const char *name)
{
	return option_value(options, name) != NULL;
}

int option_integer(const struct options *options, const char *name, int64_t min, int64_t max,
		   int64_t *out, struct err *err)
{
	const char *text = option_value(options, name);
	long long value;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end || value < min || value > max)
		return err_set(err, ERR_USAGE,
			       "--%s must be a whole number from %lld to %lld, not '%s'", name,
			       (long long)min, (long long)max, text);
	*out = value;
	return 0;
}
