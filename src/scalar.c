/* SPDX-License-Identifier: MIT */
/* The CPU path: variants that run the reference with real = float. */
#include <string.h>

#include "platform.h"
#include "problem.h"
#include "reference/reference.h"
#include "registry.h"

typedef size_t workspace_function(const rwkv6_problem *problem);
typedef void reference_function(const rwkv6_reference_call *call);

typedef struct scalar_functions {
  workspace_function *workspace;
  reference_function *run;
} scalar_functions;

/* [operation][mode is chunk] */
static const scalar_functions functions[2][2] = {
    {{rwkv6_recurrent_forward_workspace_float, rwkv6_recurrent_forward_float},
     {rwkv6_chunk_forward_workspace_float, rwkv6_chunk_forward_float}},
    {{rwkv6_recurrent_backward_workspace_float, rwkv6_recurrent_backward_float},
     {rwkv6_chunk_backward_workspace_float, rwkv6_chunk_backward_float}},
};

static const scalar_functions *functions_of(const rwkv6_plan *plan) {
  return &functions[plan->operation == RWKV6_BACKWARD][plan->variant->mode == RWKV6_MODE_CHUNK];
}

static bool scalar_supports(const rwkv6_device *device, const rwkv6_problem *problem, char *reason, size_t size) {
  (void)device, (void)problem, (void)reason, (void)size;
  return true;
}

/* The workspace is plan->state. */
static rwkv6_status scalar_create(rwkv6_plan *plan, rwkv6_error *error) {
  const size_t bytes = functions_of(plan)->workspace(&plan->problem);
  plan->state = rwkv6_aligned_alloc(bytes);
  if (!plan->state) return rwkv6_fail_memory(error, bytes, "the workspace of a plan");
  plan->workspace = bytes;
  return RWKV6_OK;
}

static void scalar_destroy(rwkv6_plan *plan) {
  rwkv6_aligned_free(plan->state);
}

static rwkv6_status scalar_run(rwkv6_plan *plan, const rwkv6_tensors *tensors, rwkv6_error *error) {
  (void)error;
  rwkv6_reference_call call;
  memset(&call, 0, sizeof call);
  rwkv6_reference_views(&plan->problem, plan->operation, tensors, &call);
  call.problem = &plan->problem;
  call.workspace = plan->state;
  functions_of(plan)->run(&call);
  return RWKV6_OK;
}

#define SCALAR(name_, operation_, mode_)                                                                                       \
  static const rwkv6_variant name_ = {"scalar",      operation_,     mode_,      scalar_supports,                              \
                                      scalar_create, scalar_destroy, scalar_run, RWKV6_ARITHMETIC_FP32}

SCALAR(recurrent_forward, RWKV6_FORWARD, RWKV6_MODE_RECURRENT);
SCALAR(recurrent_backward, RWKV6_BACKWARD, RWKV6_MODE_RECURRENT);
SCALAR(chunk_forward, RWKV6_FORWARD, RWKV6_MODE_CHUNK);
SCALAR(chunk_backward, RWKV6_BACKWARD, RWKV6_MODE_CHUNK);

const rwkv6_variant *const rwkv6_cpu_variants[] = {&recurrent_forward, &recurrent_backward, &chunk_forward, &chunk_backward,
                                                   NULL};
