/* The attempts at one run: each as its entry will have it. */
#include "base/base.h"

#include "model/journal.h"

#include "base/mem.h"
#include "sys/json.h"

#include <math.h>

/* One that the journal calls unrecorded or spooled has ended well, too. */
static const char *outcome_of(const struct run *run)
{
	switch (run->state) {
	case RUN_FAILED:
		return "failed";
	case RUN_STARTING:
	case RUN_RUNNING:
	case RUN_INTERRUPTED:
		return "interrupted";
	case RUN_RECORDED:
	case RUN_SPOOLED:
	case RUN_UNRECORDED:
	case RUN_COMPLETED:
		break;
	}
	return "completed";
}

static void print_attempt(const struct run *run, struct jsonw *w)
{
	const char *end = run->end_time ? run->end_time : run->start_time;

	jsonw_object(w);
	jsonw_pair_string(w, "start_time", run->start_time);
	jsonw_pair_string(w, "end_time", end);
	jsonw_pair_string(w, "outcome", outcome_of(run));
	if (run->host)
		jsonw_pair_string(w, "host", run->host);
	if (run->wall_ms > 0) {
		jsonw_key(w, "wall_s");
		jsonw_real(w, (double)run->wall_ms / 1e3);
	}
	if (run->exit_code >= 0)
		jsonw_pair_int(w, "exit_code", run->exit_code);
	if (run->signal)
		jsonw_pair_int(w, "signal", run->signal);
	if (run->last_step >= 0)
		jsonw_pair_int(w, "last_step", run->last_step);
	jsonw_end(w);
}

/* 'earlier' (array text, or NULL) and 'run' behind it, as the items of an array. */
static char *print_all(const char *earlier, const struct run *run)
{
	struct str out = STR_INIT;
	struct jsonw w = jsonw_begin(&out, 0);
	struct json doc = JSON_INIT;
	struct err ignored = ERR_INIT; /* the journal's text has been parsed before */

	jsonw_array(&w);
	if (earlier &&
	    json_parse(&doc, "attempts", earlier, strlen(earlier), JSON_STRICT, &ignored) == 0)
		for (size_t i = json_first(&doc, 0); i != JSON_NONE; i = json_next(&doc, 0, i)) {
			size_t len;
			const char *raw = json_raw(&doc, i, &len);

			jsonw_raw(&w, raw, len);
		}
	print_attempt(run, &w);
	jsonw_end(&w);
	json_release(&doc);
	return str_detach(&out);
}

void run_fold_attempt(struct run *run, const struct run *former)
{
	free(run->earlier_attempts);
	run->earlier_attempts = print_all(former->earlier_attempts, former);
}

char *run_attempts_text(const struct run *run)
{
	return run->earlier_attempts ? print_all(run->earlier_attempts, run) : NULL;
}

static int parse_earlier(const struct run *run, struct json *doc)
{
	struct err ignored = ERR_INIT;

	return run->earlier_attempts
		       ? json_parse(doc, "attempts", run->earlier_attempts,
				    strlen(run->earlier_attempts), JSON_STRICT, &ignored)
		       : -1;
}

char *run_first_start(const struct run *run)
{
	struct json doc = JSON_INIT;
	char *start = NULL;

	if (parse_earlier(run, &doc) == 0 && json_first(&doc, 0) != JSON_NONE)
		start = json_string_copy(&doc,
					 json_member(&doc, json_first(&doc, 0), "start_time"));
	json_release(&doc);
	return start ? start : xstrdup_or_null(run->start_time);
}

size_t run_count_attempts(const struct run *run)
{
	struct json doc = JSON_INIT;
	size_t n = 1;

	if (parse_earlier(run, &doc) == 0)
		for (size_t i = json_first(&doc, 0); i != JSON_NONE; i = json_next(&doc, 0, i))
			n++;
	json_release(&doc);
	return n;
}
