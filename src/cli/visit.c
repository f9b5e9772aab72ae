#include "base/base.h"

#include "cli/visit.h"

struct visit {
	struct cli *cli;
	visitor *visit;
	void *arg;
	struct strv *visited;
};

static int visit_named(struct visit *v, struct err *err)
{
	struct cli *cli = v->cli;
	const char *exp = option_value(&cli->options, "exp");

	for (size_t i = 0; i < cli->options.operands.n; i++) {
		struct stage_dir dir = STAGE_DIR_INIT;
		struct history history;

		if (session_resolve(&cli->session, exp, operand(cli, i), &dir, err) < 0)
			return -1;
		history_read(&history, &dir);
		v->visit(cli, operand(cli, i), &history, v->arg);
		history_release(&history);
	}
	return 0;
}

static int visit_one(void *arg, struct stage_dir *dir, struct err *err)
{
	struct visit *v = arg;
	struct history history;

	history_read(&history, dir);
	if (history.dir.fd < 0 && err->code)
		history.err = *err;
	strv_push(v->visited, history.dir.path);
	v->visit(v->cli, NULL, &history, v->arg);
	history_release(&history);
	return 0;
}

bool visits_all(const struct cli *cli)
{
	return !cli->options.operands.n && !option_value(&cli->options, "exp");
}

int visit_directories(struct cli *cli, visitor *visit, void *arg, struct strv *visited,
		      struct err *err)
{
	const char *exp = option_value(&cli->options, "exp");
	struct visit v = { .cli = cli, .visit = visit, .arg = arg, .visited = visited };
	struct str name = STR_INIT;
	int result;

	if (cli->options.operands.n)
		return visit_named(&v, err);
	if (session_layout(&cli->session, err) < 0)
		return -1;
	if (exp && layout_find_experiment(&cli->session.layout, exp, &name, err) < 0)
		return -1;
	result = layout_walk(&cli->session.layout, exp ? name.buf : NULL, visit_one, &v, err);
	str_release(&name);
	return result;
}
