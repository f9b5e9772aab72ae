#include "base/base.h"

#include "app/adopt.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/width.h"
#include "cli/adopt_report.h"
#include "cli/command.h"
#include "cli/render.h"
#include "sys/path.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct option_spec options[] = {
	{ "as", 0, "STAGE/DATASET", "what they were trained for and on; STAGE or /DATASET alone" },
	{ "depth", 0, "N", "look at most N levels below DIR (16)" },
	{ "dry-run", 'n', NULL, "show what was found and write nothing" },
	{ "yes", 'y', NULL, "write without asking" },
	{ NULL, 0, NULL, NULL },
};

/* Not more often than an eye can follow. */
#define PAINT_MS 100

/* ---- the status line, and Ctrl-C ---- */

static volatile sig_atomic_t is_stopped;

static struct {
	const char *word; /* what has become of the trainings that are counted */
	bool paints;
	bool is_painted;
	int64_t painted_at;
} line;

static void take_signal(int number UNUSED)
{
	is_stopped = 1;
}

static void catch_signals(void)
{
	const struct sigaction action = { .sa_handler = take_signal, .sa_flags = SA_RESTART };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static void erase_line(void)
{
	if (line.is_painted)
		fputs("\r\033[K", stderr);
	line.is_painted = false;
}

static void ignore(void)
{
}

static void begin_line(const char *word)
{
	const char *term = getenv("TERM");

	line.word = word;
	line.paints = log_level() > LOG_QUIET && isatty(STDERR_FILENO) && term && *term &&
		      strcmp(term, "dumb") != 0;
	line.painted_at = clock_monotonic_ms();
	if (line.paints)
		log_set_guard(erase_line, ignore);
}

static void end_line(void)
{
	erase_line();
	if (line.paints)
		log_set_guard(NULL, NULL);
	line.paints = false;
}

static int columns(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

static void paint(const struct adopt_counts *counts, const char *at)
{
	struct str text = STR_INIT;
	char *fitting;

	str_addch(&text, ' ');
	add_count(&text, (int64_t)counts->directories);
	str_adds(&text, " directories, ");
	add_count(&text, (int64_t)counts->models);
	str_addf(&text, " %s  ", line.word);
	add_harmless(&text, at, strlen(at));
	fitting = display_cut(text.buf, columns() - 1);
	fprintf(stderr, "\r%s\033[K", fitting);
	line.is_painted = true;
	free(fitting);
	str_release(&text);
}

static bool tick(void *arg UNUSED, const struct adopt_counts *counts, const char *at)
{
	int64_t now = clock_monotonic_ms();

	if (line.paints && now - line.painted_at >= PAINT_MS) {
		paint(counts, at);
		line.painted_at = now;
	}
	return !is_stopped;
}

/* ---- asking ---- */

/* 1: yes, 0: no (also at the end of the input). */
static int ask(const struct adopt *adopt)
{
	size_t n = adopt_count(adopt, ADOPT_READY);
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char answer[64];
	ssize_t len;

	fprintf(stderr, "record %s%zu %s? [y/N] ", n > 1 ? "these " : "this ", n,
		n == 1 ? "training" : "trainings");
	/* A signal ends the wait for the answer. */
	if (poll(&input, 1, -1) < 0 || is_stopped) {
		fputc('\n', stderr);
		return 0;
	}
	len = read(STDIN_FILENO, answer, sizeof(answer));
	return len > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

static int read_as(const char *as, char **stage, char **dataset, struct err *err)
{
	size_t len = as ? strcspn(as, "/") : 0;

	if (!as)
		return 0;
	if (len)
		*stage = xstrndup(as, len);
	if (as[len] && as[len + 1])
		*dataset = xstrdup(as + len + 1);
	if ((!*stage && !*dataset) || (*stage && path_check_name("stage", *stage, err) < 0) ||
	    (*dataset && path_check_name("dataset", *dataset, err) < 0)) {
		if (!err->code)
			err_set(err, ERR_USAGE, "--as wants STAGE/DATASET");
		err->code = ERR_USAGE;
		return err_hint(err, "for instance --as stage1/hrds, --as stage1 or --as /hrds");
	}
	return 0;
}

/* Before a walk that may be long. */
static int check_consent(const struct cli *cli, struct err *err)
{
	if (option_given(&cli->options, "dry-run") || option_given(&cli->options, "yes") ||
	    (isatty(STDIN_FILENO) && isatty(STDERR_FILENO)))
		return 0;
	err_set(err, ERR_USAGE, "there is no terminal to ask on before records are written");
	return err_hint(err, "--dry-run shows what would be, --yes writes without asking");
}

static void hint_at_root(const struct cli *cli, const struct adopt *adopt)
{
	if (adopt_count(adopt, ADOPT_WRITTEN) && !cli->session.options.root &&
	    strcmp(conf_origin(&cli->session.conf, "artifact.root"), "flag") == 0)
		log_notice("'thhost list --root %s' shows them", adopt->session->layout.root);
}

static int show(const struct cli *cli, const struct adopt *adopt, bool is_dry)
{
	struct str out = STR_INIT;
	int result;

	if (cli->json)
		adopt_as_json(adopt, is_dry, &out);
	else if (log_level() > LOG_QUIET || is_dry)
		adopt_as_text(adopt, &out);
	result = print_out(&out) < 0 ? -1 : 0;
	str_release(&out);
	return result;
}

/* With a table on a terminal the question comes after it, and the sum alone after the work. */
static int write_found(struct cli *cli, struct adopt *adopt, struct err *err)
{
	bool wants = option_given(&cli->options, "yes");
	struct str out = STR_INIT;
	int result = 0;

	if (!wants && adopt_count(adopt, ADOPT_READY)) {
		if (!cli->json)
			show(cli, adopt, true);
		wants = ask(adopt) == 1;
		if (!wants) {
			log_notice("nothing written");
			return is_stopped ? err_set(err, ERR_INTERRUPTED, "interrupted") : 1;
		}
	}
	begin_line("recorded");
	result = adopt_write(adopt, err);
	end_line();
	if (cli->json || option_given(&cli->options, "yes") || !adopt->counts.models) {
		show(cli, adopt, false);
	} else {
		adopt_sum_as_text(adopt, &out);
		print_out(&out);
	}
	hint_at_root(cli, adopt);
	str_release(&out);
	if (result == 0 && adopt_count(adopt, ADOPT_FAILED))
		result = 1;
	return result;
}

static int run_adopt(struct cli *cli, struct err *err)
{
	struct adopt adopt;
	char *stage = NULL;
	char *dataset = NULL;
	int64_t depth = ADOPT_DEPTH;
	bool is_dry = option_given(&cli->options, "dry-run");
	int result;

	adopt_init(&adopt, &cli->session);
	result = option_integer(&cli->options, "depth", 0, LAYOUT_DEPTH, &depth, err);
	if (result == 0)
		result = read_as(option_value(&cli->options, "as"), &stage, &dataset, err);
	if (result == 0)
		result = check_consent(cli, err);
	adopt.stage = stage;
	adopt.dataset = dataset;
	adopt.depth = (int)depth;
	adopt.tick = tick;
	if (result == 0)
		result = adopt_open(&adopt, operand(cli, 0), err);
	if (result == 0) {
		catch_signals();
		begin_line("found");
		result = adopt_look(&adopt, err);
		end_line();
	}
	if (result == 0 && is_dry)
		result = show(cli, &adopt, true) < 0 ? 1 : 0;
	else if (result == 0)
		result = write_found(cli, &adopt, err);
	adopt_release(&adopt);
	free(stage);
	free(dataset);
	return result;
}

const struct command cmd_adopt = {
	.name = "adopt",
	.synopsis = "[DIR] [--as STAGE/DATASET] [--depth N] [--dry-run] [--yes]",
	.summary = "make the records of old trainings from what they left",
	.details =
		"Looks through DIR (default: the artifact root) for trainings without a record,\n"
		"shows what it found and could not tell, and asks before it writes. What has a\n"
		"record is never touched; a training that failed or was cut short gets none.\n",
	.options = options,
	.max_operands = 1,
	.run = run_adopt,
};
