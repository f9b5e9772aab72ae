/*
 * nvml - the NVIDIA driver's own answer. The one door to libnvidia-ml.
 *
 * The library is loaded with dlopen() in a child process: it keeps devices open,
 * and with a sick driver it may hang or crash. NVML is spelled out here, as its
 * header is not in Debian.
 */
#ifndef CAPTURE_NVML_H
#define CAPTURE_NVML_H
#include "base/err.h"

#define NVML_GPUS_MAX 32

struct gpu {
	char model[96];
	uint64_t memory_bytes;
};

struct gpu_info {
	const char *source;
	char driver[80];
	char cuda[16]; /* "12.4": what the driver supports at most; "" if unknown */
	size_t count;
	struct gpu gpus[NVML_GPUS_MAX]; /* the first ones, if there are more */
};

/* 0, or -1: no library, no driver, no answer in time. */
int nvml_ask(struct gpu_info *out, struct err *err);

#endif
