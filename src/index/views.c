#include "base/base.h"

#include "index/views.h"

#include "base/id.h"
#include "base/mem.h"
#include "index/unfold.h"

/* ---- models ---- */

static const char models_sql[] =
	"SELECT root.path AS root, r.ref AS ref, r.exp AS exp,"
	" coalesce(r.record_stage, r.stage) AS stage,"
	" (SELECT dataset FROM main.entry e WHERE e.record = r.id AND e.is_last) AS dataset,"
	" th_value(r.id, 0, 'model_name') AS model_name, r.base_model AS base_model,"
	" r.strategy AS strategy, r.total_steps AS total_steps,"
	" (SELECT count(*) FROM main.entry e WHERE e.record = r.id) AS trainings,"
	" nullif(r.final_checkpoint, '') AS final_checkpoint, r.created AS created,"
	" r.updated AS updated,"
	" CASE WHEN r.ref LIKE '/%' THEN '' ELSE root.path || '/' END || r.ref ||"
	" '/training_info.json' AS path, r.error AS error "
	"FROM main.record r JOIN main.root ON root.id = r.root WHERE r.has_record OR r.error IS "
	"NOT NULL";

static const struct view_column models_columns[] = {
	{ "root", "the artifact root, absolute" },
	{ "ref", "EXP/DIRECTORY, as every verb takes it" },
	{ "exp", "the experiment" },
	{ "stage", "the training stage" },
	{ "dataset", "of the last training" },
	{ "model_name", "what is trained" },
	{ "base_model", "where the model began" },
	{ "strategy", "'base > hrds:10000 > hrdh:5000'" },
	{ "total_steps", "of all trainings, inherited ones included" },
	{ "trainings", "their number" },
	{ "final_checkpoint", "its name, or NULL" },
	{ "created", "when the first training began" },
	{ "updated", "when the last one ended" },
	{ "path", "of the record, absolute" },
	{ "error", "why the record cannot be read, else NULL" },
};

/* ---- entries ---- */

static const char entries_sql[] =
	"SELECT root.path AS root, r.ref AS ref, e.n AS n,"
	" e.dataset AS dataset, e.steps AS steps, th_value(r.id, e.n, 'epochs') AS epochs,"
	" e.run_id AS run_id, th_value(r.id, e.n, 'status') AS status, e.started AS started,"
	" e.ended AS ended, e.seconds AS seconds, e.inherited_from AS inherited_from,"
	" e.is_last AS is_last, th_value(r.id, e.n, 'base_model') AS base_model,"
	" coalesce(th_value(r.id, e.n, 'final_checkpoint.name'),"
	" th_value(r.id, e.n, 'final_checkpoint')) AS final_checkpoint,"
	" th_value(r.id, e.n, 'git.commit') AS git_commit,"
	" th_value(r.id, e.n, 'git.branch') AS git_branch,"
	" th_value(r.id, e.n, 'git.dirty') AS git_dirty,"
	" th_value(r.id, e.n, 'environment.host') AS host,"
	" th_value(r.id, e.n, 'command') AS command, th_value(r.id, e.n, 'tags') AS tags,"
	" th_value(r.id, e.n, 'notes') AS notes, th_value(r.id, e.n, '') AS details "
	"FROM main.entry e JOIN main.record r ON r.id = e.record "
	"JOIN main.root ON root.id = r.root";

static const struct view_column entries_columns[] = {
	{ "root", "the artifact root" },
	{ "ref", "the model" },
	{ "n", "which of its trainings, from 1" },
	{ "dataset", "what it was trained on" },
	{ "steps", "that ran" },
	{ "epochs", "that ran, or NULL" },
	{ "run_id", "of the run" },
	{ "status", "how the run ended" },
	{ "started", "when, as the record has it" },
	{ "ended", "when" },
	{ "seconds", "how long it took" },
	{ "inherited_from", "REF of the record it was first written in, or NULL" },
	{ "is_last", "1 for the model's last training, else 0" },
	{ "base_model", "where this training began, if not where the model did" },
	{ "final_checkpoint", "its name" },
	{ "git_commit", "of the code" },
	{ "git_branch", "of the code" },
	{ "git_dirty", "1 if files differed from the commit" },
	{ "host", "the machine" },
	{ "command", "its words, a JSON array" },
	{ "tags", "a JSON array" },
	{ "notes", "free text" },
	{ "details", "the whole entry, a JSON object" },
};

/* ---- metrics, params ---- */

static const char metrics_sql[] =
	"SELECT root.path AS root, r.ref AS ref, m.n AS n,"
	" name.name AS name, nullif(nullif(m.value, 9e999), -9e999) AS value, e.is_last AS is_last "
	"FROM main.metric m JOIN main.name ON name.id = m.name "
	"JOIN main.entry e ON e.record = m.record AND e.n = m.n "
	"JOIN main.record r ON r.id = m.record JOIN main.root ON root.id = r.root";

static const char params_sql[] =
	"SELECT root.path AS root, r.ref AS ref, v.n AS n,"
	" v.name AS name, v.value AS value, e.is_last AS is_last "
	"FROM main.record r JOIN main.root ON root.id = r.root "
	"JOIN th_values(r.id, 'hyperparams') v "
	"JOIN main.entry e ON e.record = r.id AND e.n = v.n WHERE r.error IS NULL";

static const struct view_column value_columns[] = {
	{ "root", "the artifact root" },
	{ "ref", "the model" },
	{ "n", "which of its trainings" },
	{ "name", "nested ones with dots between: per_class.title" },
	{ "value", "NaN and Infinity are NULL" },
	{ "is_last", "1 for the model's last training, else 0" },
};

/* ---- edges ---- */

static const char edges_sql[] =
	"SELECT root.path AS root,"
	" coalesce(at.ref, by.ref, p.parent) AS parent, r.ref AS child, p.relation AS relation,"
	" CASE WHEN p.source <> 'base_model' THEN p.checkpoint"
	" WHEN at.ref IS NOT NULL THEN p.rest WHEN by.ref IS NOT NULL THEN p.near_rest END"
	" AS checkpoint,"
	" CASE WHEN p.source = 'base_model' AND coalesce(at.id, by.id) IS NOT NULL"
	" THEN 'inferred' ELSE p.how END AS how, p.source AS source,"
	" coalesce(at.id, by.id) IS NOT NULL AS is_model "
	"FROM main.record r JOIN main.root ON root.id = r.root "
	"JOIN th_parents(r.id, r.ref, r.exp, root.path) p "
	"LEFT JOIN main.record at ON at.root = r.root AND at.ref = p.place "
	"LEFT JOIN main.record by ON by.root = r.root AND by.ref = p.near AND at.id IS NULL "
	"WHERE r.error IS NULL AND coalesce(at.id, by.id, 0) <> r.id";

static const struct view_column edges_columns[] = {
	{ "root", "the artifact root of both" },
	{ "parent", "REF of a model, or the name of what lies outside" },
	{ "child", "REF of the model that came of it" },
	{ "relation", "continues, starts_from or uses" },
	{ "checkpoint", "of the parent, where it is known" },
	{ "how", "declared or inferred" },
	{ "source", "parents, inherited or base_model" },
	{ "is_model", "1 if the parent is a model of this root, else 0" },
};

/* ---- runs ---- */

static const char runs_sql[] =
	"SELECT root.path AS root, r.ref AS ref, e.run_id AS run_id,"
	" 'recorded' AS state, coalesce(r.record_stage, r.stage) AS stage, e.dataset AS dataset,"
	" e.n AS n, e.started AS started, e.ended AS ended, e.seconds AS seconds,"
	" NULL AS exit_code, NULL AS signal, e.steps AS steps,"
	" th_value(r.id, e.n, 'environment.host') AS host,"
	" th_value(r.id, e.n, 'environment.slurm.job_id') AS job_id,"
	" th_value(r.id, e.n, 'command') AS command,"
	" th_value(r.id, e.n, 'git.commit') AS git_commit, NULL AS trouble, NULL AS log,"
	" th_value(r.id, e.n, '') AS details "
	"FROM main.entry e JOIN main.record r ON r.id = e.record "
	"JOIN main.root ON root.id = r.root WHERE e.inherited_from IS NULL "
	"UNION ALL SELECT root.path, r.ref, a.json ->> 'run_id', a.json ->> 'state',"
	" coalesce(a.json ->> 'stage', r.stage), a.json ->> 'dataset', NULL,"
	" a.json ->> 'start_time', a.json ->> 'end_time', (a.json ->> 'wall_ms') / 1000.0,"
	" a.json ->> 'exit_code', a.json ->> 'signal', a.json ->> 'last_step',"
	" a.json ->> 'host', a.json ->> 'job_id', a.json ->> 'command',"
	" a.json ->> '$.git.commit', a.json ->> 'trouble', a.json ->> 'log', a.json "
	"FROM main.attempt a JOIN main.record r ON r.id = a.record "
	"JOIN main.root ON root.id = r.root";

static const struct view_column runs_columns[] = {
	{ "root", "the artifact root" },
	{ "ref", "the model, or the directory that may become one" },
	{ "run_id", "NULL for a training that was recorded without one" },
	{ "state", "recorded, running, failed, interrupted, spooled, unrecorded, ..." },
	{ "stage", "the training stage" },
	{ "dataset", "what it was trained on" },
	{ "n", "which training of the model, if it is recorded" },
	{ "started", "when" },
	{ "ended", "when, or NULL" },
	{ "seconds", "how long it took" },
	{ "exit_code", "of the command, where it is known" },
	{ "signal", "that ended the command, or NULL" },
	{ "steps", "that ran, as far as is known" },
	{ "host", "the machine" },
	{ "job_id", "of the batch system, or NULL" },
	{ "command", "its words, a JSON array" },
	{ "git_commit", "of the code" },
	{ "trouble", "why it is not recorded, or NULL" },
	{ "log", "its path below the stage directory, or NULL" },
	{ "details", "the entry, or all that is known of the run; a JSON object" },
};

#define VIEW(view_name, view_columns, view_help)                                \
	{                                                                       \
		.name = #view_name, .help = view_help, .sql = view_name##_sql,  \
		.columns = view_columns, .n_columns = ARRAY_SIZE(view_columns), \
	}

const struct view views[] = {
	VIEW(models, models_columns, "each record"),
	VIEW(entries, entries_columns, "each training in a record"),
	VIEW(metrics, value_columns, "each metric of a training"),
	VIEW(params, value_columns, "each hyperparameter of a training"),
	{ .name = "edges",
	  .help = "which model came from which",
	  .sql = edges_sql,
	  .columns = edges_columns,
	  .n_columns = ARRAY_SIZE(edges_columns),
	  .is_made_once = true },
	VIEW(runs, runs_columns, "every attempt: what is recorded where it ran, and what is not"),
};
const size_t n_views = ARRAY_SIZE(views);

const char *const view_names[] = {
	"models", "entries", "metrics", "params", "edges", "runs", "json_each", "json_tree", NULL,
};

/* SQLite enters a table function in the schema when it is first named, which a confined statement may
 * not do. */
static int enter_json(struct db *db, struct err *err)
{
	static const char text[] = "SELECT 1 FROM json_each('[]'), json_tree('[]')";
	struct db_query *q = db_prepare(db, text, err);

	db_finish(q);
	return q ? 0 : -1;
}

static int make_view(struct db *db, const struct view *view, const char *inner, struct err *err)
{
	const char *once = view->is_made_once ? "MATERIALIZED" : "NOT MATERIALIZED";
	char *text =
		xstrf("CREATE TEMP VIEW %s%s AS %s;"
		      "CREATE TEMP VIEW %s AS WITH it AS %s (SELECT * FROM %s%s) SELECT * FROM it",
		      inner, view->name, view->sql, view->name, once, inner, view->name);
	int result = db_exec(db, text, err);

	free(text);
	return result;
}

int views_make(struct db *db, char inner[VIEWS_INNER_SIZE], struct err *err)
{
	char random[17];

	if (id_random_hex(random, err) < 0 || unfold_add(db, err) < 0 || enter_json(db, err) < 0)
		return -1;
	snprintf(inner, VIEWS_INNER_SIZE, "inner_%s_", random);
	for (size_t i = 0; i < n_views; i++)
		if (make_view(db, &views[i], inner, err) < 0)
			return -1;
	return 0;
}
