/* SPDX-License-Identifier: MIT */
/* rwkv6_run for OpenCL variants: host memory in, kernels, host memory out. */
#ifndef RWKV6_SRC_OPENCL_HOST_RUN_H
#define RWKV6_SRC_OPENCL_HOST_RUN_H

#include "opencl/call.h"
#include "opencl/context.h"
#include "plan.h"

/* Made at the first run and kept: a plan that runs again allocates nothing. */
typedef struct rwkv6_cl_host {
  cl_command_queue queue;
  cl_mem buffer[RWKV6_TENSOR_COUNT]; /* packed, whatever the strides on the host; the pool: only slots in use */
  cl_mem workspace;
  void *staging;        /* rows of one strided tensor, packed, or the slots in use */
  int32_t *places;      /* [sequences]: where a slot in use is in the buffer of the pool, -1: nowhere */
  rwkv6_problem packed; /* the plan's problem with packed strides */
} rwkv6_cl_host;

/* Every OpenCL variant's plan->state begins with this. */
typedef struct rwkv6_cl_state {
  rwkv6_status (*enqueue)(rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_error *error);
  rwkv6_cl_host host;
} rwkv6_cl_state;

rwkv6_status rwkv6_cl_host_run(rwkv6_plan *plan, const rwkv6_tensors *tensors, rwkv6_error *error);
/* Read and written; of at least 8 bytes. `what` names it in the error. */
rwkv6_status rwkv6_cl_create_buffer(const rwkv6_device *device, uint64_t bytes, const char *what, cl_mem *buffer,
                                    rwkv6_error *error);
void rwkv6_cl_host_release(const rwkv6_device *device, rwkv6_cl_host *host);

#endif
