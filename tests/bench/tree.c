/*
 * tree - an artifact root of any size, for measuring and for comparing answers.
 *
 *	tree ROOT [--records N] [--seed S] [--chain K] [--fan K] [--foul [--huge B]]
 *
 * ROOT must be empty or absent. The same arguments give the same bytes. By default 100,000 records of
 * about 2 KB, a hundred in each experiment exp_YYYYmmdd_HHMMSS: four stages, 25 data sets, of which
 * five at a time are a chain where each model inherits the history of the one before; records of old
 * programs (the design's keys only) among those of thhost; a lock file beside each, runs beside some.
 *
 *	--chain K   also exp_chain: K models, each begun from the one before
 *	--fan K     also exp_fan: one model, and K that were begun from it
 *	--foul      also exp_foul: what goes wrong, or is only odd (tree_foul.c)
 *	--huge B    size of its huge files, in bytes (default 20,000,000)
 */
#include "tree.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PER_EXPERIMENT 100
#define CHAIN 5		   /* models that follow each other on as many data sets */
#define MAX_TRAININGS 16   /* of a model, inherited ones included: 5 times 3 are the most */
#define FIRST 1735689600LL /* 2025-01-01T00:00:00Z */

static const char *const datasets[] = {
	"hrds",	      "hrdh",	  "doclaynet", "publaynet", "docbank",	"funsd",       "cord",
	"sroie",      "xfund",	  "pubtabnet", "tablebank", "m6doc",	"cdla",	       "prima",
	"d4la",	      "rvl_cdip", "tobacco",   "ephoie",    "kleister", "wildreceipt", "deepform",
	"arxiv_docs", "theses",	  "patents",   "minutes",
};

#define N_DATASETS (sizeof(datasets) / sizeof(datasets[0]))

static const struct stage {
	const char *name;
	const char *dir;
	const char *model;
	const char *base;
} stages[] = {
	{ "stage1", "stage1", "layoutxlm_token_classifier", "microsoft/layoutxlm-base" },
	{ "stage2", "features", "line_features", "unknown" },
	{ "stage3", "parent_finder", "parent_finder", "sentence-transformers/all-MiniLM-L6-v2" },
	{ "stage4", "relation_classifier", "relation_classifier", "microsoft/layoutlmv3-base" },
};

/* ---- chance ---- */

/* splitmix64: any seed is good, and neighbours have nothing in common. */
uint64_t chance(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static double fraction(uint64_t *state)
{
	return (double)(chance(state) >> 11) / 9007199254740992.0;
}

static uint64_t seed_of(uint64_t seed, uint64_t a, uint64_t b)
{
	uint64_t state = seed * 1000003 + a;

	state = chance(&state) + b;
	return chance(&state);
}

/* ---- files ---- */

void need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

char *path_of(const char *format, ...)
{
	static char path[8192];
	va_list args;

	va_start(args, format);
	need(vsnprintf(path, sizeof(path), format, args) < (int)sizeof(path), "path");
	va_end(args);
	return path;
}

void make_dir(const char *path)
{
	need(mkdir(path, 0755) == 0, path);
}

FILE *make_file(const char *path)
{
	FILE *file = fopen(path, "wx");

	need(file != NULL, path);
	return file;
}

void end_file(FILE *file)
{
	need(!ferror(file) && fclose(file) == 0, "write");
}

/* ---- one training ---- */

static const char *time_text(int64_t seconds, char text[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, 32, "%Y-%m-%dT%H:%M:%S+00:00", &tm);
	return text;
}

static void run_id_of(const struct training *training, char id[64])
{
	uint64_t state = training->seed ^ 0x5eed;
	uint64_t ms = (uint64_t)training->start * 1000 + chance(&state) % 1000;
	uint64_t a = chance(&state);

	snprintf(id, 64, "%08llx-%04llx-7%03llx-%04llx-%012llx", (unsigned long long)(ms >> 16),
		 (unsigned long long)(ms & 0xffff), (unsigned long long)(a & 0xfff),
		 (unsigned long long)(0x8000 | ((a >> 12) & 0x3fff)),
		 (unsigned long long)(chance(&state) & 0xffffffffffff));
}

/* Written by an older program, or by hand: the design's keys and no more. */
static bool is_plain(const struct training *training)
{
	return training->seed % 5 < 2;
}

static int64_t duration_of(const struct training *training)
{
	return 600 + (int64_t)(training->seed >> 20) % 36000;
}

int64_t steps_of(const struct training *training)
{
	return training->stage == 1 ? 0 : 500 * (1 + (int64_t)(training->seed >> 40) % 40);
}

static void print_features(FILE *out, uint64_t *state, const char *pad)
{
	int documents = 100 + (int)(chance(state) % 5000);

	fprintf(out, "%s    \"num_documents\": %d,\n%s    \"num_chunks\": %d,\n", pad, documents,
		pad, documents * 7);
	fprintf(out, "%s    \"train\": {\n%s      \"num_chunks\": %d\n%s    }\n", pad, pad,
		documents * 5, pad);
}

static void print_scores(FILE *out, const struct training *training, uint64_t *state,
			 const char *pad)
{
	static const char *const classes[] = { "title", "section", "paragraph", "footnote" };

	fprintf(out, "%s    \"f1\": %.16g,\n", pad, 0.5 + fraction(state) / 2);
	fprintf(out, "%s    \"precision\": %.2f,\n", pad, 0.5 + fraction(state) / 2);
	fprintf(out, "%s    \"recall\": %.4f,\n", pad, 0.5 + fraction(state) / 2);
	if (training->is_diverged)
		fprintf(out, "%s    \"val_loss\": null", pad);
	else
		fprintf(out, "%s    \"val_loss\": %.17g", pad, 3 * fraction(state));
	if (training->seed % 4 == 0) {
		fprintf(out, ",\n%s    \"per_class_f1\": {", pad);
		for (int i = 0; i < 4; i++)
			fprintf(out, "%s\n%s      \"%s\": %.3f", i ? "," : "", pad, classes[i],
				fraction(state));
		fprintf(out, "\n%s    }", pad);
	}
	fprintf(out, "\n");
}

static void print_hyperparams(FILE *out, const struct training *training, uint64_t *state,
			      const char *pad)
{
	static const char *const rates[] = { "1e-5", "2e-05", "3e-05", "5e-5", "0.0001" };

	fprintf(out, "%s  \"hyperparams\": {\n%s    \"lr\": %s,\n%s    \"batch_size\": %d,\n", pad,
		pad, rates[chance(state) % 5], pad, 1 << chance(state) % 5);
	fprintf(out, "%s    \"max_steps\": %lld,\n%s    \"optimizer\": \"adamw\",\n", pad,
		(long long)steps_of(training), pad);
	fprintf(out, "%s    \"seed\": %d\n%s  },\n", pad, (int)(chance(state) % 5), pad);
}

static void print_surroundings(FILE *out, uint64_t *state, const char *pad)
{
	fprintf(out, ",\n%s  \"git\": {\n%s    \"commit\": \"%016llx%016llx%08llx\",\n", pad, pad,
		(unsigned long long)chance(state), (unsigned long long)chance(state),
		(unsigned long long)(chance(state) >> 32));
	fprintf(out, "%s    \"branch\": \"main\",\n%s    \"dirty\": %s\n%s  }", pad, pad,
		chance(state) % 4 ? "false" : "true", pad);
	fprintf(out, ",\n%s  \"environment\": {\n%s    \"host\": \"node%02d\",\n", pad, pad,
		(int)(chance(state) % 40));
	fprintf(out, "%s    \"cpus\": %d,\n%s    \"gpu\": {\n%s      \"count\": %d\n%s    }\n%s  }",
		pad, 8 << chance(state) % 4, pad, pad, 1 << chance(state) % 4, pad, pad);
}

static void print_words(FILE *out, uint64_t *state, const char *pad)
{
	static const char *const notes[] = { "baseline for the paper", "\\u00e9tude",
					     "文書レイアウト", "إعادة تدريب", "🚀 \\\"best\\\"" };

	if (chance(state) % 5 == 0)
		fprintf(out, ",\n%s  \"tags\": [\n%s    \"paper\"\n%s  ]", pad, pad, pad);
	if (chance(state) % 8 == 0)
		fprintf(out, ",\n%s  \"notes\": \"%s\"", pad, notes[chance(state) % 5]);
}

static void print_additions(FILE *out, const struct training *training, uint64_t *state,
			    const char *pad)
{
	char id[64];

	run_id_of(training, id);
	fprintf(out, ",\n%s  \"run_id\": \"%s\",\n%s  \"status\": \"completed\"", pad, id, pad);
	if (training->inherited_from)
		fprintf(out, ",\n%s  \"inherited_from\": \"%s\"", pad, training->inherited_from);
	if (training->is_diverged && training->stage != 1)
		fprintf(out, ",\n%s  \"nonfinite\": {\n%s    \"val_loss\": \"nan\"\n%s  }", pad,
			pad, pad);
	if (training->seed % 10 == 4)
		print_surroundings(out, state, pad);
	print_words(out, state, pad);
}

void print_training(FILE *out, const struct training *training, const char *pad)
{
	uint64_t state = training->seed;
	char start[32], end[32];

	fprintf(out, "%s{\n%s  \"dataset\": \"%s\",\n%s  \"steps\": %lld,\n", pad, pad,
		training->dataset, pad, (long long)steps_of(training));
	if (training->seed % 2)
		fprintf(out, "%s  \"epochs\": null,\n", pad);
	else
		fprintf(out, "%s  \"epochs\": %d,\n", pad, (int)(training->seed >> 8) % 50 + 1);
	fprintf(out, "%s  \"metrics\": {\n", pad);
	if (training->stage == 1)
		print_features(out, &state, pad);
	else
		print_scores(out, training, &state, pad);
	fprintf(out, "%s  },\n", pad);
	print_hyperparams(out, training, &state, pad);
	fprintf(out, "%s  \"start_time\": \"%s\",\n%s  \"end_time\": \"%s\"", pad,
		time_text(training->start, start), pad,
		time_text(training->start + duration_of(training), end));
	if (!is_plain(training))
		print_additions(out, training, &state, pad);
	else if (training->inherited_from)
		fprintf(out, ",\n%s  \"inherited_from\": \"%s\"", pad, training->inherited_from);
	fprintf(out, "\n%s}", pad);
}

/* ---- one record ---- */

static void print_head(FILE *out, const struct model *model)
{
	const struct training *first = &model->trainings[0];
	const struct training *last = &model->trainings[model->n - 1];
	int64_t steps = 0;
	char created[32], updated[32];

	for (size_t i = 0; i < model->n; i++)
		steps += steps_of(&model->trainings[i]);
	fprintf(out, "{\n  \"model_name\": \"%s\",\n  \"stage\": \"%s\",\n",
		stages[last->stage].model, stages[last->stage].name);
	if (last->stage == 1)
		fprintf(out, "  \"final_checkpoint\": \"\",\n");
	else
		fprintf(out, "  \"final_checkpoint\": \"checkpoint-%lld\",\n",
			(long long)steps_of(last));
	fprintf(out, "  \"base_model\": \"%s\",\n  \"created_at\": \"%s\",\n", model->base,
		time_text(first->start, created));
	fprintf(out, "  \"last_updated\": \"%s\",\n  \"total_steps\": %lld,\n",
		time_text(last->start + duration_of(last), updated), (long long)steps);
	fprintf(out, "  \"last_dataset\": \"%s\",\n  \"training_history\": [\n", last->dataset);
}

/* Keys beyond the design's are only where one is needed. */
static bool has_additions(const struct model *model)
{
	for (size_t i = 0; i < model->n; i++)
		if (!is_plain(&model->trainings[i]) || model->trainings[i].inherited_from)
			return true;
	return *model->parent;
}

void print_model(FILE *out, const struct model *model)
{
	print_head(out, model);
	for (size_t i = 0; i < model->n; i++) {
		print_training(out, &model->trainings[i], "    ");
		fprintf(out, i + 1 < model->n ? ",\n" : "\n");
	}
	fprintf(out, "  ]");
	if (has_additions(model))
		fprintf(out, ",\n  \"schema_version\": 1");
	if (*model->parent)
		fprintf(out,
			",\n  \"parents\": [\n    {\n      \"ref\": \"%s\",\n      \"relation\": "
			"\"%s\",\n      \"how\": \"%s\"\n    }\n  ]",
			model->parent, model->relation,
			strcmp(model->relation, "uses") == 0 ? "inferred" : "declared");
	fprintf(out, "\n}\n");
}

void write_model(const char *dir, const struct model *model)
{
	FILE *out;

	make_dir(dir);
	out = make_file(path_of("%s/training_info.json", dir));
	print_model(out, model);
	end_file(out);
	end_file(make_file(path_of("%s/.training_info.json.lock", dir)));
}

/* ---- runs ---- */

static void print_run(FILE *out, const struct training *training, const char *state,
		      const char *exp)
{
	char id[64], start[32], end[32];
	bool is_recorded = strcmp(state, "recorded") == 0;
	bool is_killed = strcmp(state, "interrupted") == 0;

	run_id_of(training, id);
	fprintf(out, "{\n  \"schema\": \"thhost.run/1\",\n  \"run_id\": \"%s\",\n", id);
	fprintf(out, "  \"state\": \"%s\",\n  \"stage\": \"%s\",\n  \"dataset\": \"%s\",\n", state,
		stages[training->stage].name, training->dataset);
	fprintf(out, "  \"exp\": \"%s\",\n  \"cwd\": \"/work\",\n  \"host\": \"node07\",\n", exp);
	fprintf(out, "  \"boot_id\": \"00000000-0000-4000-8000-000000000007\",\n");
	fprintf(out,
		"  \"job_id\": null,\n  \"command\": [\n    \"python\",\n    \"train.py\"\n  ],\n");
	fprintf(out, "  \"pid\": 4711,\n  \"pid_start\": 1,\n  \"child_pid\": 4712,\n");
	fprintf(out, "  \"child_start\": 1,\n  \"pid_ns\": 1,\n  \"start_time\": \"%s\",\n",
		time_text(training->start, start));
	fprintf(out, "  \"end_time\": \"%s\",\n  \"wall_ms\": %lld,\n",
		time_text(training->start + duration_of(training), end),
		(long long)duration_of(training) * 1000);
	fprintf(out, "  \"exit_code\": %s,\n  \"signal\": %s,\n",
		is_recorded ? "0"
		: is_killed ? "null"
			    : "1",
		is_killed ? "9" : "null");
	fprintf(out, "  \"last_step\": %d,\n  \"last_epoch\": null,\n  \"last_metrics\": {\n",
		(int)(training->seed % 1000));
	fprintf(out, "    \"loss\": 0.%03d\n  },\n  \"base_model\": null,\n",
		(int)(training->seed % 997));
	fprintf(out, "  \"init_from\": null,\n  \"log\": null,\n  \"trouble\": null");
	if (is_recorded) {
		fprintf(out, ",\n  \"entry\":\n");
		print_training(out, training, "  ");
	}
	fprintf(out, "\n}\n");
}

static void write_run(const char *dir, const struct training *training, const char *state,
		      const char *exp)
{
	char id[64];
	FILE *out;

	run_id_of(training, id);
	out = make_file(path_of("%s/.thhost/runs/%s.json", dir, id));
	print_run(out, training, state, exp);
	end_file(out);
}

/* One model in twenty was trained by 'thhost run', and one in fifty has runs that came to nothing. */
static void write_runs(const char *dir, const char *exp, const struct model *model)
{
	struct training training = model->trainings[model->n - 1];
	bool is_run = training.seed % 20 == 4 && !is_plain(&training);
	bool has_failed = training.seed % 50 < 1;

	if (!is_run && !has_failed)
		return;
	make_dir(path_of("%s/.thhost", dir));
	make_dir(path_of("%s/.thhost/runs", dir));
	if (is_run)
		write_run(dir, &training, "recorded", exp);
	if (!has_failed)
		return;
	training.seed++;
	write_run(dir, &training, "failed", exp);
	training.seed++;
	write_run(dir, &training, "interrupted", exp);
}

/* ---- an experiment ---- */

static void experiment_name(size_t exp, char name[32])
{
	time_t t = (time_t)(FIRST + (int64_t)exp * 3607);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(name, 32, "exp_%Y%m%d_%H%M%S", &tm);
}

/* What the models of one chain hand on to each other. */
struct line {
	struct model model;
	char from[CHAIN][96]; /* the REF of each of its models */
};

/* A head of a chain: from a pretrained model, a stage before, or now and then another experiment. */
static void begin_line(struct line *line, const struct place *place, size_t stage, size_t slot)
{
	struct model *model = &line->model;
	const char *dataset = datasets[slot];
	char other[32];

	memset(line, 0, sizeof(*line));
	snprintf(model->base, sizeof(model->base), "%s", stages[stage].base);
	if (stage == 0 && slot == 0 && place->exp % 10 == 9) {
		experiment_name(place->exp - 1, other);
		snprintf(model->base, sizeof(model->base), "%s/stage1_%s/checkpoint-500", other,
			 dataset);
		snprintf(model->parent, sizeof(model->parent), "%s/stage1_%s", other, dataset);
		model->relation = "starts_from";
	} else if (stage > 0) {
		snprintf(model->parent, sizeof(model->parent), "%s/%s_%s", place->name,
			 stages[stage - 1].dir, dataset);
		model->relation = stage == 3 ? "starts_from" : "uses";
	}
}

/* The next model of the chain: all that was before is inherited, from where it was first. */
static void go_on(struct line *line, const struct place *place, size_t stage, size_t slot)
{
	struct model *model = &line->model;
	size_t at = slot % CHAIN;

	if (at) {
		for (size_t i = 0; i < model->n; i++)
			if (!model->trainings[i].inherited_from)
				model->trainings[i].inherited_from = line->from[at - 1];
		snprintf(model->parent, sizeof(model->parent), "%s", line->from[at - 1]);
		model->relation = "continues";
	}
	snprintf(line->from[at], sizeof(line->from[at]), "%s/%s_%s", place->name, stages[stage].dir,
		 datasets[slot]);
}

/* One training on its own data set; of some models a second, of fewer a third. */
static void train(struct model *model, const struct place *place, size_t stage, size_t slot)
{
	uint64_t state = seed_of(place->seed, place->exp, stage * N_DATASETS + slot);
	uint64_t more = chance(&state) % 16;
	size_t n = more < 1 ? 3 : more < 2 ? 2 : 1;

	for (size_t i = 0; i < n && model->n < MAX_TRAININGS; i++) {
		struct training *training = &model->trainings[model->n++];

		training->seed = chance(&state);
		training->dataset = datasets[slot];
		training->stage = (int)stage;
		training->is_diverged = chance(&state) % 40 == 0;
		training->start = FIRST + (int64_t)place->exp * 3607 + (int64_t)slot * 200000 +
				  (int64_t)stage * 40000 + (int64_t)i * 60000;
		training->inherited_from = NULL;
	}
}

static void write_experiment(const char *root, struct place *place, size_t n)
{
	static struct line line;
	char dir[4096];

	experiment_name(place->exp, place->name);
	make_dir(path_of("%s/%s", root, place->name));
	for (size_t i = 0; i < n; i++) {
		size_t stage = i / N_DATASETS;
		size_t slot = i % N_DATASETS;

		if (slot % CHAIN == 0 ||
		    stage == 1) /* features are made, nothing goes on with them */
			begin_line(&line, place, stage, slot);
		if (stage != 1)
			go_on(&line, place, stage, slot);
		train(&line.model, place, stage, slot);
		snprintf(dir, sizeof(dir), "%s/%s/%s_%s", root, place->name, stages[stage].dir,
			 datasets[slot]);
		write_model(dir, &line.model);
		write_runs(dir, place->name, &line.model);
	}
}

/* ---- shapes of their own ---- */

struct model *plain_model(uint64_t seed, const char *dataset)
{
	static struct model model;

	memset(&model, 0, sizeof(model));
	snprintf(model.base, sizeof(model.base), "%s", stages[0].base);
	model.trainings[0] = (struct training){
		.seed = chance(&seed),
		.dataset = dataset,
		.start = FIRST,
	};
	model.n = 1;
	return &model;
}

/* 'n' models in experiment 'exp' after a first: each from the one before, or all from the first. */
static void write_family(const char *root, const char *exp, size_t n, bool is_chain, uint64_t seed)
{
	char dir[4096];

	make_dir(path_of("%s/%s", root, exp));
	for (size_t i = 0; i <= n - is_chain; i++) {
		struct model *model = plain_model(seed_of(seed, i, is_chain), "hrds");

		if (i) {
			snprintf(model->parent, sizeof(model->parent), "%s/stage1_m%06zu", exp,
				 is_chain ? i - 1 : 0);
			model->relation = "starts_from";
		}
		snprintf(dir, sizeof(dir), "%s/%s/stage1_m%06zu", root, exp, i);
		write_model(dir, model);
	}
}

/* ---- command line ---- */

struct wish {
	size_t records;
	size_t chain;
	size_t fan;
	uint64_t seed;
	bool foul;
	size_t huge;
};

static bool read_wish(int argc, char **argv, struct wish *wish)
{
	static const struct option options[] = {
		{ "records", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "chain", required_argument, NULL, 'c' },
		{ "fan", required_argument, NULL, 'f' },
		{ "foul", no_argument, NULL, 'x' },
		{ "huge", required_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'n')
			wish->records = strtoul(optarg, NULL, 10);
		else if (option == 's')
			wish->seed = strtoul(optarg, NULL, 10);
		else if (option == 'c')
			wish->chain = strtoul(optarg, NULL, 10);
		else if (option == 'f')
			wish->fan = strtoul(optarg, NULL, 10);
		else if (option == 'x')
			wish->foul = true;
		else if (option == 'h')
			wish->huge = strtoul(optarg, NULL, 10);
		else
			return false;
	}
	return optind == argc - 1;
}

int main(int argc, char **argv)
{
	struct wish wish = { .records = 100000, .seed = 7, .huge = 20000000 };
	struct place place = { .exp = 0 };
	const char *root;

	if (!read_wish(argc, argv, &wish)) {
		fprintf(stderr, "usage: tree ROOT [--records N] [--seed S] [--chain K] [--fan K] "
				"[--foul [--huge B]]\n");
		return 2;
	}
	root = argv[optind];
	if (access(root, F_OK) != 0)
		make_dir(root);
	place.seed = wish.seed;
	for (size_t done = 0; done < wish.records; done += PER_EXPERIMENT, place.exp++)
		write_experiment(root, &place,
				 wish.records - done < PER_EXPERIMENT ? wish.records - done
								      : PER_EXPERIMENT);
	if (wish.records)
		need(symlink(place.name, path_of("%s/current", root)) == 0, "current");
	if (wish.chain)
		write_family(root, "exp_chain", wish.chain, true, wish.seed);
	if (wish.fan)
		write_family(root, "exp_fan", wish.fan, false, wish.seed);
	if (wish.foul)
		write_foul(root, wish.seed, wish.huge);
	return 0;
}
