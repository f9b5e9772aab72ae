#include "base/base.h"

#include "cli/pager.h"

#include "base/clock.h"
#include "cli/render.h"

#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static bool fits_terminal(const struct str *text)
{
	struct winsize size;
	int lines = 0;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return true;
	for (size_t i = 0; i < text->len; i++)
		lines += text->buf[i] == '\n';
	return lines < size.ws_row;
}

static const char *choose(const struct conf *conf)
{
	const char *configured = conf_get(conf, "ui.pager");
	const char *usual = getenv("PAGER");

	if (strcmp(configured, "never") == 0)
		return NULL;
	if (strcmp(configured, "auto") != 0 && *configured)
		return configured;
	return usual && *usual ? usual : "less";
}

static NORETURN void become_pager(char *const *argv, int input)
{
	if (dup2(input, STDIN_FILENO) < 0)
		_exit(127);
	setenv("LESS", "FRX", 0);
	execvp(argv[0], argv);
	_exit(127);
}

static bool feed(const struct str *text, int fd)
{
	size_t done = 0;

	while (done < text->len) {
		ssize_t n = write(fd, text->buf + done, text->len - done);

		if (n <= 0)
			break; /* the reader has seen enough */
		done += (size_t)n;
	}
	return close(fd) == 0;
}

/* False if the pager could not be started at all: the caller prints the text itself. */
static bool page(const struct str *text, char *const *argv)
{
	int ends[2];
	int status = 0;
	pid_t pid;

	if (pipe(ends) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		become_pager(argv, ends[0]);
	}
	close(ends[0]);
	if (pid < 0) {
		close(ends[1]);
		return false;
	}
	feed(text, ends[1]);
	while (waitpid(pid, &status, 0) < 0)
		;
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 127);
}

int print_paged(const struct str *text, const struct conf *conf)
{
	const char *command = fits_terminal(text) ? NULL : choose(conf);
	struct strv argv = STRV_INIT;
	struct err ignored = ERR_INIT;
	bool done = false;

	if (command && conf_split_command(command, &argv, &ignored) == 0 && argv.n)
		done = page(text, argv.v);
	strv_release(&argv);
	return done ? 0 : print_out(text);
}

/* ---- line by line ---- */

#define PIECE (64u << 10) /* bytes */
#define PATIENCE_MS 100	  /* of a reader of lines */

void paged_begin(struct paged *paged, const struct conf *conf)
{
	*paged = (struct paged){ .out = STR_INIT, .conf = conf };
	paged->is_kept = isatty(STDOUT_FILENO);
}

static void print_piece(struct paged *paged)
{
	if (!paged->is_lost && print_out(&paged->out) < 0)
		paged->is_lost = true;
	str_clear(&paged->out);
	paged->printed = clock_monotonic_ms();
}

void paged_line(struct paged *paged)
{
	if (paged->is_kept)
		return;
	if (paged->out.len >= PIECE ||
	    (paged->is_live && clock_monotonic_ms() - paged->printed >= PATIENCE_MS))
		print_piece(paged);
}

int paged_end(struct paged *paged)
{
	if (paged->is_kept)
		return print_paged(&paged->out, paged->conf);
	print_piece(paged);
	return paged->is_lost ? -1 : 0;
}

void paged_release(struct paged *paged)
{
	str_release(&paged->out);
}
