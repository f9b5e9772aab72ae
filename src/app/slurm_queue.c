#include "base/base.h"

#include "app/slurm_queue.h"

#include "base/clock.h"
#include "base/mem.h"

#include <ctype.h>

#define PREFIX "slurm:"
#define NEVER_SATISFIED "DependencyNeverSatisfied"

/* ---- ids ---- */

bool executor_is_slurm_id(const char *executor_id)
{
	return executor_id && has_prefix(executor_id, PREFIX);
}

static int parse_number(const char **at, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)**at))
		return -1;
	*out = strtoull(*at, &end, 10);
	*at = end;
	return 0;
}

int slurm_id_parse(const char *executor_id, struct slurm_id *out)
{
	struct slurm_id id = { .task = SLURM_NO_TASK };
	const char *p = executor_id;
	uint64_t task = 0;

	*out = id;
	if (!executor_is_slurm_id(p))
		return -1;
	p += strlen(PREFIX);
	if (parse_number(&p, &id.job) < 0)
		return -1;
	if (*p == '_') {
		p++;
		if (parse_number(&p, &task) < 0)
			return -1;
		id.task = (int64_t)task;
	}
	if (*p) /* an id of our own begins with digits, too */
		return -1;
	*out = id;
	return 0;
}

char *slurm_id_text(struct slurm_id id)
{
	if (id.task < 0)
		return xstrf(PREFIX "%llu", (unsigned long long)id.job);
	return xstrf(PREFIX "%llu_%lld", (unsigned long long)id.job, (long long)id.task);
}

/* ---- rows ---- */

static int compare_rows(const void *a, const void *b)
{
	const struct slurm_id *left = &((const struct slurm_row *)a)->id;
	const struct slurm_id *right = &((const struct slurm_row *)b)->id;

	if (left->job != right->job)
		return left->job < right->job ? -1 : 1;
	return (left->task > right->task) - (left->task < right->task);
}

/* The next field of a line whose fields '|' separates; *at moves behind it. */
static char *take_field(char **at)
{
	char *field = *at;
	char *end = field + strcspn(field, "|");

	*at = end + (*end != '\0');
	*end = '\0';
	return field;
}

/* "3" is a task; "N/A" none; "1,4-9%2" those that have no row of their own. */
static int64_t task_of(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (digits && !text[digits])
		return strtoll(text, NULL, 10);
	return isdigit((unsigned char)*text) || *text == '[' ? SLURM_OTHER_TASKS : SLURM_NO_TASK;
}

/* In the local zone, as Slurm has it without $SLURM_TIME_FORMAT; or "N/A", "Unknown", "NONE". */
static time_t time_of(const char *text)
{
	double seconds = 0;

	return clock_parse(text, &seconds, NULL) < 0 ? 0 : (time_t)seconds;
}

static void add_row(struct slurm_queue *queue, size_t *cap, const struct slurm_row *row)
{
	if (queue->n == *cap) {
		*cap = *cap ? *cap * 2 : 64;
		queue->rows = xreallocarray(queue->rows, *cap, sizeof(*queue->rows));
	}
	queue->rows[queue->n++] = *row;
}

/* Each line of 'text' goes to 'parse', which says whether it is one of a job. */
static void parse_lines(struct slurm_queue *queue, const char *text,
			bool (*parse)(char *line, struct slurm_row *row))
{
	size_t cap = 0;
	char *next;

	slurm_queue_release(queue);
	queue->text = xstrdup(text);
	for (char *line = queue->text; *line; line = next) {
		struct slurm_row row = { .state = "", .reason = "", .comment = "" };
		char *end = line + strcspn(line, "\n");

		next = end + (*end != '\0');
		*end = '\0';
		if (parse(line, &row))
			add_row(queue, &cap, &row);
	}
	if (queue->n > 1)
		qsort(queue->rows, queue->n, sizeof(*queue->rows), compare_rows);
}

void slurm_queue_argv(struct strv *argv)
{
	static const char *const words[] = { "squeue",	     "--me",
					     "--noheader",   "--array",
					     "--states=all", "--format=%F|%K|%T|%r|%S|%e|%k" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		strv_push(argv, words[i]);
}

static bool parse_queue_line(char *line, struct slurm_row *row)
{
	char *at = line;
	const char *job = take_field(&at);

	if (parse_number(&job, &row->id.job) < 0)
		return false;
	row->id.task = task_of(take_field(&at));
	row->state = take_field(&at);
	row->reason = take_field(&at);
	row->start = time_of(take_field(&at));
	row->end = time_of(take_field(&at));
	row->comment = at; /* the last one: it may hold anything */
	return true;
}

void slurm_queue_parse(struct slurm_queue *queue, const char *text)
{
	parse_lines(queue, text, parse_queue_line);
}

void slurm_accounts_argv(const char *ids, struct strv *argv)
{
	static const char *const words[] = { "sacct", "--allocations", "--noheader", "--parsable2",
					     "--format=JobID,State,Start,End" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		strv_push(argv, words[i]);
	strv_pushf(argv, "--jobs=%s", ids);
}

/* "4711_3|CANCELLED by 1000"; without "by" it was Slurm itself, for what the job waits for. */
static bool parse_account_line(char *line, struct slurm_row *row)
{
	char *at = line;
	char *id = take_field(&at);
	char *state = take_field(&at);
	bool is_in_vain = strcmp(state, "CANCELLED") == 0;
	const char *job = id;

	if (parse_number(&job, &row->id.job) < 0)
		return false;
	row->id.task = *job == '_' ? task_of(job + 1) : SLURM_NO_TASK;
	state[strcspn(state, " ")] = '\0';
	row->state = state;
	row->reason = is_in_vain ? NEVER_SATISFIED : "";
	row->start = time_of(take_field(&at));
	row->end = time_of(take_field(&at));
	return true;
}

void slurm_accounts_parse(struct slurm_queue *queue, const char *text)
{
	parse_lines(queue, text, parse_account_line);
}

void slurm_queue_release(struct slurm_queue *queue)
{
	free(queue->text);
	free(queue->rows);
	*queue = (struct slurm_queue)SLURM_QUEUE_INIT;
}

const struct slurm_row *slurm_queue_find(const struct slurm_queue *queue, struct slurm_id id)
{
	struct slurm_row key = { .id = id };
	const struct slurm_row *found = NULL;

	if (queue->n)
		found = bsearch(&key, queue->rows, queue->n, sizeof(key), compare_rows);
	for (int64_t other = SLURM_OTHER_TASKS; !found && id.task >= 0 && queue->n && other < 0;
	     other++) {
		key.id.task = other;
		found = bsearch(&key, queue->rows, queue->n, sizeof(key), compare_rows);
	}
	return found;
}

uint64_t slurm_queue_find_comment(const struct slurm_queue *queue, const char *comment)
{
	for (size_t i = 0; i < queue->n; i++)
		if (strcmp(queue->rows[i].comment, comment) == 0)
			return queue->rows[i].id.job;
	return 0;
}

/* ---- states ---- */

/* All others are not over: PENDING (also of one that was put back after it ran), RUNNING, ... */
static const struct {
	const char *state;
	struct executor_end end;
} ends[] = {
	{ "COMPLETED", { EXECUTOR_ENDED, 0, NULL, 0, 0 } },
	{ "FAILED", { EXECUTOR_ENDED, -1, NULL, 0, 0 } },
	{ "TIMEOUT", { EXECUTOR_KILLED, -1, "it took longer than its time limit", 0, 0 } },
	{ "OUT_OF_MEMORY", { EXECUTOR_KILLED, -1, "out of memory", 0, 0 } },
	{ "NODE_FAIL", { EXECUTOR_KILLED, -1, "its node failed", 0, 0 } },
	{ "BOOT_FAIL", { EXECUTOR_KILLED, -1, "its node did not start", 0, 0 } },
	{ "DEADLINE", { EXECUTOR_KILLED, -1, "its deadline passed", 0, 0 } },
	{ "PREEMPTED", { EXECUTOR_PUT_BACK, -1, "preempted", 0, 0 } },
	{ "REVOKED", { EXECUTOR_PUT_BACK, -1, "revoked in Slurm", 0, 0 } },
	{ "CANCELLED", { EXECUTOR_CANCELLED, -1, "cancelled in Slurm", 0, 0 } },
};

bool slurm_row_is_over(const struct slurm_row *row, struct executor_end *end)
{
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (strcmp(row->state, ends[i].state) != 0)
			continue;
		*end = ends[i].end;
		if (end->cause == EXECUTOR_CANCELLED && strcmp(row->reason, NEVER_SATISFIED) == 0)
			*end = (struct executor_end){ .cause = EXECUTOR_NEVER, .status = -1 };
		end->started = row->start;
		end->ended = row->end;
		return true;
	}
	return false;
}

char *slurm_row_text(const struct slurm_row *row)
{
	struct str text = STR_INIT;

	for (const char *p = row->state; *p; p++)
		str_addch(&text, (char)tolower((unsigned char)*p));
	if (strcmp(row->state, "PENDING") == 0 && *row->reason && strcmp(row->reason, "None") != 0)
		str_addf(&text, " (%s)", row->reason);
	return str_detach(&text);
}
