#include "base/base.h"

#include "app/base_files.h"

#include "app/capture_all.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/path.h"

#include <sys/stat.h>

const char *base_files_name(const struct draft *draft)
{
	const char *name = draft->base_path ? draft->base_path : draft->base_model;

	return name && *name ? name : NULL;
}

int base_files_path(const struct draft *draft, const char *cwd, char **path, struct err *err)
{
	const char *name = base_files_name(draft);
	mode_t mode = 0;
	char *at;
	int found;

	*path = NULL;
	if (!name)
		return 0;
	at = name[0] == '/' || !cwd ? xstrdup(name) : path_join(cwd, name);
	found = path_exists(at, &mode, err);
	if (found > 0 && (S_ISREG(mode) || S_ISDIR(mode)))
		*path = at;
	else
		free(at);
	return found < 0 ? -1 : 0;
}

void base_files_digest(const struct draft *draft, const struct conf *conf, const char *cwd,
		       struct str *out)
{
	struct err err = ERR_INIT;
	char *path = NULL;

	if (conf_int(conf, "record.digest_limit_mb") == 0)
		return;
	if (base_files_path(draft, cwd, &path, &err) == 0 && path)
		capture_model(conf, path, out, &err);
	if (err.code == ERR_INVALID)
		log_info("no digest of the base model: %s", err.msg);
	else if (err.code)
		log_warn("no digest of the base model: %s", err.msg);
	free(path);
}

const char *base_files_digest_of(const struct run *run, const struct draft *draft)
{
	bool is_same = run->base_model && draft->base_model &&
		       strcmp(run->base_model, draft->base_model) == 0;

	return is_same ? run->base_model_digest : NULL;
}
