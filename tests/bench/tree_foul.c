/*
 * tree_foul - what real trees have among their records: half-written and foreign files, huge ones,
 * loops of links, names in every script, depth.
 *
 * The names say what a reader must make of it (ROOT/exp_foul/...):
 *
 *	stage1_bad_WHAT     a record that cannot be read: a row that says so
 *	stage1_none_WHAT    nothing, or nothing that counts: no row
 *	all other names     a record like any other
 *
 * What the mode alone hides ("bad_mode", "bad_locked") is no fault to root.
 */
#include "tree.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXP "exp_foul"

static const char *foul_root;

static char *place(const char *name)
{
	return path_of("%s/" EXP "/%s", foul_root, name);
}

/* The directory 'name' with this text for a record. */
static void write_text(const char *name, const char *text, size_t len)
{
	FILE *out;

	make_dir(place(name));
	out = make_file(path_of("%s/" EXP "/%s/training_info.json", foul_root, name));
	fwrite(text, 1, len, out);
	end_file(out);
}

static void write_string(const char *name, const char *text)
{
	write_text(name, text, strlen(text));
}

/* The text of a good record; the caller frees it. */
static char *good_text(uint64_t seed, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	need(out != NULL, "memory");
	print_model(out, plain_model(seed, "hrds"));
	end_file(out);
	return text;
}

static void write_good(const char *name, uint64_t seed)
{
	char dir[4096];

	snprintf(dir, sizeof(dir), "%s/" EXP "/%s", foul_root, name);
	write_model(dir, plain_model(seed, "hrds"));
}

/* ---- no JSON, or not ours ---- */

static void write_truncated(uint64_t seed)
{
	size_t len;
	char *text = good_text(seed, &len);

	write_text("stage1_bad_half", text, len / 2);
	write_text("stage1_bad_last_byte", text, len - 2);
	write_text("stage1_bad_first_byte", text + 1, len - 1);
	free(text);
}

static void write_bytes(uint64_t seed)
{
	static char bytes[65536];

	write_text("stage1_bad_zeros", bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)chance(&seed);
	write_text("stage1_bad_bytes", bytes, sizeof(bytes));
}

static void write_foreign(void)
{
	write_string("stage1_bad_empty", "");
	write_string("stage1_bad_blank", " \n\n\t\n");
	write_string("stage1_bad_foreign", "{\"epochs\": 3, \"loss\": [0.5, 0.4, 0.3]}\n");
	write_string("stage1_bad_array", "[{\"training_history\": []}]\n");
	write_string("stage1_bad_text", "\"training_history\"\n");
	write_string("stage1_bad_history", "{\"training_history\": {\"dataset\": \"hrds\"}}\n");
	write_string("stage1_bad_yaml", "training_history:\n- dataset: hrds\n");
	write_string("stage1_bad_two", "{\"training_history\": []}{\"training_history\": []}\n");
	write_string("stage1_bad_utf8", "{\"stage\": \"caf\xe9\", \"training_history\": []}\n");
	write_text("stage1_bad_utf16", "\xff\xfe{\0}\0", 6);
}

static void write_nested(void)
{
	static char text[100000];

	memset(text, '[', sizeof(text));
	write_text("stage1_bad_nested", text, sizeof(text));
}

/* ---- huge ---- */

/* As many trainings as it takes; the end is missing where it 'is_torn'. */
static void write_huge(const char *name, uint64_t seed, size_t size, bool is_torn)
{
	struct training training = plain_model(seed, "hrds")->trainings[0];
	int64_t steps = 0;
	FILE *out;

	make_dir(place(name));
	out = make_file(path_of("%s/" EXP "/%s/training_info.json", foul_root, name));
	fprintf(out, "{\n  \"model_name\": \"m\",\n  \"stage\": \"stage1\",\n  "
		     "\"training_history\": [\n");
	while (ftell(out) < (long)size) {
		print_training(out, &training, "    ");
		steps += steps_of(&training);
		fprintf(out, ",\n");
		training.seed = chance(&seed);
	}
	print_training(out, &training, "    ");
	steps += steps_of(&training);
	if (!is_torn)
		fprintf(out, "\n  ],\n  \"total_steps\": %lld,\n  \"last_dataset\": \"hrds\"\n}\n",
			(long long)steps);
	end_file(out);
}

/* ---- no file ---- */

static void write_kinds(void)
{
	make_dir(place("stage1_bad_directory"));
	make_dir(place("stage1_bad_directory/training_info.json"));
	make_dir(place("stage1_bad_fifo"));
	need(mkfifo(place("stage1_bad_fifo/training_info.json"), 0644) == 0, "fifo");
	make_dir(place("stage1_bad_loop"));
	need(symlink("training_info.json", place("stage1_bad_loop/training_info.json")) == 0,
	     "link");
	make_dir(place("stage1_none"));
	make_dir(place("stage1_none_journal"));
	make_dir(place("stage1_none_journal/.thhost"));
	make_dir(place("stage1_none_journal/.thhost/runs"));
}

static void write_loops(void)
{
	need(symlink(".", place("stage1_none_here")) == 0, "link");
	need(symlink("..", place("stage1_none_up")) == 0, "link");
	need(symlink("../" EXP, place("stage1_none_around")) == 0, "link");
	need(symlink("stage1_none_itself", place("stage1_none_itself")) == 0, "link");
	need(symlink("nowhere", place("stage1_none_dangling")) == 0, "link");
}

static void write_modes(uint64_t seed)
{
	write_good("stage1_bad_mode", seed);
	need(chmod(place("stage1_bad_mode/training_info.json"), 0) == 0, "chmod");
	write_good("stage1_bad_locked", seed + 1);
	need(chmod(place("stage1_bad_locked"), 0) == 0, "chmod");
}

/* ---- odd, but good ---- */

static void write_styles(uint64_t seed)
{
	write_string("stage1_nan",
		     "{\"model_name\": \"m\", \"stage\": \"stage1\", \"training_history\": [\n"
		     "{\"dataset\": \"hrds\", \"steps\": 5, \"metrics\": {\"f1\": NaN, "
		     "\"val_loss\": 0.5}}],\n"
		     "\"total_steps\": 5, \"last_dataset\": \"hrds\"}\n");
	write_string(
		"stage1_crlf",
		"{\r\n\"stage\": \"stage1\",\r\n\"training_history\": [\r\n"
		"{\"dataset\": \"hrds\", \"steps\": 7, \"metrics\": {\"f1\": 0.25}}\r\n]\r\n}\r\n");
	write_string("stage1_escapes",
		     "{\"stage\":\"stage1\",\"training_history\":[{\"dataset\":\"h\\u0072ds\","
		     "\"steps\":1,"
		     "\"metrics\":{\"f1\":1e-7},\"notes\":\"\\ud83d\\ude80 \\u0000 \\\"\"}]}");
	write_string("stage1_no_training", "{\"stage\": \"stage1\", \"training_history\": []}\n");
	write_good("checkpoint_of_what", seed);
}

static void write_names(uint64_t seed)
{
	static const char *const names[] = {
		"stage1_文書",
		"stage1_مستند",
		"stage1_e\u0301tude",
		"stage1_\u00e9tude",
		"stage1_🚀👩‍🔬",
		"stage1_\u202eltr",
		"stage1_two\nlines",
		"stage1_a\tb",
		"stage1_\033[31mred",
		"stage1_it's \"so\"",
		"stage1_$(id)`id`",
		"=1+1",
		"-rf",
		"stage1_a,b;c|d",
		"stage1_<b>&amp;",
		"stage1_ ",
		"stage1_\xef\xbb\xbf",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		write_good(names[i], seed + i);
	write_good(strdup(path_of("stage1_%0240d", 0)), seed);
}

/* A model inside of a stage, checkpoints with copies of a record, trees of another shape. */
static void write_depth(uint64_t seed)
{
	char path[2048] = "old";

	write_good("stage1_deep", seed);
	write_good("stage1_deep/fold_1", seed + 1);
	write_good("stage1_deep/checkpoint-500", seed + 2);
	make_dir(place("mlruns"));
	make_dir(place("mlruns/0"));
	write_good("mlruns/0/4c1e9", seed + 3);
	make_dir(place(path));
	for (int level = 3; level < 40; level++) { /* the root's own directories are the first */
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "/d");
		if (level == 30 || level == 39)
			write_good(path, seed + (uint64_t)level);
		else
			make_dir(place(path));
	}
}

void write_foul(const char *root, uint64_t seed, size_t huge)
{
	foul_root = root;
	make_dir(path_of("%s/" EXP, root));
	write_truncated(seed);
	write_bytes(seed);
	write_foreign();
	write_nested();
	write_huge("stage1_huge", seed, huge, false);
	write_huge("stage1_bad_huge", seed, huge, true);
	write_kinds();
	write_loops();
	write_styles(seed + 100);
	write_names(seed + 200);
	write_depth(seed + 300);
	write_modes(seed + 400);
}
