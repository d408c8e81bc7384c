/* SPDX-License-Identifier: MIT */
/* One operation on device buffers: what the host-pointer path, include/rwkv6/opencl.h and the tests all call. */
#ifndef RWKV6_SRC_OPENCL_CALL_H
#define RWKV6_SRC_OPENCL_CALL_H

#include "opencl/loader.h"
#include "tensor.h"

typedef struct rwkv6_cl_tensor {
  cl_mem buffer;  /* NULL: does not take part */
  int64_t offset; /* elements from the start of the buffer */
} rwkv6_cl_tensor;

struct rwkv6_cl_chain; /* opencl/chain.h */

typedef struct rwkv6_cl_call {
  cl_command_queue queue;
  bool out_of_order;            /* the queue is */
  const rwkv6_problem *problem; /* the plan's problem; its token and head strides may differ (they are those of the buffers) */
  rwkv6_cl_tensor tensor[RWKV6_TENSOR_COUNT];
  cl_mem workspace;          /* at least plan_info.workspace bytes; NULL if that is 0 */
  uint64_t workspace_offset; /* bytes, a multiple of 256 */
  cl_uint wait_count;        /* events that the first launch waits for */
  const cl_event *wait_list;
  cl_event *event;              /* receives that of the last launch; NULL: none is wanted */
  struct rwkv6_cl_chain *chain; /* set by rwkv6_cl_enqueue for the launchers */
} rwkv6_cl_call;

/* Enqueues all kernels of the plan, one after the other in the queue's or in the events' order; waits for nothing. The plan
 * must be one of an OpenCL variant. */
rwkv6_status rwkv6_cl_enqueue(rwkv6_plan *plan, const rwkv6_cl_call *call, rwkv6_error *error);

#endif
