#include "base/base.h"

#include "model/layout.h"

#include "base/mem.h"
#include "sys/json.h"

/* "features_hrds" for "stage2_hrds". */
static char *dir_of_key(const struct layout *layout, const char *key)
{
	char *stage;
	char *dataset;
	char *dir;

	layout_split_name(layout, key, &stage, &dataset);
	dir = stage ? layout_stage_dir_name(layout, stage, dataset) : xstrdup(key);
	free(stage);
	free(dataset);
	return dir;
}

static void fill_state(const struct layout *layout, const struct json *doc, size_t key,
		       struct stage_state *s)
{
	size_t value = key + 1;
	size_t metrics = json_member(doc, value, "metrics");

	s->key = json_string_copy(doc, key);
	s->dir = dir_of_key(layout, s->key);
	s->status = json_string_copy(doc, json_member(doc, value, "status"));
	s->best_checkpoint = json_string_copy(doc, json_member(doc, value, "best_checkpoint"));
	s->started_at = json_string_copy(doc, json_member(doc, value, "started_at"));
	s->completed_at = json_string_copy(doc, json_member(doc, value, "completed_at"));
	if (json_is(doc, metrics, JSON_OBJECT))
		s->metrics = json_raw_copy(doc, metrics);
	if (json_int64(doc, json_member(doc, value, "current_step"), &s->current_step) < 0)
		s->current_step = 0;
}

static void fill_states(const struct layout *layout, const struct json *doc,
			struct stage_state **out, size_t *n)
{
	size_t stages = json_member(doc, 0, "stages");

	if (!json_is(doc, stages, JSON_OBJECT))
		return;
	*out = xcalloc(doc->tokens[stages].size, sizeof(**out));
	for (size_t i = json_first(doc, stages); i != JSON_NONE; i = json_next(doc, stages, i))
		fill_state(layout, doc, i, &(*out)[(*n)++]);
}

int layout_list_states(struct layout *layout, const char *exp, struct stage_state **out, size_t *n,
		       struct err *err)
{
	struct str name = STR_INIT;
	struct str text = STR_INIT;
	struct json doc = JSON_INIT;
	struct err trouble = ERR_INIT;
	int rc;

	*out = NULL;
	*n = 0;
	rc = layout_find_experiment(layout, exp, &name, err);
	if (rc < 0)
		goto out;
	if (layout_read_config(layout, name.buf, &text, &trouble) < 0) {
		rc = trouble.code == ERR_NOT_FOUND ? 0 : -1;
		if (rc < 0)
			*err = trouble;
		goto out;
	}
	rc = json_parse(&doc, name.buf, text.buf, text.len, JSON_NONFINITE_OK, err);
	if (rc == 0)
		fill_states(layout, &doc, out, n);
out:
	json_release(&doc);
	str_release(&text);
	str_release(&name);
	return rc;
}

void stage_state_list_release(struct stage_state *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(list[i].key);
		free(list[i].dir);
		free(list[i].status);
		free(list[i].best_checkpoint);
		free(list[i].started_at);
		free(list[i].completed_at);
		free(list[i].metrics);
	}
	free(list);
}
