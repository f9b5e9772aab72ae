#include "base/base.h"

#include "cli/command.h"
#include "cli/render.h"
#include "sys/json.h"

static const struct option_spec options[] = {
	{ "show-origin", 0, NULL, "say where each value comes from" },
	{ NULL, 0, NULL, NULL },
};

static void value_as_json(const struct conf_value *value, struct jsonw *w)
{
	jsonw_object(w);
	jsonw_pair_string(w, "section", value->section);
	jsonw_pair_string(w, "key", value->key);
	jsonw_pair_string(w, "value", value->value);
	jsonw_pair_string(w, "origin", value->origin);
	jsonw_end(w);
}

static void list_as_json(const struct conf *conf, struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.config/1");
	jsonw_key(&w, "values");
	jsonw_array(&w);
	for (size_t i = 0; i < conf->n; i++)
		value_as_json(&conf->v[i], &w);
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static void list_as_text(const struct conf *conf, bool with_origin, struct str *out)
{
	struct table *t = table_new();

	table_column(t, "key", ALIGN_LEFT);
	table_column(t, "origin", ALIGN_LEFT);
	table_column(t, "value", ALIGN_LEFT); /* some are long: the last column is not filled up */
	for (size_t i = 0; i < conf->n; i++) {
		struct str name = STR_INIT;

		str_addf(&name, "%s.%s", conf->v[i].section, conf->v[i].key);
		table_row(t);
		table_cell(t, TONE_PLAIN, name.buf);
		table_cell(t, TONE_DIM, with_origin ? conf->v[i].origin : "");
		table_cell(t, TONE_PLAIN, conf->v[i].value);
		str_release(&name);
	}
	table_print(t, "", out);
	table_free(t);
}

static const struct conf_value *find_value(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n; i++) {
		size_t len = strlen(conf->v[i].section);

		if (strncmp(conf->v[i].section, name, len) == 0 && name[len] == '.' &&
		    strcmp(conf->v[i].key, name + len + 1) == 0)
			return &conf->v[i];
	}
	return NULL;
}

static int get_one(const struct conf *conf, const char *name, bool as_json, struct str *out,
		   struct err *err)
{
	const struct conf_value *value = find_value(conf, name);

	if (!value) {
		err_set(err, ERR_NOT_FOUND, "no configuration key '%s'", name);
		return err_hint(err, "'thhost config list' shows all");
	}
	if (as_json) {
		struct jsonw w = jsonw_begin(out, 2);

		value_as_json(value, &w);
		str_addch(out, '\n');
	} else {
		str_addf(out, "%s\n", value->value);
	}
	return 0;
}

static int run_config(struct cli *cli, struct err *err)
{
	const struct conf *conf = &cli->session.conf;
	const char *what = operand(cli, 0);
	struct str out = STR_INIT;
	int result = 0;

	if (strcmp(what, "get") == 0 && operand(cli, 1))
		result = get_one(conf, operand(cli, 1), cli->json, &out, err);
	else if (strcmp(what, "list") != 0 || operand(cli, 1))
		result = err_set(err, ERR_USAGE, "'thhost config' knows 'list' and 'get KEY'");
	else if (cli->json)
		list_as_json(conf, &out);
	else
		list_as_text(conf, option_given(&cli->options, "show-origin"), &out);
	if (result == 0 && print_out(&out) < 0)
		result = 1;
	str_release(&out);
	return result;
}

const struct command cmd_config = {
	.name = "config",
	.synopsis = "list [--show-origin] | get SECTION.KEY",
	.summary = "show the configuration in force",
	.options = options,
	.min_operands = 1,
	.max_operands = 2,
	.run = run_config,
};
