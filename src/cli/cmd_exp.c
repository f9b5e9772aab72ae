#include "base/base.h"

#include "model/history.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/render.h"

/* The first experiment of all makes the artifact root too. */
static int make_root(const struct conf *conf, struct err *err)
{
	char *root = conf_path(conf, "artifact.root");
	int result = layout_make_root(root, err);

	free(root);
	return result;
}

static int exp_new(struct cli *cli, struct str *out, struct err *err)
{
	struct str made = STR_INIT;
	int result = layout_new_experiment(&cli->session.layout, operand(cli, 1), &made, err);

	if (result == 0 && cli->json) {
		struct jsonw w = jsonw_begin(out, 2);

		jsonw_object(&w);
		jsonw_pair_string(&w, "schema", "thhost.exp/1");
		jsonw_pair_string(&w, "name", made.buf);
		jsonw_end(&w);
		str_addch(out, '\n');
	} else if (result == 0) {
		str_addf(out, "%s\n", made.buf);
	}
	str_release(&made);
	return result;
}

static int exp_use(struct cli *cli, struct err *err)
{
	if (!operand(cli, 1))
		return err_set(err, ERR_USAGE, "which experiment? (thhost exp use NAME)");
	return layout_use_experiment(&cli->session.layout, operand(cli, 1), err);
}

static void list_row(struct table *t, const struct experiment *exp)
{
	struct str text = STR_INIT;

	table_row(t);
	table_cell(t, TONE_PLAIN, exp->is_current ? "*" : "");
	table_cell(t, TONE_PLAIN, exp->name);
	str_addf(&text, "%zu", exp->n_stages);
	table_cell(t, TONE_PLAIN, text.buf);
	str_clear(&text);
	if (exp->id)
		str_addf(&text, "%lld", (long long)exp->id);
	table_cell(t, TONE_PLAIN, text.buf);
	table_cell(t, TONE_PLAIN, exp->title ? exp->title : "");
	table_cell(t, TONE_PLAIN, exp->created ? exp->created : "");
	str_release(&text);
}

static void list_as_table(const struct experiment *list, size_t n, struct str *out)
{
	static const char *const titles[] = { "", "experiment", "stages", "id", "name", "created" };
	struct table *t = table_new();

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		table_column(t, titles[i], i == 2 || i == 3 ? ALIGN_RIGHT : ALIGN_LEFT);
	for (size_t i = 0; i < n; i++)
		list_row(t, &list[i]);
	table_print(t, "", out);
	table_free(t);
}

static void list_as_json(const struct experiment *list, size_t n, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.experiments/1");
	jsonw_key(&w, "experiments");
	jsonw_array(&w);
	for (size_t i = 0; i < n; i++) {
		jsonw_object(&w);
		jsonw_pair_string(&w, "name", list[i].name);
		jsonw_key(&w, "current");
		jsonw_bool(&w, list[i].is_current);
		jsonw_pair_int(&w, "stages", (int64_t)list[i].n_stages);
		jsonw_key(&w, "id");
		if (list[i].id)
			jsonw_int(&w, list[i].id);
		else
			jsonw_null(&w);
		jsonw_pair_string(&w, "title", list[i].title);
		jsonw_pair_string(&w, "created", list[i].created);
		jsonw_end(&w);
	}
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static int exp_list(struct cli *cli, struct str *out, struct err *err)
{
	struct experiment *list;
	size_t n;

	if (layout_list_experiments(&cli->session.layout, &list, &n, err) < 0)
		return -1;
	if (cli->json)
		list_as_json(list, n, out);
	else if (n)
		list_as_table(list, n, out);
	else
		log_notice("no experiment yet; 'thhost exp new' makes one");
	experiment_list_release(list, n);
	return 0;
}

/* ---- exp status: what the journal, the records and config.yml say of each stage ---- */

/* What is going on in a stage directory, in one word, and the run that says so (may be NULL). */
static const char *state_of(const struct history *history, const struct run **run)
{
	*run = history->runs.n ? &history->runs.v[history->runs.n - 1] : NULL;
	if (history->err.code)
		return "broken";
	if (*run)
		return run_state_word((*run)->state);
	return history->has_record ? "recorded" : "empty";
}

static const struct stage_state *config_state(const struct stage_state *states, size_t n,
					      const char *dir)
{
	for (size_t i = 0; i < n; i++)
		if (states[i].dir && strcmp(states[i].dir, dir) == 0)
			return &states[i];
	return NULL;
}

static enum tone tone_of(const char *state)
{
	if (strcmp(state, "recorded") == 0 || strcmp(state, "completed") == 0)
		return TONE_GOOD;
	if (strcmp(state, "running") == 0 || strcmp(state, "starting") == 0)
		return TONE_RUNNING;
	return TONE_BAD;
}

static void status_row(struct table *t, const struct history *history,
		       const struct stage_state *config)
{
	const struct run *run;
	const char *state = state_of(history, &run);
	struct str text = STR_INIT;

	table_row(t);
	table_cell(t, TONE_PLAIN, history->dir.name);
	table_cell(t, tone_of(state), state);
	if (history->has_record && !history->err.code)
		add_count(&text, info_total_steps(&history->info));
	table_cell(t, TONE_PLAIN, text.buf);
	str_clear(&text);
	if (run && run->last_step >= 0 && run_is_outside(run))
		add_count(&text, run->last_step);
	table_cell(t, TONE_PLAIN, text.buf);
	str_clear(&text);
	if (run && run->start_time)
		add_age(&text, run->start_time);
	table_cell(t, TONE_PLAIN, text.buf);
	table_cell(t, TONE_DIM, config ? config->status : "");
	str_clear(&text);
	if (run && run->earlier_attempts)
		str_addf(&text, "attempt %zu%s", run_count_attempts(run), run->trouble ? ": " : "");
	str_adds(&text, run && run->trouble ? run->trouble : "");
	table_cell(t, TONE_PLAIN, text.buf);
	str_release(&text);
}

static void config_only_row(struct table *t, const struct stage_state *config)
{
	table_row(t);
	table_cell(t, TONE_PLAIN, config->dir ? config->dir : config->key);
	table_cell(t, TONE_DIM, "not recorded");
	table_cell(t, TONE_PLAIN, "");
	table_cell(t, TONE_PLAIN, "");
	table_cell(t, TONE_PLAIN,
		   config->completed_at ? config->completed_at
		   : config->started_at ? config->started_at
					: "");
	table_cell(t, TONE_DIM, config->status ? config->status : "");
}

static bool is_in(const struct histories *all, const char *dir)
{
	for (size_t i = 0; i < all->n; i++)
		if (dir && strcmp(all->v[i].dir.name, dir) == 0)
			return true;
	return false;
}

static void status_as_table(const struct histories *all, const struct stage_state *states, size_t n,
			    struct str *out)
{
	static const char *const titles[] = { "stage",	 "state",      "steps", "last step",
					      "started", "config.yml", "" };
	struct table *t = table_new();

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		table_column(t, titles[i], i == 2 || i == 3 ? ALIGN_RIGHT : ALIGN_LEFT);
	for (size_t i = 0; i < all->n; i++)
		status_row(t, &all->v[i], config_state(states, n, all->v[i].dir.name));
	for (size_t i = 0; i < n; i++)
		if (!is_in(all, states[i].dir))
			config_only_row(t, &states[i]);
	table_print(t, "", out);
	table_free(t);
}

static void config_as_json(struct jsonw *w, const struct stage_state *state)
{
	if (!state) {
		jsonw_null(w);
		return;
	}
	jsonw_object(w);
	jsonw_pair_string(w, "key", state->key);
	jsonw_pair_string(w, "status", state->status);
	jsonw_pair_string(w, "best_checkpoint", state->best_checkpoint);
	jsonw_pair_string(w, "started_at", state->started_at);
	jsonw_pair_string(w, "completed_at", state->completed_at);
	jsonw_pair_int(w, "current_step", state->current_step);
	jsonw_pair_raw(w, "metrics", state->metrics ? state->metrics : "{}");
	jsonw_end(w);
}

static void history_as_json(struct jsonw *w, const struct history *history,
			    const struct stage_state *config)
{
	const struct run *run;
	const char *state = state_of(history, &run);

	jsonw_object(w);
	jsonw_pair_string(w, "dir", history->dir.name);
	jsonw_pair_string(w, "state", state);
	jsonw_key(w, "total_steps");
	if (history->has_record && !history->err.code)
		jsonw_int(w, info_total_steps(&history->info));
	else
		jsonw_null(w);
	jsonw_key(w, "runs");
	jsonw_array(w);
	for (size_t i = 0; i < history->runs.n; i++) {
		struct str text = STR_INIT;

		run_print(&history->runs.v[i], &text, 2);
		jsonw_raw(w, text.buf, text.len);
		str_release(&text);
	}
	jsonw_end(w);
	jsonw_pair_int(w, "spooled", (int64_t)history->waiting.n);
	jsonw_key(w, "config");
	config_as_json(w, config);
	jsonw_end(w);
}

static void status_as_json(const char *exp, const struct histories *all,
			   const struct stage_state *states, size_t n, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.status/1");
	jsonw_pair_string(&w, "experiment", exp);
	jsonw_key(&w, "stages");
	jsonw_array(&w);
	for (size_t i = 0; i < all->n; i++)
		history_as_json(&w, &all->v[i], config_state(states, n, all->v[i].dir.name));
	for (size_t i = 0; i < n; i++) {
		if (is_in(all, states[i].dir))
			continue;
		jsonw_object(&w);
		jsonw_pair_string(&w, "dir", states[i].dir);
		jsonw_pair_string(&w, "state", "not recorded");
		jsonw_key(&w, "config");
		config_as_json(&w, &states[i]);
		jsonw_end(&w);
	}
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static int exp_status(struct cli *cli, struct str *out, struct err *err)
{
	struct layout *layout = &cli->session.layout;
	struct stage_state *states = NULL;
	struct histories all = { .v = NULL };
	struct str name = STR_INIT;
	size_t n = 0;
	int result = session_all_stages(&cli->session, err);

	if (result == 0)
		result = layout_find_experiment(layout, operand(cli, 1), &name, err);
	if (result == 0)
		result = histories_load(&all, layout, name.buf, NULL, err);
	if (result == 0)
		result = layout_list_states(layout, name.buf, &states, &n, err);
	if (result == 0 && cli->json) {
		status_as_json(name.buf, &all, states, n, out);
	} else if (result == 0) {
		add_safe(out, name.buf);
		str_addch(out, '\n');
		status_as_table(&all, states, n, out);
	}
	stage_state_list_release(states, n);
	histories_release(&all);
	str_release(&name);
	return result;
}

static int run_exp(struct cli *cli, struct err *err)
{
	const char *what = operand(cli, 0);
	struct str out = STR_INIT;
	int result;

	if (strcmp(what, "new") == 0 && make_root(&cli->session.conf, err) < 0)
		return -1;
	if (session_layout(&cli->session, err) < 0)
		return -1;
	if (strcmp(what, "new") == 0)
		result = exp_new(cli, &out, err);
	else if (strcmp(what, "list") == 0)
		result = exp_list(cli, &out, err);
	else if (strcmp(what, "use") == 0)
		result = exp_use(cli, err);
	else if (strcmp(what, "status") == 0)
		result = exp_status(cli, &out, err);
	else
		result = err_set(err, ERR_USAGE,
				 "'thhost exp' knows new, list, use and status, not "
				 "'%s'",
				 what);
	if (result == 0 && strcmp(what, "new") == 0)
		result = print_done(&out, err);
	else if (result == 0 && print_out(&out) < 0)
		result = 1;
	str_release(&out);
	return result;
}

const struct command cmd_exp = {
	.name = "exp",
	.synopsis = "new [NAME] | list | use NAME | status [NAME]",
	.summary = "make, list and choose experiments; show the state of their stages",
	.details = "NAME may be 'latest'. 'new' prints the name of what it made and makes it\n"
		   "the one in use.\n",
	.min_operands = 1,
	.max_operands = 2,
	.run = run_exp,
};
