/*
 * gpu - which GPUs the machine has: NVML, else /proc/driver/nvidia, else nvidia-smi.
 */
#ifndef CAPTURE_GPU_H
#define CAPTURE_GPU_H
#include "base/str.h"

/*
 * {"source","model","count","memory_bytes","driver","cuda"}, and "devices" [{"model",
 * "memory_bytes"}] where they are not all alike. 'json' stays empty where there is none to be
 * seen; 'notes' gets each reason. At most 15 seconds.
 */
void capture_gpu(struct str *json, struct strv *notes);

#endif
