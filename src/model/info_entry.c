/* One entry: filled by hand or from JSON, cleaned of what is no JSON, checked, printed. */
#include "base/base.h"

#include "model/info.h"

#include "base/clock.h"
#include "base/mem.h"

static const char *const design_keys[] = {
	"dataset", "steps", "epochs", "metrics", "hyperparams", "start_time", "end_time",
};

/* The order in which additive members are printed. */
static const char *const extra_keys[] = {
	"run_id",
	"status",
	"base_model",
	"base_model_digest",
	"final_checkpoint",
	"best",
	"parents",
	"inherited_from",
	"raw_hyperparams",
	"nonfinite",
	"git",
	"environment",
	"usage",
	"attempts",
	"command",
	"plugin",
	"taken_from",
	"sources",
	"evidence",
	"planned",
	"dataset_digest",
	"tags",
	"notes",
};

static bool is_one_of(const char *key, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

void entry_init(struct entry *entry)
{
	*entry = (struct entry)ENTRY_INIT;
}

void entry_release(struct entry *entry)
{
	free(entry->dataset);
	free(entry->epochs);
	free(entry->metrics);
	free(entry->hyperparams);
	free(entry->start_time);
	free(entry->end_time);
	for (size_t i = 0; i < entry->n_extras; i++) {
		free(entry->extras[i].key);
		free(entry->extras[i].json);
	}
	free(entry->extras);
	str_release(&entry->nonfinite);
	entry_init(entry);
}

static void set_text(char **field, char *text)
{
	free(*field);
	*field = text;
}

/* ---- non-finite numbers ---- */

struct cleaner {
	const struct json *doc;
	struct entry *entry;
	struct str path;
	size_t listed;	/* length of the entry's list before */
	bool is_dotted; /* a key with a dot was met: two paths may look the same */
	struct json_edit *edits;
	size_t n;
	size_t cap;
};

/* List 'path', unless the first 'searched' bytes of the list have it. */
static void add_nonfinite(struct entry *entry, const char *path, const char *json, size_t searched)
{
	struct str member = STR_INIT;

	json_add_strz(&member, path);
	str_adds(&member, ": ");
	if (!memmem(entry->nonfinite.buf, searched, member.buf, member.len)) {
		str_adds(&entry->nonfinite, entry->nonfinite.len ? ", " : "");
		str_add(&entry->nonfinite, member.buf, member.len);
		str_adds(&entry->nonfinite, json);
	}
	str_release(&member);
}

static void clean_number(struct cleaner *c, size_t token)
{
	const struct json_token *t = &c->doc->tokens[token];
	const char *text = c->doc->text + t->start;
	const char *word = *text == 'N' ? "\"nan\"" : *text == '-' ? "\"-inf\"" : "\"inf\"";

	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 8;
		c->edits = xreallocarray(c->edits, c->cap, sizeof(*c->edits));
	}
	c->edits[c->n++] = (struct json_edit){ t->start, t->end - t->start, "null", 4 };
	add_nonfinite(c->entry, c->path.buf, word,
		      c->is_dotted ? c->entry->nonfinite.len : c->listed);
}

/* Extend the path by the key (of an object) or the position (in an array) of 'item'. */
static void enter_item(struct cleaner *c, size_t container, size_t item, size_t position)
{
	char *key = NULL;

	if (c->path.len)
		str_addch(&c->path, '.');
	if (json_is(c->doc, container, JSON_OBJECT)) {
		key = json_string_copy(c->doc, item);
		str_adds(&c->path, key);
		c->is_dotted |= strchr(key, '.') != NULL;
		free(key);
	} else {
		str_addf(&c->path, "%zu", position);
	}
}

static void clean_value(struct cleaner *c, size_t token)
{
	bool is_object = json_is(c->doc, token, JSON_OBJECT);
	size_t len = c->path.len;
	size_t position = 0;

	if (json_is(c->doc, token, JSON_NONFINITE))
		clean_number(c, token);
	for (size_t i = json_first(c->doc, token); i != JSON_NONE;
	     i = json_next(c->doc, token, i)) {
		enter_item(c, token, i, position++);
		clean_value(c, is_object ? i + 1 : i);
		str_truncate(&c->path, len);
	}
}

static bool has_nonfinite(const struct json *doc)
{
	for (size_t i = 0; i < doc->n; i++)
		if (json_is(doc, i, JSON_NONFINITE))
			return true;
	return false;
}

/* The document's text with null for what is not finite, which 'entry' then lists below 'path'. */
static char *clean(struct entry *entry, const struct json *doc, const char *path)
{
	struct cleaner c = { .doc = doc, .entry = entry, .path = STR_INIT };
	struct str out = STR_INIT;

	if (!has_nonfinite(doc))
		return xstrndup(doc->text, doc->len);
	c.listed = entry->nonfinite.len;
	str_adds(&c.path, path);
	clean_value(&c, 0);
	json_splice(doc->text, doc->len, c.edits, c.n, &out);
	free(c.edits);
	str_release(&c.path);
	return str_detach(&out);
}

/* Parse one member's value and see that it is fit for a record. */
static int parse_value(struct json *doc, const char *key, const char *json, struct err *err)
{
	bool is_metrics = strcmp(key, "metrics") == 0;
	size_t limit = is_metrics ? INFO_METRICS_DEPTH : INFO_VALUE_DEPTH;
	bool wants_object =
		is_metrics || strcmp(key, "hyperparams") == 0 || strcmp(key, "nonfinite") == 0;

	if (json_parse(doc, key, json, strlen(json), JSON_NONFINITE_OK, err) < 0)
		return -1;
	if (wants_object && !json_is(doc, 0, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "'%s' must be an object", key);
	if (json_depth(doc, 0) > limit)
		return err_set(err, ERR_INVALID, "'%s' is nested deeper than %zu levels", key,
			       limit);
	return 0;
}

int entry_set_metrics(struct entry *entry, const char *json, struct err *err)
{
	struct json doc = JSON_INIT;
	int rc = parse_value(&doc, "metrics", json, err);

	if (rc == 0)
		set_text(&entry->metrics, clean(entry, &doc, ""));
	json_release(&doc);
	return rc;
}

int entry_set_hyperparams(struct entry *entry, const char *json, struct err *err)
{
	struct json doc = JSON_INIT;
	int rc = parse_value(&doc, "hyperparams", json, err);

	if (rc == 0)
		set_text(&entry->hyperparams, clean(entry, &doc, "hyperparams"));
	json_release(&doc);
	return rc;
}

/* ---- additive members ---- */

static struct entry_extra *find_extra(const struct entry *entry, const char *key)
{
	for (size_t i = 0; i < entry->n_extras; i++)
		if (strcmp(entry->extras[i].key, key) == 0)
			return &entry->extras[i];
	return NULL;
}

const char *entry_extra(const struct entry *entry, const char *key)
{
	const struct entry_extra *extra = find_extra(entry, key);

	return extra ? extra->json : NULL;
}

static void put_extra(struct entry *entry, const char *key, char *json)
{
	struct entry_extra *extra = find_extra(entry, key);

	if (extra) {
		set_text(&extra->json, json);
		return;
	}
	if (entry->n_extras == entry->cap_extras) {
		entry->cap_extras = entry->cap_extras ? entry->cap_extras * 2 : 8;
		entry->extras =
			xreallocarray(entry->extras, entry->cap_extras, sizeof(*entry->extras));
	}
	entry->extras[entry->n_extras++] = (struct entry_extra){ xstrdup(key), json };
}

static void list_nonfinite(struct entry *entry, const struct json *doc)
{
	size_t listed = entry->nonfinite.len;

	for (size_t i = json_first(doc, 0); i != JSON_NONE; i = json_next(doc, 0, i)) {
		char *path = json_string_copy(doc, i);
		char *value = json_raw_copy(doc, i + 1);

		add_nonfinite(entry, path, value, listed);
		free(value);
		free(path);
	}
}

/* What a former append found non-finite, so that a second cleaning adds to it. The list is somebody's
 * text, too: a NaN in it is listed itself. */
static int take_nonfinite(struct entry *entry, const struct json *doc, struct err *err)
{
	struct json cleaned = JSON_INIT;
	char *text = clean(entry, doc, "nonfinite");
	int rc = json_parse(&cleaned, "nonfinite", text, strlen(text), JSON_STRICT, err);

	if (rc == 0)
		list_nonfinite(entry, &cleaned);
	json_release(&cleaned);
	free(text);
	return rc;
}

int entry_add_extra(struct entry *entry, const char *key, const char *json, struct err *err)
{
	struct json doc = JSON_INIT;
	int rc;

	if (is_one_of(key, design_keys, ARRAY_SIZE(design_keys)))
		return err_set(err, ERR_INVALID, "'%s' is no additive member", key);
	rc = parse_value(&doc, key, json, err);
	if (rc == 0 && strcmp(key, "nonfinite") == 0)
		rc = take_nonfinite(entry, &doc, err);
	else if (rc == 0)
		put_extra(entry, key, clean(entry, &doc, key));
	json_release(&doc);
	return rc;
}

void entry_add_extra_string(struct entry *entry, const char *key, const char *text)
{
	struct str json = STR_INIT;

	json_add_strz(&json, text);
	put_extra(entry, key, str_detach(&json));
}

/* ---- from JSON ---- */

struct source {
	const char *name;
	const struct json *doc;
	struct entry *out;
	struct err *err;
};

static int fail_type(const struct source *s, size_t value, const char *key, const char *wanted)
{
	size_t len;
	const char *raw = json_raw(s->doc, value, &len);

	return err_set(s->err, ERR_INVALID, "%s:%zu: '%s' is %.*s%s, expected %s", s->name,
		       json_line(s->doc, value), key, len > 40 ? 40 : (int)len, raw,
		       len > 40 ? "..." : "", wanted);
}

static int read_string(const struct source *s, size_t value, const char *key, char **field)
{
	struct str text = STR_INIT;

	if (!json_is(s->doc, value, JSON_STRING))
		return fail_type(s, value, key, "a string");
	json_string(s->doc, value, &text);
	if (strlen(text.buf) != text.len) {
		str_release(&text);
		return fail_type(s, value, key, "a string without NUL");
	}
	set_text(field, str_detach(&text));
	return 0;
}

static int read_steps(const struct source *s, size_t value)
{
	if (json_int64(s->doc, value, &s->out->steps) < 0 || s->out->steps < 0)
		return fail_type(s, value, "steps", "an integer, 0 or more");
	return 0;
}

static int read_epochs(const struct source *s, size_t value)
{
	if (json_is(s->doc, value, JSON_NULL))
		return 0;
	if (!json_is_number(s->doc, value))
		return fail_type(s, value, "epochs", "a number or null");
	set_text(&s->out->epochs, json_raw_copy(s->doc, value));
	return 0;
}

/* Metrics, hyperparameters and additive members: JSON that is kept as it stands. */
static int read_json(const struct source *s, size_t value, const char *key)
{
	char *raw = json_raw_copy(s->doc, value);
	int rc = 0;

	if (strcmp(key, "metrics") == 0)
		rc = entry_set_metrics(s->out, raw, s->err);
	else if (strcmp(key, "hyperparams") != 0)
		rc = entry_add_extra(s->out, key, raw, s->err);
	else if (!json_is(s->doc, value, JSON_NULL))
		rc = entry_set_hyperparams(s->out, raw, s->err);
	free(raw);
	if (rc < 0)
		err_prefix(s->err, "%s:%zu", s->name, json_line(s->doc, value));
	return rc;
}

static int read_member(const struct source *s, size_t value, const struct str *name)
{
	const char *key = name->buf;

	if (strlen(key) != name->len)
		return err_set(s->err, ERR_INVALID, "%s:%zu: NUL in a key", s->name,
			       json_line(s->doc, value));
	if (strcmp(key, "dataset") == 0)
		return read_string(s, value, key, &s->out->dataset);
	if (strcmp(key, "start_time") == 0)
		return read_string(s, value, key, &s->out->start_time);
	if (strcmp(key, "end_time") == 0)
		return read_string(s, value, key, &s->out->end_time);
	if (strcmp(key, "steps") == 0)
		return read_steps(s, value);
	if (strcmp(key, "epochs") == 0)
		return read_epochs(s, value);
	return read_json(s, value, key);
}

static int read_object(const struct source *s, size_t object)
{
	struct str key = STR_INIT;
	int rc = 0;

	if (!json_is(s->doc, object, JSON_OBJECT))
		return err_set(s->err, ERR_INVALID, "%s:%zu: an entry must be an object", s->name,
			       json_line(s->doc, object));
	for (size_t i = json_first(s->doc, object); rc == 0 && i != JSON_NONE;
	     i = json_next(s->doc, object, i)) {
		json_string(s->doc, i, &key);
		rc = read_member(s, i + 1, &key);
	}
	str_release(&key);
	return rc;
}

int entry_parse(const char *name, const char *text, size_t len, struct entry *out, struct err *err)
{
	struct json doc = JSON_INIT;
	struct source source = { .name = name, .doc = &doc, .out = out, .err = err };
	int rc = json_parse(&doc, name, text, len, JSON_NONFINITE_OK, err);

	if (rc == 0)
		rc = read_object(&source, 0);
	json_release(&doc);
	return rc;
}

int info_entry_read(const struct info *info, size_t entry, struct entry *out, struct err *err)
{
	struct source source = { .name = info->name, .doc = &info->doc, .out = out, .err = err };

	return read_object(&source, entry);
}

/* ---- checking and printing ---- */

static int check_time(const char *key, const char *text, struct err *err)
{
	double seconds;

	if (!text)
		return err_set(err, ERR_INVALID, "the entry has no '%s'", key);
	if (clock_parse(text, &seconds, NULL) < 0)
		return err_set(err, ERR_INVALID,
			       "'%s' is '%s', expected a time as 2025-12-11T10:30:00", key, text);
	return 0;
}

int entry_check(const struct entry *entry, struct err *err)
{
	if (!entry->dataset || !*entry->dataset)
		return err_set(err, ERR_INVALID, "the entry has no 'dataset'");
	if (entry->steps < 0)
		return err_set(err, ERR_INVALID, "the entry has no 'steps'");
	if (!entry->metrics)
		return err_set(err, ERR_INVALID, "the entry has no 'metrics'");
	if (entry->epochs && !json_is_number_text(entry->epochs, strlen(entry->epochs), NULL))
		/* not reached by tests: who read the flag or the file has looked */
		return err_set(err, ERR_INVALID, "'epochs' is '%s', expected a number",
			       entry->epochs);
	if (check_time("start_time", entry->start_time, err) < 0)
		return -1;
	return check_time("end_time", entry->end_time, err);
}

static void print_extra(const struct entry *entry, const char *key, struct jsonw *w)
{
	const char *json = entry_extra(entry, key);

	if (strcmp(key, "nonfinite") == 0 && entry->nonfinite.len) {
		jsonw_key(w, key);
		jsonw_object(w);
		jsonw_raw(w, entry->nonfinite.buf, entry->nonfinite.len);
		jsonw_end(w);
	} else if (json) {
		jsonw_pair_raw(w, key, json);
	}
}

void entry_print(const struct entry *entry, struct jsonw *w)
{
	jsonw_object(w);
	jsonw_pair_string(w, "dataset", entry->dataset);
	jsonw_pair_int(w, "steps", entry->steps);
	jsonw_pair_raw(w, "epochs", entry->epochs ? entry->epochs : "null");
	jsonw_pair_raw(w, "metrics", entry->metrics ? entry->metrics : "{}");
	jsonw_pair_raw(w, "hyperparams", entry->hyperparams ? entry->hyperparams : "{}");
	jsonw_pair_string(w, "start_time", entry->start_time);
	jsonw_pair_string(w, "end_time", entry->end_time);
	for (size_t i = 0; i < ARRAY_SIZE(extra_keys); i++)
		print_extra(entry, extra_keys[i], w);
	for (size_t i = 0; i < entry->n_extras; i++)
		if (!is_one_of(entry->extras[i].key, extra_keys, ARRAY_SIZE(extra_keys)))
			jsonw_pair_raw(w, entry->extras[i].key, entry->extras[i].json);
	jsonw_end(w);
}
