#include "base/base.h"

#include "model/conf.h"

#include <errno.h>

/* What decides how a training runs, and no more: an environment is full of other people's keys. */
#define ENV_ALLOW                                                                              \
	"CUDA_VISIBLE_DEVICES,CUDA_DEVICE_ORDER,NVIDIA_VISIBLE_DEVICES,OMP_*,MKL_NUM_THREADS," \
	"OPENBLAS_NUM_THREADS,PYTORCH_*,TORCH_*,NCCL_*,TF_CPP_*,TF_GPU_*,XLA_FLAGS,"           \
	"TF_XLA_FLAGS,TF_DETERMINISTIC_OPS,CUBLAS_WORKSPACE_CONFIG,"                           \
	"PYTHONHASHSEED,TOKENIZERS_PARALLELISM,HF_HOME,TRANSFORMERS_CACHE,HF_*_OFFLINE,"       \
	"WORLD_SIZE,RANK,LOCAL_RANK,SLURM_JOB_*,SLURM_ARRAY_*,SLURM_NTASKS*,SLURM_CPUS_*,"     \
	"SLURM_GPUS*,SLURM_NNODES,LAYOUTLMFT_*,HRDOC_*,EARLY_STOPPING_PATIENCE"

#define MASK                                                                    \
	"*token,*secret*,*passw*,*passphrase*,*api_key*,*apikey*,*access_key*," \
	"*private_key*,*credential*,*auth,*_jwt"

#define DAY_S 86400

static const struct conf_key keys[] = {
	{ "artifact", "root", CONF_PATH, "artifact", "THHOST_ROOT", NULL, 0, 0 },
	{ "artifact", "index", CONF_BOOL, "yes", "THHOST_INDEX", NULL, 0, 0 },

	{ "plugins", "path", CONF_PATHS, "", "THHOST_PLUGINS", NULL, 0, 0 },
	{ "plugins", "time_limit_ms", CONF_INT, "2000", "THHOST_PLUGIN_TIME_LIMIT", NULL, 10,
	  600000 },
	{ "plugins", "memory_mb", CONF_INT, "64", "THHOST_PLUGIN_MEMORY", NULL, 1, 4096 },
	{ "plugins", "load_ms", CONF_INT, "500", "THHOST_PLUGIN_LOAD_LIMIT", NULL, 10, 60000 },

	{ "record", "lock_timeout_s", CONF_INT, "60", "THHOST_LOCK_TIMEOUT", NULL, 0, DAY_S },
	{ "record", "capture_environment", CONF_BOOL, "yes", "THHOST_CAPTURE_ENVIRONMENT", NULL, 0,
	  0 },
	{ "record", "capture_git", CONF_BOOL, "yes", "THHOST_CAPTURE_GIT", NULL, 0, 0 },
	{ "record", "capture_gpu", CONF_BOOL, "yes", "THHOST_CAPTURE_GPU", NULL, 0, 0 },
	{ "record", "env_allow", CONF_LIST, ENV_ALLOW, "THHOST_ENV_ALLOW", NULL, 0, 0 },
	{ "record", "mask", CONF_LIST, MASK, "THHOST_MASK", NULL, 0, 0 },
	{ "record", "digest_limit_mb", CONF_INT, "4096", "THHOST_DIGEST_LIMIT", NULL, 0, 1 << 24 },

	{ "run", "log", CONF_BOOL, "yes", "THHOST_LOG", NULL, 0, 0 },
	{ "run", "progress", CONF_CHOICE, "auto", "THHOST_PROGRESS", "auto yes no", 0, 0 },
	{ "run", "pty", CONF_CHOICE, "auto", "THHOST_PTY", "auto no", 0, 0 },
	{ "run", "strict", CONF_BOOL, "no", "THHOST_STRICT", NULL, 0, 0 },
	{ "run", "grace_s", CONF_INT, "10", "THHOST_GRACE", NULL, 0, 3600 },

	{ "query", "timeout_s", CONF_INT, "30", "THHOST_QUERY_TIMEOUT", NULL, 0, DAY_S },
	{ "query", "memory_mb", CONF_INT, "512", "THHOST_QUERY_MEMORY", NULL, 16, 1 << 20 },

	{ "ui", "color", CONF_CHOICE, "auto", "THHOST_COLOR", "auto always never", 0, 0 },
	{ "ui", "pager", CONF_TEXT, "auto", "THHOST_PAGER", NULL, 0, 0 },
	{ "ui", "time", CONF_CHOICE, "relative", "THHOST_TIME", "relative iso", 0, 0 },
};

const struct conf_key *conf_keys(size_t *n)
{
	*n = ARRAY_SIZE(keys);
	return keys;
}

static int check_int(const struct conf_key *key, const char *value, struct err *err)
{
	long long number;
	char *end;

	errno = 0;
	number = strtoll(value, &end, 10);
	if (errno || end == value || *end || number < key->min || number > key->max)
		return err_set(err, ERR_INVALID,
			       "'%s' for '%s' is not a whole number from %lld to %lld", value,
			       key->key, (long long)key->min, (long long)key->max);
	return 0;
}

/* Is 'word' one of the words of 'list', which blanks separate? */
static bool has_word(const char *list, const char *word)
{
	size_t want = strlen(word);

	for (const char *p = list; *p; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");

		if (len == want && memcmp(p, word, len) == 0)
			return true;
		p += len;
	}
	return false;
}

int conf_check_value(const struct conf_key *key, const char *value, struct err *err)
{
	static const char *const bools = "yes no true false on off 1 0";

	switch (key->kind) {
	case CONF_INT:
		return check_int(key, value, err);
	case CONF_BOOL:
		if (has_word(bools, value))
			return 0;
		return err_set(err, ERR_INVALID, "'%s' for '%s' is neither yes nor no", value,
			       key->key);
	case CONF_CHOICE:
		if (has_word(key->choices, value))
			return 0;
		return err_set(err, ERR_INVALID, "'%s' for '%s' is none of: %s", value, key->key,
			       key->choices);
	case CONF_PATH:
		if (*value)
			return 0;
		return err_set(err, ERR_INVALID, "'%s' must not be empty", key->key);
	case CONF_TEXT:
	case CONF_PATHS:
	case CONF_LIST:
		break;
	}
	return 0;
}
