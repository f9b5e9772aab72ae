#include "base/base.h"

#include "capture/gpu.h"

#include "base/mem.h"
#include "capture/nvml.h"
#include "capture/probe.h"
#include "sys/json.h"
#include "sys/proc.h"

#include <dirent.h>

#define SMI_MS 5000
#define SMI_LIMIT (64u << 10)

/* ---- /proc/driver/nvidia ---- */

/* "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat ...": the first word with a dot. */
static void take_driver(const struct str *version, struct gpu_info *info)
{
	struct str line = STR_INIT;
	const char *p;

	if (!probe_value(version, "NVRM version", ':', &line)) {
		str_release(&line);
		return;
	}
	p = line.buf;
	while (*p) {
		size_t len = strcspn(p, " \t");

		if (p[0] >= '0' && p[0] <= '9' && memchr(p, '.', len)) {
			snprintf(info->driver, sizeof(info->driver), "%.*s", (int)len, p);
			break;
		}
		p += len;
		p += strspn(p, " \t");
	}
	str_release(&line);
}

static void take_information(const char *path, struct gpu_info *info)
{
	struct str text = STR_INIT;
	struct str model = STR_INIT;

	if (probe_read(path, &text) && probe_value(&text, "Model", ':', &model)) {
		if (info->count < NVML_GPUS_MAX)
			snprintf(info->gpus[info->count].model, sizeof(info->gpus[0].model), "%s",
				 model.buf);
		info->count++;
	}
	str_release(&model);
	str_release(&text);
}

static int ask_proc(struct gpu_info *info, struct err *err)
{
	struct str text = STR_INIT;
	char *path = probe_path("/proc/driver/nvidia/gpus");
	DIR *dir = opendir(path);
	struct dirent *entry;

	free(path);
	info->source = "proc";
	if (probe_read("/proc/driver/nvidia/version", &text))
		take_driver(&text, info);
	str_release(&text);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		path = xstrf("/proc/driver/nvidia/gpus/%s/information", entry->d_name);
		take_information(path, info);
		free(path);
	}
	if (dir)
		closedir(dir);
	return info->count ? 0 : err_set(err, ERR_NOT_FOUND, "/proc/driver/nvidia shows none");
}

/* ---- nvidia-smi ---- */

/* The field of a CSV line up to the next ", ", in 'out'; the rest. */
static const char *take_field(const char *p, struct str *out)
{
	size_t len = strcspn(p, ",\n");

	str_clear(out);
	str_add(out, p, len);
	str_trim(out);
	p += len;
	return *p == ',' ? p + 1 : p;
}

/* "NVIDIA A100-SXM4-80GB, 81920, 535.104.05" */
static void take_smi_line(const char *p, struct gpu_info *info)
{
	struct str field = STR_INIT;
	struct gpu gpu = { .memory_bytes = 0 };

	p = take_field(p, &field);
	snprintf(gpu.model, sizeof(gpu.model), "%s", field.buf);
	p = take_field(p, &field);
	gpu.memory_bytes = strtoull(field.buf, NULL, 10) << 20;
	take_field(p, &field);
	snprintf(info->driver, sizeof(info->driver), "%s", field.buf);
	if (gpu.model[0] && info->count < NVML_GPUS_MAX)
		info->gpus[info->count] = gpu;
	info->count += gpu.model[0] != '\0';
	str_release(&field);
}

static int read_smi(const struct proc_answer *answer, struct gpu_info *info, struct err *err)
{
	if (answer->timed_out)
		return err_set(err, ERR_FAILED, "nvidia-smi did not answer in time");
	if (!proc_succeeded(answer))
		return err_set(err, ERR_FAILED, "nvidia-smi failed: %.*s",
			       (int)strcspn(answer->out.buf, "\n"), answer->out.buf);
	for (const char *p = answer->out.buf; *p; p += strcspn(p, "\n"), p += *p == '\n')
		take_smi_line(p, info);
	return info->count ? 0 : err_set(err, ERR_NOT_FOUND, "nvidia-smi shows none");
}

static int ask_smi(struct gpu_info *info, struct err *err)
{
	struct strv argv = STRV_INIT;
	struct proc_request request = { .output_limit = SMI_LIMIT,
					.deadline_ms = probe_deadline(SMI_MS) };
	struct proc_answer answer = PROC_ANSWER_INIT;
	int rc;

	info->source = "nvidia-smi";
	strv_push(&argv, "nvidia-smi");
	strv_push(&argv, "--query-gpu=name,memory.total,driver_version");
	strv_push(&argv, "--format=csv,noheader,nounits");
	request.argv = argv.v;
	rc = proc_capture(&request, &answer, err);
	if (rc == 0)
		rc = read_smi(&answer, info, err);
	proc_answer_release(&answer);
	strv_release(&argv);
	return rc;
}

/* ---- all three ---- */

static void print_gpu(struct jsonw *w, const struct gpu *gpu)
{
	jsonw_pair_string(w, "model", gpu->model);
	if (gpu->memory_bytes)
		jsonw_pair_int(w, "memory_bytes", (int64_t)gpu->memory_bytes);
}

static bool are_alike(const struct gpu_info *info)
{
	for (size_t i = 1; i < info->count && i < NVML_GPUS_MAX; i++)
		if (strcmp(info->gpus[i].model, info->gpus[0].model) != 0 ||
		    info->gpus[i].memory_bytes != info->gpus[0].memory_bytes)
			return false;
	return true;
}

static void print_info(const struct gpu_info *info, struct str *json)
{
	struct jsonw w = jsonw_begin(json, 0);

	jsonw_object(&w);
	jsonw_pair_string(&w, "source", info->source);
	jsonw_pair_int(&w, "count", (int64_t)info->count);
	print_gpu(&w, &info->gpus[0]);
	if (info->driver[0])
		jsonw_pair_string(&w, "driver", info->driver);
	if (info->cuda[0])
		jsonw_pair_string(&w, "cuda", info->cuda);
	if (!are_alike(info)) {
		jsonw_key(&w, "devices");
		jsonw_array(&w);
		for (size_t i = 0; i < info->count && i < NVML_GPUS_MAX; i++) {
			jsonw_object(&w);
			print_gpu(&w, &info->gpus[i]);
			jsonw_end(&w);
		}
		jsonw_end(&w);
	}
	jsonw_end(&w);
}

void capture_gpu(struct str *json, struct strv *notes)
{
	static int (*const sources[])(struct gpu_info *, struct err *) = { nvml_ask, ask_proc,
									   ask_smi };

	str_clear(json);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct gpu_info info;
		struct err err = ERR_INIT;

		memset(&info, 0, sizeof(info));
		if (sources[i](&info, &err) == 0 && info.count) {
			print_info(&info, json);
			return;
		}
		strv_pushf(notes, "gpu: %s", err.msg[0] ? err.msg : "the driver shows none");
	}
}
