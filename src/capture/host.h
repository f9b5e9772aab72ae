/*
 * host - the machine: name, system, processor, memory, limits, container, Slurm.
 */
#ifndef CAPTURE_HOST_H
#define CAPTURE_HOST_H
#include "base/str.h"
#include "sys/json.h"

/*
 * Members "host", "os", "kernel", "cpu", "cpus", "memory_bytes", "limits" {"memory_bytes","cpus"}
 * (of the control group), "container" into the object that is open in 'w'. What is unknown is left
 * out and named in 'notes'.
 */
void host_print(struct jsonw *w, struct strv *notes);

/* Member "slurm" {"job_id","array_job_id",...} from 'env' (an environ), if it is a Slurm job. */
void host_print_slurm(struct jsonw *w, char *const *env);

/* The value of variable 'name' in 'env', or NULL. */
const char *host_variable(char *const *env, const char *name);

#endif
