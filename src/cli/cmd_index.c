#include "base/base.h"

#include "base/log.h"
#include "cli/command.h"
#include "cli/reading.h"
#include "cli/render.h"
#include "index/index.h"
#include "sys/json.h"

static int find_roots(struct cli *cli, struct strv *roots, struct err *err)
{
	const char *root;
	size_t position = 0;

	while ((root = option_each(&cli->options, "root", &position)))
		strv_push(roots, root);
	if (roots->n)
		return 0;
	if (session_layout(&cli->session, err) < 0)
		return -1;
	strv_push(roots, cli->session.layout.root);
	return 0;
}

static void add_json(const struct index_state *state, const struct strv *roots, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.index/1");
	jsonw_pair_string(&w, "path", state ? state->path : NULL);
	jsonw_key(&w, "roots");
	jsonw_array(&w);
	for (size_t i = 0; i < roots->n; i++)
		jsonw_string(&w, roots->v[i]);
	jsonw_end(&w);
	if (state) {
		jsonw_pair_int(&w, "version", state->version);
		jsonw_pair_int(&w, "bytes", state->bytes);
		jsonw_pair_int(&w, "records", state->n_records);
		jsonw_pair_int(&w, "places", state->n_places);
		jsonw_pair_int(&w, "live", state->n_live);
		jsonw_pair_int(&w, "racy", state->n_racy);
		jsonw_pair_int(&w, "stale", state->n_stale);
	}
	jsonw_key(&w, "fresh");
	jsonw_bool(&w, state && !state->n_stale);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static void add_line(struct str *out, const char *title, int64_t value, const char *what)
{
	str_addf(out, "%-10s", title);
	add_count(out, value);
	str_addf(out, "%s\n", what);
}

static void add_text(const struct index_state *state, const struct strv *roots, struct str *out)
{
	if (!state) {
		str_adds(out, "there is no index of this tree: 'thhost index sync' makes one\n");
		return;
	}
	str_adds(out, "index     ");
	add_safe(out, state->path);
	str_addch(out, '\n');
	for (size_t i = 0; i < roots->n; i++) {
		str_adds(out, "of        ");
		add_safe(out, roots->v[i]);
		str_addch(out, '\n');
	}
	add_line(out, "size", state->bytes, " bytes");
	add_line(out, "version", state->version, "");
	add_line(out, "records", state->n_records, "");
	add_line(out, "places", state->n_places, " parts of the tree");
	if (state->n_live)
		add_line(out, "live", state->n_live, " of them, read from the files each time");
	if (state->n_racy)
		add_line(out, "racy", state->n_racy,
			 " of them, changed so shortly before that they are read once more");
	if (state->n_stale)
		add_line(out, "stale", state->n_stale, " of them, to be read when it is used next");
	else
		str_adds(out, "fresh     yes\n");
}

static int print_state(const struct cli *cli, struct index *index, const struct strv *roots,
		       bool has_synced, struct err *err)
{
	struct index_state state = { .path = NULL };
	struct str out = STR_INIT;
	int result = index ? index_state(index, has_synced, &state, err) : 0;

	if (result == 0) {
		if (cli->json)
			add_json(index ? &state : NULL, roots, &out);
		else
			add_text(index ? &state : NULL, roots, &out);
		result = print_out(&out) < 0 ? 1 : 0;
	}
	index_state_release(&state);
	str_release(&out);
	return result;
}

static int index_roots(const struct cli *cli, const struct strv *roots, struct err *err)
{
	const char *what = operand(cli, 0);
	bool is_status = strcmp(what, "status") == 0;
	const struct index_options options = {
		.roots = roots,
		.absent = is_status ? INDEX_LEAVE : INDEX_MAKE,
		.progress = show_reading,
	};
	struct index *index;
	int result = index_open(&index, &options, err) < 0 ? -1 : 0;

	if (result == 0 && strcmp(what, "rebuild") == 0)
		result = index_erase(index, err);
	if (result == 0 && !is_status)
		result = index_sync(index, err);
	if (result == 0)
		result = print_state(cli, index, roots, !is_status, err);
	index_close(index);
	return result;
}

static int run_index(struct cli *cli, struct err *err)
{
	static const char *const words[] = { "sync", "status", "rebuild" };
	const char *what = operand(cli, 0);
	struct strv roots = STRV_INIT;
	bool is_known = false;
	int result;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		is_known |= strcmp(what, words[i]) == 0;
	if (!is_known)
		return err_set(err, ERR_USAGE,
			       "'thhost index' knows sync, status and rebuild, not '%s'", what);
	result = find_roots(cli, &roots, err);
	if (result == 0)
		result = index_roots(cli, &roots, err);
	strv_release(&roots);
	return result;
}

const struct command cmd_index = {
	.name = "index",
	.synopsis = "sync | status | rebuild",
	.summary = "bring the index of the records up to date, or show how it stands",
	.details = "It is kept up to date by what uses it, and changes no answer. --root may be "
		   "given\n"
		   "several times.\n",
	.min_operands = 1,
	.max_operands = 1,
	.run = run_index,
};
