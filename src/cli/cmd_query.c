/*
 * One statement over the index. What a stranger may do is decided in index/db_confine.c; here are the
 * words, the forms of the reply, and the clock that ends what does not end by itself.
 */
#include "base/base.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/width.h"
#include "cli/command.h"
#include "cli/deadline.h"
#include "cli/pager.h"
#include "cli/render.h"
#include "cli/reply_page.h"
#include "index/ask.h"
#include "index/index.h"
#include "index/views.h"
#include "sys/file.h"
#include "sys/json.h"

#include <unistd.h>

#define MAX_STATEMENT 1000000 /* bytes; as SQLite's own limit, which has a poorer message */
#define GRACE_S 0.5	      /* from the polite limit to the hard one */
#define EXCERPT 76	      /* columns of the statement that a fault shows */

static const struct option_spec options[] = {
	{ "file", 'f', "FILE", "read the statement from there; '-' is stdin" },
	{ "param", 'p', "NAME=VALUE", "what ':NAME' in the statement stands for (repeatable)" },
	{ "limit", 'n', "N", "no more than the first N rows" },
	{ "timeout", 0, "SECONDS",
	  "end a statement that takes longer; 0: never (query.timeout_s)" },
	{ "no-sync", 0, NULL, "ask the index as it is, without a look at the files" },
	{ "schema", 0, NULL, "show the views and their columns" },
	{ "jsonl", 0, NULL, "JSON, one object on a line" },
	{ "csv", 0, NULL, "comma-separated values" },
	{ "tsv", 0, NULL, "tab-separated values" },
	{ "markdown", 0, NULL, "a table in Markdown" },
	{ "latex", 0, NULL, "a tabular in LaTeX" },
	{ NULL, 0, NULL, NULL },
};

enum form { FORM_TABLE, FORM_JSON, FORM_LINES, FORM_SHEET };

struct question {
	struct str sql;
	bool has_sql;
	struct ask ask;
	struct ask_param *params;
	enum form form;
	enum sheet_format sheet;
};

static void question_release(struct question *question)
{
	for (size_t i = 0; i < question->ask.n_params; i++)
		free(question->params[i].name);
	free(question->params);
	str_release(&question->sql);
}

/* ---- what the command line says ---- */

static int read_form(const struct cli *cli, struct question *question, struct err *err)
{
	static const struct {
		const char *name;
		enum form form;
		enum sheet_format sheet;
	} forms[] = {
		{ "json", FORM_JSON, SHEET_CSV },	    { "jsonl", FORM_LINES, SHEET_CSV },
		{ "csv", FORM_SHEET, SHEET_CSV },	    { "tsv", FORM_SHEET, SHEET_TSV },
		{ "markdown", FORM_SHEET, SHEET_MARKDOWN }, { "latex", FORM_SHEET, SHEET_LATEX },
	};
	const char *first = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (!option_given(&cli->options, forms[i].name))
			continue;
		if (first)
			return err_set(err, ERR_USAGE, "'--%s' and '--%s' do not go together",
				       first, forms[i].name);
		first = forms[i].name;
		question->form = forms[i].form;
		question->sheet = forms[i].sheet;
	}
	return 0;
}

static int read_stdin(struct str *text, struct err *err)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0 && text->len <= MAX_STATEMENT)
		str_add(text, buf, (size_t)n);
	return n < 0 ? err_errno(err, ERR_FAILED, "cannot read stdin") : 0;
}

static int read_statement(const struct cli *cli, struct question *question, struct err *err)
{
	const char *file = option_value(&cli->options, "file");
	const char *given = operand(cli, 0);
	int result = 0;

	if (file && given)
		return err_set(err, ERR_USAGE, "a statement and '--file' do not go together");
	question->has_sql = file || given;
	if (file ? strcmp(file, "-") == 0 : given && strcmp(given, "-") == 0)
		result = read_stdin(&question->sql, err);
	else if (file)
		result = file_read_path(file, MAX_STATEMENT, &question->sql, err);
	else if (given)
		str_adds(&question->sql, given);
	if (result < 0)
		return -1;
	if (question->sql.len > MAX_STATEMENT)
		return err_set(err, ERR_USAGE, "a statement of more than %d bytes", MAX_STATEMENT);
	if (strlen(question->sql.buf) != question->sql.len)
		return err_set(err, ERR_USAGE, "a statement with a NUL in it");
	return 0;
}

static int read_params(const struct cli *cli, struct question *question, struct err *err)
{
	size_t position = 0;
	const char *text;

	while ((text = option_each(&cli->options, "param", &position))) {
		size_t len = strcspn(text, "=");
		size_t skip = strchr(":@$", text[0]) != NULL;

		if (!text[len] || len <= skip)
			return err_set(err, ERR_USAGE, "option '--param': '%s' is not NAME=VALUE",
				       text);
		question->params = xreallocarray(question->params, question->ask.n_params + 1,
						 sizeof(*question->params));
		question->params[question->ask.n_params++] = (struct ask_param){
			.name = xstrndup(text + skip, len - skip),
			.value = text + len + 1,
		};
	}
	question->ask.params = question->params;
	return 0;
}

static int read_question(const struct cli *cli, struct question *question, struct err *err)
{
	const struct conf *conf = &cli->session.conf;
	int64_t limit = -1;
	int64_t seconds = conf_int(conf, "query.timeout_s");

	if (read_form(cli, question, err) < 0 || read_statement(cli, question, err) < 0 ||
	    read_params(cli, question, err) < 0 ||
	    option_integer(&cli->options, "limit", 0, INT32_MAX, &limit, err) < 0 ||
	    option_integer(&cli->options, "timeout", 0, 86400, &seconds, err) < 0)
		return -1;
	question->ask.sql = question->sql.buf;
	question->ask.limit = limit < 0 ? SIZE_MAX : (size_t)limit;
	question->ask.limits.seconds = (double)seconds;
	question->ask.limits.memory = conf_int(conf, "query.memory_mb") << 20;
	return 0;
}

/* ---- --schema ---- */

static void schema_as_json(struct str *out)
{
	struct jsonw w = jsonw_begin(out, 2);

	jsonw_object(&w);
	jsonw_pair_string(&w, "schema", "thhost.query-schema/1");
	jsonw_key(&w, "views");
	jsonw_array(&w);
	for (size_t i = 0; i < n_views; i++) {
		jsonw_object(&w);
		jsonw_pair_string(&w, "name", views[i].name);
		jsonw_pair_string(&w, "help", views[i].help);
		jsonw_key(&w, "columns");
		jsonw_array(&w);
		for (size_t k = 0; k < views[i].n_columns; k++) {
			jsonw_object(&w);
			jsonw_pair_string(&w, "name", views[i].columns[k].name);
			jsonw_pair_string(&w, "help", views[i].columns[k].help);
			jsonw_end(&w);
		}
		jsonw_end(&w);
		jsonw_end(&w);
	}
	jsonw_end(&w);
	jsonw_end(&w);
	str_addch(out, '\n');
}

static void schema_as_page(struct str *out)
{
	for (size_t i = 0; i < n_views; i++) {
		struct table *t = table_new();

		str_addf(out, "%s%s: %s\n", i ? "\n" : "", views[i].name, views[i].help);
		table_column(t, "", ALIGN_LEFT);
		table_column(t, "", ALIGN_LEFT);
		for (size_t k = 0; k < views[i].n_columns; k++) {
			table_row(t);
			table_cell(t, TONE_PLAIN, views[i].columns[k].name);
			table_cell(t, TONE_DIM, views[i].columns[k].help);
		}
		table_print(t, "  ", out);
		table_free(t);
	}
}

static int show_schema(struct cli *cli)
{
	struct str out = STR_INIT;
	int result;

	if (cli->json)
		schema_as_json(&out);
	else
		schema_as_page(&out);
	result = print_paged(&out, &cli->session.conf) < 0 ? 1 : 0;
	str_release(&out);
	return result;
}

/* ---- faults ---- */

/* The line that byte 'at' of the statement is in, or a part of it, and a mark below. */
static void point_at(const char *sql, size_t at)
{
	const char *start = sql + at;
	const char *end = sql + at + strcspn(sql + at, "\n");
	struct str text = STR_INIT;
	struct str out = STR_INIT;
	size_t before;

	while (start > sql && start[-1] != '\n' && sql + at - start < EXCERPT - 16)
		start--;
	while (start < sql + at && ((unsigned char)*start & 0xc0) == 0x80)
		start++;
	if (end - start > EXCERPT)
		end = start + EXCERPT;
	while (end > sql + at && *end && ((unsigned char)*end & 0xc0) == 0x80)
		end--;
	before = (size_t)(sql + at - start);
	add_harmless(&text, start, before);
	str_addf(&out, "  %s", text.buf);
	add_harmless(&out, sql + at, (size_t)(end - (sql + at)));
	str_addf(&out, "\n  %*s^\n", display_width(text.buf), "");
	print_to(stderr, &out); /* where it does not get there, nothing would */
	str_release(&text);
	str_release(&out);
}

/* "SQL:2:8: ...", counted in characters. */
static void name_place(const char *sql, size_t at, struct err *err)
{
	size_t line = 1;
	size_t column = 1;

	for (size_t i = 0; i < at; i++) {
		column += ((unsigned char)sql[i] & 0xc0) != 0x80;
		if (sql[i] == '\n') {
			line++;
			column = 1;
		}
	}
	err_prefix(err, "SQL:%zu:%zu", line, column);
}

static void add_hint(const struct cli *cli, struct err *err)
{
	if (err->hint[0])
		return;
	if (strstr(err->msg, "no such table") || strstr(err->msg, "no such column") ||
	    strstr(err->msg, "is none of the views"))
		err_hint(err, "'thhost query --schema' shows the views and their columns");
	else if (strstr(err->msg, "took longer than") && !option_given(&cli->options, "timeout"))
		err_hint(err, "'--timeout SECONDS' gives it more time");
	else if (has_prefix(err->msg, "the answer needed"))
		err_hint(err, "'--limit N' shows the first N rows");
}

/* Tell what is wrong with the statement, and where. The exit status. */
static int report_fault(const struct cli *cli, const struct question *question, int fault,
			struct err *err)
{
	size_t at = fault < 0 ? 0 : (size_t)fault;
	int status = err_exit_status(err->code);
	bool is_known = fault >= 0 && at <= question->sql.len;

	if (is_known)
		name_place(question->sql.buf, at, err);
	add_hint(cli, err);
	command_report(err, status, cli->json);
	if (is_known && !cli->json)
		point_at(question->sql.buf, at);
	return status;
}

/* ---- asking ---- */

/* SQLite looks at the clock between two steps; one step can take for ever. */
static void set_deadline(const struct cli *cli, const struct question *question)
{
	double seconds = question->ask.limits.seconds;
	struct err err = ERR_INIT;
	struct str text = STR_INIT;

	if (seconds <= 0)
		return;
	err_set(&err, ERR_INTERRUPTED, "the statement took longer than %g s", seconds);
	add_hint(cli, &err);
	command_error_text(&err, err_exit_status(err.code), cli->json, &text);
	deadline_set(seconds + GRACE_S, err_exit_status(err.code), &text);
}

static int print_reply(struct cli *cli, const struct question *question, const struct reply *reply)
{
	struct paged page;
	int result;

	paged_begin(&page, &cli->session.conf);
	switch (question->form) {
	case FORM_TABLE:
		reply_as_table(reply, &page);
		break;
	case FORM_JSON:
		reply_as_json(reply, &page);
		break;
	case FORM_LINES:
		reply_as_lines(reply, &page);
		break;
	case FORM_SHEET:
		reply_as_sheet(reply, question->sheet, &page);
		break;
	}
	result = paged_end(&page) < 0 ? 1 : 0;
	paged_release(&page);
	if (reply->has_more && question->form != FORM_JSON)
		log_notice("there are more rows than the first %zu", reply->n_rows);
	else if (!reply->n_rows && question->form == FORM_TABLE)
		log_notice("no rows");
	return result;
}

/* Has anything ever been put into it? */
static bool is_empty(struct db *db)
{
	struct err ignored = ERR_INIT;
	struct db_query *q = db_prepare(db, "SELECT 1 FROM root", &ignored);
	bool is = !q || db_step(q, &ignored) <= 0;

	db_finish(q);
	return is;
}

/* The path of the index, which is up to date if that is wanted; fresh memory, or NULL. */
static char *bring_index(const struct cli *cli, const struct index_options *what, struct err *err)
{
	bool may_be_old = option_given(&cli->options, "no-sync");
	struct index *index = NULL;
	char *path = NULL;

	if (index_open(&index, what, err) == 0 &&
	    ((may_be_old && !is_empty(index_db(index))) || index_sync(index, err) == 0))
		path = xstrdup(db_path(index_db(index)));
	index_close(index);
	return path;
}

/* The roots that are asked about, each of them there. */
static int find_roots(struct cli *cli, struct strv *roots, struct err *err)
{
	size_t position = 0;
	const char *root;

	while ((root = option_each(&cli->options, "root", &position))) {
		if (session_move_root(&cli->session, root, err) < 0)
			return -1;
		strv_push(roots, root);
	}
	if (roots->n)
		return 0;
	if (session_layout(&cli->session, err) < 0)
		return -1;
	strv_push(roots, cli->session.layout.root);
	return 0;
}

/* For reading and nothing else: whatever a statement gets past, it is no writer. */
static struct db *open_index(struct cli *cli, struct err *err)
{
	struct strv roots = STRV_INIT;
	const struct index_options what = {
		.roots = &roots,
		.stages = &cli->session.layout.stages,
	};
	struct db *db = NULL;
	char *path = NULL;

	if (find_roots(cli, &roots, err) == 0)
		path = bring_index(cli, &what, err);
	if (path)
		db = db_open(path, DB_READ, err);
	free(path);
	strv_release(&roots);
	return db;
}

static int ask_index(struct cli *cli, struct question *question, struct err *err)
{
	struct db *db = open_index(cli, err);
	struct reply reply = REPLY_INIT;
	int fault = -1;
	int result;

	if (!db)
		return -1;
	set_deadline(cli, question);
	result = ask(db, &question->ask, &reply, &fault, err);
	deadline_clear();
	db_close(db);
	if (result == 0)
		result = print_reply(cli, question, &reply);
	else
		result = report_fault(cli, question, fault, err);
	reply_release(&reply);
	return result;
}

static int run_query(struct cli *cli, struct err *err)
{
	struct question question = { .sql = STR_INIT };
	int result = read_question(cli, &question, err);

	if (result == 0)
		result = question.has_sql && !option_given(&cli->options, "schema")
				 ? ask_index(cli, &question, err)
				 : show_schema(cli);
	question_release(&question);
	return result;
}

const struct command cmd_query = {
	.name = "query",
	.synopsis = "[SQL | -]",
	.summary = "ask the history in SQL",
	.details = "One SELECT over the views models, entries, metrics, params, edges and runs; "
		   "without one the\nviews are shown. Nothing can be changed by it.\n",
	.options = options,
	.max_operands = 1,
	.run = run_query,
};
