#include "base/base.h"

#include "cli/preview.h"

#include "app/masked.h"
#include "base/mem.h"
#include "cli/render.h"
#include "sys/path.h"

#define LABEL_WIDTH 13

/* The reading as the plugin gave it, fit for anybody's eyes and any parser; false: there is none. */
static bool open_reading(const struct preview *p, struct str *text, struct json *doc)
{
	const char *reading = p->draft->result.reading;
	struct err ignored = ERR_INIT;

	return reading && masked_json(reading, p->conf, true, text, &ignored) == 0 &&
	       json_parse(doc, "reading", text->buf, text->len, JSON_DUPLICATES_OK, &ignored) == 0;
}

/* ---- JSON ---- */

static void add_member(struct jsonw *w, const struct json *doc, const char *key,
		       const char *otherwise)
{
	size_t token = json_member(doc, 0, key);
	char *raw = token == JSON_NONE ? NULL : json_raw_copy(doc, token);

	if (raw || otherwise)
		jsonw_pair_raw(w, key, raw ? raw : otherwise);
	free(raw);
}

static void add_reading(const struct preview *p, struct jsonw *w)
{
	struct str text = STR_INIT;
	struct json doc = JSON_INIT;

	if (open_reading(p, &text, &doc)) {
		add_member(w, &doc, "recognised", "[]");
		add_member(w, &doc, "reader", NULL);
		add_member(w, &doc, "runs", NULL);
		add_member(w, &doc, "complemented", NULL);
		add_member(w, &doc, "reading", "null");
	} else {
		jsonw_pair_raw(w, "recognised", "[]");
		jsonw_pair_raw(w, "reading", "null");
	}
	json_release(&doc);
	str_release(&text);
}

static void add_strings(struct jsonw *w, const struct strv *v)
{
	for (size_t i = 0; i < v->n; i++)
		jsonw_string(w, v->v[i]);
}

void preview_json(const struct preview *p, struct str *out)
{
	const struct draft *draft = p->draft;
	bool refused = p->refused->code != ERR_NONE;
	char *path = path_join(draft->dir.path, RECORD_NAME);
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.record/1");
	jsonw_pair_string(&w, "ref", draft->dir.ref);
	jsonw_pair_string(&w, "path", path);
	jsonw_pair_string(&w, "run_id", draft->additive && draft->run_id[0] ? draft->run_id : NULL);
	jsonw_key(&w, "written");
	jsonw_bool(&w, false);
	jsonw_pair_string(&w, "outcome", draft->result.outcome);
	jsonw_pair_string(&w, "error", draft->result.error);
	jsonw_pair_string(&w, "would", refused ? "refuse" : "append");
	jsonw_pair_string(&w, "why", refused ? p->refused->msg : NULL);
	jsonw_pair_raw(&w, "entry", p->entry->entry.len ? p->entry->entry.buf : "null");
	add_reading(p, &w);
	jsonw_key(&w, "warnings");
	jsonw_array(&w);
	add_strings(&w, &draft->result.warnings);
	add_strings(&w, &p->entry->warnings);
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
	free(path);
}

/* ---- text ---- */

static void add_label(struct str *out, const char *label)
{
	str_addf(out, "%-*s", LABEL_WIDTH, label);
}

static void add_text(struct str *out, const char *label, const char *text)
{
	if (!text || !*text)
		return;
	add_label(out, label);
	add_safe(out, text);
	str_addch(out, '\n');
}

static void add_recognised(const struct json *doc, struct str *out)
{
	size_t list = json_member(doc, 0, "recognised");

	for (size_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i)) {
		char *title = json_string_copy(doc, json_member(doc, i, "title"));
		char *why = json_string_copy(doc, json_member(doc, i, "why"));
		char *error = json_string_copy(doc, json_member(doc, i, "error"));
		bool is_first = i == json_first(doc, list);

		add_label(out, is_first ? "recognised" : "");
		add_tone(out, is_first ? TONE_BOLD : TONE_PLAIN, title ? title : "?");
		if (why) {
			str_adds(out, ": ");
			add_safe(out, why);
		}
		if (error) {
			str_adds(out, "; not read: ");
			add_safe(out, error);
		}
		str_addch(out, '\n');
		free(title);
		free(why);
		free(error);
	}
}

/* " (observed; trainer_state.json: global_step)" */
static void add_origin(struct str *out, const struct json *doc, const char *field,
		       const char *source_key)
{
	char *how = json_string_copy(doc, json_member(doc, json_member(doc, 0, "evidence"), field));
	char *source =
		json_string_copy(doc, json_member(doc, json_member(doc, 0, "sources"), source_key));

	if (how || source) {
		bool told = how && source && has_prefix(source, how); /* "derived: ..." */

		str_adds(out, "  (");
		str_adds(out, how && !told ? how : "");
		if (how && source && !told)
			str_adds(out, "; ");
		if (source)
			add_safe(out, source);
		str_addch(out, ')');
	}
	free(how);
	free(source);
}

/* A member as it stands, a string without its quotes; nothing if it is null. */
static void add_field(struct str *out, const struct json *doc, const char *key)
{
	size_t token = json_member(doc, 0, key);
	char *text = json_is(doc, token, JSON_STRING) ? json_string_copy(doc, token) : NULL;

	if (!text && token != JSON_NONE && !json_is(doc, token, JSON_NULL))
		text = json_raw_copy(doc, token);
	if (text && *text) {
		add_label(out, key);
		add_safe(out, text);
		add_origin(out, doc, key, key);
		str_addch(out, '\n');
	}
	free(text);
}

/* One line for each member of the object; what is nested is only named. */
static void add_members(struct str *out, const struct json *doc, const char *name)
{
	size_t object = json_member(doc, 0, name);

	for (size_t i = json_first(doc, object); i != JSON_NONE; i = json_next(doc, object, i)) {
		char *key = json_string_copy(doc, i);
		char *value = json_raw_copy(doc, i + 1);
		char *source = xstrf("%s.%s", name, key);
		bool is_nested =
			json_is(doc, i + 1, JSON_OBJECT) || json_is(doc, i + 1, JSON_ARRAY);

		add_label(out, i == json_first(doc, object) ? name : "");
		add_safe(out, key);
		str_addch(out, ' ');
		add_safe(out, is_nested ? "(nested)" : value);
		add_origin(out, doc, "", source);
		str_addch(out, '\n');
		free(source);
		free(value);
		free(key);
	}
}

static void add_best(struct str *out, const struct json *doc)
{
	size_t best = json_member(doc, 0, "best");
	static const char *const shown[] = { "metric", "value", "step", "epoch",
					     "checkpoint_name" };

	if (best == JSON_NONE)
		return;
	add_label(out, "best");
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		size_t token = json_member(doc, best, shown[i]);
		char *text = token == JSON_NONE			? NULL
			     : json_is(doc, token, JSON_STRING) ? json_string_copy(doc, token)
								: json_raw_copy(doc, token);

		if (text && i > 1)
			str_addf(out, "%s ", shown[i]);
		if (text) {
			add_safe(out, text);
			str_addch(out, ' ');
		}
		free(text);
	}
	str_adds(out, json_is(doc, json_member(doc, best, "declared"), JSON_TRUE) ? "(declared)\n"
										  : "(derived)\n");
}

static void add_entry(struct str *out, const struct json *doc)
{
	static const char *const fields[] = { "steps", "epochs", "base_model", "start_time",
					      "end_time" };
	char *checkpoint =
		json_string_copy(doc,
				 json_member(doc, json_member(doc, 0, "final_checkpoint"), "name"));

	if (json_is(doc, json_member(doc, 0, "dataset"), JSON_NULL))
		add_text(out, "dataset", "unknown: nothing tells; --dataset D says it");
	else
		add_field(out, doc, "dataset");
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		add_field(out, doc, fields[i]);
	add_members(out, doc, "metrics");
	add_best(out, doc);
	add_text(out, "checkpoint", checkpoint);
	add_members(out, doc, "hyperparams");
	free(checkpoint);
}

void preview_text(const struct preview *p, struct str *out)
{
	const struct draft *draft = p->draft;
	struct str reading = STR_INIT;
	struct json doc = JSON_INIT;
	struct json entry = JSON_INIT;
	struct err ignored = ERR_INIT;

	add_text(out, p->refused->code ? "would refuse" : "would append", draft->dir.ref);
	add_text(out, "because", p->refused->code ? p->refused->msg : NULL);
	if (open_reading(p, &reading, &doc))
		add_recognised(&doc, out);
	add_text(out, "outcome", draft->result.outcome);
	add_text(out, "error", draft->result.error);
	if (p->entry->entry.len && json_parse(&entry, "entry", p->entry->entry.buf,
					      p->entry->entry.len, JSON_STRICT, &ignored) == 0)
		add_entry(out, &entry);
	str_adds(out, "nothing was written\n");
	json_release(&entry);
	json_release(&doc);
	str_release(&reading);
}
