#include "base/base.h"

#include "app/run_kept.h"

#include "base/log.h"
#include "base/mem.h"

static double seconds_of(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

char *run_usage_text(const struct proc_outcome *child)
{
	struct str text = STR_INIT;
	struct jsonw w = jsonw_begin(&text, 0);

	jsonw_object(&w);
	jsonw_key(&w, "wall_s");
	jsonw_real(&w, (double)child->wall_ms / 1e3);
	jsonw_key(&w, "cpu_user_s");
	jsonw_real(&w, seconds_of(&child->usage.ru_utime));
	jsonw_key(&w, "cpu_system_s");
	jsonw_real(&w, seconds_of(&child->usage.ru_stime));
	jsonw_pair_int(&w, "max_rss_bytes", (int64_t)child->usage.ru_maxrss * 1024);
	jsonw_end(&w);
	return str_detach(&text);
}

char *run_said_text(const struct values *values)
{
	struct str text = STR_INIT;
	struct jsonw w = jsonw_begin(&text, 0);
	char *metrics = fields_text(values->metrics);
	char *hyperparams = fields_text(values->hyperparams);

	jsonw_object(&w);
	if (values->model_name)
		jsonw_pair_string(&w, "model_name", values->model_name);
	if (metrics)
		jsonw_pair_raw(&w, "metrics", metrics);
	if (hyperparams)
		jsonw_pair_raw(&w, "hyperparams", hyperparams);
	if (values->note)
		jsonw_pair_string(&w, "note", values->note);
	if (values->tags.n) {
		jsonw_key(&w, "tags");
		jsonw_array(&w);
		for (size_t i = 0; i < values->tags.n; i++)
			jsonw_string(&w, values->tags.v[i]);
		jsonw_end(&w);
	}
	jsonw_end(&w);
	free(metrics);
	free(hyperparams);
	if (strcmp(text.buf, "{}") == 0)
		str_release(&text);
	return text.len ? str_detach(&text) : NULL;
}

/* 'text' (may be NULL) goes below what is there already. */
static int merge_below(struct fields *into, const char *text, struct err *err)
{
	char *above = fields_text(into);
	int result = 0;

	if (text)
		result = fields_merge(into, "events", text, err);
	if (text && above && result == 0)
		result = fields_merge(into, "values", above, err);
	free(above);
	return result;
}

int run_take_events(struct values *values, const struct events *events, struct err *err)
{
	char *metrics = fields_text(events->final_metrics);
	char *hyperparams = fields_text(events->final_hyperparams);
	int result;

	if (values->steps < 0)
		values->steps = events->final_steps;
	result = merge_below(values->metrics, metrics, err);
	if (result == 0)
		result = merge_below(values->hyperparams, hyperparams, err);
	free(metrics);
	free(hyperparams);
	return result;
}

int run_extract(struct draft *draft, struct session *session, const struct extract_source *source,
		struct err *err)
{
	if (!draft->plan.has_extract)
		return 0;
	if (draft_extract(draft, session, source, err) == 0)
		return 0;
	if (draft->values->steps < 0)
		return -1;
	log_warn("%s; recorded from what the training said itself", err->msg);
	*err = (struct err)ERR_INIT;
	return 0;
}
