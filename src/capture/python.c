#include "base/base.h"

#include "capture/python.h"

#include "base/mem.h"
#include "capture/probe.h"
#include "sys/json.h"
#include "sys/path.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

/* "srun --ntasks 4 env A=1 python train.py": how far into a command the interpreter may be. */
#define WORDS_LIMIT 16

struct python {
	char *executable;
	char *prefix;	    /* the directory above its bin */
	struct str version; /* "3.10.12" or "3.10" */
	bool is_venv;
	bool is_conda;
	bool has_system_packages;
	struct strv names; /* packages, and their versions in the same order */
	struct strv versions;
};

/* In the names of wheels: lower case, '_' for '-' and '.'. */
static const char *const wanted[] = {
	"torch",
	"transformers",
	"datasets",
	"accelerate",
	"tokenizers",
	"peft",
	"torchvision",
	"torchaudio",
	"numpy",
	"scikit_learn",
	"pandas",
	"pytorch_lightning",
	"lightning",
	"tensorflow",
	"keras",
	"jax",
	"flax",
	"xgboost",
	"lightgbm",
	"catboost",
	"ultralytics",
	"detectron2",
	"mmdet",
	"mmengine",
	"mmcv",
	"fairseq",
	"spacy",
	"timm",
	"deepspeed",
	"vllm",
	"wandb",
	"mlflow",
	"seqeval",
	"pyyaml",
	"sentence_transformers",
	"torch_geometric",
	"triton",
	"flash_attn",
	"bitsandbytes",
};

/* ---- the interpreter ---- */

static char *find_in_path(const char *name)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? xstrdup(name) : NULL;
	while (path && *path) {
		size_t len = strcspn(path, ":");
		char *candidate = xstrf("%.*s/%s", (int)len, path, name);

		if (len && access(candidate, X_OK) == 0)
			return candidate;
		free(candidate);
		path += len + (path[len] == ':');
	}
	return NULL;
}

/* "python", "python3", "python3.11" */
static bool is_python_name(const char *path)
{
	const char *base = path_base(path);

	return has_prefix(base, "python") && strspn(base + 6, "0123456789.") == strlen(base + 6);
}

/* The interpreter of a script: "#!/venv/bin/python -u" or "#!/usr/bin/env python3". */
static char *python_of_script(const char *path)
{
	struct strv words = STRV_INIT;
	char line[512] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = fd >= 0 ? read(fd, line, sizeof(line) - 1) : 0;
	char *found = NULL;

	if (fd >= 0)
		close(fd);
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	for (const char *p = line + 2; has_prefix(line, "#!") && *p;) {
		size_t len = strcspn(p, " \t");

		if (len)
			strv_pushn(&words, p, len);
		p += len + (p[len] != '\0');
	}
	for (size_t i = 0; i < words.n && i < 3 && !found; i++)
		if (is_python_name(words.v[i]))
			found = find_in_path(words.v[i]);
	strv_release(&words);
	return found;
}

/* The first word of the command that is a Python, or a script that names one. */
static char *find_python(char *const *argv)
{
	for (size_t i = 0; i < WORDS_LIMIT && argv && argv[i]; i++) {
		bool may_be_script = i == 0 || has_suffix(argv[i], ".py");
		char *file;
		char *python;

		if (!is_python_name(argv[i]) && !may_be_script)
			continue;
		file = find_in_path(argv[i]);
		if (!file || is_python_name(argv[i])) {
			if (file)
				return file;
			continue;
		}
		python = python_of_script(file);
		free(file);
		if (python)
			return python;
	}
	return NULL;
}

/* ---- its version ---- */

static void take_venv(struct python *p)
{
	char *path = path_join(p->prefix, "pyvenv.cfg");
	struct str text = STR_INIT;
	struct str value = STR_INIT;

	if (probe_read(path, &text)) {
		p->is_venv = true;
		if (probe_value(&text, "version", '=', &value) ||
		    probe_value(&text, "version_info", '=', &value)) {
			size_t len = strspn(value.buf, "0123456789.");

			str_add(&p->version, value.buf, len);
			while (p->version.len && p->version.buf[p->version.len - 1] == '.')
				str_truncate(&p->version, p->version.len - 1);
		}
		if (probe_value(&text, "include-system-site-packages", '=', &value))
			p->has_system_packages = strcasecmp(value.buf, "true") == 0;
	}
	str_release(&value);
	str_release(&text);
	free(path);
}

/* "python3.11" behind the link. */
static void take_link(struct python *p)
{
	char real[PATH_MAX];
	const char *base;

	if (p->version.len || !realpath(p->executable, real))
		return;
	base = path_base(real);
	if (is_python_name(base) && strchr(base, '.'))
		str_adds(&p->version, base + strlen("python"));
}

/* ---- its packages ---- */

/* 'out' gets "scikit_learn" for "scikit-learn", "Scikit.Learn". */
static void normal_name(const char *name, size_t len, struct str *out)
{
	str_clear(out);
	for (size_t i = 0; i < len; i++)
		str_addch(out, name[i] == '-' || name[i] == '.'
				       ? '_'
				       : (char)tolower((unsigned char)name[i]));
}

static void take_package(struct python *p, const char *name, size_t name_len, const char *version,
			 size_t version_len)
{
	struct str normal = STR_INIT;

	normal_name(name, name_len, &normal);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (strcmp(wanted[i], normal.buf) == 0 && !strv_has(&p->names, normal.buf)) {
			strv_push(&p->names, normal.buf);
			strv_pushn(&p->versions, version, version_len);
		}
	str_release(&normal);
}

/* "torch-2.1.0+cu118.dist-info", "torch-1.10.0-py3.8.egg-info" */
static void take_dist_info(struct python *p, const char *name)
{
	const char *dash = strchr(name, '-');
	size_t len;

	if (!dash || (!has_suffix(name, ".dist-info") && !has_suffix(name, ".egg-info")))
		return;
	len = strlen(dash + 1) -
	      strlen(has_suffix(name, ".dist-info") ? ".dist-info" : ".egg-info");
	if (memchr(dash + 1, '-', len))
		len = strcspn(dash + 1, "-");
	take_package(p, name, (size_t)(dash - name), dash + 1, len);
}

/* "pytorch-2.1.0-py3.10_cuda11.8_0.json": name, version and build, from the right. */
static void take_conda_file(struct python *p, const char *name)
{
	const char *build = strrchr(name, '-');
	const char *version = build ? memrchr(name, '-', (size_t)(build - name)) : NULL;
	size_t len;

	if (!version || !has_suffix(name, ".json"))
		return;
	len = (size_t)(build - version - 1);
	if ((size_t)(version - name) == 6 && has_prefix(name, "python") && !p->version.len)
		str_add(&p->version, version + 1, len);
	if ((size_t)(version - name) == 7 && has_prefix(name, "pytorch"))
		take_package(p, "torch", 5, version + 1, len);
	take_package(p, name, (size_t)(version - name), version + 1, len);
}

static bool each_name(const char *dir, struct python *p,
		      void (*take)(struct python *p, const char *name))
{
	struct strv names = STRV_INIT;
	struct err ignored = ERR_INIT;
	int fd = path_open_dir(dir, &ignored);

	if (fd < 0)
		return false;
	if (path_list(fd, &names, &ignored) < 0)
		names.n = 0;
	for (size_t i = 0; i < names.n; i++)
		take(p, names.v[i]);
	strv_release(&names);
	close(fd);
	return true;
}

static void scan(struct python *p, const char *format, const char *prefix, const char *version)
{
	struct str dir = STR_INIT;

	str_addf(&dir, "%s/%s%s%s", prefix, version ? "lib/python" : "", version ? version : "",
		 format);
	each_name(dir.buf, p, take_dist_info);
	str_release(&dir);
}

/* Where "import" looks, the nearest first: what was found first stays. */
static void take_packages(struct python *p)
{
	const char *home = getenv("HOME");
	char *minor = xstrdup(p->version.buf);
	char *dot = strchr(minor, '.');
	char *local = home ? path_join(home, ".local") : NULL;

	if (dot && (dot = strchr(dot + 1, '.')))
		*dot = '\0';
	if (*minor && !p->is_venv && local)
		scan(p, "/site-packages", local, minor);
	if (*minor)
		scan(p, "/site-packages", p->prefix, minor);
	if (*minor && (!p->is_venv || p->has_system_packages)) {
		scan(p, "/dist-packages", "/usr/local", minor);
		if (strcmp(p->prefix, "/usr") == 0 || p->has_system_packages)
			scan(p, "/lib/python3/dist-packages", "/usr", NULL);
	}
	free(local);
	free(minor);
}

/* ---- the whole ---- */

static void print_python(const struct python *p, struct str *json)
{
	struct jsonw w = jsonw_begin(json, 0);

	jsonw_object(&w);
	jsonw_pair_string(&w, "executable", p->executable);
	if (p->version.len)
		jsonw_pair_string(&w, "version", p->version.buf);
	if (p->is_venv || p->is_conda)
		jsonw_pair_string(&w, p->is_venv ? "venv" : "conda", p->prefix);
	if (p->names.n) {
		jsonw_key(&w, "packages");
		jsonw_object(&w);
		for (size_t i = 0; i < p->names.n; i++)
			jsonw_pair_string(&w, p->names.v[i], p->versions.v[i]);
		jsonw_end(&w);
	}
	jsonw_end(&w);
}

/* The prefix belongs to the name that was used: a venv's python is a link to the system's. */
static void examine(struct python *p)
{
	char *absolute = path_absolute(p->executable);
	char *bin = path_dir(absolute);
	char *meta;

	free(p->executable);
	p->executable = absolute;
	p->prefix = path_dir(bin);
	meta = path_join(p->prefix, "conda-meta");
	take_venv(p);
	if (!p->is_venv)
		p->is_conda = each_name(meta, p, take_conda_file);
	take_link(p);
	take_packages(p);
	free(meta);
	free(bin);
}

void capture_python(char *const *argv, struct str *json, struct strv *notes)
{
	struct python p = { .version = STR_INIT, .names = STRV_INIT, .versions = STRV_INIT };

	str_clear(json);
	p.executable = find_python(argv);
	if (!p.executable) {
		strv_push(notes, "python: the command starts none that can be seen");
		return;
	}
	examine(&p);
	if (!p.version.len)
		strv_pushf(notes, "python: the version of '%s' cannot be seen", p.executable);
	print_python(&p, json);
	strv_release(&p.names);
	strv_release(&p.versions);
	str_release(&p.version);
	free(p.prefix);
	free(p.executable);
}
