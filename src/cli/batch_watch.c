#include "base/base.h"

#include "cli/batch_watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/render.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DRAW_MS 500
#define LINES_MAX 16 /* a machine with more jobs at once: the total tells of the others */
#define TAIL 1024

struct batch_watch {
	const struct batch_state *state;
	const struct batch_plan *plan;
	bool is_terminal;
	bool is_quiet;
	size_t drawn; /* lines on the screen now */
	int64_t drawn_ms;
};

/* The one on the terminal, for log_set_guard(). */
static struct batch_watch *shown;

static void erase(struct batch_watch *w)
{
	if (w->drawn)
		fprintf(stderr, "\033[%zuA\r\033[J", w->drawn);
	w->drawn = 0;
}

static void before_message(void)
{
	if (shown)
		erase(shown);
}

static void after_message(void)
{
}

struct batch_watch *batch_watch_new(const struct batch_state *state, const struct batch_plan *plan,
				    bool is_quiet)
{
	struct batch_watch *w = xcalloc(1, sizeof(*w));

	w->state = state;
	w->plan = plan;
	w->is_quiet = is_quiet;
	w->is_terminal = !is_quiet && isatty(STDERR_FILENO);
	if (w->is_terminal) {
		shown = w;
		log_set_guard(before_message, after_message);
	}
	return w;
}

static size_t count(const struct batch_watch *w, enum batch_job_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < w->plan->n; i++)
		n += w->state->jobs[i].state == state;
	return n;
}

static size_t count_over(const struct batch_watch *w)
{
	return w->plan->n - count(w, BATCH_JOB_WAITING) - count(w, BATCH_JOB_RUNNING);
}

/* ---- one line for each change ---- */

static void add_took(const struct batch_progress *p, struct str *out)
{
	double seconds;

	if (!p->start_time || !p->end_time ||
	    clock_between(p->start_time, p->end_time, &seconds) < 0)
		return;
	str_adds(out, " after ");
	add_duration(out, seconds);
}

void batch_watch_changed(void *watch, size_t job)
{
	const struct batch_watch *w = watch;
	const struct batch_progress *p = &w->state->jobs[job];
	struct str text = STR_INIT;

	str_addf(&text, "[%zu/%zu] %s ", count_over(w), w->plan->n, w->plan->steps[job].job->name);
	if (p->state == BATCH_JOB_RUNNING && p->executor_id)
		str_addf(&text, "%s, %s", p->queue ? p->queue : "handed over", p->executor_id);
	else
		str_adds(&text, batch_job_state_word(p->state));
	if (p->state == BATCH_JOB_RUNNING && p->attempt > 1)
		str_addf(&text, " (attempt %d)", p->attempt);
	if (p->state == BATCH_JOB_DONE || p->state == BATCH_JOB_FAILED)
		add_took(p, &text);
	if (p->why)
		str_addf(&text, ": %s", p->why);
	log_notice("%s", text.buf);
	str_release(&text);
}

void batch_watch_said(void *watch, const char *text)
{
	(void)watch;
	log_plain("%s", text);
}

/* ---- the lines on a terminal ---- */

/* What the job printed last. */
static void add_last_output(const struct batch_watch *w, size_t job, struct str *out)
{
	struct err ignored = ERR_INIT;
	int fd = batch_state_open_log(w->state, job, w->state->jobs[job].attempt, false, &ignored);
	char tail[TAIL];
	struct stat st;
	ssize_t n = -1;
	size_t end;
	size_t start;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0)
		n = pread(fd, tail, sizeof(tail), st.st_size > TAIL ? st.st_size - TAIL : 0);
	close(fd);
	end = n > 0 ? (size_t)n : 0;
	while (end && (tail[end - 1] == '\n' || tail[end - 1] == '\r' || tail[end - 1] == ' '))
		end--;
	for (start = end; start && tail[start - 1] != '\n' && tail[start - 1] != '\r';)
		start--;
	add_harmless(out, tail + start, end - start);
}

static void add_since(const struct batch_progress *p, struct str *out)
{
	char now[CLOCK_TEXT_SIZE];
	double seconds;

	clock_format(clock_now(), now);
	if (p->start_time && clock_between(p->start_time, now, &seconds) == 0)
		add_duration(out, seconds);
}

static size_t columns(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

/* No line may wrap, or erase() would miss one. Bytes are no fewer than columns. */
static void add_cut(struct str *out, struct str *line)
{
	size_t room = columns() - 1;

	if (line->len > room) {
		while (room && ((unsigned char)line->buf[room] & 0xc0) == 0x80)
			room--;
		str_truncate(line, room);
	}
	str_add(out, line->buf, line->len);
	str_addch(out, '\n');
}

/* In a cluster's queue, and not running there. */
static bool is_pending(const struct batch_progress *p)
{
	return p->executor_id && p->queue && strcmp(p->queue, "running") != 0;
}

static size_t count_pending(const struct batch_watch *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->plan->n; i++)
		n += w->state->jobs[i].state == BATCH_JOB_RUNNING && is_pending(&w->state->jobs[i]);
	return n;
}

static void add_job_line(const struct batch_watch *w, size_t job, struct str *out)
{
	struct str line = STR_INIT;

	str_addf(&line, "  %s  ", w->plan->steps[job].job->name);
	add_since(&w->state->jobs[job], &line);
	str_adds(&line, "  ");
	if (is_pending(&w->state->jobs[job]))
		add_safe(&line, w->state->jobs[job].queue);
	else
		add_last_output(w, job, &line);
	add_cut(out, &line);
	str_release(&line);
}

static void add_total_line(const struct batch_watch *w, struct str *out)
{
	struct str line = STR_INIT;

	str_addf(&line, "  %zu of %zu done", count_over(w), w->plan->n);
	str_addf(&line, ", %zu running", count(w, BATCH_JOB_RUNNING) - count_pending(w));
	if (count_pending(w))
		str_addf(&line, ", %zu pending", count_pending(w));
	str_addf(&line, ", %zu waiting", count(w, BATCH_JOB_WAITING));
	if (count(w, BATCH_JOB_FAILED))
		str_addf(&line, ", %zu failed", count(w, BATCH_JOB_FAILED));
	add_cut(out, &line);
	str_release(&line);
}

void batch_watch_tick(void *watch)
{
	struct batch_watch *w = watch;
	int64_t now = clock_monotonic_ms();
	struct str out = STR_INIT;
	size_t lines = 0;

	if (!w->is_terminal || (w->drawn && now - w->drawn_ms < DRAW_MS))
		return;
	erase(w);
	for (size_t i = 0; i < w->plan->n && lines < LINES_MAX; i++)
		if (w->state->jobs[i].state == BATCH_JOB_RUNNING) {
			add_job_line(w, i, &out);
			lines++;
		}
	add_total_line(w, &out);
	print_to(stderr, &out);
	w->drawn = lines + 1;
	w->drawn_ms = now;
	str_release(&out);
}

void batch_watch_free(struct batch_watch *w)
{
	erase(w);
	if (shown == w) {
		shown = NULL;
		log_set_guard(NULL, NULL);
	}
	free(w);
}
