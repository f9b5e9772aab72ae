#include "base/base.h"

#include "app/progress.h"

#include "app/cursor.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/width.h"

#include <math.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAINT_INTERVAL_MS 100
#define BAR_INTERVAL_MS 20

/* A training that reports more than this is read from its log at the end. */
#define MAX_METRICS 64

/* The pace is taken over about a minute: 64 marks, a second or more apart. */
#define MAX_MARKS 64
#define MARK_INTERVAL_MS 1000

/* Where the terminal does not tell its width. */
#define USUAL_COLUMNS 80

struct mark {
	int64_t when;
	double done; /* steps, or epochs where no step is known */
};

static struct {
	char label[256];
	bool paints;
	bool on_terminal[2];  /* by enum proc_stream: it moves the cursor */
	bool passing[2];      /* a block of it is on its way out */
	bool in_line;	      /* the training has begun a line: a progress bar, mostly */
	struct cursor cursor; /* where in it the cursor stands */
	int painted;	      /* columns of the status line that is there; 0: none */
	bool is_below;	      /* it stands under a line of the training's */
	bool was_painted;     /* it had to step aside for the block that is passing */
	int64_t painted_at;
	int64_t started;
	double step, steps_total, epoch, epochs_total;
	struct progress_value metrics[MAX_METRICS];
	size_t n_metrics;
	struct mark marks[MAX_MARKS]; /* a ring */
	size_t n_marks, first_mark;
	uint64_t news;
	int64_t (*clock)(void);
} state;

static int64_t now(void)
{
	return state.clock ? state.clock() : clock_monotonic_ms();
}

void progress_use_clock(int64_t (*now_ms)(void))
{
	state.clock = now_ms;
}

/* ---- the text ---- */

/* 1,234,567 */
static void add_count(struct str *out, double count)
{
	char digits[400]; /* the longest double */
	int len = snprintf(digits, sizeof(digits), "%.0f", fabs(count));

	if (count <= -0.5)
		str_addch(out, '-');
	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			str_addch(out, ',');
		str_addch(out, digits[i]);
	}
}

/* Three digits that count; no exponent where thousands would do. */
static void add_metric_value(struct str *out, double value)
{
	if (fabs(value) >= 1000 && fabs(value) < 1e9)
		add_count(out, value);
	else
		str_addf(out, "%.3g", value);
}

static void add_elapsed(struct str *out, int64_t ms)
{
	long long s = ms / 1000;

	if (s < 60)
		str_addf(out, "%llds", s);
	else if (s < 3600)
		str_addf(out, "%lldm%02llds", s / 60, s % 60);
	else if (s < 86400)
		str_addf(out, "%lldh%02lldm", s / 3600, s / 60 % 60);
	else
		str_addf(out, "%lldd%02lldh", s / 86400, s / 3600 % 24);
}

/* A guess needs no seconds. */
static void add_left(struct str *out, double s)
{
	if (s < 60)
		str_addf(out, "%.0fs left", s);
	else if (s < 3600)
		str_addf(out, "%.0fm left", floor(s / 60));
	else if (s < 86400)
		str_addf(out, "%.0fh%02.0fm left", floor(s / 3600), floor(fmod(s, 3600) / 60));
	else
		str_addf(out, "%.0fd%02.0fh left", floor(s / 86400), floor(fmod(s, 86400) / 3600));
}

static const struct mark *mark_at(size_t i)
{
	return &state.marks[(state.first_mark + i) % MAX_MARKS];
}

static bool counts_steps(void)
{
	return !isnan(state.step);
}

/* Seconds to go at the pace of the window, or NaN. */
static double seconds_left(int64_t now_ms)
{
	double done = counts_steps() ? state.step : state.epoch;
	double total = counts_steps() ? state.steps_total : state.epochs_total;
	const struct mark *oldest = mark_at(0);
	const struct mark *newest = mark_at(state.n_marks ? state.n_marks - 1 : 0);
	double pace, left;

	if (state.n_marks < 2 || isnan(done) || isnan(total) || done >= total)
		return NAN;
	pace = (newest->done - oldest->done) / (double)(newest->when - oldest->when) * 1000;
	if (!(pace > 0))
		return NAN;
	left = (total - newest->done) / pace - (double)(now_ms - newest->when) / 1000;
	return left > 0 ? left : 0;
}

static void add_share(struct str *out, double done, double total)
{
	double percent = floor(done / total * 100);

	if (percent >= 0 && percent <= 100)
		str_addf(out, " (%.0f%%)", percent);
}

static void add_position(struct str *out)
{
	if (counts_steps()) {
		str_adds(out, "  step ");
		add_count(out, state.step);
		if (!isnan(state.steps_total)) {
			str_addch(out, '/');
			add_count(out, state.steps_total);
			add_share(out, state.step, state.steps_total);
		}
	}
	if (isnan(state.epoch))
		return;
	str_addf(out, "  epoch %.3g", floor(state.epoch * 10) / 10);
	if (!isnan(state.epochs_total))
		str_addf(out, "/%.4g", state.epochs_total);
	if (!counts_steps() && !isnan(state.epochs_total))
		add_share(out, state.epoch, state.epochs_total);
}

static void add_metric(struct str *out, const struct progress_value *metric)
{
	str_adds(out, "  ");
	add_harmless(out, metric->name, strlen(metric->name));
	str_addch(out, ' ');
	add_metric_value(out, metric->value);
	if (metric->goal == PROGRESS_NO_GOAL)
		return;
	str_adds(out, " (best ");
	add_metric_value(out, metric->best);
	if (!isnan(metric->best_step)) {
		str_adds(out, " @ ");
		add_count(out, metric->best_step);
	}
	str_addch(out, ')');
}

char *progress_text(int columns, int64_t now_ms)
{
	double left = seconds_left(now_ms);
	struct str line = STR_INIT;
	char *cut;

	str_addch(&line, ' ');
	add_harmless(&line, state.label, strlen(state.label));
	add_position(&line);
	str_adds(&line, "  ");
	add_elapsed(&line, now_ms - state.started);
	if (!isnan(left)) {
		str_adds(&line, ", ");
		add_left(&line, left);
	}
	for (size_t i = 0; i < state.n_metrics; i++) {
		if (state.metrics[i].is_known) {
			add_metric(&line, &state.metrics[i]);
			break;
		}
	}
	cut = display_cut(line.buf, columns);
	str_release(&line);
	return cut;
}

/* ---- the line ---- */

static int terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col)
		return USUAL_COLUMNS;
	return size.ws_col;
}

/* It is decoration: if it cannot be written, the training's own output will tell. */
static void put(const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, data, len);

		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

/* Back to the training's unfinished line, from the one below it. */
static void add_return(struct str *out)
{
	str_adds(out, "\x1b[A\r");
	if (state.cursor.column > 0)
		str_addf(out, "\x1b[%dC", state.cursor.column);
}

/* A terminal that became narrower may have wrapped the line; the cursor stayed with its start, so
 * the rest lies below. */
static const char *erase_code(void)
{
	return state.painted > terminal_columns() ? "\r\x1b[J" : "\r\x1b[2K";
}

static void erase(void)
{
	struct str bytes = STR_INIT;

	if (!state.painted)
		return;
	if (state.is_below) {
		str_adds(&bytes, "\x1b[B\r\x1b[J");
		add_return(&bytes);
	} else {
		str_adds(&bytes, erase_code());
	}
	put(bytes.buf, bytes.len);
	str_release(&bytes);
	state.painted = 0;
}

static bool may_paint(int64_t now_ms)
{
	/* A bar redraws itself many times a second: a line that only shows between would flicker. */
	int64_t interval = state.was_painted && state.in_line ? BAR_INTERVAL_MS : PAINT_INTERVAL_MS;

	if (!state.paints || state.passing[PROC_STDOUT] || state.passing[PROC_STDERR])
		return false;
	if (state.in_line && state.cursor.column == CURSOR_UNKNOWN)
		return false;
	return now_ms - state.painted_at >= interval;
}

/* One write. The cursor goes back to where it was: the start of the line, or the training's own
 * unfinished line above. The last column stays free, since a character there makes some terminals
 * wrap. */
static void paint(int64_t now_ms)
{
	int columns = terminal_columns();
	char *text = progress_text(columns > 1 ? columns - 1 : 1, now_ms);
	struct str bytes = STR_INIT;

	if (state.in_line)
		str_addf(&bytes, "\n\x1b[2K%s", text);
	else
		str_addf(&bytes, "%s%s\r", state.painted ? erase_code() : "", text);
	if (state.in_line)
		add_return(&bytes);
	put(bytes.buf, bytes.len);
	state.painted = display_width(text);
	state.painted_at = now_ms;
	state.is_below = state.in_line;
	state.was_painted = false;
	str_release(&bytes);
	free(text);
}

void progress_tick(void)
{
	int64_t now_ms = now();

	if (may_paint(now_ms))
		paint(now_ms);
}

void progress_hide(void)
{
	erase();
}

void progress_before_output(enum proc_stream stream)
{
	if (!state.on_terminal[stream])
		return;
	state.passing[stream] = true;
	state.was_painted = state.painted > 0;
	erase();
}

void progress_after_output(enum proc_stream stream, const char *data, size_t len)
{
	if (!state.on_terminal[stream])
		return;
	state.passing[stream] = false;
	if (len) {
		state.in_line = data[len - 1] != '\n';
		cursor_follow(&state.cursor, data, len, terminal_columns());
	}
	progress_tick();
}

/* A message of ours starts on a line of its own, even amid a bar of the training. */
static void before_message(void)
{
	erase();
	if (state.in_line)
		put("\n", 1);
	state.in_line = false;
	state.cursor = (struct cursor)CURSOR_INIT;
}

/* ---- values ---- */

static struct progress_value *find_metric(const char *name)
{
	struct progress_value *metric;

	for (size_t i = 0; i < state.n_metrics; i++)
		if (!strcmp(state.metrics[i].name, name))
			return &state.metrics[i];
	if (state.n_metrics == MAX_METRICS || strlen(name) >= sizeof(metric->name))
		return NULL;
	metric = &state.metrics[state.n_metrics++];
	memset(metric, 0, sizeof(*metric));
	snprintf(metric->name, sizeof(metric->name), "%s", name);
	return metric;
}

static void set_metric(const char *name, double value)
{
	struct progress_value *metric = find_metric(name);
	bool is_better;

	if (!metric)
		return;
	is_better = !metric->is_known || (metric->goal == PROGRESS_MAX && value > metric->best) ||
		    (metric->goal == PROGRESS_MIN && value < metric->best);
	metric->is_known = true;
	metric->value = value;
	metric->step = state.step;
	if (is_better) {
		metric->best = value;
		metric->best_step = state.step;
	}
}

/* Steps that go back are another loop (an evaluation, the next fold): its pace starts anew. */
static void add_mark(double done)
{
	int64_t when = now();
	const struct mark *newest = mark_at(state.n_marks ? state.n_marks - 1 : 0);

	if (state.n_marks && done < newest->done)
		state.n_marks = 0;
	else if (state.n_marks && when - newest->when < MARK_INTERVAL_MS)
		return;
	if (state.n_marks == MAX_MARKS) {
		state.first_mark = (state.first_mark + 1) % MAX_MARKS;
		state.n_marks--;
	}
	state.marks[(state.first_mark + state.n_marks) % MAX_MARKS] =
		(struct mark){ .when = when, .done = done };
	state.n_marks++;
}

/* The first step makes all marks of epochs worthless. */
static void set_step(double value)
{
	if (!counts_steps())
		state.n_marks = 0;
	state.step = value;
	add_mark(value);
}

static void set_epoch(double value)
{
	state.epoch = value;
	if (!counts_steps())
		add_mark(value);
}

static double total_or_unknown(double value)
{
	return value > 0 ? value : NAN;
}

void progress_set(const char *name, double value)
{
	if (!isfinite(value))
		return;
	state.news++;
	if (!strcmp(name, "step"))
		set_step(value);
	else if (!strcmp(name, "epoch"))
		set_epoch(value);
	else if (!strcmp(name, "steps_total"))
		state.steps_total = total_or_unknown(value);
	else if (!strcmp(name, "epochs_total"))
		state.epochs_total = total_or_unknown(value);
	else
		set_metric(name, value);
}

double progress_step(void)
{
	return state.step;
}

double progress_steps_total(void)
{
	return state.steps_total;
}

double progress_epoch(void)
{
	return state.epoch;
}

const struct progress_value *progress_metric_at(size_t i)
{
	return i < state.n_metrics ? &state.metrics[i] : NULL;
}

uint64_t progress_news(void)
{
	return state.news;
}

/* ---- begin and end ---- */

static bool is_able_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

/* Output to another terminal than that of stderr does not move the cursor there. */
static bool is_same_terminal(void)
{
	struct stat out, errors;

	return isatty(STDOUT_FILENO) && fstat(STDOUT_FILENO, &out) == 0 &&
	       fstat(STDERR_FILENO, &errors) == 0 && out.st_rdev == errors.st_rdev;
}

void progress_begin(const struct progress_setup *setup)
{
	int64_t (*clock)(void) = state.clock;

	memset(&state, 0, sizeof(state));
	state.clock = clock;
	state.started = now();
	state.painted_at = state.started; /* a training that ends at once needs no line */
	state.step = state.epoch = NAN;
	state.steps_total = total_or_unknown(setup->steps_total);
	state.epochs_total = total_or_unknown(setup->epochs_total);
	snprintf(state.label, sizeof(state.label), "%s", setup->label);
	for (size_t i = 0; i < setup->n_metrics; i++) {
		struct progress_value *metric = find_metric(setup->metrics[i].name);

		if (metric)
			metric->goal = setup->metrics[i].goal;
	}
	state.paints = !setup->is_quiet && is_able_terminal();
	state.on_terminal[PROC_STDERR] = state.paints;
	state.on_terminal[PROC_STDOUT] = state.paints && is_same_terminal();
	if (state.paints)
		log_set_guard(before_message, progress_tick);
}

void progress_end(void)
{
	erase();
	if (state.paints)
		log_set_guard(NULL, NULL);
	state.paints = false;
	state.on_terminal[PROC_STDOUT] = state.on_terminal[PROC_STDERR] = false;
}
